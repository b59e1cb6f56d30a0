"""The marker edges that feed an emulated meter: from a growing file, or a square wave."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from hilbench.drivers.emulated_meters._current import Change
from hilbench.errors import MeterError

_LINE = re.compile(rb"(?P<ns>\d+) (?P<level>[01])(?P<idle> idle)?")
_READ_BYTES = 1 << 20
_ABSENT = {errno.ENOENT, errno.ENXIO}  # ENXIO: a socket has the descriptor of a file that was


class EdgesFile:
    """An append-only text file, each line "<CLOCK_MONOTONIC ns> <0|1>[ idle]".

    ``idle`` on a line that raises or keeps the marker up says that the board sleeps from then on:
    the marker alone does not tell a marked idle stretch from work. A line without a change is none.
    """

    def __init__(self, path: Path, epoch_ns: int) -> None:
        self._path = path
        self._epoch_ns = epoch_ns
        self._fd = -1
        self._rest = b""
        self._lines = 0
        self._last_ns = 0
        self._marker = False
        self._idle = False

    def read(self, now_s: float) -> list[Change]:  # noqa: ARG002 - a file has its own times
        """Return what was written since the last call; the file may not exist yet.

        Raises:
            MeterError: a line that is none, or goes back in time.
        """
        if self._fd < 0:
            try:
                fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                return []
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                os.close(fd)  # a board that has ended: its descriptor is something else's now
                return []
            self._fd = fd
        changes: list[Change] = []
        while data := os.read(self._fd, _READ_BYTES):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                changes += self._changes(line)
        return changes

    def _changes(self, line: bytes) -> list[Change]:
        self._lines += 1
        found = _LINE.fullmatch(line)
        if found is None:
            raise MeterError(
                f"{self._path} line {self._lines}: {line.decode(errors='replace')!r} is no marker "
                'edge; write "<CLOCK_MONOTONIC ns> <0|1>[ idle]"'
            )
        ns, marker, idle = int(found["ns"]), found["level"] == b"1", found["idle"] is not None
        if ns < self._last_ns:
            raise MeterError(
                f"{self._path} line {self._lines}: time goes back by {self._last_ns - ns} ns; "
                "write edges in the order of their times"
            )
        self._last_ns = ns
        t_s = (ns - self._epoch_ns) * 1e-9
        changes = []
        if marker != self._marker:
            changes.append(Change(t_s, "marker", marker))
            self._idle = False
        self._marker = marker
        if marker and idle and not self._idle:
            changes.append(Change(t_s, "idle", 1))
            self._idle = True
        return changes


class SquareWave:
    """Marker windows of constant length and distance, for an emulated meter without a board."""

    def __init__(self, period_s: float, high_s: float) -> None:
        self._period_s = period_s
        self._high_s = high_s
        self._windows = 0

    def read(self, now_s: float) -> list[Change]:
        """Return the edges of the windows that begin until one period from now."""
        changes: list[Change] = []
        while (rise := self._windows * self._period_s) <= now_s + self._period_s:
            changes.append(Change(rise, "marker", 1))
            changes.append(Change(rise + self._high_s, "marker", 0))
            self._windows += 1
        return changes
