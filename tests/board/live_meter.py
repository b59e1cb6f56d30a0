"""A meter in this process that delivers by the host's clock, late if told so, until it fails."""

from __future__ import annotations

import threading
import time

import numpy as np

from hilbench.errors import MeterError
from hilbench.power import CaptureEnd, Chunk, MeterIdentity, MeterSetup, MeterSpec, RangeSpec

RATE_HZ = 10_000.0
IDENTITY = MeterIdentity("live", "L1", "0042", "2.1", "/dev/live", True, "")
SPEC = MeterSpec(RATE_HZ, 1e-4, (RangeSpec(1e-6, 0.1, 2e-6, 0.05),), ("D0",), "set", 0.01, "a test")
SETUP = MeterSetup(3.3, supplies=True)
UNPLUGGED = "meter L1 at /dev/live: unplugged after 500 samples; plug it in"
_TICK_S = 0.002


class LiveMeter:
    """A sample has ``current_a`` while the supply is on, 0 while it is off.

    Args:
        current_a: what the board draws.
        latency_s: between a sample and its delivery.
        ends_at: sample before which the stream ends.
        unplugged: it ends in an error, not in silence; from then on everything but close() fails.
        lost: first and last sample + 1 of those that are lost.
        refuses: operation -> error.
    """

    def __init__(
        self,
        *,
        current_a=5e-3,
        latency_s=0.0,
        ends_at=None,
        unplugged=False,
        lost=(0, 0),
        refuses=None,
        supplied=False,
        voltage_v=3.3,
    ):
        self.identity, self.spec = IDENTITY, SPEC
        self.diary = []
        self.current_a, self.latency_s, self.voltage_v = current_a, latency_s, voltage_v
        self.ends_at, self.unplugged, self.lost = ends_at, unplugged, lost
        self.refuses = refuses or {}
        self.on = supplied
        self.capturing = self.gone = False
        self.at = 0
        self.never = threading.Event()  # nobody sets it: to wait for

    def configure(self, setup):
        self._do("configure")

    def set_supply(self, *, on):
        self._do("on" if on else "off")
        self.on = on

    def start(self):
        self._do("start")
        assert not self.capturing
        self.capturing, self.at, self.began_s = True, 0, time.monotonic()

    def read(self, timeout_s):
        assert self.capturing
        until_s = time.monotonic() + timeout_s
        while (chunk := self._due()) is None and time.monotonic() < until_s:
            self.never.wait(_TICK_S)
        return chunk

    def stop(self):
        self.capturing = False
        self._do("stop")
        last = self._due()
        lost = max(0, min(self.lost[1], self.at) - min(self.lost[0], self.at))
        return last, CaptureEnd(self.at - lost, lost, (), RATE_HZ, 1e-5)

    def close(self):
        self.diary.append("close")
        self.on = False

    def _do(self, what):
        self.diary.append(what)
        if self.gone:
            raise MeterError(UNPLUGGED)
        if what in self.refuses:
            raise self.refuses[what]

    def _due(self):
        end = int((time.monotonic() - self.began_s - self.latency_s) * RATE_HZ)
        if self.ends_at is not None and end >= self.ends_at:
            end = self.ends_at
            if self.at == end and self.unplugged:
                self.gone = True
                raise MeterError(UNPLUGGED)
        if end <= self.at:
            return None
        n, start, self.at = end - self.at, self.at, end
        index = np.arange(start, end)
        valid = (index < self.lost[0]) | (index >= self.lost[1])
        current = np.where(valid, self.current_a if self.on else 0.0, np.nan)
        voltage = self.voltage_v
        if not isinstance(voltage, float):
            voltage = np.where(valid, voltage[0], np.nan)
        none = np.zeros(n, np.uint8)
        return Chunk(start, current, voltage, none, valid, none)
