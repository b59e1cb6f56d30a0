"""The bridge loses nothing, however slow either side is, and holds a bounded number of bytes."""

from __future__ import annotations

import os
import random
import select
import socket
import threading
import time

import pytest

from hilbench.drivers.emulators._bridge import PtyBridge

SIZE_BYTES = 200_000
DEADLINE_S = 30.0


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    bridge = PtyBridge(theirs)
    host = os.open(bridge.path, os.O_RDWR | os.O_NOCTTY)
    yield bridge, host, ours
    os.close(host)
    bridge.stop()
    ours.close()


def send(fd: int, data: bytes, seed: int) -> threading.Thread:
    rng = random.Random(seed)

    def run() -> None:
        at = 0
        while at < len(data):
            at += os.write(fd, data[at : at + rng.randint(1, 3000)])

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def receive(fd: int, size: int, seed: int, pause_s: float = 0.0) -> bytes:
    rng, data, end = random.Random(seed), b"", time.monotonic() + DEADLINE_S
    while len(data) < size:
        ready, _, _ = select.select([fd], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"{len(data)} of {size} bytes within {DEADLINE_S} s"
        data += os.read(fd, rng.randint(1, 5000))
        if pause_s and rng.random() < 0.05:
            threading.Event().wait(pause_s)  # a slow reader is the point
    return data


@pytest.mark.parametrize("pause_s", [0.0, 0.01])
def test_both_directions_at_once(ends, pause_s):
    _, host, board = ends
    down, up = random.Random(1).randbytes(SIZE_BYTES), random.Random(2).randbytes(SIZE_BYTES)
    senders = [send(host, down, 3), send(board.fileno(), up, 4)]
    got: dict[str, bytes] = {}
    reader = threading.Thread(
        target=lambda: got.update(down=receive(board.fileno(), SIZE_BYTES, 5, pause_s)), daemon=True
    )
    reader.start()
    assert receive(host, SIZE_BYTES, 6, pause_s) == up
    reader.join(DEADLINE_S)
    assert got["down"] == down
    for sender in senders:
        sender.join(DEADLINE_S)


@pytest.mark.parametrize("direction", ["to host", "to board"])
def test_nobody_reads_so_the_sender_is_held_back(ends, direction):
    _, host, board = ends
    board.setblocking(False)
    os.set_blocking(host, False)
    sink, source = (host, board.fileno()) if direction == "to host" else (board.fileno(), host)
    data, sent = random.Random(7).randbytes(4_000_000), 0
    while select.select([], [source], [], 0.3)[1]:  # 0.3 s without room: held back
        sent += os.write(source, data[sent : sent + 4096])
        assert sent < len(data), "an unbounded buffer"
    assert receive(sink, sent, 8) == data[:sent]


def test_bytes_sent_before_anybody_opens_the_pty_are_kept():
    ours, theirs = socket.socketpair()
    bridge = PtyBridge(theirs)
    ours.sendall(b"early")
    host = os.open(bridge.path, os.O_RDWR | os.O_NOCTTY)
    assert receive(host, 5, 1) == b"early"
    os.close(host)
    ours.sendall(b"between two users")
    host = os.open(bridge.path, os.O_RDWR | os.O_NOCTTY)
    assert receive(host, 17, 1) == b"between two users"
    os.close(host)
    bridge.stop()
    ours.close()


def test_every_byte_value_passes_unchanged(ends):
    _, host, board = ends
    every = bytes(range(256))
    os.write(host, every)
    assert receive(board.fileno(), 256, 1) == every
    board.sendall(every)
    assert receive(host, 256, 1) == every


def test_a_dead_emulator_leaves_the_pty_open_and_the_host_idle(ends):
    bridge, host, board = ends
    board.sendall(b"last words")
    board.close()
    assert receive(host, 10, 1) == b"last words"
    os.write(host, b"anybody?")
    assert bridge._thread.is_alive()
