"""A link that damages what passes, reproducibly from a seed.

Faults happen at positions of the byte stream, not at moments or reads, so the same bytes get the
same damage however the operating system cuts them.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields

from hilbench.interfaces import Link

_MOST_DROPPED_BYTES = 16
_MOST_INSERTED_BYTES = 8


@dataclass(frozen=True)
class FaultRates:
    """Faults per byte, in each direction.

    ``drop``: 1 to 16 bytes vanish. ``flip``: one bit. ``repeat``: a whole packet comes twice.
    ``truncate``: the rest of a packet vanishes. ``insert``: 1 to 8 random bytes. ``delay``: what
    follows waits ``delay_s`` at most. ``split``: what follows comes in another read. ``stall``:
    what follows waits ``stall_s``.
    """

    drop: float = 0.0
    flip: float = 0.0
    repeat: float = 0.0
    truncate: float = 0.0
    insert: float = 0.0
    delay: float = 0.0
    split: float = 0.0
    stall: float = 0.0

    @classmethod
    def all(cls, rate: float) -> FaultRates:
        """Return the same rate for every kind."""
        return cls(**{f.name: rate for f in fields(cls)})


class FaultyStream:
    """One direction: bytes in; pieces out, each with the pause in seconds before it.

    Attributes:
        faults: how many of each kind were done.
    """

    def __init__(self, seed: str, rates: FaultRates, delay_s: float, stall_s: float) -> None:
        self._random = random.Random(seed)  # noqa: S311 - faults are no secret
        self._kinds = [f.name for f in fields(rates)]
        self._weights = [getattr(rates, kind) for kind in self._kinds]
        self._rate = sum(self._weights)
        self._delay_s, self._stall_s = delay_s, stall_s
        self.faults = dict.fromkeys(self._kinds, 0)
        self._swallow = 0  # bytes still to drop
        self._truncating = False
        self._repeating = False
        self._packet = bytearray()  # since the last delimiter
        self._gap = self._next_gap()

    def _next_gap(self) -> int:
        return int(self._random.expovariate(self._rate)) if self._rate else -1

    def feed(self, data: bytes) -> list[tuple[float, bytes]]:
        """Return what comes out for these bytes."""
        pieces: list[tuple[float, bytes]] = []
        out = bytearray()
        pause_s = 0.0
        at = 0
        while self._rate and self._gap < len(data) - at:
            out += self._pass(data[at : at + self._gap])
            at += self._gap
            kind = self._random.choices(self._kinds, self._weights)[0]
            self.faults[kind] += 1
            if kind in {"split", "delay", "stall"}:
                pieces.append((pause_s, bytes(out)))
                out.clear()
                pause_s = self._pause_s(kind)
                out += self._pass(data[at : at + 1])
            else:
                out += self._damage(kind, data[at])
            at += 1
            self._gap = self._next_gap()
        if self._rate:
            self._gap -= len(data) - at
        out += self._pass(data[at:])
        pieces.append((pause_s, bytes(out)))
        return [(s, piece) for s, piece in pieces if piece or s]

    def _pause_s(self, kind: str) -> float:
        if kind == "delay":
            return self._random.uniform(0.0, self._delay_s)
        return self._stall_s if kind == "stall" else 0.0

    def _damage(self, kind: str, byte: int) -> bytes:
        if kind == "flip":
            return self._pass(bytes([byte ^ 1 << self._random.randrange(8)]))
        if kind == "insert":
            extra = self._random.randbytes(self._random.randint(1, _MOST_INSERTED_BYTES))
            return self._pass(extra + bytes([byte]))
        if kind == "drop":
            self._swallow = self._random.randint(1, _MOST_DROPPED_BYTES)
        elif kind == "truncate":
            self._truncating = True
        else:
            self._repeating = True
        return self._pass(bytes([byte]))

    def _pass(self, data: bytes) -> bytes:
        """Apply what an earlier fault still does to these bytes."""
        if self._swallow:
            dropped = min(self._swallow, len(data))
            self._swallow -= dropped
            data = data[dropped:]
        if self._truncating:
            end = data.find(0)
            self._truncating = end < 0
            data = b"" if end < 0 else data[end:]
        _, delimiter, tail = data.rpartition(b"\0")
        if not delimiter:
            self._packet += data
            return data
        if not self._repeating:
            self._packet[:] = tail
            return data
        end = data.index(0, 0 if self._packet else min(1, len(data) - 1)) + 1
        packet = bytes(self._packet) + data[:end]
        self._repeating = False
        self._packet[:] = tail
        return data[:end] + packet + data[end:]


class FaultyLink:
    """Wrap a link; both directions are damaged.

    Args:
        link: the real one.
        seed: any integer.
        rates: to the board and back.
        delay_s: longest delay.
        stall_s: length of a stall.
        clock: seconds.

    Attributes:
        to_board, to_host: the streams, with their counts of faults.
    """

    def __init__(
        self,
        link: Link,
        seed: int,
        rates: FaultRates,
        *,
        delay_s: float = 0.001,
        stall_s: float = 0.01,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._clock = clock
        self.to_board = FaultyStream(f"{seed} to board", rates, delay_s, stall_s)
        self.to_host = FaultyStream(f"{seed} to host", rates, delay_s, stall_s)
        self._outgoing: deque[tuple[float, bytes]] = deque()  # (due, bytes)
        self._incoming: deque[tuple[float, bytes]] = deque()

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all bytes, or what the faults leave of them; delayed ones go out in ``read``."""
        self._queue(self._outgoing, self.to_board.feed(data))
        self._flush(timeout_s)

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived, waiting at most ``timeout_s`` for the first byte."""
        until_s = self._clock() + timeout_s
        while True:
            self._flush(1.0)
            now = self._clock()
            if self._incoming and self._incoming[0][0] <= now:
                if data := self._incoming.popleft()[1]:
                    return data
                continue
            due_s = [until_s, *(queue[0][0] for queue in (self._outgoing, self._incoming) if queue)]
            data = self._link.read(max(0.0, min(due_s) - now))
            if data:
                self._queue(self._incoming, self.to_host.feed(data))
            elif self._clock() >= until_s:
                return b""

    def close(self) -> None:
        """Close the real link; may be called twice."""
        self._link.close()

    def _queue(self, queue: deque[tuple[float, bytes]], pieces: list[tuple[float, bytes]]) -> None:
        due_s = max(self._clock(), queue[-1][0] if queue else 0.0)
        for pause_s, piece in pieces:
            due_s += pause_s
            queue.append((due_s, piece))

    def _flush(self, timeout_s: float) -> None:
        now = self._clock()
        while self._outgoing and self._outgoing[0][0] <= now:
            self._link.write(self._outgoing.popleft()[1], timeout_s)
