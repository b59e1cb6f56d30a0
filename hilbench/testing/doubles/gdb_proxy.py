"""A gdb server with faults: a TCP port in front of a real one, which spoils memory writes.

Ref: GDB manual, appendix E "GDB Remote Serial Protocol".
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from hilbench.testing.doubles.serial_double import Fault

_PACKET = re.compile(rb"\$(M[0-9a-f]+,[0-9a-f]+:)([0-9a-f]+)#[0-9a-f]{2}", re.DOTALL)
_READ_BYTES = 65536
_FAULTY_WRITE = 1


class GdbProxy:
    """One client at a time, each with a connection of its own to the real server.

    Attributes:
        address: ``host:port`` for gdb.
    """

    def __init__(self, server: Path, fault: Fault = Fault.NONE) -> None:
        self._server, self.fault = server, fault
        self._listener = socket.create_server(("127.0.0.1", 0))
        host, port = self._listener.getsockname()
        self.address = f"{host}:{port}"
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="GdbProxy", daemon=True)
        if fault is Fault.ABSENT:
            self._listener.close()
        else:
            self._thread.start()

    def close(self) -> None:
        """Stop; may be called twice."""
        self._wake.close()
        if self._thread.ident is not None:
            self._thread.join()
        self._woken.close()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._woken], [], [])
            if self._woken in ready:
                return
            client, _ = self._listener.accept()
            with client, socket.socket(socket.AF_UNIX) as server:
                server.connect(str(self._server))
                with contextlib.suppress(ConnectionError):  # either may be killed at any moment
                    self._converse(client, server)

    def _converse(self, client: socket.socket, server: socket.socket) -> None:
        pending, self._writes = b"", 0
        while True:
            ready, _, _ = select.select([client, server, self._woken], [], [])
            if self._woken in ready:
                return
            if server in ready:
                if not (data := server.recv(_READ_BYTES)):
                    return
                if self.fault is not Fault.DEAD_BOOTLOADER:
                    client.sendall(data)
            if client in ready:
                if not (data := client.recv(_READ_BYTES)):
                    return
                items, pending = _split(pending + data)
                if not all(self._forward(item, client, server) for item in items):
                    return

    def _forward(self, item: bytes, client: socket.socket, server: socket.socket) -> bool:
        """Pass one packet or acknowledgement on; False hangs up."""
        write = _PACKET.fullmatch(item)
        if write is None:
            server.sendall(item)
            return True
        self._writes += 1
        strikes = self._writes > _FAULTY_WRITE
        if strikes and self.fault is Fault.UNPLUGGED_MID_WRITE:
            return False
        if strikes and self.fault is Fault.DIES_MID_WRITE:
            return True  # no answer will come
        if strikes and self.fault is Fault.REFUSES_WRITE:
            client.sendall(b"+" + _packet(b"E22"))
        elif self.fault is Fault.SILENT_SUCCESS:
            client.sendall(b"+" + _packet(b"OK"))
        elif strikes and self.fault is Fault.BIT_FLIP:
            data = bytearray.fromhex(write[2].decode())
            data[0] ^= 1
            server.sendall(_packet(write[1] + data.hex().encode()))
        else:
            server.sendall(item)
        return True


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole packets and single bytes (acknowledgements, Ctrl-C), and the rest."""
    items = []
    while data:
        length = 1
        if data[:1] == b"$":
            mark = data.find(b"#")
            length = mark + 3
            if mark < 0 or len(data) < length:
                break
        items.append(data[:length])
        data = data[length:]
    return items, data


def _packet(payload: bytes) -> bytes:
    return b"$" + payload + b"#%02x" % (sum(payload) & 0xFF)
