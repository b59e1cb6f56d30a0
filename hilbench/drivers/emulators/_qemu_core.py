"""Who speaks to QEMU's gdbstub, which takes one client at a time: the driver, or also a debugger."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Protocol

from hilbench.drivers.emulators._deadline import Deadline
from hilbench.drivers.emulators._qmp import QmpClient
from hilbench.drivers.emulators._rsp import RspClient
from hilbench.errors import LinkError

_WHO = "QEMU's gdb server"


class QemuCore(Protocol):
    """The way to the core: QEMU inherits ``theirs`` as the chardev of its gdbstub."""

    theirs: socket.socket
    chardev: str  # options of that chardev besides its fd
    address: str | None  # host:port for gdb

    def session(self, deadline: Deadline) -> contextlib.AbstractContextManager[RspClient]:
        """Return a session; the core goes on afterwards if it ran before or was resumed in it."""

    def is_running(self, deadline: Deadline) -> bool:
        """Return whether the core executes."""

    def close(self) -> None:
        """Close our end."""


class OwnSession:
    """One session for as long as QEMU runs."""

    chardev = ""
    address: str | None = None

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self.rsp = RspClient(self._ours)
        self._connected = False

    @contextlib.contextmanager
    def session(self, deadline: Deadline) -> Iterator[RspClient]:
        """Lend the session."""
        if not self._connected:
            self.rsp.connect(deadline)
            self._connected = True
        yield self.rsp

    def is_running(self, deadline: Deadline) -> bool:  # noqa: ARG002 - asks nobody
        """Return whether the core was resumed."""
        return self.rsp.running

    def close(self) -> None:
        """Close our end."""
        self._ours.close()


class GdbServer:
    """A TCP port on the loopback, which the driver leaves to gdb between its own sessions.

    QEMU inherits the listening socket: the port is known before QEMU runs, and is nobody else's.
    """

    chardev = ",server=on,wait=off,nodelay=on"

    def __init__(self, qmp: QmpClient) -> None:
        self._qmp = qmp
        self.theirs = socket.create_server(("127.0.0.1", 0))
        self._where = self.theirs.getsockname()
        self.address: str | None = f"{self._where[0]}:{self._where[1]}"

    @contextlib.contextmanager
    def session(self, deadline: Deadline) -> Iterator[RspClient]:
        """Connect, which stops the core, and let go.

        Raises:
            LinkError: refused or silent, as while gdb is connected.
        """
        was_running = self._qmp.is_running(deadline)
        try:
            sock = socket.create_connection(self._where, deadline.timeout_s)
        except OSError as error:
            raise LinkError(f"{_WHO} at {self.address} refuses the connection ({error})") from error
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            rsp = RspClient(sock)
            rsp.connect(deadline)
            try:
                yield rsp
            finally:
                goes_on = was_running or rsp.running
                rsp.halt(deadline)
                if goes_on:
                    rsp.detach(deadline)

    def is_running(self, deadline: Deadline) -> bool:
        """Ask QEMU, because gdb stops and resumes the core as well."""
        return self._qmp.is_running(deadline)

    def close(self) -> None:
        """Have nothing to close: every session closed its own."""
