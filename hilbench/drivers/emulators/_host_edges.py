"""The file of marker edges in host time, for programs that listen to a board while it runs."""

from __future__ import annotations

import fcntl
import os

NS_PER_S = 1e9


class HostEdges:
    """A file in memory to which whoever inherits ``fd`` appends its edges.

    A line is "<CLOCK_MONOTONIC ns> <0|1>".

    Attributes:
        fd: of the file; every write appends.
        path: under which other processes of this user open it; gone after ``close`` and with us.
    """

    def __init__(self) -> None:
        self.fd = os.memfd_create("hilbench-edges")
        fcntl.fcntl(self.fd, fcntl.F_SETFL, fcntl.fcntl(self.fd, fcntl.F_GETFL) | os.O_APPEND)
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"
        self._last = ""

    def read(self) -> list[tuple[int, bool]]:
        """Return the edges so far as (CLOCK_MONOTONIC ns, level), also after ``close``."""
        lines = (line.split() for line in self._text().splitlines(keepends=True) if "\n" in line)
        return [(int(ns), level == "1") for ns, level in lines]

    def lower(self, now_ns: int) -> None:
        """Let the pin fall, where its board went off with it high."""
        edges = self.read()
        if edges and edges[-1][1]:
            os.write(self.fd, b"%d 0\n" % now_ns)

    def close(self) -> None:
        """Keep what was written until now; may be called twice."""
        if self.fd >= 0:
            self._last = self._text()
            os.close(self.fd)
            self.fd = -1

    def _text(self) -> str:
        if self.fd < 0:
            return self._last
        return os.pread(self.fd, os.fstat(self.fd).st_size, 0).decode()
