"""An export to JLS holds what was captured, read by pyjls and by our own replay."""

from __future__ import annotations

import builtins
from dataclasses import replace

import numpy as np
import pytest

from hilbench import plugins
from hilbench.errors import StoreError, ToolMissingError
from hilbench.power import Chunk, MeterSetup
from hilbench.recordings import InMemory
from hilbench.runs.export_jls import export_jls
from tests.recordings import counting_meter as meter

SETUP = MeterSetup(3.0, supplies=False)


def recording(samples, spec=meter.SPEC):
    rng = np.random.default_rng(7)
    chunks, at = [], 0
    while at < samples:
        n = min(int(rng.integers(1, 40_000)), samples - at)
        valid = rng.random(n) > 0.001
        current = np.where(valid, rng.random(n) * 0.1, np.nan)
        voltage = np.where(valid, 3 + rng.random(n), np.nan)
        logic = rng.integers(0, 4, n).astype(np.uint8)
        chunks.append(Chunk(at, current, voltage, logic, valid, np.zeros(n, np.uint8)))
        at += n
    return InMemory(meter.IDENTITY, spec, SETUP, chunks)


SPEC = replace(meter.SPEC, voltage="measured", logic_inputs=("D0", "D1"))


def column(source, name):
    return np.concatenate([getattr(chunk, name) for chunk in source.chunks()])


def test_pyjls_reads_what_was_captured(tmp_path):
    pyjls = pytest.importorskip("pyjls")
    captured = recording(200_003, SPEC)
    export_jls(captured, tmp_path / "a.jls")
    reader = pyjls.Reader(str(tmp_path / "a.jls"))
    signals = {s.name: s for s in reader.signals.values()}
    for name, unit, values in (("current", "A", "current_a"), ("voltage", "V", "voltage_v")):
        signal = signals[name]
        assert (signal.units, signal.sample_rate, signal.length) == (unit, 100_000, 200_003)
        np.testing.assert_array_equal(
            reader.fsr(signal.signal_id, 0, 200_003), column(captured, values).astype(np.float32)
        )
    for bit in range(2):
        packed = reader.fsr(signals[f"gpi[{bit}]"].signal_id, 0, 200_000)
        levels = np.unpackbits(packed, bitorder="little")[:200_000]
        np.testing.assert_array_equal(levels, column(captured, "logic")[:200_000] >> bit & 1)
    assert reader.sources[1].model == "C1"
    assert reader.sources[1].serial_number == "77"
    reader.close()
    assert [p.name for p in tmp_path.iterdir()] == ["a.jls"]


def test_replay_reads_it_with_the_inputs_names(tmp_path):
    pytest.importorskip("pyjls")
    captured = recording(70_001, SPEC)
    export_jls(captured, tmp_path / "a.jls")
    again = plugins.load("power", "replay").open_recording(tmp_path / "a.jls", SETUP)
    assert again.spec.logic_inputs == ("D0", "D1")
    assert again.identity.emulated  # as it was captured
    for name in ("logic", "valid"):
        np.testing.assert_array_equal(column(again, name), column(captured, name))
    np.testing.assert_allclose(column(again, "current_a"), column(captured, "current_a"), rtol=6e-8)


def test_whole_rates_only(tmp_path):
    pytest.importorskip("pyjls")
    with pytest.raises(StoreError) as error:
        export_jls(recording(10, replace(SPEC, sample_hz=99_990.5)), tmp_path / "a.jls")
    assert str(error.value) == (
        f"{tmp_path}/a.jls: JLS knows whole rates only, this capture has 99990.5 samples/s; keep it "
        f"as evidence (.npz)"
    )


def test_what_pyjls_cannot_read_again_is_no_export(tmp_path):
    pyjls = pytest.importorskip("pyjls")
    try:
        export_jls(recording(100, SPEC), tmp_path / "a.jls")
    except StoreError as error:
        sentence = str(error)
        assert list(tmp_path.iterdir()) == []
    else:
        sentence = ""
        assert (tmp_path / "a.jls").exists()
    assert sentence in {
        "",  # later ones can
        f"{tmp_path}/a.jls: pyjls {pyjls.__version__} cannot read the 100 samples that it wrote, "
        f"1024 are its least; keep them as evidence (.npz)",
    }


def test_a_folder_that_is_not_there(tmp_path):
    pytest.importorskip("pyjls")
    with pytest.raises(StoreError, match=r"no/a.jls: cannot be written \(open "):
        export_jls(recording(2000, SPEC), tmp_path / "no" / "a.jls")


def test_pyjls_is_missing(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "pyjls":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ToolMissingError) as error:
        export_jls(recording(10), tmp_path / "a.jls")
    assert str(error.value) == (
        "JLS needs pyjls; install it with: pip install 'hilbench[joulescope]'"
    )
