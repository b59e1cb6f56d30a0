"""Drivers and subcommands are modules found by their name.

``names("emulators")`` lists them without importing any; ``load("emulators", "qemu")`` imports one.
Adding a driver is adding a file: no registry to edit.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache
from types import ModuleType

from hilbench.errors import ConfigError

_ROOMS = {
    "links": "hilbench.drivers.links",
    "flashers": "hilbench.drivers.flashers",
    "emulators": "hilbench.drivers.emulators",
    "power": "hilbench.drivers.power",
    "emulated_meters": "hilbench.drivers.emulated_meters",
    "switches": "hilbench.drivers.switches",
    "commands": "hilbench.cli.commands",
    "reports": "hilbench.report",
}


@cache
def names(kind: str) -> tuple[str, ...]:
    """Return the names of all drivers of a kind, sorted; private modules are left out."""
    package = importlib.import_module(_ROOMS[kind])
    return tuple(
        sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    )


def load(kind: str, name: str) -> ModuleType:
    """Import one driver.

    Raises:
        ConfigError: no such driver; lists those that exist and the nearest name.
    """
    known = names(kind)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ConfigError(f"no driver {name!r} among {kind}; known: {', '.join(known)}{hint}")
    return importlib.import_module(f"{_ROOMS[kind]}.{name}")
