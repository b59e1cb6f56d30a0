"""The emulated Uno flashed by the real avrdude, sound and with faults."""

from __future__ import annotations

import os
import subprocess
from itertools import pairwise

import pytest

from hilbench.drivers.emulators import simavr
from hilbench.errors import BoardError
from hilbench.records import BoardConfig
from tests.drivers.emulators.uno_programs import TIMEOUT_S, program, read, tools_or_skip

pytestmark = pytest.mark.bench
AVRDUDE = ("avrdude", "-p", "m328p", "-c", "arduino", "-b", "115200", "-q", "-q")


@pytest.fixture
def start():
    """Start an Uno; stopped after the test."""
    started = []

    def _start(**arguments: str) -> simavr.SimavrBoard:
        tools_or_skip("gcc", "avr-gcc", "avrdude")
        config = BoardConfig("uno", "atmega328p", emulator_args=tuple(arguments.items()))
        started.append(simavr.start(config, TIMEOUT_S))
        return started[-1]

    yield _start
    for board in started:
        board.stop()


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    tools_or_skip("gcc", "avr-gcc", "avrdude")
    return program("echo", tmp_path_factory.mktemp("uno"))


def avrdude(board, image, *more: str) -> subprocess.CompletedProcess[str]:
    command = [*AVRDUDE, "-P", board.link_address, *more, "-U", f"flash:w:{image.path}:e"]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def begun(board, image) -> subprocess.Popen[str]:
    command = [*AVRDUDE, "-P", board.link_address, "-U", f"flash:w:{image.path}:e"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def open_line(board) -> int:
    return os.open(board.link_address, os.O_RDWR | os.O_NOCTTY)


def test_avrdude_flashes_through_the_bootloader(start, echo):
    board = start()
    done = avrdude(board, echo)
    assert done.returncode == 0, done.stderr
    through_bootloader = board.read_flash()[:0x7E00]
    fd = open_line(board)
    try:
        assert read(fd, 1) == b"r"
        os.write(fd, b"hello")
        assert read(fd, 5) == b"hello"
        board.reset()
        os.write(fd, b"what no bootloader knows")
        assert read(fd, 1) == b"r"
    finally:
        os.close(fd)
    silent, asked = [later.cycle - e.cycle for e, later in pairwise(board.events())][-3::2]
    assert 0.9 < silent / simavr.CLOCK_HZ < 1.1  # it listens, then the watchdog bites
    assert asked / simavr.CLOCK_HZ < 0.05
    board.flash(echo)  # as a programmer does: by the ELF's own segments
    assert board.read_flash()[:0x7E00] == through_bootloader


def test_a_dead_bootloader_is_not_in_sync(start, echo):
    process = begun(start(fault="dead_bootloader"), echo)
    try:
        assert process.stderr is not None
        assert any("not in sync" in line for line in process.stderr)
    finally:
        process.kill()
        process.communicate()


def test_another_chip_says_its_signature(start, echo):
    done = avrdude(start(fault="wrong_signature"), echo)
    assert done.returncode != 0
    assert "1E 95 0F" in done.stderr  # expected; it is an attiny85 that answers


def test_a_board_that_dies_while_it_is_written(start, echo):
    board = start(fault="dies_mid_write")
    process = begun(board, echo)
    try:
        board._process._process.wait(TIMEOUT_S)
        assert process.poll() is None  # left waiting: no modem line tells it
        with pytest.raises(BoardError, match="'simavr-runner: fault: dies while it is written'"):
            board.check_alive()
    finally:
        process.kill()
        process.communicate()


def test_a_flipped_bit_is_a_verification_mismatch(start, echo):
    board = start(fault="bit_flip")
    done = avrdude(board, echo)
    assert done.returncode != 0
    assert "mismatch" in done.stderr
    assert "0x0100" in done.stderr


def test_a_board_that_only_says_it_wrote(start, echo):
    board = start(fault="silent_success")
    assert avrdude(board, echo, "-V").returncode == 0
    assert set(board.read_flash()[:0x7E00]) == {0xFF}
    assert "mismatch" in avrdude(board, echo).stderr


def test_a_bootloader_also_works_free_running(start, echo):
    board = start(pace="free")
    for _ in range(2):
        done = avrdude(board, echo)
        assert done.returncode == 0, done.stderr
        fd = open_line(board)
        try:
            assert read(fd, 1) == b"r"
            for _ in range(20):  # emulated time runs ahead of the host's
                os.write(fd, bytes(1000))
                read(fd, 1000)
        finally:
            os.close(fd)
