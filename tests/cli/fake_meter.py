"""A meter in this process: as many samples as are read, with a square wave on D1."""

from __future__ import annotations

import numpy as np

from hilbench.errors import MeterError
from hilbench.power import CaptureEnd, Chunk, MeterIdentity, MeterSpec, RangeSpec

RATE_HZ = 10_000.0
IDENTITY = MeterIdentity("fake", "F1", "0042", "2.1", "/dev/fake", True, "R0: 1\nEND\n")
SPEC = MeterSpec(
    RATE_HZ, 1e-4, (RangeSpec(1e-6, 0.1, 2e-6, 0.05),), ("D0", "D1"), "set", 0.01, "a test"
)
CHUNK = 400  # two periods
PERIOD, HIGH = 200, 50  # samples; the pin is high and the current 12 mA for HIGH of PERIOD


def chunk(start, n=CHUNK):
    phase = (np.arange(start, start + n) - 20) % PERIOD
    high = phase < HIGH
    return Chunk(
        start,
        np.where(high, 12e-3, 2e-3),
        3.3,
        (high * 2).astype(np.uint8),
        np.ones(n, bool),
        np.zeros(n, np.uint8),
    )


class FakeMeter:
    """Keeps a diary of what was asked of it; ``fault`` ends the stream at that sample."""

    def __init__(self, address="/dev/fake", fault=None):
        self.identity, self.spec = IDENTITY, SPEC
        self.diary = []
        self.fault = fault
        self.at = 0

    def configure(self, setup):
        self.diary.append(("configure", setup.supply_v, setup.supplies, setup.args))

    def set_supply(self, *, on):
        self.diary.append("on" if on else "off")

    def start(self):
        self.diary.append("start")

    def read(self, timeout_s):
        if self.fault is not None and self.at >= self.fault:
            raise MeterError("meter F1 at /dev/fake: unplugged after 1,000 samples; plug it in")
        taken = chunk(self.at)
        self.at += CHUNK
        return taken

    def stop(self):
        self.diary.append("stop")
        return None, CaptureEnd(self.at, 0, (), RATE_HZ, 1e-5)

    def close(self):
        self.diary.append("close")


class Driver:
    """Stands in for a module of drivers/power."""

    def __init__(self, meter=None, found=(), missing=None):
        self.meter = FakeMeter() if meter is None else meter
        self.found, self.missing = list(found), missing

    def find(self):
        if self.missing is not None:
            raise self.missing
        return self.found

    def open_meter(self, config, address, timeout_s):
        self.opened = (config, address, timeout_s)
        return self.meter
