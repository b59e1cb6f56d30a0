"""The emulated Uno as a chip, with small programs whose behaviour can be counted by hand."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import signal
import struct
import termios
import threading

import pytest

from hilbench.drivers.emulators import simavr
from hilbench.drivers.emulators._deadline import Deadline
from hilbench.errors import BoardError, FlashError, LinkError
from hilbench.records import BoardConfig
from tests.drivers.emulators.uno_programs import TIMEOUT_S, program, read, tools_or_skip

pytestmark = pytest.mark.bench
POWER_ON, EXTERNAL, WATCHDOG = 1, 2, 8  # bits of MCUSR
LOOP_CYCLES = 2 + 1000 * 4 - 1  # ldi, ldi; sbiw and brne, whose last is not taken


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    tools_or_skip("gcc", "avr-gcc")
    folder = tmp_path_factory.mktemp("uno")
    return lambda name: program(name, folder)


@pytest.fixture
def start():
    """Start an Uno; stopped after the test."""
    started = []

    def _start(**arguments: str) -> simavr.SimavrBoard:
        tools_or_skip("gcc", "avr-gcc")
        config = BoardConfig("uno", "atmega328p", emulator_args=tuple(arguments.items()))
        started.append(simavr.start(config, TIMEOUT_S))
        return started[-1]

    yield _start
    for board in started:
        board.stop()


@pytest.fixture
def opened():
    """Open a board's PTY at a baud; closed after the test."""
    fds = []

    def _open(board, speed=termios.B115200) -> int:
        fd = os.open(board.link_address, os.O_RDWR | os.O_NOCTTY)
        fds.append(fd)
        attributes = termios.tcgetattr(fd)
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(fd, termios.TCSANOW, attributes)
        return fd

    yield _open
    for fd in fds:
        os.close(fd)


@pytest.mark.parametrize("pace", ["realtime", "free"])
def test_bytes_get_through_both_ways(pace, start, opened, programs):
    board = start(pace=pace, reset_on_open="no")
    board.flash(programs("echo"))
    fd = opened(board)
    assert read(fd, 1) == b"r"
    data = random.Random(1).randbytes(5000)
    writer = threading.Thread(target=os.write, args=(fd, data))
    writer.start()
    assert read(fd, len(data)) == data
    writer.join()
    assert board.status().overruns == board.status().lost_to_host == 0


def test_a_line_takes_ten_bit_times_of_its_sender_for_a_byte(start, opened, programs):
    board = start(pace="free", reset_on_open="no")
    board.flash(programs("echo"))
    fd = opened(board)
    read(fd, 1)
    before = board.status().cycles
    os.write(fd, bytes(1000))
    read(fd, 1000)
    after = board.status().cycles
    assert after - before > 1000 * 10 * simavr.CLOCK_HZ / 115200  # the host's 8.68 us a bit


def test_the_cycle_counter_is_exact(start, opened, programs):
    board = start(reset_on_open="no")
    board.flash(programs("cycles"))
    fd = opened(board)
    (by_timer,) = struct.unpack("<H", read(fd, 2))
    assert by_timer == 2 + 2 + LOOP_CYCLES  # both lds behind the first
    assert read(fd, 1) == b"e"
    rise, fall, rise_asleep, fall_asleep = (e for e in board.events() if e.name == "marker")
    assert fall.cycle - rise.cycle == 2 + LOOP_CYCLES  # sbi
    assert [e.value for e in (rise, fall, rise_asleep, fall_asleep)] == [1, 0, 1, 0]
    assert rise.slept_cycles == fall.slept_cycles == rise_asleep.slept_cycles
    assert 65_400 < fall_asleep.slept_cycles - rise_asleep.slept_cycles < 65_536


def test_two_processes_agree_to_the_cycle(start, opened, programs):
    seen = []
    for pace in ("realtime", "free", "realtime"):
        board = start(pace=pace, reset_on_open="no")
        board.flash(programs("cycles"))
        read(opened(board), 3)
        events = board.events()
        reset = [e for e in events if e.name == "reset"][-1]
        seen.append([(e.cycle - reset.cycle, e.value) for e in events if e.name == "marker"])
        board.stop()
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 4


def test_an_idle_chip_sleeps(start, opened, programs):
    board = start(pace="free", reset_on_open="no")
    board.flash(programs("echo"))
    fd = opened(board)
    read(fd, 1)
    before = board.status()
    for _ in range(20):
        os.write(fd, b"x")
        read(fd, 1)
    after = board.status()
    awake = after.cycles - before.cycles - (after.slept_cycles - before.slept_cycles)
    assert 20 * 40 < awake < 20 * 200  # an interrupt and a turn of the loop a byte


def test_interrupts_follow_the_transmitter(start, opened, programs):
    board = start(reset_on_open="no")
    board.flash(programs("send_by_interrupt"))
    assert read(opened(board), 256) == bytes(range(256))


def test_a_chip_that_sleeps_for_ever_wakes_by_reset(start, opened, programs):
    board = start(pace="free")
    fd = opened(board)
    board.status()
    board.flash(programs("send_by_interrupt"))
    for wake in (board.reset, lambda: opened(board), board.check_alive):
        assert read(fd, 256) == bytes(range(256))
        wake()


def test_a_port_that_nobody_has_open_hears_nothing(start, opened, programs):
    board = start()
    board.flash(programs("send_by_interrupt"))
    board.reset()
    fd = opened(board)
    assert read(fd, 256) == bytes(range(256))
    assert board.status().lost_to_host == 0


def test_a_receiver_that_nobody_reads_keeps_two_bytes_and_the_last(start, opened, programs):
    board = start(pace="free", reset_on_open="no")
    board.flash(programs("overrun"))
    fd = opened(board)
    read(fd, 1)
    os.write(fd, b"g" + bytes(range(10)))
    # DS40002061B 20.8.1: two buffered, one in the shift register, which a start bit overwrites;
    # the flag stands until UDR0 is read.
    rxc, overrun = 0x80, 0x08
    assert read(fd, 7) == bytes([rxc | overrun, 0, rxc, 1, rxc, 9]) + b"e"
    assert board.status().overruns == 7


def test_another_baud_is_not_understood(start, opened, programs):
    board = start(pace="free", reset_on_open="no")
    board.flash(programs("echo"))
    fd = opened(board)
    read(fd, 1)
    os.write(fd, b"hilbench")
    assert read(fd, 8) == b"hilbench"
    fd = opened(board, termios.B57600)
    os.write(fd, b"hilbench")
    assert read(fd, 8) != b"hilbench"


def test_a_reset_keeps_memory_and_tells_its_cause(start, opened, programs):
    board = start(pace="free", reset_on_open="no")
    board.flash(programs("resets"))
    fd = opened(board)
    assert read(fd, 3) == bytes([POWER_ON, 1, 0])
    board.reset()
    assert read(fd, 3) == bytes([EXTERNAL, 2, 1])
    os.write(fd, b"w")
    assert read(fd, 3) == bytes([WATCHDOG, 3, 2])
    board.flash(programs("resets"))
    assert read(fd, 3) == bytes([POWER_ON, 1, 3])  # a chip erase with EEPROM preserved (EESAVE)
    causes = [e.value for e in board.events() if e.name == "reset"]
    assert causes == [POWER_ON, POWER_ON, EXTERNAL, WATCHDOG, POWER_ON]


def test_opening_the_port_resets_as_dtr_does(start, opened, programs):
    board = start()
    fd = opened(board)
    board.status()  # answers after the reset that the opening made
    board.flash(programs("resets"))
    assert read(fd, 3)[0] == POWER_ON
    before = len(board.events())
    opened(board)
    assert read(fd, 3)[0] == EXTERNAL
    assert len(board.events()) == before + 1


def test_flash_holds_the_program_and_nothing_else(start, programs):
    board = start()
    assert set(board.read_flash()[:0x7E00]) == {0xFF}
    assert set(board.read_flash()[0x7E00:]) != {0xFF}  # the bootloader
    board.flash(programs("echo"))
    used = board.read_flash().rstrip(b"\xff")
    assert 200 < len(used) < 500


def test_a_crash_says_so(start, programs):
    board = start()
    board.flash(programs("crash"))
    board._process._process.wait(TIMEOUT_S)
    with pytest.raises(
        BoardError,
        match=r"^board uno: the emulator simavr-runner has died \(exit status 1\), its last words: "
        r"'simavr-runner: the program has run into the weeds: an invalid instruction, or a jump "
        r"outside of flash or memory'; run again, and",
    ):
        board.check_alive()
    with pytest.raises(BoardError, match="has died"):
        board.reset()


def test_an_image_that_does_not_fit(start, programs, tmp_path):
    image = programs("echo")
    data = bytearray(image.path.read_bytes())
    offset = struct.unpack_from("<I", data, 28)[0]  # e_phoff; p_paddr is the fourth word
    struct.pack_into("<I", data, offset + 12, 0x7FF0)
    (path := tmp_path / "far.elf").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    with pytest.raises(
        FlashError,
        match=r"^board uno: far\.elf has \d+ bytes at 0x7ff0, the flash ends at 0x8000; "
        r"link it for an ATmega328P$",
    ):
        start().flash(dataclasses.replace(image, path=path, sha256=sha256))


def test_an_uno_has_no_probe(start):
    board = start()
    assert (board.has_probe, board.probe_address) == (False, None)
    with pytest.raises(
        LinkError,
        match=r"^board uno: no debug probe to write 1 bytes at 0x20; an Uno takes its model in the "
        r"image$",
    ):
        board.write_memory(0x20, b"x")


def test_units(start):
    board = start()
    assert (board.time_base, board.units_per_tick(16_000_000)) == ("cycles", 1.0)
    assert board.units_per_tick(2_000_000) == 8.0
    assert board.emulator.startswith("simavr ")
    assert board.emulator.endswith(" atmega328p")


def test_stop_twice(start):
    board = start()
    board.stop()
    board.stop()


def test_the_runner_ends_with_its_board(start):
    board = start()
    board._control.close()
    assert board._process._process.wait(TIMEOUT_S) == 0


def test_a_flash_that_reads_back_differently(start, programs, monkeypatch):
    board = start()
    ask = board._ask
    monkeypatch.setattr(board, "_ask", lambda r, d: b"other" if r == b"F" else ask(r, d))
    with pytest.raises(
        FlashError,
        match=r"^board uno: the flash of the simavr runner reads back differently than written; "
        r"report this$",
    ):
        board.flash(programs("echo"))


def test_a_runner_that_does_not_answer(start):
    board = start()
    os.kill(board._process.pid, signal.SIGSTOP)
    with pytest.raises(
        BoardError,
        match=r"^board uno: the simavr runner did not answer within 0\.01 s; is the host overloaded\?$",
    ):
        board._ask(b"S", Deadline(0.01))
