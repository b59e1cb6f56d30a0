"""The instrument's end of a pseudo-terminal: a bounded FIFO that drops what nobody reads."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pty
import struct
import tty

_READ_BYTES = 4096
_IN_CLOSE_WRITE, _IN_CLOSE_NOWRITE, _IN_OPEN = 0x08, 0x10, 0x20  # inotify(7)
_EVENT = struct.Struct("iIII")


class Pty:
    """A PTY whose client may come, go and be slow."""

    def __init__(self, fifo_bytes: int) -> None:
        # The slave stays open here: without it the master reports a hang-up between two clients.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.address = os.ttyname(self._slave)
        self.open = True
        self._fifo = bytearray()
        self._fifo_bytes = fifo_bytes
        self._watch = _watch(self.address)
        self.clients = 0

    @property
    def master(self) -> int:
        """File descriptor to poll; -1 after unplug()."""
        return self._master

    @property
    def watch(self) -> int:
        """File descriptor that is readable when a client opened or closed the PTY."""
        return self._watch

    @property
    def pending(self) -> int:
        """Bytes that the client has not taken yet, but for the kernel's few."""
        return len(self._fifo)

    def reply(self, data: bytes) -> None:
        """Queue an answer; answers are never dropped."""
        self._fifo += data
        self.flush()

    def offer(self, data: bytes, unit: int) -> int:
        """Queue as many whole units as there is room for; return the number of bytes taken."""
        room = max(0, self._fifo_bytes - len(self._fifo))
        taken = min(len(data), room - room % unit)
        self._fifo += data[:taken]
        self.flush()
        return taken

    def flush(self) -> None:
        """Write what the kernel takes now."""
        while self._fifo and self.open:
            try:
                del self._fifo[: os.write(self._master, self._fifo)]
            except BlockingIOError:
                return

    def read(self) -> bytes:
        """Return what the client has sent; b"" if nothing."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self._master, _READ_BYTES)
        return b""

    def count_clients(self) -> None:
        """Bring ``clients`` up to date after ``watch`` became readable."""
        with contextlib.suppress(BlockingIOError):
            events = os.read(self._watch, _READ_BYTES)
            for _, mask, _, _ in _EVENT.iter_unpack(events):  # of a file: no name follows
                self.clients += bool(mask & _IN_OPEN)
                self.clients -= bool(mask & (_IN_CLOSE_WRITE | _IN_CLOSE_NOWRITE))

    def unplug(self) -> None:
        """Close both ends: the client gets an I/O error; may be called twice."""
        if self.open:
            self.open = False
            self._fifo.clear()
            os.close(self._master)
            os.close(self._slave)
            self._master = -1


def _watch(path: str) -> int:
    """Return an inotify descriptor for openings and closings of a file."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    mask = _IN_OPEN | _IN_CLOSE_WRITE | _IN_CLOSE_NOWRITE
    if fd < 0 or libc.inotify_add_watch(fd, path.encode(), mask) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot watch {path}: {os.strerror(code)}")
    return fd
