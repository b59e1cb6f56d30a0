"""The posix image over a real PTY."""

from __future__ import annotations

import hashlib
import os
import pty
import random
import select
import shutil
import subprocess
import time
import tty
from pathlib import Path

import pytest

from hilbench.protocol import messages as m
from hilbench.protocol.packets import Decoder, Packet

FIRMWARE = Path(__file__).parents[2] / "device_firmware"
IMAGE = FIRMWARE / "build" / "posix" / "hilbench.elf"
SESSION = 0x7777
DEADLINE_S = 20

pytestmark = [
    pytest.mark.firmware,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc: apt-get install gcc libc6-dev"),
]


class Line:
    """The host's end of a PTY whose other end is a board."""

    def __init__(self, *arguments):
        self.board_fd, self.fd = pty.openpty()
        tty.setraw(self.fd)
        self.process = subprocess.Popen(
            [IMAGE, "--fd", str(self.board_fd), *arguments], pass_fds=[self.board_fd]
        )
        self.decoder = Decoder()
        self.waiting = []

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.fd)
        os.close(self.board_fd)

    def send(self, message, sequence, session=SESSION):
        os.write(self.fd, Packet.of(message, session, sequence).encode())

    def next(self):
        deadline = time.monotonic() + DEADLINE_S
        while not self.waiting:
            left = deadline - time.monotonic()
            assert left > 0, "the board is silent"
            if select.select([self.fd], [], [], left)[0]:
                self.waiting += self.decoder.feed(os.read(self.fd, 65536))
        return self.waiting.pop(0)

    def ask(self, message, sequence):
        self.send(message, sequence)
        return self.next().message()


@pytest.fixture(scope="module", autouse=True)
def image():
    subprocess.run(
        ["make", "-C", str(FIRMWARE), "PORT=posix"], check=True, capture_output=True, timeout=300
    )


@pytest.fixture
def line():
    line = Line("--pool-bytes", "100000")
    yield line
    line.close()


def test_hello_after_start_and_after_reset(line):
    first = line.next()
    assert (first.session, first.sequence) == (0, 0)
    hello = first.message()
    assert (hello.port, hello.clock_source, hello.pool_bytes) == (
        "posix", m.ClockSource.DECLARED, 100_000,
    )  # fmt: skip
    assert hello.build_id in IMAGE.read_bytes()
    assert line.ask(m.Hello(), 1) == hello
    assert line.ask(m.Reset(), 2) == m.ResetAck()
    again = line.next()
    assert (again.session, again.message().build_id) == (0, hello.build_id)
    assert line.process.poll() is None
    error = line.ask(m.Memory(), 3)  # the session did not survive
    assert (error.code, error.detail0, error.detail1) == (m.ErrorCode.WRONG_SESSION, SESSION, 0)


def test_pool_takes_and_returns_bytes(line):
    line.next()
    line.ask(m.Hello(), 1)
    data = random.Random(7).randbytes(60_000)
    room = 4096 - 5
    pieces = range(0, len(data), room)
    for number, at in enumerate(pieces):
        assert line.ask(m.Data(m.Region.POOL, at, data[at : at + room]), 2 + number) == m.DataAck()
    line.send(m.Read(m.Region.POOL, 0, len(data)), 99)
    got = b"".join(line.next().message().data for _ in pieces)
    assert got == data
    refused = line.ask(m.Load(len(data), hashlib.sha256(data).digest()), 100)
    assert refused.code == m.ErrorCode.BAD_MODEL  # the hash was right, the bytes are no plan


def test_idle_memory_and_noise(line):
    line.next()
    os.write(line.fd, b"U-Boot 2024.01\r\n\0")
    line.ask(m.Hello(), 1)
    assert line.ask(m.Idle(30_000, 1), 2).ticks >= 30_000_000
    memory = line.ask(m.Memory(), 3)
    assert memory.stack_bytes == 256 * 1024
    assert 0 < memory.stack_used_bytes < memory.stack_bytes
    stats = line.ask(m.LinkStats(), 4)
    assert stats == m.LinkStatsReply(good_packets=4, bad_packets=1, overruns=0)


def test_board_outlives_a_host_that_goes_away_and_comes_back(line):
    line.next()
    path = os.ttyname(line.fd)
    os.close(line.fd)
    line.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line.fd)
    line.decoder = Decoder()
    line.send(m.Hello(), 1)
    while line.next().session != SESSION:
        pass
    assert line.process.poll() is None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "usage: hilbench.elf --fd N [--pool-bytes B] [--marker-fd M]"),
        (["--fd", "x"], "--fd needs the number of an open PTY master"),
        (["--fd", "0", "--pool-bytes", "12"], "--pool-bytes needs a number from 1024 to 1073741824"),
        (["--colour"], "unknown argument; usage: hilbench.elf --fd N [--pool-bytes B] [--marker-fd M]"),
        (["--fd", "999"], "--fd is not an open PTY master"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_line(arguments, complaint):
    done = subprocess.run([IMAGE, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"hilbench.elf: {complaint}\n")
