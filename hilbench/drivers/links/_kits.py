"""Known kits by what they say on USB, and the tables of boards.toml that they would get.

A USB id names the probe or the bridge on a board, seldom the chip behind it: every firmware here is
a guess, and the table that is printed says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hilbench import plugins
from hilbench.drivers._usb import PortInfo
from hilbench.drivers.links._ports import (
    describe_port,
    find_path,
    find_ports,
    identify,
    interface_of,
    is_instrument,
    is_placeholder,
    usb_location,
)
from hilbench.errors import BoardError
from hilbench.records import BoardConfig, SerialMatch


@dataclass(frozen=True)
class Kit:
    """What a USB id lets one guess."""

    slug: str  # proposed board id
    name: str  # what it is, and what else it may be
    firmware: str | None = None  # None: cannot be guessed, or there is no port of the firmware
    tool: str | None = None  # flasher
    target: str | None = None
    has_probe: bool = False  # the serial number is the debug probe's too


_NUCLEO = Kit(
    "nucleo-l4r5zi",
    "ST-LINK of a Nucleo or Discovery board; guessed is NUCLEO-L4R5ZI",
    firmware="stm32l4",
    tool="openocd",
    target="board/st_nucleo_l4.cfg",
    has_probe=True,
)
_JLINK = Kit(
    "nrf52840-dk",
    "J-Link on a board; guessed is nRF52840-DK",
    firmware="nrf52840",
    tool="pyocd",
    target="nrf52840",
    has_probe=True,
)
_UNO = Kit("uno", "Arduino Uno", "atmega328p", tool="avrdude", target="atmega328p")
_CH340 = Kit(
    "uno",
    "CH340 bridge, known from Arduino Uno clones and ESP boards; guessed is Uno",
    "atmega328p",
    tool="avrdude",
    target="atmega328p",
)
_PICO = Kit(
    "pico",
    "Raspberry Pi Pico running something else; the rp2040 image answers on its UART, not here",
)
_DEBUGPROBE = Kit(
    "pico",
    "Raspberry Pi Debug Probe; guessed is a Pico behind it",
    "rp2040",
    tool="pyocd",
    target="rp2040",
    has_probe=True,
)
_NANO33 = Kit(
    "nano33ble",
    "Arduino Nano 33 BLE; the nrf52840 image answers on its pins TX and RX, not here",
)
_MICROBIT1 = Kit(
    "microbit", "BBC micro:bit v1", "nrf51", tool="pyocd", target="nrf51", has_probe=True
)
_MICROBIT2 = Kit("microbit-v2", "BBC micro:bit v2 (nRF52833), no firmware port yet")
_DAPLINK = Kit("daplink", "DAPLink of an unknown board")
_CP210X = Kit("cp210x", "CP210x bridge, often an ESP32; no firmware port for ESP32 yet")
_ESP32 = Kit("esp32", "Espressif chip on USB, no firmware port yet")
_UNKNOWN = Kit("board", "unknown device")

_KITS: Mapping[tuple[int, int], Kit] = {
    (0x0483, 0x374B): _NUCLEO,  # V2-1
    (0x0483, 0x3752): _NUCLEO,  # V2-1 without a drive
    (0x0483, 0x374E): _NUCLEO,  # V3
    (0x0483, 0x374F): _NUCLEO,
    (0x0483, 0x3753): _NUCLEO,  # V3 with two consoles
    (0x0483, 0x3754): _NUCLEO,
    (0x1366, 0x0105): _JLINK,
    (0x1366, 0x1015): _JLINK,
    (0x1366, 0x1051): _JLINK,  # two consoles
    (0x1366, 0x1061): _JLINK,
    (0x1366, 0x1069): _JLINK,
    (0x2341, 0x0043): _UNO,
    (0x2341, 0x0001): _UNO,
    (0x2341, 0x0243): _UNO,
    (0x2A03, 0x0043): _UNO,
    (0x1A86, 0x7523): _CH340,
    (0x1A86, 0x5523): _CH340,
    (0x2E8A, 0x000A): _PICO,
    (0x2E8A, 0x0005): _PICO,  # MicroPython
    (0x2E8A, 0x000C): _DEBUGPROBE,
    (0x2341, 0x805A): _NANO33,
    (0x2341, 0x005A): _NANO33,  # its bootloader
    (0x10C4, 0xEA60): _CP210X,
    (0x303A, 0x1001): _ESP32,
    (0x303A, 0x4001): _ESP32,
}
_DAPLINK_ID = (0x0D28, 0x0204)
# the first four digits of a DAPLink's serial number are the board's id
_DAPLINK_BOARDS = {
    "9900": _MICROBIT1,
    "9901": _MICROBIT1,
    "9903": _MICROBIT2,
    "9904": _MICROBIT2,
    "9905": _MICROBIT2,
    "9906": _MICROBIT2,
}


def guess_kit(port: PortInfo) -> Kit:
    """Guess what a port's device is."""
    ids = (port.vid or 0, port.pid or 0)
    if ids == _DAPLINK_ID:
        return _DAPLINK_BOARDS.get((port.serial_number or "")[:4], _DAPLINK)
    return _KITS.get(ids, _UNKNOWN)


@dataclass(frozen=True)
class Proposal:
    """A table of boards.toml for a device that is plugged in."""

    port: PortInfo
    kit: Kit
    others: tuple[PortInfo, ...]  # further ports of the same device
    match: SerialMatch | None  # None: nothing on USB tells it from another port

    @property
    def remarks(self) -> list[str]:
        """What a person should know of it."""
        lines = [f"{describe_port(self.port)}: {self.kit.name}"]
        if self.others:
            also = ", ".join(f"{interface_of(p)} ({p.device})" for p in self.others)
            lines.append(f"the same device also has interface {also}: is this the right one?")
        if self.match is None:
            lines.append("nothing on USB tells it from another port: this path may change")
        elif self.match.location:
            lines.append(
                "no serial number of its own: known by the USB socket that it is plugged into"
            )
        return lines

    def table(self, board_id: str, firmware: str | None = None) -> str:
        """Return the TOML table; the firmware is the kit's guess unless one is given."""
        name = firmware or self.kit.firmware
        note = "" if firmware else ("  # a guess" if name else "  # unknown: name a firmware port")
        lines = [f"[board.{toml_key(board_id)}]", f"firmware = {toml_string(name or '?')}{note}"]
        if self.match is None:
            lines.append(f"serial = {toml_string(self.port.device)}")
        else:
            lines.append(f"[board.{toml_key(board_id)}.serial]")
            lines += _pairs(vars(self.match))
        flasher = self._flasher()
        if flasher and firmware in {None, self.kit.firmware}:  # it belongs to the guess
            lines += [f"[board.{toml_key(board_id)}.flasher]", *_pairs(flasher)]
        return "\n".join(lines) + "\n"

    def _flasher(self) -> dict[str, str | None]:
        kit = self.kit
        if kit.tool is None or kit.tool not in plugins.names("flashers"):
            return {}
        number = self.port.serial_number
        if not kit.has_probe or is_placeholder(number):
            number = None
        elif number and kit is _JLINK:
            number = number.lstrip("0")  # its own tools do not pad it
        return {"tool": kit.tool, "probe_serial": number, "target": kit.target}


def _pairs(values: Mapping[str, str | None]) -> list[str]:
    return [f"{key} = {toml_string(text)}" for key, text in values.items() if text is not None]


def toml_string(text: str) -> str:
    """Return a TOML basic string; JSON's is one but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(name: str) -> str:
    """Return a key that stands in a table's name: a dot would make it two."""
    return toml_string(name) if "." in name else name


def proposals(
    ports: Sequence[PortInfo], boards: Iterable[BoardConfig]
) -> tuple[list[Proposal], list[str]]:
    """Return a proposal for each USB device that no board describes, and remarks on the rest.

    A board describes a device when its ``serial`` leads to exactly one of the device's ports.
    """
    remarks = [f"{p.device} is a {n}: an instrument" for p in ports if (n := is_instrument(p))]
    described = set()
    for board in boards:
        mine = board_ports(board, ports)
        if len(mine) == 1:
            described.add(_device(mine[0]))
        elif mine:
            devices = ", ".join(p.device for p in mine)
            remarks.append(f"board {board.id} matches several ports, so it has none: {devices}")
    found: dict[object, list[PortInfo]] = {}
    for port in ports:
        if port.vid is not None and not is_instrument(port) and _device(port) not in described:
            found.setdefault(_device(port), []).append(port)
    plain = [p.device for p in ports if p.vid is None]
    if plain:
        remarks.append(f"without USB identity, not proposed: {', '.join(plain)}")
    return [propose(group[0], ports) for group in found.values()], remarks


def propose(port: PortInfo, ports: Sequence[PortInfo]) -> Proposal:
    """Return the proposal for one port.

    Raises:
        BoardError: it is an instrument.
    """
    name = is_instrument(port)
    if name is not None:
        raise BoardError(
            f"{port.device} is a {name}: instruments are never flashed or streamed to; "
            f"name the port of the board"
        )
    others = tuple(p for p in ports if _device(p) == _device(port) and p.device != port.device)
    return Proposal(port, guess_kit(port), others, identify(port, ports))


def board_ports(board: BoardConfig, ports: Sequence[PortInfo]) -> list[PortInfo]:
    """Return the ports that are plugged in and that a board's ``serial`` leads to."""
    if isinstance(board.serial, SerialMatch):
        return find_ports(board.serial, ports)
    if board.serial is None or "://" in board.serial:
        return []
    found = find_path(board.serial, ports)
    return [] if found is None else [found]


def _device(port: PortInfo) -> object:
    """What is equal for the ports of one USB device."""
    place = usb_location(port)
    if place is None:
        return port.device
    return (port.vid, port.pid, place)
