"""The native board: the firmware's posix port as a host process behind a PTY.

Its clock is the host's, so its numbers depend on the host and are labelled ``host``.
"""

from __future__ import annotations

import contextlib
import os
import platform
import pty
import time
import tty

from hilbench.drivers.emulators._host_edges import HostEdges
from hilbench.drivers.emulators._process import EmulatorProcess, find_tool, missing
from hilbench.drivers.emulators._segments import image_bytes
from hilbench.errors import BoardError, ConfigError, LinkError
from hilbench.records import BoardConfig, Edge, Image, TimeBase


class NativeBoard:
    """A PTY, and behind it one process after the other. One thread at a time, but for stop()."""

    time_base: TimeBase = "host"
    has_probe = False
    probe_address: str | None = None

    def __init__(self, config: BoardConfig) -> None:
        self._arguments = _arguments(config)
        find_tool("setpriv", "util-linux", "native boards")
        self._config = config
        self._process: EmulatorProcess | None = None
        self._program: int | None = None
        self._started_ns = time.monotonic_ns()
        self._edges = HostEdges()
        self.edges_path: str | None = self._edges.path
        # Both ends stay open here, so that the PTY and its path outlive every process.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.link_address = os.ttyname(self._slave)
        self.emulator = f"host process on {platform.machine()}"

    def units_per_tick(self, counter_hz: int) -> float:
        """Return microseconds per tick."""
        return 1e6 / counter_hz

    def flash(self, image: Image) -> None:
        """Start the image as a process, after ending the one before.

        Raises:
            FlashError: the image is for another port, gone, or changed since it was found.
        """
        data = image_bytes(self._config.id, self._config.firmware, image)
        # A copy in memory: what was hashed is what runs, also after a rebuild, and a wheel's file
        # needs no execute permission.
        program = os.memfd_create("hilbench-native")
        with contextlib.closing(os.fdopen(os.dup(program), "wb")) as copy:
            copy.write(data)
        self._end()
        if self._program is not None:
            os.close(self._program)
        self._program = program
        self._begin()

    def reset(self) -> None:
        """End the process and start the same image again.

        Raises:
            BoardError: nothing was flashed yet.
        """
        if self._program is None:
            raise BoardError(f"board {self._config.id}: reset before flash; flash an image first")
        self._end()
        self._begin()

    def write_memory(self, address: int, data: bytes) -> None:
        """Raise LinkError: a process has no debug probe."""
        raise LinkError(
            f"board {self._config.id}: no debug probe to write {len(data)} bytes at 0x{address:x}; "
            "load models over the link"
        )

    def marker_edges(self) -> tuple[Edge, ...]:
        """Return all edges of the marker since start, in host time; stay readable after stop().

        A pulse is longer than the ticks in it by what telling its rise takes (1 to 2 us).
        """
        return self._edges.read(self._started_ns)

    def check_alive(self) -> None:
        """Raise BoardError with exit status and last words when the process has died."""
        if self._process is not None:
            self._process.check_alive()

    def stop(self) -> None:
        """Kill the process and close the PTY; may be called twice."""
        self._end()
        self._edges.close()
        for fd in (self._master, self._slave, self._program):
            if fd is not None and fd >= 0:
                os.close(fd)
        self._master = self._slave = self._program = -1

    def _begin(self) -> None:
        assert self._program is not None
        self._process = EmulatorProcess(
            self._config.id,
            [
                *(f"/proc/self/fd/{self._program}", "--fd", str(self._master)),
                *("--marker-fd", str(self._edges.fd), *self._arguments),
            ],
            [self._program, self._master, self._edges.fd],
        )

    def _end(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._edges.lower(time.monotonic_ns())


def start(board: BoardConfig, timeout_s: float) -> NativeBoard:  # noqa: ARG001 - nothing to wait for
    """Open the PTY of a native board; flash() starts the process.

    Raises:
        ToolMissingError: util-linux is not installed.
        ConfigError: an emulator argument that does not exist or is not a number.
    """
    return NativeBoard(board)


def _arguments(config: BoardConfig) -> list[str]:
    arguments = dict(config.emulator_args)
    pool_bytes = arguments.pop("pool_bytes", None)
    if arguments:
        raise ConfigError(
            f"board {config.id}: the native emulator has no argument {next(iter(arguments))!r}; "
            "known: pool_bytes"
        )
    if pool_bytes is None:
        return []
    if not pool_bytes.isdecimal():
        raise ConfigError(
            f"board {config.id}: pool_bytes = {pool_bytes!r} is not a number of bytes"
        )
    return ["--pool-bytes", pool_bytes]


def missing_tool() -> str:
    """Return what is not installed and the line that adds it; "" when nothing is missing."""
    return missing("setpriv", "util-linux", "native boards")
