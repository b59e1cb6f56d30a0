"""Checks of a board: against the real firmware, and against boards that are wrong on purpose."""

from __future__ import annotations

import json
import os
import pty
from dataclasses import replace
from types import SimpleNamespace

import pytest

from hilbench import plugins
from hilbench.board import life
from hilbench.board.images import find_image
from hilbench.board.wear import count_flash, wear_path
from hilbench.doctor import board as doctor
from hilbench.errors import (
    BoardBusyError,
    BoardError,
    FlashNotFoundError,
    ImageError,
    LinkError,
)
from hilbench.records import (
    BoardConfig,
    ClockInfo,
    FlasherConfig,
    Image,
    Quarantine,
    SerialMatch,
    Timeouts,
)

REAL = BoardConfig("r", "stm32l4", serial=SerialMatch("0483", "374b", "1"), source="b.toml")
HZ = 1_000_000
CLOCK = ClockInfo("time", "us", 1.0, HZ, "declared")
HELLO = SimpleNamespace(counter_bits=32, counter_hz=HZ, pool_bytes=200_000)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


class SimulatedBoard:
    """Sleeps and moves bytes in simulated time: its clock, its line, its memory."""

    def __init__(self, *, ppm=0.0, late_s=(0.003,), bytes_per_s=11_000.0, broken_byte=None):
        self.ppm, self.late_s, self.bytes_per_s = ppm, list(late_s), bytes_per_s
        self.broken_byte = broken_byte
        self.time_s = 100.0
        self.sleeps = 0

    def now(self):
        return self.time_s

    def idle(self, duration_us, marker=False):
        ticks = duration_us * HZ // 1_000_000
        true_s = ticks / HZ / (1 + self.ppm * 1e-6)
        self.time_s += true_s + self.late_s[self.sleeps % len(self.late_s)]
        self.sleeps += 1
        return ticks

    def write(self, region, offset, data):
        self.time_s += len(data) / self.bytes_per_s
        self.memory = bytearray(data)
        if self.broken_byte is not None:
            self.memory[self.broken_byte] ^= 1

    def read(self, region, offset, length):
        self.time_s += length / self.bytes_per_s
        return bytes(self.memory[:length])


def clock_check(**board):
    simulated = SimulatedBoard(**board)
    return doctor.check_clock(simulated, HELLO, CLOCK, simulated.now)


@pytest.mark.parametrize(
    ("ppm", "state"),
    [(0, "ok"), (80, "ok"), (-900, "ok"), (-1_251, "ok"), (-4_900, "ok"),
     (-5_100, "warn"), (15_000, "warn"), (30_000, "failed"), (-500_000, "failed"), (7_000_000, "failed")],
)  # fmt: skip
def test_the_clock_is_as_wrong_as_it_is(ppm, state):
    check = clock_check(ppm=ppm)
    assert check.state == state
    assert check.fact.startswith(f"{ppm:+,} ppm (±0) against this computer, source declared")
    if state == "warn":
        assert check.fact.endswith(", a ceramic resonator is within 5,000")
    if state == "failed":
        assert (
            check.next_step == "counter_hz = 1,000,000 is wrong in the port, or a prescaler is set"
        )


@pytest.mark.parametrize("source", ["register", "measured"])
@pytest.mark.parametrize(("ppm", "state"), [(-900, "ok"), (1_251, "warn"), (30_000, "failed")])
def test_a_rate_that_is_more_than_declared_is_a_crystals(source, ppm, state):
    simulated = SimulatedBoard(ppm=ppm)
    clock = replace(CLOCK, source=source)
    check = doctor.check_clock(simulated, HELLO, clock, simulated.now)
    assert check.state == state
    if state == "warn":
        assert check.fact.endswith(f"source {source}, a crystal is within 1,000")


def test_a_late_host_is_not_a_wrong_clock():
    check = clock_check(late_s=[0.003, 0.004, 0.0035, 0.009, 0.0031, 0.005])
    assert check.state == "ok"
    assert "±0" not in check.fact
    busy = clock_check(late_s=[0.003, 0.080, 0.090, 0.003, 0.070, 0.050])
    assert (busy.state, busy.next_step) == ("skipped", "")
    assert busy.fact.endswith("this computer is too busy to tell")


def test_ticks_that_are_no_time_are_not_compared():
    clock = ClockInfo("instructions", "instr", 1.0, HZ, "declared")
    check = doctor.check_clock(SimulatedBoard(), HELLO, clock)
    assert (check.state, check.fact) == ("skipped", "ticks are instructions, not a time")


@pytest.mark.parametrize(
    ("ticks", "state"), [(0, "failed"), (19_999, "failed"), (20_000, "skipped")]
)
def test_ticks_that_are_no_time_are_due_all_the_same(ticks, state):
    clock = ClockInfo("cycles", "us", 1.0, HZ, "declared")
    check = doctor.check_clock(SimpleNamespace(idle=lambda _us: ticks), HELLO, clock)
    assert check.state == state
    if state == "failed":
        assert check.fact == f"{ticks:,} ticks in 20 ms of sleep, at least 20,000 are due"
        step = "does the counter run, and does hb_port_idle() sleep as long as it is told?"
        assert check.next_step == step


@pytest.mark.parametrize(
    ("rate", "state", "share"),
    [(11_000, "ok", "95%"), (9_800, "ok", "85%"), (9_000, "warn", "78%")],
)
def test_goodput_against_the_line(rate, state, share):
    simulated = SimulatedBoard(bytes_per_s=rate)
    check = doctor.check_goodput(simulated, HELLO, 115_200, simulated.now)
    assert check.state == state
    assert check.fact.startswith(
        f"{rate:,} bytes/s to the board, {rate:,} back: {share} of 115200 baud"
    )


def test_a_few_packets_are_not_judged():
    simulated = SimulatedBoard(bytes_per_s=5_000)
    small = SimpleNamespace(pool_bytes=256)
    check = doctor.check_goodput(simulated, small, 115_200, simulated.now)
    assert (check.state, check.fact) == (
        "ok",
        "5,000 bytes/s to the board, 5,000 back, 256 bytes each",
    )


def test_memory_that_changes_what_is_written():
    simulated = SimulatedBoard(broken_byte=1234)
    check = doctor.check_goodput(simulated, HELLO, None, simulated.now)
    assert (check.state, check.fact) == ("failed", "byte 1234 of 65,536 reads back changed")
    none = SimpleNamespace(pool_bytes=0)
    assert doctor.check_goodput(simulated, none, None).state == "skipped"


def test_baud_sweep(tmp_path):
    (check,) = doctor.sweep(REAL, lambda _c, baud: baud in {57_600, 1_000_000})
    assert (check.state, check.fact, check.next_step) == (
        "failed",
        "answers at 57600, 1000000, not at 115200",
        "set baud = 57600 in [board.r]",
    )
    (check,) = doctor.sweep(REAL, lambda _c, baud: baud in {57_600, 115_200})
    assert (check.state, check.fact, check.next_step) == (
        "warn",
        "answers at 57600, 115200, and 115200 is the baud rate of its table",
        "so the rate is right and it was silent for a while: supply, cable, or a slow boot?",
    )
    (check,) = doctor.sweep(REAL, lambda _c, _b: False)
    assert check.fact.startswith("no HELLO at any of 9600, 19200")
    assert check.next_step == "is the image flashed, are RX and TX swapped?"
    (check,) = doctor.sweep(BoardConfig("e", "posix", emulator="native"))
    assert check.state == "skipped"


def test_wear():
    assert doctor.check_wear(REAL).fact == "never flashed from here"
    count_flash(REAL)
    check = doctor.check_wear(REAL)
    assert check.state == "ok"
    assert check.fact.startswith("flashed 1 times since 20")
    path = wear_path(REAL)
    path.write_text(json.dumps({"board": "r", "flashes": 5_000, "since": "2026-01-01"}))
    check = doctor.check_wear(REAL)
    assert (check.state, check.fact) == (
        "warn",
        "flashed 5,000 times since 2026-01-01; data sheets promise 10,000 cycles",
    )
    path.write_text("?")
    assert doctor.check_wear(REAL).state == "failed"


# -- the real firmware ------------------------------------------------------------------------------


def image():
    try:
        return find_image("posix")
    except ImageError as error:
        pytest.skip(str(error))


@pytest.mark.firmware
def test_the_native_board_passes(tmp_path):
    config = BoardConfig(
        "n", "posix", emulator="native", flasher=FlasherConfig("emulator"), source=str(tmp_path)
    )
    checks = {c.name: c for c in doctor.examine_board(config, image())}
    states = {name: c.state for name, c in checks.items()}
    assert states.pop("clock") in {"ok", "warn", "skipped"}  # this computer may be busy
    assert states == {
        "HELLO": "ok",
        "echo": "ok",
        "goodput": "ok",
        "baud sweep": "skipped",
        "flash wear": "skipped",
    }
    assert checks["HELLO"].fact.startswith("posix on ")
    assert "counter 1,000,000,000 Hz (declared, 32 bits)" in checks["HELLO"].fact


def test_a_silent_board_is_swept_and_the_sentences_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "BAUDS", (9600, 115200))
    master, slave = pty.openpty()
    config = BoardConfig(
        "s",
        "posix",
        serial=os.ttyname(slave),
        source=str(tmp_path),
        timeouts=Timeouts(start_s=0.2, hello_s=0.2),
    )
    nothing = Image("posix", tmp_path, "00" * 20, "", "", "", ())
    try:
        hello, sweep, wear = doctor.examine_board(config, nothing)
    finally:
        os.close(master)
        os.close(slave)
    assert (hello.name, hello.state, hello.fact) == (
        "HELLO",
        "failed",
        "board s: no HELLO within 0.2 s",
    )
    assert "tried in vain: line reset" in hello.next_step
    assert (sweep.state, sweep.fact) == ("failed", "no HELLO at any of 9600, 115200")
    assert wear.state == "ok"


def test_a_board_in_quarantine_is_left_alone(tmp_path, monkeypatch):
    config = BoardConfig(
        "q", "posix", serial="/dev/null", quarantine=Quarantine("smells"), source="b.toml"
    )
    nothing = Image("posix", tmp_path, "00" * 20, "", "", "", ())
    opened = []
    serial = plugins.load("links", "serial")
    monkeypatch.setattr(serial, "open_link", lambda *port: opened.append(port))
    monkeypatch.setattr(doctor, "board_lock", lambda *_: opened.append("lock"))
    monkeypatch.setattr(life, "board_lock", lambda *_: opened.append("lock"))
    hello, sweep, wear = doctor.examine_board(config, nothing)
    assert opened == []
    assert (hello.state, hello.fact) == (
        "failed",
        "board q: in quarantine until its table is removed: smells",
    )
    assert (sweep.state, sweep.fact) == ("skipped", "for silent boards only")
    assert wear.fact == "never flashed from here"


@pytest.mark.parametrize(
    "error",
    [
        BoardBusyError("port p is held by another process; close it"),
        BoardError("board r: the firmware says it is 'b'; correct the table"),
        ImageError("board r: answers with image 1; flash it again"),
        FlashNotFoundError("board r: no probe; plug it in"),
        LinkError("port p does not exist; plug the board in"),
    ],
)
def test_only_silence_is_swept(tmp_path, monkeypatch, error):
    def open_board(*_):
        raise error

    monkeypatch.setattr(doctor, "open_board", open_board)
    monkeypatch.setattr(doctor, "_answers", lambda *_: pytest.fail("the port was opened"))
    nothing = Image("stm32l4", tmp_path, "00" * 20, "", "", "", ())
    hello, sweep, _ = doctor.examine_board(REAL, nothing)
    assert (hello.state, sweep.state) == ("failed", "skipped")
