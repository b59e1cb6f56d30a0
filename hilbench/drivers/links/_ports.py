"""Which serial port is which board: USB identity in, device path out.

A tty name says nothing of what is behind it, and a serial number not always: J-Link pads its own
with zeros, cheap bridges have none or all the same one, and a probe may share its number with the
console of the board. Whatever does not identify exactly one port is an error that lists the ports.

Ref: https://pyserial.readthedocs.io/en/latest/tools.html (``ListPortInfo``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cache

from serial.tools.list_ports import comports

from hilbench import plugins
from hilbench.drivers._usb import Instrument, PortInfo
from hilbench.errors import BoardError
from hilbench.records import SerialMatch

_WITHOUT_DRIVER = (Instrument("Qoitech Otii", words=r"qoitech|\botii\b"),)
_PLACEHOLDERS = re.compile(
    r"|(.)\1*|123456(7(8(90?)?)?)?|123456789abcdef0?|fffffffeffff"
    r"|none|null|n/?a|unknown|default|serial"
)


def list_ports() -> Sequence[PortInfo]:
    """Return the serial ports of this computer, in the order of their names."""
    return sorted(comports())


def normal_serial(text: str) -> str:
    """Return a serial number as it is compared: no leading zeros, no case."""
    return text.strip().lstrip("0").casefold()


def is_placeholder(serial_number: str | None) -> bool:
    """Say whether no single device owns a serial number: none, "0001", all zeros and the like."""
    return _PLACEHOLDERS.fullmatch(normal_serial(serial_number or "")) is not None


def usb_location(port: PortInfo) -> str | None:
    """Return where the device is plugged in, e.g. ``1-1.2``."""
    return port.location.split(":")[0] if port.location else None


def interface_of(port: PortInfo) -> str | None:
    """Return the USB interface number; None where the device has only one or it is not known."""
    found = re.search(r":[0-9x]+\.([0-9]+)$", port.location or "")
    return found[1] if found else None


def is_instrument(port: PortInfo | str, ports: Sequence[PortInfo] | None = None) -> str | None:
    """Name the instrument that a port is; None for anything else.

    Args:
        port: a port, or its path; a URL or a PTY is never an instrument.
        ports: where to look a path up; default: this computer's.
    """
    if isinstance(port, str):
        if "://" in port or port.startswith("/dev/pts/"):
            return None
        found = find_path(port, list_ports() if ports is None else ports)
        return None if found is None else is_instrument(found)
    return next((i.name for i in _instruments() if i.is_it(port)), None)


@cache
def _instruments() -> tuple[Instrument, ...]:
    """Return what the meters' drivers know, and instruments without a driver."""
    drivers = (plugins.load("power", name) for name in plugins.names("power"))
    known = (i for driver in drivers for i in getattr(driver, "INSTRUMENTS", ()))
    return (*known, *_WITHOUT_DRIVER)


def find_path(path: str, ports: Sequence[PortInfo]) -> PortInfo | None:
    """Return the port that a path, or a link in /dev/serial, leads to."""
    real = os.path.realpath(path)
    return next((p for p in ports if os.path.realpath(p.device) == real), None)


def find_ports(match: SerialMatch, ports: Sequence[PortInfo]) -> list[PortInfo]:
    """Return the ports that have every key of a match, instruments left out."""
    return [p for p in ports if not _differences(match, p) and not is_instrument(p)]


def resolve(
    match: SerialMatch | str, board_id: str, ports: Sequence[PortInfo] | None = None
) -> str:
    """Return the path of the one port that is a board's.

    Args:
        match: ``serial`` of the board's table; a path or URL is returned as it is.
        board_id: for the sentences.
        ports: default: this computer's.

    Raises:
        BoardError: none, several, or only an instrument; lists what is plugged in, and for several
            the key that would tell them apart. A path is an error only when it is an instrument.
    """
    if isinstance(match, str):
        if (instrument := is_instrument(match, ports)) is not None:
            raise BoardError(
                f"board {board_id}: {match} is a {instrument}; instruments are never flashed or "
                f"streamed to; correct serial of [board.{board_id}]"
            )
        return match
    ports = list_ports() if ports is None else ports
    table = f"[board.{board_id}.serial]"
    number = match.serial_number
    if number is not None and is_placeholder(number) and not (match.vid or match.location):
        raise BoardError(
            f"board {board_id}: serial_number {number!r} is a placeholder that many devices share; "
            f"add location to {table}; plugged in: {_listing(ports)}"
        )
    found = find_ports(match, ports)
    if len(found) > 1:
        raise BoardError(
            f"board {board_id}: {len(found)} ports match {table}: {_listing(found)}; "
            f"{_tell_apart(match, found)}"
        )
    if not found:
        raise BoardError(_none_found(match, board_id, ports))
    return found[0].device


def _none_found(match: SerialMatch, board_id: str, ports: Sequence[PortInfo]) -> str:
    table = f"[board.{board_id}.serial]"
    for port in ports:
        if not _differences(match, port):
            return (
                f"board {board_id}: {table} matches only {port.device}, a {is_instrument(port)}; "
                f"instruments are never flashed or streamed to; correct the table"
            )
    near = [(p, d[0]) for p in ports if len(d := _differences(match, p)) == 1]
    keys = sum(v is not None for v in vars(match).values())
    nearest = (
        f"; {near[0][0].device} differs in {near[0][1]} only"
        if len(near) == 1 and keys > 2  # noqa: PLR2004 - of two keys one equal is no likeness
        else ""
    )
    return (
        f"board {board_id}: not plugged in: no port has {describe_match(match)}{nearest}; plug it "
        f"in or correct {table}; plugged in: {_listing(ports)}"
    )


_VALUE: dict[str, Callable[[PortInfo], str | None]] = {
    "vid": lambda p: None if p.vid is None else f"{p.vid:04x}",
    "pid": lambda p: None if p.pid is None else f"{p.pid:04x}",
    "serial_number": lambda p: p.serial_number,
    "interface": interface_of,
    "location": usb_location,
}


def _differences(match: SerialMatch, port: PortInfo) -> list[str]:
    """Return the keys of a match that a port does not have."""
    return [
        key
        for key, wanted in vars(match).items()
        if wanted is not None and not _same(key, wanted, port)
    ]


def _same(key: str, wanted: str, port: PortInfo) -> bool:
    value = _VALUE[key](port)
    if value is None:
        return False
    if key == "serial_number":
        return normal_serial(wanted) == normal_serial(value)
    if key == "interface":
        return int(wanted) == int(value)
    return wanted.lower() == value or (key == "location" and wanted == port.location)


def describe_match(match: SerialMatch) -> str:
    """Say in words what a match asks for: ``vid 1366, pid 1051``."""
    return ", ".join(f"{key} {value}" for key, value in vars(match).items() if value is not None)


def describe_port(port: PortInfo) -> str:
    """Say in words what a port is, with everything that a match can ask for."""
    if port.vid is None or port.pid is None:
        return f"{port.device} (not USB)"
    product = "".join(c for c in port.product or "" if c.isprintable())
    parts = [f"{port.vid:04x}:{port.pid:04x} {product}".strip()]
    number = port.serial_number
    parts.append(f"serial_number {number}" if number else "no serial_number")
    parts += [f"{k} {v}" for k in ("interface", "location") if (v := _VALUE[k](port)) is not None]
    name = is_instrument(port)
    return f"{port.device} ({', '.join(parts)}{f': instrument, {name}' if name else ''})"


def _listing(ports: Sequence[PortInfo]) -> str:
    return "; ".join(describe_port(p) for p in ports) or "no serial port"


def _tell_apart(match: SerialMatch, ports: Sequence[PortInfo]) -> str:
    """Say which keys would leave one port of several."""
    on_one_device = len({(p.vid, p.pid, usb_location(p)) for p in ports}) == 1
    ways = [
        ("vid", "pid") if match.vid is None else ("pid",),
        ("serial_number",),
        *([("interface",)] if on_one_device else []),
        ("location",),
        ("serial_number", "interface"),
        ("location", "interface"),
    ]
    for keys in ways:
        values = [tuple(_comparable(k, p) for k in keys) for p in ports]
        if all(all(v) for v in values) and len(set(values)) == len(ports):
            options = " or ".join(
                ", ".join(f'{k} = "{_VALUE[k](port)}"' for k in keys) for port in ports
            )
            return f"add {options}"
    return 'USB does not tell them apart; name the path instead: serial = "/dev/serial/by-path/…"'


def _comparable(key: str, port: PortInfo) -> str | None:
    value = _VALUE[key](port)
    if key == "serial_number":
        return None if is_placeholder(value) else normal_serial(value or "")
    return value


def identify(port: PortInfo, ports: Sequence[PortInfo]) -> SerialMatch | None:
    """Return the least that identifies a port among all, and goes on doing so when others come.

    None: not USB, an instrument, or not to be told from another port.
    """
    vid, pid = _VALUE["vid"](port), _VALUE["pid"](port)
    number = None if is_placeholder(port.serial_number) else port.serial_number
    place, interface = usb_location(port), interface_of(port)
    ways = [
        *([SerialMatch(vid, pid, number), SerialMatch(vid, pid, number, interface)] * bool(number)),
        *([SerialMatch(vid, pid, location=place)] * bool(place)),
        *([SerialMatch(vid, pid, interface=interface, location=place)] * bool(place)),
    ]
    if vid is None:
        return None
    return next((m for m in ways if find_ports(m, ports) == [port]), None)
