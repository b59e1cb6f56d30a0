"""A link at the pace of a real line: baud rate in both directions, a USB adapter's latency.

Real time, no threads: bytes move whenever the host reads or writes, which a host that waits for
answers always does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from hilbench.interfaces import Link

BITS_PER_BYTE = 10  # 8N1
_STEP_S = 0.0005  # bytes move in steps of this long, as an adapter's packets do


class PacedPipe:
    """One direction: when bytes that entered become visible at the other end.

    A byte leaves ``1 / bytes_per_s`` after the one before it and is seen ``latency_s`` later.
    """

    def __init__(self, bytes_per_s: float, latency_s: float) -> None:
        self.bytes_per_s, self.latency_s = bytes_per_s, latency_s
        self._queue: deque[tuple[float, memoryview]] = deque()  # (first byte starts, bytes)
        self._free_s = 0.0
        self.pending_bytes = 0

    def put(self, data: bytes, now: float) -> None:
        """Let bytes enter."""
        start_s = max(now, self._free_s)
        self._free_s = start_s + len(data) / self.bytes_per_s
        self._queue.append((start_s, memoryview(data)))
        self.pending_bytes += len(data)

    def take(self, now: float) -> bytes:
        """Return the bytes that are visible by now."""
        out = []
        while self._queue:
            start_s, data = self._queue[0]
            seen = int((now - self.latency_s - start_s) * self.bytes_per_s + 1e-6)
            if seen < len(data):
                if seen > 0:
                    out.append(bytes(data[:seen]))
                    self._queue[0] = (start_s + seen / self.bytes_per_s, data[seen:])
                break
            out.append(bytes(data))
            self._queue.popleft()
        taken = b"".join(out)
        self.pending_bytes -= len(taken)
        return taken

    def due_s(self, now: float) -> float | None:
        """Return when ``take`` is worth calling: a step of bytes, or the last ones, are visible."""
        if not self._queue:
            return None
        start_s, data = self._queue[0]
        byte_s = 1 / self.bytes_per_s
        first_s = start_s + byte_s + self.latency_s
        last_s = start_s + len(data) * byte_s + self.latency_s
        return min(last_s, max(first_s, now + _STEP_S))


class PacedLink:
    """Wrap a fast link (a PTY, an emulator) so that it behaves like a serial line.

    Args:
        link: the fast one.
        baud: 8N1, each direction on its own.
        usb_latency_s: each way.
        clock: seconds; must be the time that ``link.read`` waits in.

    Attributes:
        bytes_to_board, bytes_to_host: what has passed.
    """

    def __init__(
        self,
        link: Link,
        baud: int,
        usb_latency_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._clock = clock
        self._to_board = PacedPipe(baud / BITS_PER_BYTE, usb_latency_s)
        self._to_host = PacedPipe(baud / BITS_PER_BYTE, usb_latency_s)
        self.bytes_to_board = 0
        self.bytes_to_host = 0

    def write(self, data: bytes, timeout_s: float) -> None:
        """Accept all bytes; they pass while the host writes and reads."""
        self._to_board.put(data, self._clock())
        self._flush(timeout_s)

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived, waiting at most ``timeout_s`` for the first byte."""
        until_s = self._clock() + timeout_s
        while True:
            self._flush(1.0)
            now = self._clock()
            if data := self._to_host.take(now):
                self.bytes_to_host += len(data)
                return data
            if now > until_s:
                return b""
            due_s = [until_s, self._to_board.due_s(now), self._to_host.due_s(now)]
            wake_s = min(s for s in due_s if s is not None)
            if data := self._link.read(max(0.0, wake_s - now)):
                self._to_host.put(data, self._clock())

    def close(self) -> None:
        """Close the fast link; may be called twice."""
        self._link.close()

    def _flush(self, timeout_s: float) -> None:
        if data := self._to_board.take(self._clock()):
            self.bytes_to_board += len(data)
            self._link.write(data, timeout_s)
