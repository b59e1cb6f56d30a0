"""The PPK2's measuring port: found by its USB identity, opened for this process alone."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Sequence

import serial

from hilbench.drivers._usb import PortInfo
from hilbench.drivers.links._ports import (
    describe_port,
    find_path,
    interface_of,
    list_ports,
    usb_location,
)
from hilbench.errors import MeterBusyError, MeterError

VID, PID = 0x1915, 0xC00A
_READ_BYTES = 65536
_WRITE_S = 1.0
_EMULATED = "/dev/pts/"


def find(ports: Sequence[PortInfo] | None = None) -> list[tuple[str, str]]:
    """Return address and serial number of the PPK2s that are plugged in.

    Firmware since 1.2.0 has two ports: the one of the lowest USB interface measures.
    """
    own = [p for p in (list_ports() if ports is None else ports) if (p.vid, p.pid) == (VID, PID)]
    lowest: dict[tuple[str | None, str | None], PortInfo] = {}
    for port in sorted(own, key=_interface):
        lowest.setdefault((port.serial_number, usb_location(port)), port)
    return sorted((port.device, port.serial_number or "") for port in lowest.values())


def _interface(port: PortInfo) -> int:
    return int(interface_of(port) or 0)


def serial_number_of(address: str, ports: Sequence[PortInfo] | None = None) -> tuple[str, bool]:
    """Return the serial number of the PPK2 at an address, and whether it is emulated.

    Raises:
        MeterError: not there, not a PPK2, or not its measuring port.
    """
    if os.path.realpath(address).startswith(_EMULATED):
        return "", True
    ports = list_ports() if ports is None else ports
    found = find(ports)
    plugged_in = ", ".join(f"{a} ({s})" for a, s in found) or "none"
    port = find_path(address, ports)
    if port is None:
        raise MeterError(
            f"PPK2 at {address}: no such serial port; PPK2s plugged in: {plugged_in}; plug it in or "
            f"correct serial of the board's meter"
        )
    if (port.vid, port.pid) != (VID, PID):
        raise MeterError(
            f"port {describe_port(port)} is no PPK2, which is {VID:04x}:{PID:04x}; PPK2s plugged "
            f"in: {plugged_in}; correct serial of the board's meter"
        )
    for device, number in found:
        if find_path(device, [port]) is not None:
            return number, False
    measuring = next(
        (d for d, _ in found if usb_location(find_path(d, ports) or port) == usb_location(port)), ""
    )
    raise MeterError(
        f"port {address} is the PPK2's shell, on USB interface {interface_of(port)}; its measuring "
        f"port is {measuring}; correct serial of the board's meter"
    )


class Ppk2Port:
    """Bytes to and from a PPK2. Reading never waits; writing waits a second at most.

    Raises:
        MeterBusyError: another process has the port.
        MeterError: it cannot be opened.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            # The line rate means nothing over USB. pyserial raises DTR, without which the firmware
            # is mute for some hosts.
            self._port = serial.Serial(address, baudrate=115200, timeout=0, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise _open_error(address, error) from error
        self._fd = self._port.fileno()
        os.set_blocking(self._fd, False)

    def write(self, data: bytes) -> None:
        """Send a command.

        Raises:
            MeterError: unplugged, or not accepted within a second.
        """
        until_s = time.monotonic() + _WRITE_S
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor(), rest) :]
            except BlockingIOError:
                if (left_s := until_s - time.monotonic()) <= 0:
                    raise MeterError(
                        f"PPK2 at {self.address} accepted {len(data) - len(rest)} of {len(data)} "
                        f"bytes of a command within {_WRITE_S:g} s; unplug it and plug it in again"
                    ) from None
                select.select([], [self._descriptor()], [], left_s)
            except OSError as error:
                raise self._gone(error) from error

    def drain(self, timeout_s: float) -> bool:
        """Wait until all commands have left the host; what is still queued is lost at close."""
        until_s = time.monotonic() + timeout_s
        with contextlib.suppress(OSError, serial.SerialException):
            while self._port.is_open and self._port.out_waiting:
                if time.monotonic() > until_s:
                    return False
                time.sleep(0.001)
        return True

    def wait(self, timeout_s: float) -> bool:
        """Say whether something arrives within ``timeout_s``."""
        try:
            return bool(select.select([self._descriptor()], [], [], max(0.0, timeout_s))[0])
        except (OSError, ValueError) as error:
            raise self._gone(error if isinstance(error, OSError) else None) from error

    def read(self) -> bytes:
        """Return what is there, at most what the system hands out at once; ``b""`` if nothing.

        Raises:
            MeterError: closed or unplugged.
        """
        data = self._take()
        if not data and self.wait(0) and not (data := self._take()):  # readable, and nothing there
            raise self._gone(None)
        return data

    def _take(self) -> bytes:
        try:
            return os.read(self._descriptor(), _READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from error

    def _descriptor(self) -> int:
        if not self._port.is_open:
            raise MeterError(f"PPK2 at {self.address} is closed; open it again")
        return self._fd

    def _gone(self, error: OSError | None) -> MeterError:
        why = os.strerror(error.errno) if error is not None and error.errno else "end of file"
        return MeterError(
            f"PPK2 at {self.address} went away ({why}); plug it in; the board has no supply now"
        )

    def close(self) -> None:
        """Close; may be called twice."""
        self._port.close()


def _open_error(address: str, error: Exception) -> MeterError:
    text = str(error)
    if "exclusively lock" in text:
        return MeterBusyError(
            f"PPK2 at {address} is held by another process; close it (fuser -v {address} names it)"
        )
    if "Permission denied" in text:
        return MeterError(
            f"PPK2 at {address} may not be opened by this user; run: sudo usermod -aG dialout "
            f"$USER, then log in again"
        )
    if "No such file" in text:
        return MeterError(
            f"PPK2 at {address}: no such serial port; plug it in or correct serial of the board's "
            f"meter"
        )
    return MeterError(f"PPK2 at {address} cannot be opened: {text}; unplug it and plug it in again")
