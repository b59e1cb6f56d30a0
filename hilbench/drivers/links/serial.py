"""Serial ports, PTYs and pyserial URLs (``socket://``, ``rfc2217://``).

Ref: https://pyserial.readthedocs.io/en/latest/url_handlers.html. Where the port has a file
descriptor, bytes go through it directly: pyserial's own loops cost more than a packet at 2 Mbaud.
"""

from __future__ import annotations

import os
import select
import time

import serial

from hilbench.drivers.links._identity import identity
from hilbench.drivers.links._kits import (
    Proposal,
    board_ports,
    proposals,
    propose,
    toml_key,
    toml_string,
)
from hilbench.drivers.links._ports import (
    describe_match,
    describe_port,
    find_path,
    find_ports,
    is_instrument,
    list_ports,
    resolve,
)
from hilbench.errors import BoardBusyError, LinkError

__all__ = [
    "DescriptorLink",
    "PolledLink",
    "Proposal",
    "board_ports",
    "describe_match",
    "describe_port",
    "find_path",
    "find_ports",
    "identity",
    "is_instrument",
    "list_ports",
    "open_link",
    "proposals",
    "propose",
    "resolve",
    "toml_key",
    "toml_string",
]

_CHUNK_BYTES = 65536
_POLL_S = 0.02  # ports without a file descriptor


def open_link(address: str, baud: int) -> DescriptorLink | PolledLink:
    """Open a port for this process alone.

    Args:
        address: device path, PTY path or pyserial URL.
        baud: bits per second, 8N1; a PTY ignores it.

    Raises:
        BoardBusyError: another process holds the port.
        LinkError: the port cannot be opened, or is an instrument.
    """
    is_url = "://" in address
    if (instrument := is_instrument(address)) is not None:
        raise LinkError(
            f"port {address} is a {instrument}, an instrument: it is never flashed or streamed to; "
            f"correct 'serial' in boards.toml"
        )
    try:
        port = serial.serial_for_url(
            address,
            baudrate=baud,
            timeout=0 if not is_url else _POLL_S,
            exclusive=None if is_url else True,
        )
    except (serial.SerialException, OSError, ValueError) as error:
        raise _open_error(address, error) from error
    try:
        descriptor = port.fileno()
    except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
        return PolledLink(port, address)
    os.set_blocking(descriptor, False)
    return DescriptorLink(port, address, descriptor)


def _open_error(address: str, error: Exception) -> LinkError | BoardBusyError:
    text = str(error)
    if "exclusively lock" in text:
        return BoardBusyError(
            f"port {address} is held by another process; close it (fuser -v {address} names it)"
        )
    if "Permission denied" in text:
        return LinkError(
            f"port {address} may not be opened by this user; "
            f"run: sudo usermod -aG dialout $USER, then log in again"
        )
    if "No such file" in text:
        return LinkError(
            f"port {address} does not exist; plug the board in or correct 'serial' in boards.toml"
        )
    return LinkError(f"port {address} cannot be opened: {text}; correct 'serial' in boards.toml")


class DescriptorLink:
    """A link over a non-blocking file descriptor."""

    def __init__(self, port: serial.SerialBase, address: str, descriptor: int) -> None:
        self._port, self._address, self._fd = port, address, descriptor
        self._pending = bytearray()
        self._open = True

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all bytes; meanwhile received bytes are kept, so that no side blocks the other.

        Raises:
            LinkError: closed, unplugged, or not accepted within ``timeout_s``.
        """
        self._check_open()
        deadline_s = time.monotonic() + timeout_s
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest[:_CHUNK_BYTES]) :]
                continue
            except BlockingIOError:
                pass
            except OSError as error:
                raise self._gone(error) from error
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise LinkError(
                    f"port {self._address} accepted {len(data) - len(rest)} of {len(data)} bytes "
                    f"within {timeout_s:g} s; is the board running and flow control off?"
                )
            readable, _, _ = select.select([self._fd], [self._fd], [], left_s)
            if readable:
                self._pending += self._take()

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived, waiting at most ``timeout_s`` for the first byte.

        Raises:
            LinkError: closed or unplugged.
        """
        self._check_open()
        wait_s = 0.0 if self._pending else max(0.0, timeout_s)
        if select.select([self._fd], [], [], wait_s)[0]:
            self._pending += self._take()
        data = bytes(self._pending)
        self._pending.clear()
        return data

    def _take(self) -> bytes:
        """Read what select() announced; nothing (VMIN is 0) then means the other side is gone."""
        try:
            data = os.read(self._fd, _CHUNK_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from error
        if not data:
            raise self._gone(None)
        return data

    def _gone(self, error: OSError | None) -> LinkError:
        why = os.strerror(error.errno) if error is not None and error.errno else "end of file"
        return LinkError(
            f"port {self._address} went away ({why}); is the cable plugged in and the board powered?"
        )

    def _check_open(self) -> None:
        if not self._open:
            raise LinkError(f"port {self._address} is closed; open the link again")

    def close(self) -> None:
        """Close; may be called twice."""
        if self._open:
            self._open = False
            self._port.close()


class PolledLink:
    """A link over a pyserial port that has no file descriptor, e.g. ``rfc2217://``."""

    def __init__(self, port: serial.Serial, address: str) -> None:
        self._port, self._address = port, address
        self._open = True

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all bytes. The handler has a write timeout of its own; a longer wait is an error.

        Raises:
            LinkError: closed, unplugged, or not accepted within ``timeout_s``.
        """
        begun_s = time.monotonic()
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error
        if time.monotonic() - begun_s > timeout_s:
            raise LinkError(
                f"port {self._address} took longer than {timeout_s:g} s for {len(data)} bytes; "
                f"is the network path to the port up?"
            )

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived, waiting at most ``timeout_s`` for the first byte.

        Raises:
            LinkError: closed or unplugged.
        """
        deadline_s = time.monotonic() + timeout_s
        try:
            while True:
                waiting = self._port.in_waiting
                data = bytes(self._port.read(waiting or 1))  # returns after _POLL_S at the latest
                if data or time.monotonic() >= deadline_s:
                    return data
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def _gone(self, error: Exception) -> LinkError:
        return LinkError(
            f"port {self._address} went away ({error}); is the cable plugged in "
            f"and the board powered?"
        )

    def close(self) -> None:
        """Close; may be called twice."""
        if self._open:
            self._open = False
            self._port.close()
