"""CSV that the replay meter reads back: samples, logic, voltage and holes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilbench import plugins
from hilbench.errors import StoreError
from hilbench.power import MeterSetup
from hilbench.recordings import InMemory
from hilbench.runs.export_csv import export_csv
from tests.recordings import counting_meter as meter

GAPS = ((701, 64), (5_000, 1))


def recording(measured=False):
    chunks, end = meter.capture(7, 8_000, 900, GAPS, marker=((100, 400), (6_000, 7_000)))
    spec = meter.SPEC
    if measured:
        spec = replace(spec, voltage="measured")
        chunks = [
            replace(c, voltage_v=3 + 1e-6 * np.arange(c.start, c.start + len(c))) for c in chunks
        ]
    return InMemory(meter.IDENTITY, spec, meter.SETUP, chunks, end)


def columns(recording):
    chunks = list(recording.chunks())
    found = {
        name: np.concatenate([getattr(c, name) for c in chunks])
        for name in ("current_a", "logic", "valid")
    }
    found["voltage_v"] = np.concatenate([np.broadcast_to(c.voltage_v, len(c)) for c in chunks])
    return found


@pytest.mark.parametrize("measured", [False, True])
def test_read_back(tmp_path, measured):
    before = recording(measured)
    export_csv(before, tmp_path / "t.csv")
    supply_v = np.nan if measured else 3.0
    replay = plugins.load("power", "replay")
    after = replay.open_recording(tmp_path / "t.csv", MeterSetup(supply_v, supplies=False))
    assert after.spec.sample_hz == pytest.approx(before.spec.sample_hz, rel=1e-9)
    assert after.spec.voltage == ("measured" if measured else "declared")
    a, b = columns(before), columns(after)
    np.testing.assert_array_equal(a["valid"], b["valid"])
    np.testing.assert_allclose(b["current_a"], a["current_a"], rtol=1e-9)
    np.testing.assert_array_equal(b["logic"][a["valid"]], a["logic"][a["valid"]])
    np.testing.assert_allclose(b["voltage_v"][a["valid"]], a["voltage_v"][a["valid"]], rtol=1e-9)
    assert after.end.lost == 65


def test_it_says_what_it_is(tmp_path):
    export_csv(recording(), tmp_path / "t.csv")
    first, names, row = (tmp_path / "t.csv").read_text().splitlines()[:3]
    assert first == "# C1 77, 3 V set, SYNTHETIC: an emulated meter"
    assert names == "time_s,current_a,d0"
    assert len(row.split(",")) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_not_written(tmp_path):
    path = tmp_path / "no" / "t.csv"
    with pytest.raises(StoreError) as caught:
        export_csv(recording(), path)
    assert str(caught.value) == f"{path}: cannot be written (No such file or directory)"
