"""Marker edges stamped by the emulator, in the board's own instructions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from hilbench.errors import BoardError
from hilbench.records import Edge

CLASSES = ("alu", "mul", "div", "load", "store", "branch", "fp", "vector", "other")
"""Instruction classes in the order of qemu_plugin/thumb.h."""

_ACCESS = re.compile(
    r"(?P<event>\w+) .*(?:offset|addr) 0x(?P<offset>[0-9a-f]+) (?:data|value) 0x(?P<value>[0-9a-f]+)"
)
_STAMP = "hilbench-tcg "
_COUNTER_MASK = 0xFFFF_FFFF


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
        ticks: of the board's counter since the edge before, from its first to its last reading.
    """

    kind: Literal["rise", "fall"]
    instructions: int
    modelled_cycles: int | None
    classes: Mapping[str, int]
    ticks: int


@dataclass(frozen=True)
class CounterRegister:
    """Where a machine's counter is, as the firmware's port reads it.

    Attributes:
        trace_event: QEMU's, which tells offset and value of a load.
        offset: of the 32-bit register.
        hz: its rate.
        up: it counts upwards.
    """

    trace_event: str
    offset: int
    hz: int
    up: bool

    def ticks(self, before: int, after: int) -> int:
        """Return how far it came from one reading to the next, which is less than a wrap."""
        return (after - before if self.up else before - after) & _COUNTER_MASK


@dataclass(frozen=True)
class MarkerRegister:
    """Where a machine's marker pin is.

    Attributes:
        addresses: of the registers that move it.
        trace_event: QEMU's, which tells offset and value of a store.
        rises: (offset, mask) pairs: bits written as 1 at that offset raise the pin ...
        falls: ... or lower it. The same pair in both: the bit is the pin.
        counter: by which the board's time is known also while it sleeps.
    """

    addresses: tuple[int, ...]
    trace_event: str
    rises: tuple[int, int]
    falls: tuple[int, int]
    counter: CounterRegister

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
    """Read QEMU's log: what was stored, then the plugin's line about that store; counter readings.

    The pin is low before the first store; one that does not change it is no edge.

    Raises:
        BoardError: a line that fits neither, or a store of which the value is not told.
    """
    high, told, wanted = False, False, None
    counter, read, ticks = register.counter, None, 0
    for line in lines:
        if (found := _ACCESS.match(line)) is not None:
            offset, value = int(found["offset"], 16), int(found["value"], 16)
            if found["event"] == register.trace_event:
                wanted, told = register.level(offset, value), True
            elif found["event"] == counter.trace_event and offset == counter.offset:
                ticks += 0 if read is None else counter.ticks(read, value)
                read = value
        elif line.startswith(_STAMP) and told:
            told = False
            if wanted is not None and wanted != high:
                high = wanted
                yield _stamped("rise" if high else "fall", line.split()[2:], ticks)
                read, ticks = None, 0
        else:
            raise BoardError(
                f"board {board_id}: QEMU's log has {line!r} where a marker edge is expected; "
                "report this with QEMU's version"
            )


def device_time(
    stamped: Iterable[MarkerEdge], instruction_s: float, counter_hz: int
) -> Iterator[Edge]:
    """Turn instructions into time as the board's counter has it.

    A core that sleeps executes nothing: where the counter came further during a pulse than the
    instructions say, the board slept for the difference. Sleep between pulses is left out.
    """
    rise, slept_s = None, 0.0
    for edge in stamped:
        at_s = edge.instructions * instruction_s
        if edge.kind == "rise":
            rise = at_s
            continue
        assert rise is not None  # the pin is low at first
        sleep_s = max(0.0, edge.ticks / counter_hz - (at_s - rise))
        yield Edge(rise + slept_s, high=True, asleep=sleep_s > at_s - rise)
        slept_s += sleep_s
        yield Edge(at_s + slept_s, high=False)
        rise = None
    if rise is not None:
        yield Edge(rise + slept_s, high=True)


def _stamped(kind: Literal["rise", "fall"], words: list[str], ticks: int) -> MarkerEdge:
    instructions, cycles, *counts = words
    return MarkerEdge(
        kind,
        int(instructions),
        None if cycles == "-" else int(cycles),
        dict(zip(CLASSES, map(int, counts), strict=True)),
        ticks,
    )
