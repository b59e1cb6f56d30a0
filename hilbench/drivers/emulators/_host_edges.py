"""The file of marker edges in host time, for programs that listen to a board while it runs."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace

from hilbench.records import Edge

NS_PER_S = 1e9


class HostEdges:
    """A file in memory to which whoever inherits ``fd`` appends its edges.

    A line is "<CLOCK_MONOTONIC ns> <0|1>", or "... 1 idle": still up, and the board sleeps from then on.

    Attributes:
        fd: of the file; every write appends.
        path: under which other processes of this user open it; gone after ``close`` and with us.
    """

    def __init__(self) -> None:
        self.fd = os.memfd_create("hilbench-edges")
        fcntl.fcntl(self.fd, fcntl.F_SETFL, fcntl.fcntl(self.fd, fcntl.F_GETFL) | os.O_APPEND)
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"
        self._last = ""

    def read(self, begin_ns: int) -> tuple[Edge, ...]:
        """Return the edges so far in seconds after ``begin_ns``, also after ``close``."""
        edges: list[Edge] = []
        for line in self._text().splitlines(keepends=True):
            if not line.endswith("\n"):
                break
            ns, level, *idle = line.split()
            if idle:
                edges[-1] = replace(edges[-1], asleep=True)
            else:
                edges.append(Edge((int(ns) - begin_ns) / NS_PER_S, level == "1"))
        return tuple(edges)

    def lower(self, now_ns: int) -> None:
        """Let the pin fall, where its board went off with it high."""
        edges = self.read(now_ns)
        if edges and edges[-1].high:
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
