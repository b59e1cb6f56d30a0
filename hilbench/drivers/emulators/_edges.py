"""Marker edges stamped by the emulator, in the board's own instructions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from hilbench.errors import BoardError

CLASSES = ("alu", "mul", "div", "load", "store", "branch", "fp", "vector", "other")
"""Instruction classes in the order of qemu_plugin/thumb.h."""

_LEVEL = re.compile(r"offset 0x(?P<offset>[0-9a-f]+) (?:data|value) 0x(?P<value>[0-9a-f]+)")
_STAMP = "hilbench-tcg "


@dataclass(frozen=True)
class MarkerEdge:
    """The marker pin changed.

    Counts are since the emulator was started, the store that moved the pin included; what lies
    between two edges is their difference.

    Attributes:
        kind: which way the pin went.
        instructions: executed.
        modelled_cycles: by a static model of the core (docs/emulators.md), None where there is none;
            never the same thing as a counter's cycles.
        classes: instructions by class, one entry for each of CLASSES.
    """

    kind: Literal["rise", "fall"]
    instructions: int
    modelled_cycles: int | None
    classes: Mapping[str, int]


@dataclass(frozen=True)
class MarkerRegister:
    """Where a machine's marker pin is.

    Attributes:
        addresses: of the registers that move it.
        trace_event: QEMU's, which tells offset and value of a store.
        rises: (offset, mask) pairs: bits written as 1 at that offset raise the pin ...
        falls: ... or lower it. The same pair in both: the bit is the pin.
    """

    addresses: tuple[int, ...]
    trace_event: str
    rises: tuple[int, int]
    falls: tuple[int, int]

    def level(self, offset: int, value: int) -> bool | None:
        """Return the pin's level after a store, or None if that leaves it as it was."""
        if self.rises == self.falls and offset == self.rises[0]:
            return bool(value & self.rises[1])
        if offset == self.rises[0] and value & self.rises[1]:
            return True
        if offset == self.falls[0] and value & self.falls[1]:
            return False
        return None


def edges(board_id: str, lines: Iterable[str], register: MarkerRegister) -> Iterator[MarkerEdge]:
    """Read QEMU's log: what was stored, then the plugin's line about that store.

    The pin is low before the first store; one that does not change it is no edge.

    Raises:
        BoardError: a line that fits neither, or a store of which the value is not told.
    """
    high, told, wanted = False, False, None
    for line in lines:
        if (found := _LEVEL.search(line)) is not None:
            wanted = register.level(int(found["offset"], 16), int(found["value"], 16))
            told = True
        elif line.startswith(_STAMP) and told:
            told = False
            if wanted is not None and wanted != high:
                high = wanted
                yield _stamped("rise" if high else "fall", line.split()[2:])
        else:
            raise BoardError(
                f"board {board_id}: QEMU's log has {line!r} where a marker edge is expected; "
                "report this with QEMU's version"
            )


def _stamped(kind: Literal["rise", "fall"], words: list[str]) -> MarkerEdge:
    instructions, cycles, *counts = words
    return MarkerEdge(
        kind,
        int(instructions),
        None if cycles == "-" else int(cycles),
        dict(zip(CLASSES, map(int, counts), strict=True)),
    )
