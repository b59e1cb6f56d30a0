"""Instruments behind a PTY: ppk2lab's simulator, and one that does as a test says."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty

from ppk2lab.transport.mock import SimulatedPPK2

from tests.drivers.power.ppk2 import unit

CALIBRATION = unit.METADATA.encode()


class OnPty:
    """Serves one end of a PTY in a thread, until the end of the ``with`` block."""

    def __init__(self):
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.address = os.ttyname(self.slave)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join(5)
        for fd in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(fd)

    def _serve(self):
        rest = b""
        with contextlib.suppress(OSError):  # unplugged
            while not self._ending.is_set():
                readable, _, _ = select.select([self.master], [], [], 0.001)
                if readable:
                    self.hear(os.read(self.master, 4096))
                rest += self.say() if len(rest) < 4096 else b""
                with contextlib.suppress(BlockingIOError):
                    rest = rest[os.write(self.master, rest) :] if rest else rest

    def unplug(self):
        os.close(self.slave)
        os.close(self.master)

    def hear(self, data):
        raise NotImplementedError

    def say(self):
        raise NotImplementedError


class Simulated(OnPty):
    """ppk2lab's simulator at its own pace of 100 kS/s."""

    def __init__(self, **options):
        super().__init__()
        self.device = SimulatedPPK2(rate_limit_hz=100_000.0, **options)

    def hear(self, data):
        self.device.handle_write(data)

    def say(self):
        return self.device.read(4096 * 4, 0.0)


class Scripted(OnPty):
    """Answers the calibration with ``reply`` and streams the same word while it is told to."""

    def __init__(self, reply=CALIBRATION, streaming=False, deaf=False):
        super().__init__()
        self.reply, self.streaming, self.deaf = reply, streaming, deaf
        self.heard = bytearray()
        self.count = 0
        self._out = b""
        self._begun_s = time.monotonic()

    def hear(self, data):
        self.heard += data
        for command in data:
            if command == 0x06:
                self.streaming, self._begun_s, self.count = True, time.monotonic(), 0
            if command == 0x07 and not self.deaf:
                self.streaming = False
            if command == 0x19:
                self._out += self.reply

    def say(self):
        out, self._out = self._out, b""
        if not self.streaming:
            return out
        due = min(2000, int((time.monotonic() - self._begun_s) * 1e5) - self.count)
        out += unit.words([2] * due, [1234] * due, 1, self.count).tobytes()
        self.count += due
        return out
