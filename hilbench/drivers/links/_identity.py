"""Which physical board a table means, whatever its tty is called today."""

from __future__ import annotations

from collections.abc import Sequence

from hilbench.drivers._usb import PortInfo
from hilbench.drivers.links._ports import (
    find_path,
    find_ports,
    interface_of,
    is_placeholder,
    list_ports,
    normal_serial,
    usb_location,
)
from hilbench.records import SerialMatch


def identity(serial: str | SerialMatch, ports: Sequence[PortInfo] | None = None) -> str:
    """Return what is the same for every way to name one board and differs from any other board's.

    That is ``usb VID:PID SERIAL_NUMBER``, the location in place of a number that is not one
    device's own, and the interface where a device has several ports, each of which may be a board.

    What is not plugged in is named by what the table says: a full match (vid, pid, number) is the
    same as ever, but a path is then only itself. So is a URL.

    Args:
        serial: ``serial`` of the board's table.
        ports: default: this computer's.
    """
    ports = list_ports() if ports is None else ports
    if isinstance(serial, SerialMatch):
        found = find_ports(serial, ports)
        return _of_port(found[0], ports) if len(found) == 1 else _of_match(serial)
    port = None if "://" in serial else find_path(serial, ports)
    return serial if port is None else _of_port(port, ports)


def _of_port(port: PortInfo, ports: Sequence[PortInfo]) -> str:
    if port.vid is None or port.pid is None:
        return port.device
    alike = [p for p in ports if _names(p) == _names(port)]
    place = usb_location(port)
    is_shared = is_placeholder(port.serial_number) or len({usb_location(p) for p in alike}) > 1
    key = place if is_shared else normal_serial(port.serial_number or "")
    if key is None:
        return port.device
    on_device = [p for p in alike if usb_location(p) == place]
    interface = interface_of(port) if len(on_device) > 1 else None
    return _usb(f"{port.vid:04x}", f"{port.pid:04x}", key, interface)


def _of_match(match: SerialMatch) -> str:
    number = match.serial_number
    key = match.location if is_placeholder(number) else normal_serial(number or "")
    return _usb(match.vid, match.pid, key, match.interface)


def _names(port: PortInfo) -> tuple[int | None, int | None, str]:
    return port.vid, port.pid, normal_serial(port.serial_number or "")


def _usb(vid: str | None, pid: str | None, key: str | None, interface: str | None) -> str:
    suffix = "" if interface is None else f" interface {int(interface)}"
    return f"usb {vid}:{pid}".lower() + f" {key}{suffix}"
