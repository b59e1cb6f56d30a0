"""The recorded port lists, as pyserial's objects."""

from __future__ import annotations

import json
from pathlib import Path

from serial.tools.list_ports_common import ListPortInfo

PORTS = Path(__file__).parent / "ports"


def recorded(*names: str) -> list[ListPortInfo]:
    """Return the ports of one list, or of several that are plugged in together."""
    return [
        make_port(**entry)
        for name in names
        for entry in json.loads((PORTS / f"{name}.json").read_text(encoding="utf-8"))
    ]


def make_port(device: str, **values: object) -> ListPortInfo:
    port = ListPortInfo(device)
    for name, value in values.items():
        assert hasattr(port, name), name
        setattr(port, name, value)
    return port
