"""Every byte of the links of one measurement, as text for people."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

from hilbench.board.tap import Way

TAIL_LINES = 40  # that a failure shows
MOST_BYTES = 256 * 1024  # of each board; older ones are dropped and counted
_BYTES_A_LINE = 32
_TOGETHER_S = 0.002  # emulators deliver single bytes


class ByteLog:
    """A listener of :func:`hilbench.board.tap.tap`; each board has a thread of its own.

    Args:
        most_bytes: kept of each board.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._boards: dict[str, _BoardLog] = {}
        self._began_s = time.monotonic()

    def __call__(self, board: str, way: Way, data: bytes) -> None:
        """Keep some bytes."""
        log = self._boards.setdefault(board, _BoardLog())
        now_s = time.monotonic() - self._began_s
        if log.chunks and log.chunks[-1][1] == way and now_s - log.chunks[-1][0] < _TOGETHER_S:
            at_s, _, before = log.chunks.pop()
            log.chunks.append((at_s, way, before + data))
        else:
            log.chunks.append((now_s, way, data))
        log.kept += len(data)
        while log.kept > self._most_bytes and len(log.chunks) > 1:
            dropped = len(log.chunks.popleft()[2])
            log.kept -= dropped
            log.dropped += dropped

    def boards(self) -> list[str]:
        """Return the boards that said or heard something."""
        return list(self._boards)

    def lines(self, board: str) -> list[str]:
        """Return seconds, direction (> to the board, < from it) and hex bytes, oldest first."""
        log = self._boards.get(board)
        if log is None:
            return []
        lines = [f"# {log.dropped:,} older bytes were not kept"] if log.dropped else []
        for at_s, way, data in log.chunks:
            for start in range(0, len(data), _BYTES_A_LINE):
                part = data[start : start + _BYTES_A_LINE]
                lines.append(f"{at_s:11.6f} {way} {part.hex(' ')}")
        return lines


def section(file: Path, board: str, *, tail: bool) -> tuple[str, str]:
    """Return title and text of what a failure shows: the last lines, or only where they are."""
    lines = file.read_text().splitlines()
    if not tail:
        return f"link of board {board}", f"{len(lines)} lines in {file}"
    shown = lines[-TAIL_LINES:]
    title = f"link of board {board}: last {len(shown)} of {len(lines)} lines of {file}"
    return title, "\n".join(shown)


class _BoardLog:
    def __init__(self) -> None:
        self.chunks: deque[tuple[float, Way, bytes]] = deque()
        self.kept = self.dropped = 0  # bytes
