"""The recorded port lists, as pyserial's objects."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

from serial.tools.list_ports_common import ListPortInfo

PORTS = Path(__file__).parent / "ports"


def recorded(*names: str) -> list[ListPortInfo]:
    """Return the ports of one list, or of several that are plugged in together.

    The kernel numbers what comes later on, so a name that is taken becomes the next free one.
    """
    ports: dict[str, ListPortInfo] = {}
    for name in names:
        for entry in json.loads((PORTS / f"{name}.json").read_text(encoding="utf-8")):
            kind = entry["device"].rstrip("0123456789")
            free = (d for n in count() if (d := f"{kind}{n}") not in ports)
            device = entry["device"] if entry["device"] not in ports else next(free)
            ports[device] = make_port(**(entry | {"device": device}))
    return list(ports.values())


def make_port(device: str, **values: object) -> ListPortInfo:
    port = ListPortInfo(device)
    for name, value in values.items():
        assert hasattr(port, name), name
        setattr(port, name, value)
    return port
