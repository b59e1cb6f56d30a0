"""A board that exists as a file of marker edges, and a client that knows only bytes."""

from __future__ import annotations

import os
import select
import time
import tty

import numpy as np
import pytest

from hilbench.drivers.emulated_meters import ppk2
from hilbench.records import BoardConfig, CurrentModel, MeterConfig

DEADLINE_S = 30.0


def board(marker="D0", supply_v=3.3, **current):
    """A board that draws 5 mA, and 12 mA in marker windows, unless told otherwise."""
    model = CurrentModel(**({"idle_ma": 5.0, "active_ma": 12.0} | current))
    meter = MeterConfig("ppk2", emulator="ppk2", marker=marker)
    return BoardConfig("bench", "posix", meter=meter, supply_v=supply_v, current=model)


class Edges:
    """The edges file. Times are ms from the first use; future ones are written at once."""

    def __init__(self, path):
        self.path = path
        self.zero_ns = None
        path.touch()

    def zero(self, in_ms=100.0):
        self.zero_ns = time.monotonic_ns() + int(in_ms * 1e6)

    def window(self, rise_ms, fall_ms, idle=False):
        word = " idle" if idle else ""
        self.line(self.ns(rise_ms), f"1{word}")
        self.line(self.ns(fall_ms), "0")

    def ns(self, ms):
        if self.zero_ns is None:
            self.zero()
        return self.zero_ns + round(ms * 1e6)

    def line(self, ns, text):
        with self.path.open("a") as file:
            file.write(f"{ns} {text}\n")


class RawClient:
    """Bytes of a PPK2, taken apart without help."""

    def __init__(self, address):
        self.fd = os.open(address, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        self.rest = b""

    def send(self, *commands):
        os.write(self.fd, b"".join(map(bytes.fromhex, commands)))

    def bytes(self):
        """Return what has come, waiting for at least one byte."""
        ready, _, _ = select.select([self.fd], [], [], DEADLINE_S)
        assert ready, "nothing came"
        return os.read(self.fd, 65536)

    def words(self, count):
        """Return the next samples as they are sent."""
        data = bytearray(self.rest)
        while len(data) < 4 * count:
            data += self.bytes()
        self.rest = bytes(data[4 * count :])
        return np.frombuffer(bytes(data[: 4 * count]), "<u4")

    def text(self, end=b"END\n"):
        data = b""
        while not data.endswith(end):
            data += self.bytes()
        return data.decode()

    def quiet(self, still_s=0.3):
        """Return all that comes until nothing does."""
        data = bytearray()
        while select.select([self.fd], [], [], still_s)[0]:
            data += os.read(self.fd, 65536)
        return bytes(data)

    def close(self):
        os.close(self.fd)


def counters(words):
    return (words >> 18 & 63).astype(int)


def ranges(words):
    return (words >> 14 & 7).astype(int)


@pytest.fixture
def edges(tmp_path):
    return Edges(tmp_path / "edges.txt")


@pytest.fixture
def start(edges, request):
    """Start an emulated PPK2 that is stopped afterwards."""

    def start(config=None, *options, module=ppk2):
        meter = module.start(config or board(), str(edges.path), DEADLINE_S, options)
        request.addfinalizer(meter.stop)
        return meter

    return start


@pytest.fixture
def connect(request):
    """Open a PTY; closed afterwards."""

    def connect(meter):
        client = RawClient(meter.address)
        request.addfinalizer(client.close)
        return client

    return connect
