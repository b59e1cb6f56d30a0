"""From tokens to samples on a time line: only what two time stamps confirm counts.

The meter stamps every 1000 samples. A block lies between two stamps; it is intact when all its bytes
make sense and its samples are as many as the stamps' difference says. Of any other block nobody can
tell which of its samples are missing or damaged, so that all of it is lost, and the length of the
hole is that between the intact blocks around it. (A line loses bytes; one that put in as many as it
lost within a block would not be seen.) After a hole D7 is what it was last, until the next event
tells its level again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hilbench.drivers.power._lpm01a_settings import TOP_A, Settings
from hilbench.drivers.power._lpm01a_tokens import (
    AsciiSplitter,
    BinarySplitter,
    Damage,
    Event,
    Samples,
    Say,
    Splitter,
    Stamp,
)
from hilbench.errors import MeterError
from hilbench.power import Chunk, Gap

BLOCK = 1000  # samples between two time stamps
_DAMAGED_LIMIT = 20  # blocks in a row
_HOLE_LIMIT_S = 60.0
_MS = 1000
_EVENTS = 100  # their numbers count modulo this
# Evidence of a piece: magic, flags, exponent before it, samples, bytes that follow: those of the wire
# without stamps.
_RECORD = struct.Struct("<2sBBII")
_MAGIC = b"LM"
_HIGH, _LOST = 1, 2  # D7 at the first sample; nothing of it counts


@dataclass(frozen=True)
class Piece:
    """Consecutive samples of the time line, or a hole in it."""

    start: int
    samples: int
    lost: bool
    high: bool  # D7 before the first sample
    exponent: int  # of the sample before the first
    values: NDArray[np.float64]  # as sent
    exponents: NDArray[np.uint8]
    edges: tuple[tuple[int, bool], ...]  # index of the first sample after it; level
    raw: bytes


@dataclass
class _Open:
    """The block that is being received."""

    runs: list[Samples] = field(default_factory=list)
    events: list[tuple[int, Event]] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    count: int = 0
    damaged: bool = False


class Blocks:
    """The state of one capture: bytes in, pieces of its time line out."""

    def __init__(self, settings: Settings, where: str) -> None:
        self._settings, self._where = settings, where
        self._splitter = splitter(settings)
        self._open = _Open()
        self._begin_ms: int | None = None
        self._damaged_raw = bytearray()
        self._damaged_run = 0
        self._missing: list[str] = []
        self._high = False
        self._exponent = 0
        self._high_after: bool | None = None  # D7 when the hole ends, where it is known
        self._next_event: int | None = None
        self.position = 0  # samples of the time line that are decided
        self.stamps = 0
        self.load_percent = 0  # the highest so far
        self.ended = False
        self.gaps: list[Gap] = []
        self.notes: list[str] = []

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take what has arrived; yield what is certain.

        Raises:
            MeterError: the meter tells an error, or its stream makes no sense.
        """
        for token, raw in self._splitter.feed(data):
            if self.ended:
                return
            if isinstance(token, Stamp):
                yield from self._stamp(token)
                continue
            self._open.raw += raw
            if isinstance(token, Samples):
                self._open.runs.append(token)
                self._open.count += len(token.values)
            elif isinstance(token, Event):
                self._open.events.append((self._open.count, token))
            elif isinstance(token, Damage):
                self._open.damaged = True
            else:
                self._say(token)

    def finish(self) -> Iterator[Piece]:
        """Yield what came after the last stamp, where nothing confirms how many it should be."""
        block = self._open
        if self._begin_ms is None or block.damaged or not block.count:
            return
        self.notes.append(
            f"{block.count} samples came after the last time stamp: nothing confirms their number"
        )
        yield from self._intact(block, self._index(self._begin_ms))

    @property
    def stamped(self) -> int:
        """Index of the sample that follows the last stamp."""
        return 0 if self._begin_ms is None else self._index(self._begin_ms)

    def _say(self, say: Say) -> None:
        if say.kind == "end":
            self.ended = True
        elif say.kind == "info":
            self.notes.append(f"the meter says: {say.text}")
        elif say.kind == "overcurrent":
            raise MeterError(
                f"the LPM01A at {self._where} has cut the supply at {self._now_s():.3f} s: "
                f"overcurrent (it trips at 59 mA; it measures up to {TOP_A * 1e3:g} mA); use a meter "
                f"with a higher range, or look for a short circuit"
            )
        else:
            raise MeterError(
                f"the LPM01A at {self._where} stops the capture at {self._now_s():.3f} s: {say.text!r}"
            )

    def _now_s(self) -> float:
        return (self.position + self._open.count) / self._settings.sample_hz

    def _index(self, ms: int) -> int:
        return ms * self._settings.sample_hz // _MS

    def _stamp(self, stamp: Stamp) -> Iterator[Piece]:
        block, self._open = self._open, _Open()
        begin_ms, self._begin_ms = self._begin_ms, stamp.ms
        self.stamps += 1
        self.load_percent = max(self.load_percent, stamp.load_percent)
        if begin_ms is None:
            if not block.count:  # what stands before the first stamp is the answer to "start"
                return
            begin_ms = 0
        if self._agrees(block, stamp.ms - begin_ms):
            self._damaged_run = 0
            yield from self._intact(block, self._index(begin_ms))
            return
        self._damaged_raw += block.raw
        self._damaged_run += 1
        self._missing.append(
            f"{block.count} samples{' and damaged bytes' if block.damaged else ''} in "
            f"{stamp.ms - begin_ms} ms"
        )
        if block.events:
            self._high_after = block.events[-1][1].rising
        self._next_event = None
        if self._damaged_run >= _DAMAGED_LIMIT:
            raise MeterError(
                f"the LPM01A at {self._where} sends what makes no sense: {_DAMAGED_LIMIT} blocks in "
                f"a row, the last with {self._missing[-1]} at {self._settings.sample_hz} Hz; is the "
                f"computer overloaded, or its USB hub?"
            )

    def _agrees(self, block: _Open, ms: int) -> bool:
        if block.damaged or ms <= 0:
            return False
        off = abs(block.count * _MS - ms * self._settings.sample_hz)
        if off == 0:
            return True
        # A stamp that is not taken from the sample clock may be off by one; after a hole it is what
        # tells the place, and may not.
        return not self._missing and block.count == BLOCK and off <= self._settings.sample_hz

    def _intact(self, block: _Open, index: int) -> Iterator[Piece]:
        hole = index - self.position
        # Without damage the count is finer than a stamp.
        jitter = max(1, 2 * self._settings.sample_hz // _MS)
        if not self._missing and abs(hole) <= jitter:
            hole = 0
        if hole < 0:
            raise MeterError(
                f"the LPM01A at {self._where} goes back in time, from {self._now_s():.3f} s to "
                f"{index / self._settings.sample_hz:.3f} s: it has restarted; capture again"
            )
        if hole > _HOLE_LIMIT_S * self._settings.sample_hz:
            raise MeterError(
                f"the LPM01A at {self._where} leaves out {hole / self._settings.sample_hz:.0f} s, more "
                f"than {_HOLE_LIMIT_S:g} s: its stream cannot be followed; capture again"
            )
        if hole:
            yield self._hole(hole)
        yield self._piece(block)

    def _hole(self, hole: int) -> Piece:
        where = f"{self.position} to {self.position + hole}"
        self.notes.append(
            f"samples {where} are left out: {'; '.join(self._missing) or 'nothing came'}; which "
            f"of them are missing cannot be told"
        )
        self.gaps.append(Gap(self.position, hole, "counter"))
        piece = Piece(
            self.position, hole, True, self._high, self._exponent, np.empty(0), np.empty(0, np.uint8), (),
            bytes(self._damaged_raw),
        )  # fmt: skip
        self._damaged_raw.clear()
        self._missing.clear()
        self._high = self._high if self._high_after is None else self._high_after
        self._high_after = None
        self.position += hole
        return piece

    def _piece(self, block: _Open) -> Piece:
        edges = tuple((at, event.rising) for at, event in self._checked(block.events))
        piece = Piece(
            self.position,
            block.count,
            False,
            self._high,
            self._exponent,
            np.concatenate([run.values for run in block.runs]),
            np.concatenate([run.exponents for run in block.runs]),
            edges,
            bytes(block.raw),
        )
        if edges:
            self._high = edges[-1][1]
        self._exponent = int(piece.exponents[-1])
        self.position += block.count
        return piece

    def _checked(self, events: list[tuple[int, Event]]) -> Iterator[tuple[int, Event]]:
        high = self._high
        for at, event in events:
            at_s = (self.position + at) / self._settings.sample_hz
            if self._next_event is not None and event.number != self._next_event:
                raise MeterError(
                    f"the LPM01A at {self._where} tells event {event.number:02d} of D7 at {at_s:.3f} s "
                    f"where {self._next_event:02d} is next: an edge was lost; capture again"
                )
            if self._next_event is not None and event.rising == high:
                raise MeterError(
                    f"the LPM01A at {self._where} tells two {'ris' if high else 'fal'} events of D7 in "
                    f"a row at {at_s:.3f} s: its firmware tells one kind of edge only, so that "
                    f"the pin's level is unknown; set events = 'none' and find windows by their "
                    f"pulse pattern"
                )
            self._next_event = (event.number + 1) % _EVENTS
            high = event.rising
            yield at, event


def splitter(settings: Settings, *, aligned: bool = False) -> Splitter:
    """Return what takes the bytes of a setting apart."""
    return BinarySplitter(aligned=aligned) if settings.binary else AsciiSplitter()


def chunk(pieces: list[Piece], settings: Settings, where: str) -> Chunk:
    """Join consecutive pieces, at least one.

    Raises:
        MeterError: a current is above the meter's range.
    """
    total = sum(piece.samples for piece in pieces)
    current = np.full(total, np.nan)
    valid = np.zeros(total, np.bool_)
    logic = np.zeros(total, np.uint8)
    ranges = np.zeros(total, np.uint8)
    raw = bytearray()
    at = 0
    for piece in pieces:
        part = slice(at, at + piece.samples)
        logic[part] = piece.high
        for index, level in piece.edges:
            logic[at + index : part.stop] = level
        if piece.lost:
            ranges[part] = _range(np.uint8(piece.exponent), settings)
        else:
            current[part] = piece.values * settings.ampere
            valid[part] = True
            ranges[part] = _range(piece.exponents, settings)
        flags = _HIGH * piece.high | _LOST * piece.lost
        raw += (
            _RECORD.pack(_MAGIC, flags, piece.exponent, piece.samples, len(piece.raw)) + piece.raw
        )
        at = part.stop
    _check_range(current, pieces[0].start, settings, where)
    return Chunk(pieces[0].start, current, settings.supply_v, logic, valid, ranges, bytes(raw))


def _range(
    exponents: NDArray[np.uint8] | np.uint8, settings: Settings
) -> NDArray[np.uint8] | np.uint8:
    """Return the index of the range for each exponent; a zero may have any."""
    within = settings.exponents
    return np.clip(exponents, within[0], within[-1]) - np.uint8(within[0])


def _check_range(current: NDArray[np.float64], start: int, settings: Settings, where: str) -> None:
    above = current > TOP_A  # NaN is not
    if above.any():
        at = int(np.argmax(above))
        raise MeterError(
            f"the LPM01A at {where} measures {current[at] * 1e3:.1f} mA at "
            f"{(start + at) / settings.sample_hz:.3f} s, above the {TOP_A * 1e3:g} mA up to which it is "
            f"right; use a meter with a higher range"
        )


def pieces_of(raw: bytes, start: int, settings: Settings) -> Iterator[Piece]:
    """Yield the pieces again from the evidence of consecutive chunks.

    Raises:
        MeterError: it is not whole.
    """
    at = 0
    while at < len(raw):
        if len(raw) - at < _RECORD.size:
            raise _not_whole(start)
        magic, flags, exponent, samples, size = _RECORD.unpack_from(raw, at)
        payload = raw[at + _RECORD.size : at + _RECORD.size + size]
        if magic != _MAGIC or len(payload) != size:
            raise _not_whole(start)
        at += _RECORD.size + size
        empty = Piece(
            start, samples, bool(flags & _LOST), bool(flags & _HIGH), exponent, np.empty(0),
            np.empty(0, np.uint8), (), payload,
        )  # fmt: skip
        yield empty if empty.lost else _filled(empty, settings)
        start += samples


def _filled(piece: Piece, settings: Settings) -> Piece:
    values: list[NDArray[np.float64]] = [np.empty(0)]
    exponents: list[NDArray[np.uint8]] = [np.empty(0, np.uint8)]
    edges: list[tuple[int, bool]] = []
    count = 0
    for token, _ in splitter(settings, aligned=True).feed(piece.raw):
        if isinstance(token, Samples):
            values.append(token.values)
            exponents.append(token.exponents)
            count += len(token.values)
        elif isinstance(token, Event):
            edges.append((count, token.rising))
    if count != piece.samples:
        raise _not_whole(piece.start)
    return replace(
        piece,
        values=np.concatenate(values),
        exponents=np.concatenate(exponents),
        edges=tuple(edges),
    )


def _not_whole(start: int) -> MeterError:
    return MeterError(
        f"the evidence of the LPM01A is not whole at sample {start}: it was cut or changed; take it "
        f"from the run directory again"
    )
