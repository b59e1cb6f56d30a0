"""Joulescopes by a fake driver: alignment, losses, every sentence, and the maker's own recorder."""

from __future__ import annotations

import math
import sys
import threading

import numpy as np
import pyjls
import pyjoulescope_driver
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench import plugins
from hilbench.drivers.power import joulescope
from hilbench.errors import ConfigError, MeterBusyError, MeterError, ToolMissingError
from hilbench.power import MeterSetup
from hilbench.records import MeterConfig
from tests.drivers.power.joulescope.fake import PATH, TICKS_HZ, FakeDriver, Scene, message

SETUP = MeterSetup(3.3, supplies=False)
TWO = MeterSetup(3.3, supplies=False, args=(("gpi", "0,1"),))


def opened(fake=None, address="", version="2.2.12", setup=TWO):
    fake = fake or FakeDriver()
    meter = joulescope.Joulescope(fake, version, address, 2.0, emulated=True)
    if setup is not None:
        meter.configure(setup)
    return fake, meter


def drain(meter):
    chunks = []
    while (chunk := meter.read(0.0)) is not None:
        chunks.append(chunk)
    return chunks


def joined(chunks):
    assert [c.start for c in chunks] == list(np.cumsum([0, *map(len, chunks)]))[:-1]
    names = ("current_a", "voltage_v", "logic", "valid", "range")
    return {name: np.concatenate([getattr(c, name) for c in chunks]) for name in names}


def capture(scene, seed=0, skip=(), every=7):
    """Send a scene; return what came, and the account of it."""
    fake, meter = opened()
    meter.start()
    chunks = []
    for k, (topic, value) in enumerate(scene.messages(np.random.default_rng(seed), skip)):
        fake.say(f"{PATH}/{topic}", value)
        if k % every == 0:
            chunks += drain(meter)
    chunks += drain(meter)
    last, end = meter.stop()
    chunks += [last] if last is not None else []
    meter.close()
    return chunks, end


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([1, 2]), st.integers(1, 30))
def test_streams_are_aligned_however_they_come(seed, gpi_decimate, every):
    scene = Scene(seed=3, gpi_decimate=gpi_decimate)
    chunks, end = capture(scene, seed, every=every)
    got = joined(chunks)
    n = len(got["valid"])
    assert scene.n - 8 <= n <= scene.n  # the last byte of an input may be filled up
    assert got["valid"].all()
    assert np.array_equal(got["current_a"], scene.i[:n].astype(np.float64))
    assert np.array_equal(got["voltage_v"], scene.v[:n].astype(np.float64))
    assert np.array_equal(got["logic"], scene.logic()[:n])
    assert (end.samples, end.lost, end.gaps) == (n, 0, ())


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_losses_of_every_stream(seed):
    scene = Scene(seed=4)
    scene.i[12_000:12_050] = np.nan
    scene.v[20_000:20_010] = np.nan
    skip = [("i", 2000, 64), ("v", 5000, 1), ("gpi/1", 16_000, 160), ("i", 30_000, 3000)]
    skip.append(("v", 31_000, 4000))
    chunks, end = capture(scene, seed, skip)
    got = joined(chunks)
    n = len(got["valid"])
    lost = np.zeros(scene.n, bool)
    for start, samples in ((2000, 64), (5000, 1), (8000, 80), (30_000, 5000)):
        lost[start : start + samples] = True
    by_meter = np.zeros(scene.n, bool)
    by_meter[12_000:12_050] = by_meter[20_000:20_010] = True
    assert np.array_equal(~got["valid"], (lost | by_meter)[:n])
    assert np.isnan(got["current_a"][~got["valid"]]).all()
    assert np.array_equal(got["current_a"][got["valid"]], scene.i[:n][got["valid"]])
    assert np.array_equal(got["logic"][got["valid"]], scene.logic()[:n][got["valid"]])
    # Of a lost sample: the last.
    assert (got["logic"][8000:8080] == got["logic"][7999]).all()
    assert [(g.start, g.samples, g.by) for g in end.gaps] == [
        (2000, 64, "counter"), (5000, 1, "counter"), (8000, 80, "counter"),
        (12_000, 50, "meter"), (20_000, 10, "meter"), (30_000, 5000, "counter"),
    ]  # fmt: skip
    assert end.lost == 64 + 1 + 80 + 50 + 10 + 5000
    assert end.samples + end.lost == n


def test_the_makers_recorder_writes_the_same_samples(tmp_path):
    """pyjoulescope_driver's own Record, fed by the same driver, read back by pyjls."""
    scene = Scene(seed=5, n=100_000, gpi_decimate=2, first_tick=0)
    fake, meter = opened()
    recorder = pyjoulescope_driver.Record(fake, PATH, signals="current,voltage,gpi[0],gpi[1]")
    recorder.open(str(tmp_path / "theirs.jls"))
    meter.start()
    chunks = []
    skip = [("i", 40_000, 1000)]
    for topic, value in scene.messages(np.random.default_rng(6), skip):
        fake.say(f"{PATH}/{topic}", value)
        chunks += drain(meter)
    recorder.close()
    got = joined(chunks)
    n = len(got["valid"])
    with pyjls.Reader(str(tmp_path / "theirs.jls")) as reader:
        theirs = {s.name: reader.fsr(s.signal_id, 0, s.length) for s in reader.signals.values()
                  if s.signal_id}  # fmt: skip
        assert reader.signals[1].sample_rate == 1_000_000
    assert np.array_equal(
        theirs["current"][:n], got["current_a"].astype(np.float32), equal_nan=True
    )
    volt = got["voltage_v"].astype(np.float32)
    assert np.array_equal(theirs["voltage"][:n], volt)
    for bit, name in enumerate(("gpi[0]", "gpi[1]")):
        level = (
            np.unpackbits(theirs[name], bitorder="little")
            if theirs[name].size < n
            else theirs[name]
        )
        assert np.array_equal(level[:n][got["valid"]], (got["logic"] >> bit & 1)[got["valid"]]), (
            name
        )
    assert (~got["valid"]).sum() == 1000
    meter.close()


def test_fill_bits_of_a_digital_message():
    """Twelve samples in two bytes: the next message tells what the last four bits are."""
    fake, meter = opened(setup=MeterSetup(3.3, supplies=False, args=(("gpi", "0"),)))
    meter.start()
    bits = np.array([1] * 12 + [0] * 4 + [1] * 16, np.uint8)
    for name in ("i", "v"):
        fake.say(f"{PATH}/s/{name}/!data", message(np.ones(32, np.float32), 0, 2))
    packed = np.packbits(np.r_[bits[:12], np.ones(4, np.uint8)], bitorder="little")
    fake.say(f"{PATH}/s/gpi/0/!data", message(packed, 0, 2))
    first = meter.read(0.0)
    assert first.logic.tolist() == bits[:9].tolist()
    packed = np.packbits(np.r_[bits[12:], np.zeros(4, np.uint8)], bitorder="little")
    fake.say(f"{PATH}/s/gpi/0/!data", message(packed, 24, 2))
    second = meter.read(0.0)
    assert np.r_[first.logic, second.logic].tolist() == bits[: 9 + len(second)].tolist()
    assert len(second) == 20
    meter.close()


def test_evidence_gives_the_same_chunks_again():
    scene = Scene(seed=7, n=5003)
    scene.i[100:120] = np.nan
    chunks, _ = capture(scene)
    raw = b"".join(c.raw for c in chunks)
    again = list(joulescope.decode(raw, None, SETUP, 0))
    assert len(again) == len(chunks)
    for one, other in zip(again, chunks, strict=True):
        assert (one.start, one.raw) == (other.start, other.raw)
        for name in ("current_a", "voltage_v", "logic", "valid", "range"):
            a, b = getattr(one, name), getattr(other, name)
            assert a.dtype == b.dtype
            assert np.array_equal(a, b, equal_nan=a.dtype == np.float64), name
    assert len(raw) / len(joined(chunks)["valid"]) < 8.5  # bytes per sample
    for cut in (raw[:-1], raw[:3], b"XX" + raw[2:]):
        with pytest.raises(MeterError) as error:
            list(joulescope.decode(cut, None, SETUP, 0))
        assert str(error.value).startswith("the evidence of the Joulescope is not whole at sample ")
        assert str(error.value).endswith(
            ": it was cut or changed; take it from the run directory again"
        )


def test_identity_and_settings():
    assert "joulescope" in plugins.names("power")
    fake, meter = opened(setup=None)
    identity = meter.identity
    assert (identity.model, identity.serial_number, identity.address) == ("JS220", "002557", PATH)
    assert identity.firmware == "firmware 1.2.3, FPGA 1.1.2"
    assert identity.emulated
    args = (
        ("gpi", "7,0"), ("vref", "3v3"), ("gain_percent", "0.25"), ("offset_ua", "0.03"),
        ("voltage_percent", "0.1"), ("clock_ppm", "20"), ("resolution_na", "0.5"),
    )  # fmt: skip
    meter.configure(MeterSetup(3.3, supplies=False, sample_hz=500_000, args=args))
    assert fake.published == {
        f"{PATH}/s/i/range/mode": "auto", f"{PATH}/h/fs": 500_000, f"{PATH}/c/gpio/vref": "3v3",
    }  # fmt: skip
    spec = meter.spec
    assert (spec.sample_hz, spec.logic_inputs, spec.voltage) == (5e5, ("T", "GPI0"), "measured")
    (only,) = spec.ranges
    assert only.gain_limit == pytest.approx(0.0025)
    assert only.offset_limit_a == pytest.approx(0.03e-6)
    assert (only.lsb_a, only.top_a) == (pytest.approx(0.5e-9), 10.0)
    assert spec.clock_limit == pytest.approx(20e-6)
    assert spec.voltage_limit == pytest.approx(1e-3)
    assert spec.source == (
        "the meter's table: gain_percent 0.25, offset_ua 0.03, voltage_percent 0.1, clock_ppm 20, "
        "resolution_na 0.5"
    )
    meter.configure(SETUP)
    assert meter.spec.logic_inputs == ("GPI0", "GPI1", "GPI2", "GPI3")
    assert meter.spec.sample_hz == 1e6
    assert math.isnan(meter.spec.ranges[0].gain_limit)  # unknown stays unknown
    assert math.isnan(meter.spec.voltage_limit)
    assert meter.spec.source == "nobody says: see the meter's table"
    meter.close()
    meter.close()
    assert fake.finalized == 1
    assert ("close", PATH) in fake.calls


def test_older_and_newer_models():
    fake, meter = opened(FakeDriver(["u/js110/000123"]), setup=SETUP)
    assert meter.identity.firmware == ""
    assert meter.spec.sample_hz == 2e6
    assert fake.published["u/js110/000123/s/i/range/select"] == "auto"
    meter.close()
    fake, meter = opened(FakeDriver(["u/js320/8w2a"]), version="2.2.6", setup=SETUP)
    assert math.isnan(meter.spec.ranges[0].top_a)
    meter.close()
    fake = FakeDriver(["u/js320/8w2a"])
    with pytest.raises(ToolMissingError) as error:
        opened(fake, version="1.6.0")
    assert str(error.value) == (
        "a JS320 needs pyjoulescope_driver >= 2.2.6, this is 1.6.0; run, in an environment with "
        "numpy 2 (without tflite-runtime): pip install 'pyjoulescope_driver>=2.2.6'"
    )
    assert fake.finalized == 1


def test_account_of_a_capture():
    chunks, end = capture(Scene(seed=8))
    assert chunks
    assert end.notes == (
        "pyjoulescope_driver 2.2.12",
        f"time map: offset_time 5, offset_counter 7, counter_rate {float(TICKS_HZ)}",
    )


def test_streams_are_switched():
    fake, meter = opened()
    meter.start()
    topics = [f"{PATH}/{t}/ctrl" for t in ("s/i", "s/v", "s/gpi/0", "s/gpi/1")]
    assert [fake.published[t] for t in topics] == [1] * 4
    assert meter.read(0.0) is None
    last, end = meter.stop()
    assert [fake.published[t] for t in topics] == [0] * 4
    assert not any(fns for topic, fns in fake.subscribers.items() if topic.endswith("!data"))
    assert (last, end.samples, end.rate_hz) == (None, 0, None)
    meter.start()
    meter.close()  # while it captures
    assert [fake.published[t] for t in topics] == [0] * 4


@pytest.mark.parametrize(
    ("paths", "address", "says"),
    [
        ([], "", "no Joulescope at all is plugged in; plugged in: none; plug it in, or correct "
         "serial of the meter"),
        ([PATH], "1", f"no Joulescope 1 is plugged in; plugged in: {PATH}; plug it in, or correct "
         "serial of the meter"),
        ([PATH, "u/js110/1"], "", f"2 Joulescopes are plugged in: {PATH}, u/js110/1; say which by "
         "serial of the meter"),
        (["u/jx9/1"], "", "'u/jx9/1' is no Joulescope that hilbench knows (e.g. u/js220/002557; "
         "known: JS110, JS220, JS320); correct serial of the meter"),
    ],
)  # fmt: skip
def test_which_one(paths, address, says):
    with pytest.raises(MeterError) as error:
        opened(FakeDriver(paths), address)
    assert str(error.value) == says


def test_by_serial_number():
    _, meter = opened(FakeDriver([PATH, "u/js110/1"]), "002557")
    assert meter.identity.address == PATH


@pytest.mark.parametrize(
    ("refuse", "kind", "says"),
    [
        ({"open": RuntimeError("JSDRV_ERROR_IN_USE")}, MeterBusyError,
         f"the Joulescope {PATH} is held by another process, or may not be opened by this user "
         "(JSDRV_ERROR_IN_USE); close the Joulescope UI, or install the maker's udev rules"),
        ({"open": RuntimeError("JSDRV_ERROR_IO")}, MeterError,
         f"the Joulescope {PATH} refuses open: JSDRV_ERROR_IO; plug it out and in again"),
        ({"query": TimeoutError("no answer")}, MeterError,
         f"the Joulescope {PATH} does not answer query {PATH}/c/fw/version within 2 s (no answer); "
         "plug it out and in again"),
        ({f"{PATH}/h/fs": ValueError("not an option")}, MeterError,
         f"the Joulescope {PATH} refuses publish {PATH}/h/fs: not an option; plug it out and in "
         "again"),
    ],
)  # fmt: skip
def test_what_the_driver_says(refuse, kind, says):
    fake = FakeDriver()
    fake.refuse = refuse
    with pytest.raises(kind) as error:
        opened(fake)
    assert str(error.value) == says


def test_a_failed_opening_leaves_nothing_open():
    fake = FakeDriver()
    fake.refuse = {"query": TimeoutError("no answer")}
    with pytest.raises(MeterError):
        opened(fake)
    assert ("close", PATH) in fake.calls
    assert fake.finalized == 1


def failure(send):
    """Return what read() says after some messages."""
    fake, meter = opened()
    meter.start()
    send(lambda name, *args: fake.say(f"{PATH}/s/{name}/!data", message(*args)), fake)
    with pytest.raises(MeterError) as error:
        drain(meter)
    meter.close()
    return str(error.value)


ONES = np.ones(1000, np.float32)
BYTES = np.zeros(250, np.uint8)


def test_one_silent_stream():
    def send(say, _fake):
        for k in range(2200):
            say("i", ONES, 2000 * k, 2)
            say("v", ONES, 2000 * k, 2)
            say("gpi/1", BYTES, 2000 * k, 1)

    assert failure(send) == (
        f"the Joulescope {PATH} has sent nothing of gpi/0 for 2.2 s while other streams go on; use "
        f"fewer inputs (gpi), or another USB port"
    )


def test_another_rate():
    assert failure(lambda say, _: say("i", ONES, 0, 4)) == (
        f"the Joulescope {PATH} delivers i at 500000 Hz where 1e+06 Hz is asked for; close the "
        f"program that changes it, or ask for another sample_hz"
    )

    def change(say, _fake):
        say("gpi/0", BYTES, 0, 1)
        say("gpi/0", BYTES, 2000, 2)

    assert failure(change) == (
        f"the Joulescope {PATH} changes the rate of gpi/0 during the capture; close the program "
        f"that does this and capture again"
    )


def test_time_steps():
    def back(say, _fake):
        say("i", ONES, 8_000_000, 2)
        say("i", ONES, 2_000_000, 2)

    assert failure(back) == (
        f"the Joulescope {PATH} goes back in time by 3.0 s in i: it has restarted; capture again"
    )

    def away(say, _fake):
        say("i", ONES, 0, 2)
        say("i", ONES, 200_000_000, 2)

    assert failure(away) == (
        f"the Joulescope {PATH} leaves out 100 s of i, more than 60 s; capture again"
    )


def test_unplugged():
    def send(_say, fake):
        fake.say("@/!remove", "u/js110/other")
        fake.say("@/!remove", PATH)

    assert failure(send) == (f"the Joulescope {PATH} went away; is its cable plugged in?")
    fake, meter = opened()
    meter.start()
    fake.say("@/!remove", PATH)
    fake.refuse = {"publish": RuntimeError("gone")}
    with pytest.raises(MeterError, match="went away; is its cable plugged in"):
        meter.stop()
    meter.close()


def test_too_slow(monkeypatch):
    monkeypatch.setattr(joulescope, "_MESSAGES_LIMIT", 3)

    def send(say, _fake):
        for k in range(4):
            say("i", ONES, 2000 * k, 2)

    assert failure(send) == (
        f"the Joulescope {PATH} sends faster than this process reads: 3 messages wait; lower "
        f"sample_hz, or free the computer"
    )


def test_close_from_another_thread():
    _, meter = opened()
    meter.start()
    got = []

    def read():
        try:
            got.append(meter.read(30.0))
        except MeterError as error:  # close() was first
            got.append("is closed" in str(error) or error)

    reader = threading.Thread(target=read)
    reader.start()
    meter.close()
    reader.join(10)
    assert got in ([None], [True])
    with pytest.raises(MeterError) as error:
        meter.start()
    assert str(error.value) == f"the Joulescope {PATH} is closed: no start(); open it again"


def test_order_of_calls():
    _, meter = opened(setup=None)
    with pytest.raises(MeterError) as error:
        meter.start()
    assert str(error.value) == f"the Joulescope {PATH} is not configured; call configure() first"
    meter.configure(SETUP)
    with pytest.raises(MeterError) as error:
        meter.stop()
    assert str(error.value) == (
        f"the Joulescope {PATH} does not capture: stop() has nothing to do; call start() first"
    )
    meter.start()
    with pytest.raises(MeterError) as error:
        meter.configure(SETUP)
    assert str(error.value) == (
        f"the Joulescope {PATH} captures: configure() has to wait; call stop() first"
    )
    with pytest.raises(MeterError) as error:
        meter.set_supply(on=False)
    assert str(error.value) == (
        f"the Joulescope {PATH} supplies nothing and cannot switch the board's supply; set supplies "
        f"= false in the meter's table"
    )
    meter.close()


@pytest.mark.parametrize(
    ("setup", "says"),
    [
        (MeterSetup(3.3, supplies=True),
         "a JS220 is in series with the board's supply and supplies nothing; set supplies = false in "
         "the meter's table"),
        (MeterSetup(3.3, supplies=False, sample_hz=2e6),
         "sample_hz = 2e+06 Hz is no rate of the JS220; it knows 1, 2 and 5 times powers of ten, "
         "from 1 to 1000000 Hz"),
        (MeterSetup(3.3, supplies=False, sample_hz=3000),
         "sample_hz = 3000 Hz is no rate of the JS220; it knows 1, 2 and 5 times powers of ten, from "
         "1 to 1000000 Hz"),
        (MeterSetup(3.3, supplies=False, args=(("gpi", "0,4"),)),
         "the meter's table has gpi = '0,4': a JS220 has no input 4; it has 0 (GPI0), 1 (GPI1), 2 "
         "(GPI2), 3 (GPI3), 7 (T)"),
        (MeterSetup(3.3, supplies=False, args=(("vref", "5v"),)),
         "the meter's table has vref = '5v'; the Joulescope knows 3v3, external"),
        (MeterSetup(3.3, supplies=False, args=(("gpo", "1"),)),
         "the meter's table has the key 'gpo'; the Joulescope knows gpi, vref, gain_percent, "
         "offset_ua, voltage_percent, clock_ppm, resolution_na"),
        (MeterSetup(3.3, supplies=False, args=(("gain_percent", "-1"),)),
         "the meter's table has gain_percent = '-1', which is no limit; write a number >= 0"),
        (MeterSetup(3.3, supplies=False, args=(("gain_percent", "small"),)),
         "the meter's table has gain_percent = 'small', which is no limit; write a number >= 0"),
    ],
)  # fmt: skip
def test_what_it_cannot_do(setup, says):
    _, meter = opened(setup=None)
    with pytest.raises(ConfigError) as error:
        meter.configure(setup)
    assert str(error.value) == says
    meter.close()


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", None)
    with pytest.raises(ToolMissingError) as error:
        joulescope.find()
    assert str(error.value) == (
        "the meter 'joulescope' needs the package pyjoulescope_driver; run: pip install "
        "'hilbench[joulescope]'"
    )


def test_driver_that_does_not_start(monkeypatch):
    def broken(_timeout):
        raise RuntimeError("libusb_init failed")

    monkeypatch.setattr(pyjoulescope_driver, "Driver", broken)
    monkeypatch.setattr(pyjoulescope_driver, "__version__", "2.2.12")
    with pytest.raises(MeterError) as error:
        joulescope.open_meter(MeterConfig("joulescope"), "", 1.0)
    assert str(error.value) == (
        "pyjoulescope_driver 2.2.12 does not start: libusb_init failed; is libusb there and USB "
        "allowed?"
    )


def test_find(monkeypatch):
    fake = FakeDriver([PATH, "u/js110/1"])
    monkeypatch.setattr(pyjoulescope_driver, "Driver", lambda _timeout: fake)
    assert joulescope.find() == [(PATH, "002557"), ("u/js110/1", "1")]
    assert fake.finalized == 1


def test_the_makers_driver_itself():
    """It starts, has the surface that is used, and tells what is plugged in."""
    assert isinstance(joulescope.find(), list)
    for name in (n for n in vars(joulescope.Driver) if not n.startswith("_")):
        assert callable(getattr(pyjoulescope_driver.Driver, name)), name
