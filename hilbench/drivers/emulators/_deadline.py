"""One deadline for many reads and writes of one socket."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

from hilbench.errors import LinkError

_READ_BYTES = 65536


class Deadline:
    """A point in time that several waits share."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._end = time.monotonic() + timeout_s

    def receive(self, sock: socket.socket, who: str) -> bytes:
        """Return the next bytes of a socket, at least one.

        Raises:
            LinkError: closed by the other side, or nothing until the deadline.
        """
        with self._limited(sock, who):
            data = sock.recv(_READ_BYTES)
        if not data:
            raise LinkError(f"{who} has closed the connection")
        return data

    def send(self, sock: socket.socket, data: bytes, who: str) -> None:
        """Send all bytes.

        Raises:
            LinkError: closed by the other side, or not accepted until the deadline.
        """
        with self._limited(sock, who):
            sock.sendall(data)

    @contextlib.contextmanager
    def _limited(self, sock: socket.socket, who: str) -> Iterator[None]:
        # A timeout of 0 would make the socket non-blocking, which fails in another way.
        left = max(1e-6, self._end - time.monotonic())
        try:
            sock.settimeout(left)
            yield
        except TimeoutError:
            raise LinkError(
                f"{who} did not answer within {self.timeout_s:g} s; is the host overloaded?"
            ) from None
        except OSError as error:
            raise LinkError(f"{who} has closed the connection ({error})") from error
