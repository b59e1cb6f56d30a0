"""The LPM01A over a PTY: its dialogue, a whole capture, and every way that it can fail."""

from __future__ import annotations

import gc
import re
import threading

import numpy as np
import pytest

from hilbench import plugins
from hilbench.drivers.power import lpm01a
from hilbench.errors import ConfigError, MeterBusyError, MeterError
from hilbench.power import MeterSetup
from hilbench.records import MeterConfig
from tests.drivers.links.recorded import make_port
from tests.drivers.power.lpm01a.shield import ID, Shield
from tests.drivers.power.lpm01a.wire import ascii_stamp, binary_stamp

CONFIG = MeterConfig("lpm01a", supplies=True)
SETUP = MeterSetup(supply_v=3.3, supplies=True)


def opened(shield, timeout_s=5.0):
    return lpm01a.open_meter(CONFIG, shield.address, timeout_s)


def sentence(error, shield):
    return str(error.value).replace(shield.address, "PTY")


def take(meter, samples):
    chunks = []
    while sum(map(len, chunks)) < samples:
        chunks.append(meter.read(5.0))
        assert chunks[-1] is not None
    return chunks


def test_found_by_name():
    assert "lpm01a" in plugins.names("power")


@pytest.mark.parametrize("next_line", [False, True])
def test_identity(next_line):
    with Shield(next_line=next_line) as shield:
        meter = opened(shield)
        identity = meter.identity
        assert (identity.driver, identity.model) == ("lpm01a", "X-NUCLEO-LPM01A")
        assert (identity.serial_number, identity.firmware) == (ID, "1.0.7")
        assert identity.emulated
        assert identity.calibration == ""
        assert shield.powered is False
        meter.close()
        meter.close()
        assert shield.commands[-2:] == ["pwr off", "hrc"]


@pytest.mark.parametrize("setup_hz", [None, 100_000])
def test_a_capture(setup_hz):
    summary = b"summary beg\r\ncurrent avg: 5000-06\r\nsummary end\r\n"
    with Shield(summary=summary) as shield:
        meter = opened(shield)
        meter.configure(MeterSetup(supply_v=3.3, supplies=True, sample_hz=setup_hz))
        assert shield.powered is False
        meter.set_supply(on=True)
        assert shield.powered is True
        meter.start()
        chunks = take(meter, 3000)
        last, end = meter.stop()
        assert last is not None  # until the next stamp
        chunks.append(last)
        meter.set_supply(on=False)
        assert shield.powered is False
        starts = np.cumsum([0, *(len(c) for c in chunks)])
        assert [c.start for c in chunks] == list(starts[:-1])
        assert end.samples == starts[-1]
        assert (end.lost, end.gaps) == (0, ())
        current = np.concatenate([c.current_a for c in chunks])
        assert current == pytest.approx(5e-3, rel=1e-3)
        assert end.notes == (
            "the meter reads 3.292 V of its own supply",
            "summary: current avg: 5000-06",
        )
        logic = np.concatenate([c.logic for c in chunks])
        spec = meter.spec
        if setup_hz is None:
            assert (spec.sample_hz, spec.logic_inputs) == (5000.0, ("D7",))
            block = np.arange(len(logic)) // 1000 % 2 == 1
            inside = (np.arange(len(logic)) % 1000 >= 333) & (np.arange(len(logic)) % 1000 < 666)
            assert np.array_equal(logic == 1, block & inside)
        else:
            assert (spec.sample_hz, spec.logic_inputs) == (100_000.0, ())
            assert not logic.any()
        assert (spec.voltage, spec.voltage_limit) == ("set", 0.02)
        assert {(r.gain_limit, r.offset_limit_a) for r in spec.ranges} == {(0.02, 100e-9)}
        assert max(r.top_a for r in spec.ranges) == 0.05
        assert spec.source.startswith("UM2243: dynamic mode, 100 nA to 50 mA +-2 %")
        # Again, and closed in the middle.
        meter.start()
        take(meter, 1000)
        meter.close()
        assert shield.powered is False
        assert not shield.streaming


def test_commands_of_a_setup():
    with Shield() as shield:
        meter = opened(shield)
        args = (("output", "energy"), ("events", "none"))
        shield.commands.clear()
        with pytest.raises(MeterError, match="more than 2 % off"):
            meter.configure(MeterSetup(1.8, supplies=True, sample_hz=10_000, args=args))
        assert shield.commands == [
            "acqmode dyn", "output energy", "format bin_hexa", "freq 10k", "acqtime inf",
            "trigsrc sw", "trigdelay 0", "pwrend on", "volt 1800m", "volt get",
        ]  # fmt: skip
        shield.commands.clear()
        meter.configure(MeterSetup(3.3, supplies=True, sample_hz=500))
        assert shield.commands == [
            "acqmode dyn", "output current", "funcmode optim", "format ascii_dec", "freq 500",
            "acqtime inf", "trigsrc sw", "trigdelay 0", "eventsrc d7 ris", "eventsrc d7 fal",
            "pwrend on", "volt 3300m", "volt get",
        ]  # fmt: skip
        meter.close()


def test_calibration_is_waited_for():
    with Shield(volts=[None, None, "3292-03"]) as shield:
        meter = opened(shield)
        meter.configure(SETUP)
        assert shield.commands.count("volt get") == 3
        meter.close()


def test_calibration_that_does_not_end(monkeypatch):
    monkeypatch.setattr("hilbench.drivers.power._lpm01a_dialogue.CALIBRATION_S", 0.2)
    with Shield(volts=[None] * 1000) as shield:
        meter = opened(shield)
        with pytest.raises(MeterError) as error:
            meter.configure(SETUP)
        assert sentence(error, shield).startswith(
            "the LPM01A at PTY does not end its calibration within 0.2 s after 'volt': the LPM01A at "
            "PTY "
        )
        meter.close()


def test_another_supply_on_the_rail():
    with Shield(volts=["2490-03"]) as shield:
        meter = opened(shield)
        with pytest.raises(MeterError) as error:
            meter.configure(SETUP)
        assert sentence(error, shield) == (
            "the LPM01A at PTY reads 2.490 V of its own supply where 3.300 V is set, more than 2 % "
            "off; is the board's other supply taken away?"
        )
        meter.close()


def test_the_rail_is_held_while_no_capture_runs():
    with Shield() as shield:
        meter = opened(shield)
        meter.configure(SETUP)
        meter.set_supply(on=True)
        assert shield.commands[-2:] == ["acqmode stat", "start"]
        meter.start()  # ends it
        assert shield.commands[-3:] == ["stop", "acqmode dyn", "start"]
        take(meter, 1000)
        meter.stop()
        assert shield.commands[-2:] == ["acqmode stat", "start"]
        assert shield.powered is True
        meter.set_supply(on=False)
        assert shield.commands[-3:] == ["stop", "acqmode dyn", "pwr off"]
        meter.close()


def test_stale_stream_is_stopped():
    with Shield(stale=b"1234-07\r\n" * 500) as shield:
        meter = opened(shield)
        assert meter.identity.serial_number == ID
        meter.close()


def test_stream_that_does_not_stop():
    with Shield(stale=b"1234-07\r\n" * 500, endless=True) as shield:
        with pytest.raises(MeterError) as error:
            opened(shield, timeout_s=0.2)
        assert sentence(error, shield) == (
            "the LPM01A at PTY goes on sending 0.2 s after 'stop'; press its reset button"
        )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"mute": ["htc"]},
            "the LPM01A at PTY does not answer 'htc' within 0.3 s; is the port that of an LPM01A, "
            "and the LPM01A powered?",
        ),
        (
            {"refuse": {"htc": "Board not ready"}},
            "the LPM01A at PTY refuses 'htc': Board not ready",
        ),
        (
            {"version": "1.0.5"},
            "the LPM01A at PTY has firmware 1.0.5, which cannot switch the supply off ('error pwr "
            "off'); at least 1.0.6 is needed: update it with ST's STSW-POWERSHIELD",
        ),
        (
            {"version": "unknown"},
            "the LPM01A at PTY answers 'version' with 'unknown', which makes no sense; is the port "
            "that of an LPM01A?",
        ),
        (
            {"status": ["error: calibration", "error: calibration"]},
            "the LPM01A at PTY reports 'error: calibration'; press its reset button, and take the "
            "board off it if that does not help",
        ),
        (
            {"refuse": {"pwr off": "Command unknown"}},
            "the LPM01A at PTY refuses 'pwr off': Command unknown",
        ),
    ],
)
def test_what_opening_says(options, says):
    with Shield(**options) as shield:
        with pytest.raises(MeterError) as error:
            opened(shield, timeout_s=0.3)
        assert sentence(error, shield) == says


def test_error_of_the_session_before_is_cleared_by_reading():
    with Shield(status=["error: overcurrent", "ok"]) as shield:
        opened(shield).close()


def test_refused_setting():
    with Shield(refuse={"freq 5k": "Parameter out of range"}) as shield:
        meter = opened(shield)
        with pytest.raises(MeterError) as error:
            meter.configure(SETUP)
        assert sentence(error, shield) == (
            "the LPM01A at PTY refuses 'freq 5k': Parameter out of range"
        )
        with pytest.raises(MeterError) as error:
            meter.set_supply(on=True)
        assert sentence(error, shield) == (
            "the LPM01A at PTY is not configured; call configure() first"
        )
        meter.close()


def test_only_one_process():
    with Shield() as shield:
        meter = opened(shield)
        with pytest.raises(MeterBusyError) as error:
            opened(shield)
        assert sentence(error, shield) == (
            "the LPM01A at PTY is held by another process; close it (fuser -v PTY names it)"
        )
        meter.close()


def test_no_such_port():
    with pytest.raises(MeterError) as error:
        lpm01a.open_meter(CONFIG, "/dev/ttyNONE", 1.0)
    assert str(error.value) == (
        "the LPM01A at /dev/ttyNONE does not exist; plug it in or correct serial of the meter"
    )
    with pytest.raises(MeterError) as error:
        lpm01a.open_meter(CONFIG, "/dev/null", 1.0)
    assert re.fullmatch(
        r"the LPM01A at /dev/null cannot be opened: .*; correct serial of the meter",
        str(error.value),
    )


def test_unplugged():
    shield = Shield()
    meter = opened(shield)
    meter.configure(SETUP)
    meter.set_supply(on=True)
    meter.start()
    take(meter, 1000)
    address = shield.address
    shield.stop()
    with pytest.raises(MeterError) as error:
        take(meter, 10**9)
    assert re.fullmatch(
        f"the LPM01A at {address} went away \\((Input/output error|end of file)\\); "
        "is its cable plugged in\\?",
        str(error.value),
    )
    meter.close()  # it supplies nothing any more


def test_supply_that_may_still_be_on():
    with Shield() as shield:
        meter = opened(shield)
        shield.refuse["pwr off"] = "busy"
        with pytest.raises(MeterError) as error:
            meter.close()
        assert sentence(error, shield) == (
            "the LPM01A at PTY does not confirm that the board's supply is off; take out its USB "
            "cable: the LPM01A at PTY refuses 'pwr off': busy"
        )
        meter.close()


def test_forgotten_meter_switches_off():
    with Shield() as shield:
        meter = opened(shield)
        meter.configure(SETUP)
        meter.set_supply(on=True)
        meter.start()
        del meter
        gc.collect()
        assert shield.powered is False
        assert shield.commands[-1] == "hrc"


def test_close_from_another_thread():
    with Shield(data=lambda n: ascii_stamp(0) if n == 0 else b"") as shield:
        meter = opened(shield)
        meter.configure(SETUP)
        meter.set_supply(on=True)
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
        assert shield.powered is False
        with pytest.raises(MeterError) as error:
            meter.read(0.0)
        assert sentence(error, shield) == "the LPM01A at PTY is closed: no read(); open it again"


def test_stream_that_stands_still():
    def data(number):
        return (ascii_stamp(0) + b"5000-06\r\n" * 700) if number == 0 else b""

    with Shield(data=data) as shield:
        meter = opened(shield)
        meter.configure(SETUP)
        meter.start()
        assert meter.read(0.05) is None
        last, end = meter.stop()
        assert len(last) == 700
        assert end.notes[-1] == (
            "700 samples came after the last time stamp: nothing confirms their number"
        )
        assert (end.rate_hz, end.rate_u) == (None, None)
        meter.close()


def test_meter_that_ends_by_itself():
    def data(number):
        blocks = [
            ascii_stamp(0) + b"5000-06\r\n" * 1000 + ascii_stamp(200) + b"5000-06\r\n",
            b"\r\nPowerShield > Acquisition completed\r\n",
        ]
        return blocks[number] if number < len(blocks) else b""

    with Shield(data=data) as shield:
        meter = opened(shield)
        meter.configure(SETUP)
        meter.start()
        assert len(meter.read(5.0)) == 1000
        with pytest.raises(MeterError) as error:
            meter.read(5.0)
        assert sentence(error, shield) == (
            "the LPM01A at PTY has ended the capture by itself after 0.200 s; capture again"
        )
        meter.close()


def test_meter_that_does_not_stop(monkeypatch):
    monkeypatch.setattr(lpm01a, "_STOP_S", 0.2)
    with Shield() as shield:
        meter = opened(shield)
        meter.configure(SETUP)
        meter.start()
        shield.endless = True
        with pytest.raises(MeterError) as error:
            meter.stop()
        assert sentence(error, shield) == (
            "the LPM01A at PTY does not stop within 0.2 s; press its reset button"
        )
        with pytest.raises(MeterError) as error:
            meter.close()
        assert sentence(error, shield) == (
            "the LPM01A at PTY does not confirm that the board's supply is off; take out its USB "
            "cable: the LPM01A at PTY goes on sending 0.2 s after 'stop'; press its reset button"
        )


def test_overcurrent():
    def data(number):
        return binary_stamp(0) + b"\x41\x48" * 500 + b"\xf0\xf5\xff\xff" if number == 0 else b""

    with Shield(data=data) as shield:
        meter = opened(shield)
        meter.configure(MeterSetup(3.3, supplies=True, sample_hz=100_000))
        meter.set_supply(on=True)
        meter.start()
        with pytest.raises(MeterError, match=r"has cut the supply at 0\.005 s: overcurrent"):
            meter.read(5.0)
        meter.close()
        assert shield.powered is False


def test_full_transmit_buffer_is_told():
    def data(number):
        return ascii_stamp(number * 200, 95) + b"5000-06\r\n" * 1000

    with Shield(data=data) as shield:
        meter = opened(shield)
        meter.configure(SETUP)
        meter.start()
        _, end = meter.stop()
        assert end.notes[-1] == "the meter's transmit buffer was 95 % full"
        meter.close()


def test_order_of_calls():
    with Shield() as shield:
        meter = opened(shield)
        with pytest.raises(MeterError) as error:
            meter.start()
        assert sentence(error, shield) == (
            "the LPM01A at PTY is not configured; call configure() first"
        )
        meter.configure(SETUP)
        with pytest.raises(MeterError) as error:
            meter.read(0.0)
        assert sentence(error, shield) == (
            "the LPM01A at PTY does not capture: read() has nothing to do; call start() first"
        )
        meter.start()
        with pytest.raises(MeterError) as error:
            meter.set_supply(on=True)
        assert sentence(error, shield) == (
            "the LPM01A at PTY captures: set_supply() has to wait; call stop() first"
        )
        meter.close()


@pytest.mark.parametrize(
    ("setup", "says"),
    [
        (
            MeterSetup(3.3, supplies=False),
            "the LPM01A measures only what it supplies; set supplies = true in the meter's table and "
            "take away the board's other supply",
        ),
        (
            MeterSetup(5.0, supplies=True),
            "supply_v = 5 V is outside what the LPM01A supplies, 1.8 V to 3.3 V; correct supply_v or "
            "use another meter",
        ),
        (
            MeterSetup(3.3, supplies=True, sample_hz=4000),
            "sample_hz = 4000 Hz is no rate of the LPM01A; it knows 1, 2, 5, 10, 20, 50, 100, 200, "
            "500, 1000, 2000, 5000, 10000, 20000, 50000, 100000 Hz",
        ),
        (
            MeterSetup(3.3, supplies=True, sample_hz=10_000, args=(("format", "ascii_dec"),)),
            "format = 'ascii_dec' at 10000 Hz: the LPM01A's line carries ASCII without an end up to "
            "5000 Hz only; lower sample_hz or use format = 'bin_hexa'",
        ),
        (
            MeterSetup(3.3, supplies=True, sample_hz=20_000, args=(("output", "energy"),)),
            "output = 'energy' at 20000 Hz is above the LPM01A's limit of 10000 Hz; lower sample_hz "
            "or use output = 'current'",
        ),
        (
            MeterSetup(3.3, supplies=True, sample_hz=100_000, args=(("events", "both"),)),
            "events = 'both' with format = 'bin_hexa': the LPM01A tells edges of D7 between ASCII "
            "samples only; use sample_hz <= 5000 Hz, or find windows by their pulse pattern",
        ),
        (
            MeterSetup(3.3, supplies=True, args=(("acqmode", "stat"),)),
            "acqmode = 'stat' gives one average per acquisition and no samples; leave it out, and "
            "the driver holds the board in static mode by itself while no capture runs",
        ),
        (
            MeterSetup(3.3, supplies=True, args=(("mode", "stat"),)),
            "the meter's table has the key 'mode'; the LPM01A knows output, format, acqmode, "
            "funcmode, events",
        ),
        (
            MeterSetup(3.3, supplies=True, args=(("funcmode", "best"),)),
            "the meter's table has funcmode = 'best'; the LPM01A knows optim, high",
        ),
    ],
)
def test_what_it_cannot_do(setup, says):
    with pytest.raises(ConfigError) as error:
        list(lpm01a.decode(b"", None, setup, 0))
    assert str(error.value) == says


def test_find(monkeypatch):
    shield = make_port(
        device="/dev/ttyACM3", vid=0x0483, pid=0x5740, serial_number="FFFFFFFEFFFF",
        product="PowerShield",
    )  # fmt: skip
    other = make_port(
        device="/dev/ttyACM4", vid=0x0483, pid=0x5740, product="STM32 Virtual ComPort"
    )
    monkeypatch.setattr(lpm01a, "list_ports", lambda: [other, shield])
    assert lpm01a.find() == [("/dev/ttyACM3", "FFFFFFFEFFFF")]
