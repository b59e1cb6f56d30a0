"""What each board is doing now, for people. Written by board threads, read by a display."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

Listener = Callable[["BoardProgress", "BoardProgress"], None]
"""Gets a board's line before and after a change."""


@dataclass(frozen=True)
class BoardProgress:
    """One board's line of the live display."""

    board: str
    state: str = "queued"
    variant: str = ""
    session: int = 0
    vectors_done: int = 0  # over all its cells and sessions
    vectors_total: int = 0
    started_s: float | None = None  # monotonic, first vector
    finished: bool = False
    error: str = ""

    def rate_per_s(self, now_s: float) -> float | None:
        """Vectors per second so far; None before the first."""
        if self.started_s is None or not self.vectors_done or now_s <= self.started_s:
            return None
        return self.vectors_done / (now_s - self.started_s)

    def eta_s(self, now_s: float) -> float | None:
        """Seconds to go at the rate so far; None while there is no rate."""
        rate = self.rate_per_s(now_s)
        return None if rate is None else (self.vectors_total - self.vectors_done) / rate


class Progress:
    """All boards' progress; ``listener`` hears every change but vector counts."""

    def __init__(self, listener: Listener | None = None) -> None:
        self._lock = threading.Lock()
        self._boards: dict[str, BoardProgress] = {}
        self._listener = listener

    def add(self, board: str, vectors_total: int) -> None:
        """Announce a board."""
        with self._lock:
            self._boards[board] = BoardProgress(board, vectors_total=vectors_total)

    def set(self, board: str, **changes: object) -> None:
        """Change fields of a board's line."""
        with self._lock:
            before = self._boards[board]
            after = replace(before, **changes)  # type: ignore[arg-type]
            self._boards[board] = after
        if self._listener is None:
            return
        try:
            self._listener(before, after)
        except BrokenPipeError:  # nobody reads any more; the measurement goes on
            self._listener = None

    def advance(self, board: str, vectors: int) -> None:
        """Count finished vectors; the clock starts with the first call, also one of 0 vectors."""
        with self._lock:
            line = self._boards[board]
            self._boards[board] = replace(
                line,
                vectors_done=line.vectors_done + vectors,
                started_s=line.started_s if line.started_s is not None else time.monotonic(),
            )

    def shorten(self, board: str, vectors: int) -> None:
        """Take vectors that will not run off a board's total."""
        with self._lock:
            line = self._boards[board]
            self._boards[board] = replace(line, vectors_total=line.vectors_total - vectors)

    def lines(self) -> list[BoardProgress]:
        """Return every board's line, in the order they were added."""
        with self._lock:
            return list(self._boards.values())
