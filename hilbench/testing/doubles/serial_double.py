"""What every serial bootloader double is: a PTY, a thread, an image of flash, and one fault."""

from __future__ import annotations

import contextlib
import enum
import fcntl
import os
import pty
import select
import threading
import tty
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

ERASED = 0xFF
_READ_BYTES = 65536


class Fault(enum.StrEnum):
    """What goes wrong on benches."""

    NONE = "none"
    ABSENT = "absent"  # the port is gone before the tool opens it
    BUSY = "busy"  # somebody else has locked the port
    WRONG_CHIP = "wrong chip"  # another chip answers
    DEAD_BOOTLOADER = "dead bootloader"  # the port is there, nobody answers
    DIES_MID_WRITE = "dies mid-write"  # falls silent; the port stays
    UNPLUGGED_MID_WRITE = "unplugged mid-write"  # the port hangs up
    REFUSES_WRITE = "refuses a write"  # the chip itself reports an error
    BIT_FLIP = "bit flip"  # one bit differs in what is stored
    SILENT_SUCCESS = "silent success"  # acknowledges, stores nothing


class DoubleClosedError(Exception):
    """Ends the thread."""


class SerialDouble(ABC):
    """A bootloader on a PTY.

    Attributes:
        address: path of the port.
        flash: what the chip's flash holds; read it after the tool has ended.
    """

    #: The write of an image, counted from 0, at which a fault strikes.
    FAULTY_WRITE = 1

    def __init__(self, flash_bytes: int, fault: Fault) -> None:
        self.fault = fault
        self.flash = bytearray([ERASED]) * flash_bytes
        self.writes = 0
        self._silent = fault is Fault.DEAD_BOOTLOADER
        self._pending = b""
        self._board_end, tool_end = pty.openpty()
        tty.setraw(tool_end)
        self.address = os.ttyname(tool_end)
        self._wake_read, self._wake_write = os.pipe()
        # An end that stays open keeps the PTY from hanging up between two openings by a tool.
        self._tool_ends = [tool_end]
        if fault is Fault.BUSY:
            locked = os.open(self.address, os.O_RDWR | os.O_NOCTTY)
            fcntl.flock(locked, fcntl.LOCK_EX)
            self._tool_ends.append(locked)
        if fault is Fault.ABSENT:
            self._unplug()
            self.address += "-absent"  # the number may soon be another PTY's
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the port away; may be called twice."""
        if self._thread.is_alive():
            os.write(self._wake_write, b"x")
            self._thread.join()
        self._unplug()
        for fd in (self._wake_read, self._wake_write):
            if fd >= 0:
                os.close(fd)
        self._wake_read = self._wake_write = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def _serve(self) -> None:
        """Answer for ever; ``_read`` ends it."""

    def _store(self, address: int, data: bytes) -> bool:
        """Write flash as the fault allows; False when the chip refuses."""
        strikes = self.writes == self.FAULTY_WRITE
        self.writes += 1
        if strikes and self.fault is Fault.UNPLUGGED_MID_WRITE:
            raise DoubleClosedError
        if strikes and self.fault is Fault.DIES_MID_WRITE:
            self._silent = True
        if self._silent or self.fault is Fault.SILENT_SUCCESS:
            return True
        if self.fault is Fault.REFUSES_WRITE and self.writes > self.FAULTY_WRITE:
            return False
        if self.fault is Fault.BIT_FLIP and self.writes > self.FAULTY_WRITE:
            data = bytes([data[0] ^ 1]) + data[1:]  # also when it is tried again
        self.flash[address : address + len(data)] = data
        return True

    def _read(self, count: int) -> bytes:
        while len(self._pending) < count:
            self._pending += self._receive()
        data, self._pending = self._pending[:count], self._pending[count:]
        return data

    def _receive(self) -> bytes:
        """Return the next bytes, at least one."""
        ready, _, _ = select.select([self._board_end, self._wake_read], [], [])
        if self._wake_read in ready:
            raise DoubleClosedError
        return os.read(self._board_end, _READ_BYTES)

    def _write(self, data: bytes) -> None:
        if not self._silent:
            os.write(self._board_end, data)

    def _run(self) -> None:
        if self.fault is Fault.ABSENT:
            return
        with contextlib.suppress(DoubleClosedError):
            self._serve()
        self._unplug()

    def _unplug(self) -> None:
        for fd in [*self._tool_ends, self._board_end]:
            if fd >= 0:
                os.close(fd)
        self._tool_ends, self._board_end = [], -1
