"""A meter's life around a board: found, its supply within limits, off again on every path."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hilbench import plugins
from hilbench.board import metering as metering_module
from hilbench.board.life import OpenBoard
from hilbench.board.metering import (
    DeviceTimeMetering,
    check_supply,
    meter_address,
    open_metering,
    probe_warning,
    setup_of,
)
from hilbench.errors import (
    BoardError,
    BoardSilentError,
    BoardUnpoweredError,
    ConfigError,
    LinkError,
    MeasurementError,
    MeterError,
)
from hilbench.power import InjectedWindow, RangeSpec
from hilbench.records import (
    BoardConfig,
    CurrentModel,
    Edge,
    FlasherConfig,
    MeterConfig,
    SerialMatch,
    Timeouts,
)
from tests.board.live_meter import UNPLUGGED, LiveMeter

BOARD = BoardConfig(
    id="desk",
    firmware="x",
    supply_v=3.3,
    supply_max_v=3.6,
    powered_ma=1.0,
    meter=MeterConfig("live", serial="/dev/live", supplies=True, marker="D0"),
    source="boards.toml",
    timeouts=Timeouts(start_s=20.0),
)
FLOOR_CAPTURE = ["start", "stop"]


class Emulated:
    """An emulated meter: a process that is to be stopped."""

    address = "/dev/pts/7"

    def __init__(self):
        self.stopped = 0

    def truth(self):
        return (InjectedWindow(0.0, 1.0, 2.0, 3.0),)

    def stop(self):
        self.stopped += 1


@pytest.fixture
def bench(monkeypatch):
    """Drivers that exist in this test only; ``opened`` are their addresses."""

    class Bench:
        def __init__(self):
            self.meter, self.found, self.opened = LiveMeter(), [], []
            self.emulated, self.started = Emulated(), []
            self.modules = {
                ("power", "live"): SimpleNamespace(open_meter=self._open, find=lambda: self.found),
                ("power", "estimates"): SimpleNamespace(estimate=lambda board: None),
                ("emulated_meters", "program"): SimpleNamespace(start=self._start),
            }

        def _open(self, config, address, timeout_s):
            self.opened.append(address)
            if isinstance(self.meter, Exception):
                raise self.meter
            return self.meter

        def _start(self, config, edges_path, timeout_s):
            self.started.append(edges_path)
            return self.emulated

        def open(self, config=BOARD, emulated=None):
            return open_metering(config, emulated, lambda state: None)

    bench = Bench()
    monkeypatch.setattr(
        metering_module.plugins, "load", lambda kind, name: bench.modules[kind, name]
    )
    monkeypatch.setattr(metering_module, "_FLOOR_S", 0.05)
    return bench


def emulated_board():
    """Return a board whose meter is a program, and its emulator."""
    meter = replace(BOARD.meter, serial=None, emulator="program")
    return replace(BOARD, emulator="x", meter=meter), SimpleNamespace(edges_path="/proc/1/fd/9")


def captured(metering):
    metering.start()
    return metering.stop()


# -- power on, power off ----------------------------------------------------------------------------


def test_a_supply_is_on_for_the_session_and_off_after_it(bench):
    with bench.open() as metering:
        assert bench.meter.diary == ["configure", "on", *FLOOR_CAPTURE]
        assert bench.meter.on
        current = np.concatenate([c.current_a for c in captured(metering).chunks()])
        assert (current == 5e-3).all()
        assert metering.truth() is None  # of a real board
    assert bench.meter.diary[-3:] == ["start", "stop", "close"]
    assert not bench.meter.on
    assert bench.opened == ["/dev/live"]


def test_a_meter_in_series_switches_nothing(bench):
    bench.meter = LiveMeter(supplied=True)  # by somebody else
    config = replace(BOARD, supply_max_v=None, meter=replace(BOARD.meter, supplies=False))
    with bench.open(config):
        assert bench.meter.diary == ["configure", *FLOOR_CAPTURE]


def test_a_driver_without_samples_opens_nothing(bench):
    with bench.open(replace(BOARD, meter=MeterConfig("estimates"))) as metering:
        assert metering is None
    assert bench.opened == []


@pytest.mark.parametrize("fault", [KeyError, KeyboardInterrupt, BoardError, SystemExit])
def test_the_supply_is_off_whatever_happens_in_the_session(bench, fault):
    config, board = emulated_board()

    def session():
        with bench.open(config, board) as metering:
            metering.start()
            raise fault

    with pytest.raises(fault):
        session()
    assert bench.meter.diary[-3:] == ["start", "stop", "close"]  # the capture was ended, too
    assert not bench.meter.on
    assert bench.emulated.stopped
    assert (bench.started, bench.opened) == (["/proc/1/fd/9"], ["/dev/pts/7"])


@pytest.mark.parametrize("step", ["configure", "on", "start", "stop"])
def test_the_supply_is_off_when_powering_on_fails(bench, step):
    config, board = emulated_board()
    bench.meter = LiveMeter(refuses={step: MeterError(f"no {step}; unplug it")})
    with pytest.raises(MeterError, match=f"no {step}; unplug it"), bench.open(config, board):
        pytest.fail("there is no session")
    assert bench.meter.diary[-1] == "close"
    assert not bench.meter.on
    assert bench.emulated.stopped


def test_a_meter_that_cannot_be_opened_ends_its_process(bench):
    config, board = emulated_board()
    bench.meter = MeterError("no meter; plug it in")
    with pytest.raises(MeterError, match="no meter"), bench.open(config, board):
        pytest.fail("there is no session")
    assert bench.emulated.stopped


def test_a_process_that_does_not_close_is_ended_nonetheless(bench):
    config, board = emulated_board()

    def broken():
        raise MeterError("cannot be closed; unplug it")

    bench.meter.close = broken
    with pytest.raises(MeterError, match="cannot be closed"), bench.open(config, board):
        pass
    assert bench.emulated.stopped


def test_an_emulated_meter_tells_the_truth(bench):
    config, board = emulated_board()
    with bench.open(config, board) as metering:
        assert metering.truth() == bench.emulated.truth()


def test_an_emulated_meter_needs_a_board_at_the_pace_of_the_clock(bench):
    config, _ = emulated_board()
    sentence = (
        "board desk: its emulator is not paced to real time, so the emulated meter 'program' cannot "
        'watch it; use emulator = "device_time" in [board.desk.meter], with driver = "replay"'
    )
    with (
        pytest.raises(ConfigError, match=re.escape(sentence)),
        bench.open(config, SimpleNamespace(edges_path=None)),
    ):
        pytest.fail("there is no session")
    assert bench.started == bench.opened == []


# -- refused before anything is touched -----------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"supply_v": 5.0},
            "boards.toml: [board.desk] supply_v = 5 V is above supply_max_v = 3.6 V; nothing was "
            "powered",
        ),
        (
            {"supply_max_v": math.nan},
            "boards.toml: [board.desk] supply_v = 3.3 V is above supply_max_v = nan V; nothing was "
            "powered",
        ),
        (
            {"supply_max_v": None},
            "boards.toml: [board.desk] is supplied by its meter but has no supply_max_v; say the "
            "highest voltage in V that the board bears",
        ),
        (
            {"supply_v": None},
            "boards.toml: [board.desk] has a meter but no supply_v; energy is voltage times charge, "
            "say the supply in V",
        ),
    ],
)
def test_nothing_is_touched_before_the_supply_is_known_to_be_right(bench, changes, sentence):
    for config, board in ((BOARD, None), emulated_board()):
        with (
            pytest.raises(ConfigError, match=re.escape(sentence)),
            bench.open(replace(config, **changes), board),
        ):
            pytest.fail("there is no session")
    assert bench.meter.diary == []
    assert bench.opened == bench.started == []


def test_power_on_itself_looks_at_the_ceiling(bench):
    """Whoever else opens a meter cannot forget it."""
    live = metering_module.LiveMetering(replace(BOARD, supply_v=5.0), bench.meter, None)
    with pytest.raises(ConfigError, match=r"supply_v = 5 V is above supply_max_v = 3\.6 V"):
        live.power_on()
    assert bench.meter.diary == []


def test_a_supply_as_high_as_the_ceiling_is_borne():
    check_supply(replace(BOARD, supply_v=3.6))
    assert setup_of(BOARD).supply_v == 3.3


# -- current floor ----------------------------------------------------------------------------------


CHECK = "check supply, wiring and jumpers, and that no USB cable powers the board"


@pytest.mark.parametrize(
    ("powered_ma", "current_a", "sentence"),
    [
        (
            1.0,
            0.8e-3,
            f"board desk: draws 0.8 mA through the L1, powered_ma says at least 1 mA; {CHECK}",
        ),
        (
            None,  # three times the offset limit of 2 uA
            5.9e-6,
            "board desk: draws 0.0059 mA through the L1, which cannot be told from none; " + CHECK,
        ),
    ],
)
def test_a_board_without_power_is_refused(bench, powered_ma, current_a, sentence):
    bench.meter = LiveMeter(current_a=current_a)
    config = replace(BOARD, powered_ma=powered_ma)
    with pytest.raises(BoardUnpoweredError, match=re.escape(sentence)), bench.open(config):
        pytest.fail("there is no session")
    assert bench.meter.diary == ["configure", "on", *FLOOR_CAPTURE, "close"]


def test_a_little_more_than_the_offset_is_power(bench):
    bench.meter = LiveMeter(current_a=6.1e-6)
    with bench.open(replace(BOARD, powered_ma=None)):
        pass


def test_inrush_is_no_power(bench):
    """A charging capacitor draws for a moment; what counts is what the board draws then."""
    bench.meter = LiveMeter(current_a=1e-6)
    due, inrush = bench.meter._due, 100
    bench.meter._due = lambda: (
        (chunk := due())
        and replace(
            chunk,
            current_a=np.where(np.arange(len(chunk)) + chunk.start < inrush, 1.0, chunk.current_a),
        )
    )
    with pytest.raises(BoardUnpoweredError, match=r"draws 0\.001 mA"), bench.open():
        pytest.fail("there is no session")


def test_an_offset_that_nobody_states_needs_a_floor(bench):
    nan = float("nan")
    bench.meter.spec = replace(bench.meter.spec, ranges=(RangeSpec(1e-6, nan, nan, 0.05),))
    sentence = (
        "boards.toml: [board.desk] has no powered_ma, and the L1 states no limit of its offset; say "
        "the least current in mA that the board draws"
    )
    with (
        pytest.raises(ConfigError, match=re.escape(sentence)),
        bench.open(replace(BOARD, powered_ma=None)),
    ):
        pytest.fail("there is no session")
    assert bench.meter.diary[-1] == "close"


def test_only_lost_samples_are_no_current(bench):
    bench.meter = LiveMeter(lost=(0, 1 << 40))
    sentence = (
        "board desk: the L1 gave no valid sample within 0.05 s; unplug it and plug it in again"
    )
    with pytest.raises(MeterError, match=re.escape(sentence)), bench.open():
        pytest.fail("there is no session")


# -- captures -----------------------------------------------------------------------------------------


def test_stop_without_start(bench):
    with bench.open() as metering:
        metering.abandon()  # nothing to do
        with pytest.raises(MeterError, match="board desk: no capture runs; start one first"):
            metering.stop()


def test_an_abandoned_capture_leaves_the_meter_ready(bench):
    with bench.open() as metering:
        metering.start()
        metering.abandon()
        assert metering.failure() is None
        assert captured(metering).end.samples


def board_with(metering):
    """Return a board that has nothing but a meter."""
    nothing = SimpleNamespace(emulated=None)
    return OpenBoard(BOARD, None, None, None, None, nothing, fresh=False, metering=metering)


@pytest.mark.parametrize("how", ["stop", "abandon"])
def test_a_meter_that_was_unplugged_is_why_later_sessions_are_not_measured(bench, how):
    with bench.open() as metering:
        board = board_with(metering)
        board.check_meter()
        bench.meter.ends_at, bench.meter.unplugged = 500, True
        metering.start()
        metering._capture._ended.wait(20)
        if how == "stop":
            with pytest.raises(MeterError, match=re.escape(UNPLUGGED)):
                metering.stop()
        else:
            metering.abandon()
        assert str(metering.failure()) == UNPLUGGED
        sentence = f"board desk: not measured, because its meter failed before: {UNPLUGGED}"
        with pytest.raises(MeterError, match=re.escape(sentence)):
            board.check_meter()
        # A supply that went away is why the board does not answer; it is no reason for its sums.
        for error in (BoardSilentError("no HELLO"), LinkError("timeout")):
            assert board.explain(error) is metering.failure()
        wrong = MeasurementError("n")
        assert board.explain(wrong) is wrong
    assert bench.meter.diary[-1] == "close"


def test_a_board_without_a_meter_has_none_that_failed():
    board = board_with(None)
    board.check_meter()
    error = LinkError("timeout")
    assert board.explain(error) is error


# -- device time --------------------------------------------------------------------------------------


@pytest.fixture
def device_time():
    config = replace(
        BOARD,
        emulator="x",
        meter=MeterConfig("replay", emulator="device_time", marker="D0"),
        current=CurrentModel(idle_ma=1.0, active_ma=2.0),
    )
    edges = []
    return config, edges, SimpleNamespace(marker_edges=lambda: tuple(edges))


def test_a_trace_is_of_what_the_marker_did_since_its_start(device_time):
    config, edges, board = device_time
    with open_metering(config, board, lambda state: None) as metering:
        assert isinstance(metering, DeviceTimeMetering)
        edges += [Edge(1.0, high=True), Edge(1.01, high=False)]
        metering.start()
        edges += [Edge(2.0, high=True), Edge(2.02, high=False)]
        recording = metering.stop()
        assert [(w.start_s, w.end_s) for w in metering.truth()] == [(2.0, 2.02)]
        assert metering.truth()[0].energy_j == pytest.approx(3.3 * 2e-3 * 0.02)
        high = sum(int(c.logic.astype(bool).sum()) for c in recording.chunks())
        assert high == pytest.approx(0.02 * recording.spec.sample_hz, abs=1)
        metering.start()
        metering.abandon()
        with pytest.raises(MeterError, match="board desk: no capture runs; start one first"):
            metering.stop()
        assert metering.failure() is None


# -- where it is --------------------------------------------------------------------------------------

TWO = [("/dev/ttyACM0", "00C0FFEE"), ("/dev/ttyACM2", "")]


def address(bench, serial, found):
    bench.found = found
    return meter_address("desk", MeterConfig("live", serial=serial))


def test_a_port_is_taken_as_it_is(bench):
    assert address(bench, "/dev/ttyACM9", []) == "/dev/ttyACM9"


def test_the_only_meter_needs_no_name(bench):
    assert address(bench, None, TWO[1:]) == "/dev/ttyACM2"


@pytest.mark.parametrize("number", ["c0ffee", "00C0FFEE", "0C0ffee"])
def test_a_serial_number_is_compared_without_zeros_and_case(bench, number):
    assert address(bench, SerialMatch(serial_number=number), TWO) == "/dev/ttyACM0"


@pytest.mark.parametrize(
    ("serial", "found", "sentence"),
    [
        (
            None,
            [],
            "board desk: no live is plugged in; `hilbench meter list` shows what is",
        ),
        (
            None,
            TWO,
            "board desk: several live are plugged in: /dev/ttyACM0 (00C0FFEE), /dev/ttyACM2 (no "
            "number); say which by serial = { serial_number = ... } in [board.desk.meter]",
        ),
        (
            SerialMatch(serial_number="BEEF"),
            TWO,
            "board desk: no live has the serial number BEEF; plugged in: /dev/ttyACM0 (00C0FFEE), "
            "/dev/ttyACM2 (no number); correct it in [board.desk.meter]",
        ),
        (
            SerialMatch(serial_number="BEEF"),
            [],
            "board desk: no live is plugged in; `hilbench meter list` shows what is",
        ),
    ],
)
def test_which_meter_is_not_guessed(bench, serial, found, sentence):
    with pytest.raises(MeterError, match=re.escape(sentence)):
        address(bench, serial, found)


def test_what_does_not_tell_a_meter_is_not_passed_over(bench):
    sentence = (
        "board desk: a meter is found by serial_number or port, and serial in [board.desk.meter] has "
        "neither; `hilbench meter list` shows both"
    )
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        address(bench, SerialMatch(location="1-1.2"), TWO[:1])


# -- debug probes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flasher", "probe"),
    [
        (None, False),
        (FlasherConfig("avrdude"), False),
        (FlasherConfig("esptool"), False),
        (FlasherConfig("stm32flash"), False),
        (FlasherConfig("command"), False),
        (FlasherConfig("command", probe_serial="1"), True),
        (FlasherConfig("pyocd"), True),
        (FlasherConfig("openocd"), True),
        (FlasherConfig("gdb"), True),
    ],
)
def test_a_probe_that_stays_attached_is_warned_of(flasher, probe):
    said = probe_warning(replace(BOARD, flasher=flasher))
    assert bool(said) is probe
    if probe:
        assert said == (
            f"the debug probe of {flasher.tool} is still attached: it may feed the board or keep its "
            "debug logic awake; compare with the probe unplugged"
        )
    assert probe_warning(replace(BOARD, flasher=flasher, emulator="qemu")) == ""


def test_every_flasher_is_known_to_have_a_probe_or_none():
    """A new one is looked at: does it leave a probe attached?"""
    with_probe = {n for n in plugins.names("flashers") if getattr(
        plugins.load("flashers", n), "USES_PROBE", False)}  # fmt: skip
    assert with_probe == {"gdb", "openocd", "pyocd"}
