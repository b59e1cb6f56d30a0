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


class EdgeReader:
    """Reads QEMU's log as it grows: what was stored, then the plugin's line about that store.

    The pin is low before the first store; one that does not change it is no edge. Between them the
    counter's readings say how far it came.

    Attributes:
        edges: so far, oldest first.
    """

    def __init__(self, board_id: str, register: MarkerRegister) -> None:
        self.edges: list[MarkerEdge] = []
        self._board_id = board_id
        self._register = register
        self._high = False
        self._stored = False  # the stamp of a store comes next ...
        self._level: bool | None = None  # ... which leads to this level, or to none
        self._counter: int | None = None
        self._ticks = 0

    def read(self, lines: Iterable[str]) -> None:
        """Take the next lines.

        Raises:
            BoardError: a line that fits neither, or a store of which the value is not told.
        """
        for line in lines:
            if (found := _ACCESS.match(line)) is not None:
                self._access(found["event"], int(found["offset"], 16), int(found["value"], 16))
            elif line.startswith(_STAMP) and self._stored:
                self._stored = False
                if self._level is not None and self._level != self._high:
                    self._edge(line.split()[2:])
            else:
                raise BoardError(
                    f"board {self._board_id}: QEMU's log has {line!r} where a marker edge is "
                    "expected; report this with QEMU's version"
                )

    def _access(self, event: str, offset: int, value: int) -> None:
        counter = self._register.counter
        if event == self._register.trace_event:
            self._level, self._stored = self._register.level(offset, value), True
        elif event == counter.trace_event and offset == counter.offset:
            if self._counter is not None:
                self._ticks += counter.ticks(self._counter, value)
            self._counter = value

    def _edge(self, words: list[str]) -> None:
        instructions, cycles, *counts = words
        self._high = not self._high
        self.edges.append(
            MarkerEdge(
                "rise" if self._high else "fall",
                int(instructions),
                None if cycles == "-" else int(cycles),
                dict(zip(CLASSES, map(int, counts), strict=True)),
                self._ticks,
            )
        )
        self._counter, self._ticks = None, 0


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
