"""What is used of a serial port on USB, and how an instrument is known there.

What is an instrument is never flashed, nor talked to as a board: a meter's driver exports
``INSTRUMENTS``.

Ref: https://pyserial.readthedocs.io/en/latest/tools.html (``ListPortInfo``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol


class PortInfo(Protocol):
    """What is used of pyserial's ``ListPortInfo``."""

    device: str  # path, e.g. /dev/ttyACM0
    vid: int | None  # None: not USB
    pid: int | None
    serial_number: str | None
    location: str | None  # "1-1.2", or "1-1.2:1.0" with the interface of a device that has several
    manufacturer: str | None
    product: str | None
    description: str


@dataclass(frozen=True)
class Instrument:
    """What all of an instrument's ports, and no others, have; an empty key does not count."""

    name: str
    ids: frozenset[tuple[int, int]] = frozenset()
    words: str = ""  # regular expression, in what the device calls itself
    serial_number: str = ""

    def is_it(self, port: PortInfo) -> bool:
        """Say whether a port is such an instrument's."""
        if self.ids and (port.vid, port.pid) not in self.ids:
            return False
        if not self.words:
            return True
        texts = " ".join(filter(None, (port.manufacturer, port.product, port.description)))
        return re.search(self.words, texts, re.IGNORECASE) is not None or (
            self.serial_number != "" and port.serial_number == self.serial_number
        )
