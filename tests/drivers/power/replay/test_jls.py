"""JLS files as Jetperch's own recorder writes them, and our export."""

from __future__ import annotations

import builtins
import math

import numpy as np
import pytest

from hilbench.drivers.power import _replay_file, replay
from hilbench.errors import ConfigError, MeterError, ToolMissingError
from hilbench.power import MeterSetup
from tests.drivers.power.replay.files import SETUP, columns, with_args

pyjls = pytest.importorskip("pyjls")
record = pytest.importorskip("pyjoulescope_driver.record")

RATE = 200_000


class FakeDriver:
    """As much of a Joulescope driver as the recorder touches."""

    def __init__(self):
        self.calls = {}

    def subscribe(self, topic, flags, call):
        self.calls[topic] = call

    def unsubscribe(self, topic, call):
        pass

    def publish(self, topic, value, timeout=None):
        pass


@pytest.fixture
def recorded(tmp_path):
    """Two recordings of i, v and two inputs; 1000 samples were never delivered."""
    driver, path = FakeDriver(), tmp_path / "js.jls"
    recorder = record.Record(driver, "u/js220/000415", "current,voltage,0,1")
    recorder.open(str(path))
    rng = np.random.default_rng(4)
    n = 50_000
    truth = {
        "i": rng.random(n).astype(np.float32) * 1e-2,
        "v": rng.random(n).astype(np.float32) + 3,
        "0": (np.arange(n) // 777 % 2).astype(np.uint8),
        "1": (np.arange(n) // 100 % 2).astype(np.uint8),
    }
    topics = {"i": "s/i", "v": "s/v", "0": "s/gpi/0", "1": "s/gpi/1"}
    for start in range(0, n, 10_000):
        for name, values in truth.items():
            part = values[start : start + 10_000]
            if name in "iv" and start == 20_000:
                part = part.copy()
                part[:1000] = math.nan
            topic = f"u/js220/000415/{topics[name]}/!data"
            driver.calls[topic](
                topic,
                {
                    "data": np.packbits(part, bitorder="little") if name in "01" else part,
                    "sample_id": start,
                    "decimate_factor": 1,
                    "sample_rate": RATE,
                    "utc": start * 1000,
                },
            )
    recorder.close()
    return path, truth


def test_what_joulescopes_recorder_wrote(recorded, monkeypatch):
    monkeypatch.setattr(_replay_file, "CHUNK_SAMPLES", 3001)  # no whole bytes of bits
    path, truth = recorded
    recording = replay.open_recording(path, SETUP)
    got = columns(recording)
    valid = got["valid"]
    assert np.flatnonzero(~valid).tolist() == list(range(20_000, 21_000))
    np.testing.assert_array_equal(got["current_a"][valid], truth["i"][valid].astype(float))
    np.testing.assert_array_equal(got["voltage_v"][valid], truth["v"][valid].astype(float))
    np.testing.assert_array_equal(got["logic"], truth["0"] | truth["1"] << 1)
    assert recording.spec.sample_hz == RATE
    assert recording.spec.logic_inputs == ("gpi[0]", "gpi[1]")
    assert recording.spec.voltage == "measured"
    assert (recording.identity.model, recording.identity.serial_number) == ("JS220", "000415")
    assert (recording.end.samples, recording.end.lost) == (49_000, 1000)


def written(path, *signals, sources=("one",), rate=1000):
    """Write signals (name, units, type, values, source, rate)."""
    writer = pyjls.Writer(str(path))
    for k, name in enumerate(sources, start=1):
        writer.source_def(k, name, "vendor", "M", "1", str(k))
    for k, (name, units, kind, values, *rest) in enumerate(signals, start=1):
        source, own_rate = (*rest, *(1, rate)[len(rest) :])
        writer.signal_def(
            signal_id=k,
            source_id=source,
            signal_type=pyjls.SignalType.FSR,
            data_type=getattr(pyjls.DataType, kind),
            sample_rate=own_rate,
            name=name,
            units=units,
        )
        writer.fsr(k, 0, values)
    writer.close()
    return path


F32 = np.arange(1000, dtype=np.float32)


def test_a_current_alone_takes_the_declared_supply(tmp_path):
    path = written(tmp_path / "a.jls", ("current", "A", "F32", F32))
    assert (columns(replay.open_recording(path, SETUP))["voltage_v"] == 3.3).all()
    with pytest.raises(ConfigError, match="holds no voltage and supply_v is 0; say the supply"):
        replay.open_recording(path, MeterSetup(0.0, supplies=False))


def test_one_of_several_sources(tmp_path):
    path = written(
        tmp_path / "a.jls",
        ("current", "A", "F32", F32, 1),
        ("current", "A", "F32", F32 + 7, 2),
        sources=("JS220-1", "JS220-2"),
    )
    got = columns(replay.open_recording(path, with_args(source="JS220-2")))
    assert got["current_a"][0] == 7
    for chosen in (SETUP, with_args(source="x")):
        with pytest.raises(ConfigError) as error:
            replay.open_recording(path, chosen)
        said = dict(chosen.args).get("source")
        assert str(error.value) == (
            f"{path}: has currents of the sources 'JS220-1', 'JS220-2', source = {said!r}; say "
            f"which one in the arguments"
        )


@pytest.mark.parametrize(
    ("signals", "says"),
    [
        ([("power", "W", "F32", F32)], "has no signal 'current', but 'power'"),
        (
            [("current", "mA", "F32", F32)],
            "signal 'current' is not in A as floating point, but in 'mA'",
        ),
        (
            [("current", "A", "F32", F32), ("voltage", "V", "F32", F32, 1, 500)],
            "voltage has 500 samples/s, current 1000",
        ),
    ],
)
def test_signals_that_are_not_samples_of_a_meter(tmp_path, signals, says):
    path = written(tmp_path / "a.jls", *signals)
    with pytest.raises(MeterError) as error:
        replay.open_recording(path, SETUP)
    assert str(error.value) == f"{path}: {says}; record or export it again"


def test_damage(recorded, tmp_path):
    path, _ = recorded
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    ends = set()
    for k in range(12):
        damaged = bytearray(whole)
        if k % 3 == 0:
            damaged = damaged[: int(rng.integers(0, len(damaged)))]
        else:
            for _ in range(5):
                damaged[int(rng.integers(0, len(damaged) if k % 3 == 1 else 3000))] ^= 0x55
        other = tmp_path / f"{k}.jls"
        other.write_bytes(damaged)
        try:
            ends.add(len(columns(replay.open_recording(other, SETUP))["logic"]))
        except MeterError as error:
            text = str(error)
            assert text.startswith(
                (
                    f"{other}: no whole JLS file (open ",
                    f"{other}: cannot be read at sample ",
                )
            )
            assert text.endswith("; record or export it again")
            ends.add("damaged")
    assert "damaged" in ends


def test_no_file(tmp_path):
    with pytest.raises(MeterError) as error:
        replay.open_recording(tmp_path / "a.jls", SETUP)
    assert str(error.value) == f"{tmp_path}/a.jls: cannot be read (No such file or directory)"


def test_pyjls_is_missing(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "pyjls":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ToolMissingError) as error:
        replay.open_recording(tmp_path / "a.jls", SETUP)
    assert str(error.value) == (
        f"{tmp_path}/a.jls: JLS needs pyjls; install it with: pip install 'hilbench[joulescope]'"
    )
