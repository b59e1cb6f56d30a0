"""A PTY that outlives what happens behind it: the virtual USB-UART of an emulated board."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import socket
import threading
import tty

_BUFFER_BYTES = 16384
_READ_BYTES = 4096


class PtyBridge:
    """Carries bytes between a PTY and a connected stream socket, both ways, losing none.

    Each direction has a bounded buffer; when it is full the side that fills it is no longer read,
    so the kernel holds that side back. Nothing is ever dropped, also while nobody reads the PTY.
    """

    def __init__(self, backend: socket.socket) -> None:
        self._backend = backend
        backend.setblocking(False)
        # The slave stays open here: without it the master reports a hang-up between two users.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._wake_read, self._wake_write = os.pipe()
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, name=f"bridge {self.path}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the PTY; may be called twice."""
        if self._stopped:
            return
        self._stopped = True
        os.write(self._wake_write, b"x")
        self._thread.join()
        for fd in (self._master, self._slave, self._wake_read, self._wake_write):
            os.close(fd)
        self._backend.close()

    def _serve(self) -> None:
        master, backend = self._master, self._backend.fileno()
        to_board, to_host = bytearray(), bytearray()
        backend_open = True
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        while not self._stopped:
            poll.register(master, _interest(fill=to_board, drain=to_host))
            if backend_open:
                poll.register(backend, _interest(fill=to_host, drain=to_board))
            events = dict(poll.poll())
            at_master, at_backend = events.get(master, 0), events.get(backend, 0)
            if at_master & select.POLLIN:
                with contextlib.suppress(BlockingIOError):
                    to_board += os.read(master, _READ_BYTES)
            if at_master & select.POLLOUT:
                with contextlib.suppress(BlockingIOError):
                    del to_host[: os.write(master, to_host)]
            try:
                # A hang-up without POLLIN would be reported for ever: read it to see the end.
                if at_backend & (select.POLLIN | select.POLLHUP | select.POLLERR):
                    data = os.read(backend, _READ_BYTES)
                    backend_open = bool(data)
                    to_host += data
                if backend_open and at_backend & select.POLLOUT:
                    del to_board[: os.write(backend, to_board)]
            except BlockingIOError:
                pass
            except OSError:  # the emulator has died; check_alive() tells
                backend_open = False
            if not backend_open and at_backend:
                poll.unregister(backend)


def _interest(*, fill: bytearray, drain: bytearray) -> int:
    """Poll for reading while ``fill`` has room, for writing while ``drain`` has bytes."""
    return (select.POLLIN if len(fill) < _BUFFER_BYTES else 0) | (select.POLLOUT if drain else 0)
