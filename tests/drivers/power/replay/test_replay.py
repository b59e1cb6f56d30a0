"""The meter that delivers files, and files of any bytes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench import plugins
from hilbench.drivers.power import replay
from hilbench.errors import ConfigError, HilbenchError, MeterError
from hilbench.power import CaptureEnd, Gap, MeterSetup
from hilbench.recordings import InMemory, Spool, load_evidence, write_evidence
from hilbench.records import MeterConfig
from tests.drivers.power.replay.files import columns, pairs, ppk2, session
from tests.recordings import counting_meter as counting

LIMITS = {
    "lsb_a": "1e-9",
    "gain_limit": "0.01",
    "offset_limit_a": "1e-8",
    "top_a": "1",
    "clock_limit": "1e-4",
    "voltage_limit": "0.01",
}


def setup(**args):
    return MeterSetup(3.3, supplies=False, sample_hz=1000.0, args=tuple(args.items()))


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{k},{k}e-3\n" for k in range(10) if k not in {3, 4, 8}]
    path.write_text("sample,current_a\n" + "".join(rows))
    return path


def opened(path):
    meter = plugins.load("power", "replay").open_meter(MeterConfig("replay"), str(path), 1.0)
    meter.configure(setup(**LIMITS))
    return meter


def test_a_meter_delivers_the_file(csv):
    meter = opened(csv)
    meter.set_supply(on=True)
    for _ in range(2):  # a second capture begins again
        meter.start()
        chunks = []
        while (chunk := meter.read(0.1)) is not None:
            chunks.append(chunk)
        last, end = meter.stop()
        assert last is None
        assert end == CaptureEnd(7, 3, (Gap(3, 2, "meter"), Gap(8, 1, "meter")), None, None)
        current = np.concatenate([c.current_a for c in chunks])
        assert np.flatnonzero(np.isnan(current)).tolist() == [3, 4, 8]
    assert meter.spec.ranges[0].gain_limit == 0.01
    assert meter.identity.driver == "replay"
    meter.close()
    meter.close()


def test_a_capture_that_is_stopped_early(tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "load", counting.load)
    chunks, end = counting.capture(1, 3000, 500, ((400, 300), (2000, 5)))
    path = tmp_path / "e.npz"
    write_evidence(
        path, InMemory(counting.IDENTITY, counting.SPEC, counting.SETUP, chunks, end), (), None
    )
    meter = replay.open_meter(MeterConfig("replay", args=(("file", str(path)),)), "", 1.0)
    meter.configure(MeterSetup(3.3, supplies=False))
    assert meter.identity == counting.IDENTITY  # the driver whose codes these are
    meter.start()
    first = meter.read(0.1)
    _, end = meter.stop()
    assert end.samples == 500
    assert end.lost == len(first) - 500
    assert end.gaps == (Gap(400, 300, "counter"),)
    assert end.notes == ("a note", f"stopped after {len(first)} samples of the file")


def test_what_it_delivers_can_be_spooled_and_kept(csv, tmp_path):
    meter = opened(csv)
    meter.start()
    spool = Spool(meter.identity, meter.spec, setup())
    while (chunk := meter.read(0.1)) is not None:
        spool.append(chunk)
    recording = spool.finish(meter.stop()[1])
    write_evidence(tmp_path / "e.npz", recording, (), None)
    kept = load_evidence(tmp_path / "e.npz")
    for name, values in columns(replay.open_recording(csv, setup())).items():
        np.testing.assert_array_equal(columns(kept)[name], values)


def test_nothing_is_plugged_in():
    assert replay.find() == []


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: m.start(), "not configured; call configure before start"),
        (lambda m: m.read(0.1), "not started; call start before read"),
        (lambda m: m.stop(), "not started; call start before stop"),
    ],
)
def test_calls_out_of_order(csv, call, says):
    with pytest.raises(MeterError) as error:
        call(replay.open_meter(MeterConfig("replay"), str(csv), 1.0))
    assert str(error.value) == f"{csv}: {says}"


def test_a_file_supplies_nothing(csv):
    with pytest.raises(ConfigError) as error:
        opened(csv).configure(MeterSetup(3.3, supplies=True))
    assert (
        str(error.value) == f'{csv}: a file supplies no board; remove supplies from meter "replay"'
    )


def test_a_meter_needs_limits(csv):
    meter = replay.open_meter(MeterConfig("replay"), str(csv), 1.0)
    with pytest.raises(ConfigError) as error:
        meter.configure(setup(gain_limit="0.1", lsb_a="1e-9"))
    assert str(error.value) == (
        f"{csv}: CSV does not say how good its meter was; lsb_a, gain_limit as configured; say "
        f"offset_limit_a, top_a, clock_limit, voltage_limit in the arguments"
    )


def test_no_file_is_named():
    with pytest.raises(ConfigError) as error:
        replay.open_meter(MeterConfig("replay"), "", 1.0)
    assert str(error.value) == (
        'meter "replay" needs a file; add args.file = "trace.jls" to its table'
    )


def test_no_such_file(tmp_path):
    with pytest.raises(MeterError) as error:
        replay.open_meter(MeterConfig("replay"), str(tmp_path / "a.csv"), 1.0)
    assert str(error.value) == f"{tmp_path}/a.csv: cannot be read (no such file)"


def test_an_unknown_ending(tmp_path):
    with pytest.raises(ConfigError) as error:
        replay.open_recording(tmp_path / "a.wav", setup())
    assert str(error.value) == (
        f"{tmp_path}/a.wav: no file of samples by its ending; known: .npz, .jls, .ppk2, .csv, .txt, "
        f".parquet, .json"
    )


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"gain_limt": "1"}, "no argument 'gain_limt'; did you mean gain_limit?"),
        (
            {"zzz": "1"},
            "no argument 'zzz'; known: lsb_a, gain_limit, offset_limit_a, top_a, clock_limit, "
            "voltage_limit, file, emulated, trial, source, logic_order",
        ),
        ({"gain_limit": "x"}, 'gain_limit = "x"; it must be a number of 0 or more'),
        ({"gain_limit": "nan"}, 'gain_limit = "nan"; it must be a number of 0 or more'),
        ({"gain_limit": "-1"}, 'gain_limit = "-1"; it must be a number of 0 or more'),
        ({"emulated": "yes"}, 'emulated = "yes"; write "true" or "false"'),
    ],
)
def test_arguments_are_looked_at(csv, args, says):
    with pytest.raises(ConfigError) as error:
        replay.open_recording(csv, setup(**args))
    assert str(error.value) == f"replay: {says}"


def test_a_trace_that_nobody_measured_says_so(csv):
    assert replay.open_recording(csv, setup(emulated="true")).identity.emulated
    assert not replay.open_recording(csv, setup()).identity.emulated


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def valid_ppk2(folder):
    rng = np.random.default_rng(6)
    raw = session(rng.random(50), [pairs(int(k)) for k in rng.integers(0, 256, 50)])
    return ppk2(folder / "whole.ppk2", raw).read_bytes()


WHOLE = {
    "ppk2": valid_ppk2,
    "csv": lambda _: (
        b"time_s,current_a,d0\n" + b"".join(b"%d,0.%d,1\n" % (k, k) for k in range(30))
    ),
    "json": lambda _: json.dumps(
        [{"power": {"samples": [1e-5] * 20, "timestamps": [["00", 1]], "voltage": 3.3}}]
    ).encode(),
}


@pytest.mark.parametrize("ending", WHOLE)
@settings(max_examples=150)
@given(data=st.data())
def test_any_bytes_are_a_recording_or_a_typed_error(folder, ending, data):
    damaged = bytearray(WHOLE[ending](folder))
    kind = data.draw(st.sampled_from(["cut", "flip", "insert", "any"]))
    at = data.draw(st.integers(0, len(damaged) - 1))
    if kind == "cut":
        del damaged[at : at + data.draw(st.integers(1, 40))]
    elif kind == "flip":
        for k in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=5)):
            damaged[k] ^= data.draw(st.integers(1, 255))
    elif kind == "insert":
        words = [
            b",",
            b"nan",
            b"-",
            b"1e999",
            b"\n",
            b"\r",
            b"\x00",
            b'"',
            b"X",
            b"]",
            b"{}",
            b"9" * 40,
        ]
        damaged[at:at] = data.draw(st.sampled_from(words))
    else:
        damaged = data.draw(st.binary(max_size=200))
    path = folder / f"damaged.{ending}"
    path.write_bytes(damaged)
    try:
        recording = replay.open_recording(path, MeterSetup(3.3, supplies=False))
    except HilbenchError as error:
        sentence = str(error)
    else:
        sentence = ""
    assert "\n" not in sentence  # one line
    if sentence:
        return
    got = columns(recording)
    assert len(got["valid"]) == recording.end.samples + recording.end.lost
    assert np.isfinite(got["current_a"][got["valid"]]).all()
    assert np.isnan(got["current_a"][~got["valid"]]).all()
    assert recording.spec.sample_hz > 0
    assert math.isfinite(recording.spec.sample_hz)
