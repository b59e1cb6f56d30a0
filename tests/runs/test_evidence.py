"""A session's evidence lies beside the journal, and its record quotes it."""

from __future__ import annotations

import hashlib

import pytest

from hilbench import plugins
from hilbench.errors import StoreError
from hilbench.recordings import InMemory
from hilbench.runs.evidence import load_evidence, save_evidence
from tests.recordings import counting_meter as meter


@pytest.fixture
def recording(monkeypatch):
    monkeypatch.setattr(plugins, "load", meter.load)
    chunks, end = meter.capture(1, 2000, 500)
    return InMemory(meter.IDENTITY, meter.SPEC, meter.SETUP, chunks, end)


def test_a_record_can_quote_it(tmp_path, recording):
    files = save_evidence(tmp_path, "m4/int8-1", recording, (), None)
    ((name, digest),) = files.items()
    assert name == "energy/m4/int8-1.npz"
    assert digest == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    again = load_evidence(tmp_path / name)
    assert sum(len(chunk) for chunk in again.chunks()) == 2000


def test_a_session_is_measured_once(tmp_path, recording):
    save_evidence(tmp_path, "m4/int8-1", recording, ())
    with pytest.raises(StoreError) as error:
        save_evidence(tmp_path, "m4/int8-1", recording, ())
    assert str(error.value) == (
        f"{tmp_path}/energy/m4/int8-1.npz: exists; a session is measured once"
    )
