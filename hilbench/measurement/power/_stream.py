"""Chunks to blocks: of a good size, without holes, lost samples filled; and short spans of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import MeasurementError
from hilbench.power import Chunk

Floats = NDArray[np.float64]
BLOCK = 1 << 15  # samples: a block's arrays stay in the L2 cache


@dataclass(frozen=True)
class Block:
    """Consecutive samples; a lost one has the mean of its valid neighbours."""

    start: int
    current_a: Floats
    voltage_v: Floats | float
    range: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None  # None: all

    @property
    def stop(self) -> int:
        """Index behind the last sample."""
        return self.start + len(self.current_a)


def blocks(chunks: Iterable[Chunk]) -> Iterator[Block]:
    """Join small chunks, fill lost samples; memory of one chunk or one block, however long a gap.

    Raises:
        MeasurementError: chunks do not follow each other, or no sample is valid.
    """
    fill = _Fill()
    for chunk in _joined(chunks):
        yield from fill.add(chunk)
    yield from fill.rest()


def _joined(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    waiting: list[Chunk] = []
    samples = stop = 0
    for chunk in chunks:
        if chunk.start != stop:
            raise MeasurementError(
                f"a chunk begins at sample {chunk.start}, {stop} is the next; capture again, "
                "the recording has a hole that its meter does not account for"
            )
        stop += len(chunk)
        waiting.append(chunk)
        samples += len(chunk)
        if samples >= BLOCK:
            yield _join(waiting)
            waiting, samples = [], 0
    if samples:
        yield _join(waiting)


def _join(chunks: Sequence[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    volts: Floats | float = chunks[0].voltage_v
    if any(not np.isscalar(c.voltage_v) or c.voltage_v != volts for c in chunks):
        volts = np.concatenate([np.broadcast_to(c.voltage_v, len(c)) for c in chunks])
    return Chunk(
        chunks[0].start,
        np.concatenate([c.current_a for c in chunks]),
        volts,
        np.zeros(0, np.uint8),  # nobody asks for logic here
        np.concatenate([c.valid for c in chunks]),
        np.concatenate([c.range for c in chunks]),
    )


class _Fill:
    """Holds back lost samples at the end of a chunk, as a number, until a valid one follows."""

    def __init__(self) -> None:
        self.start = 0  # of the samples held back
        self.held = 0
        self.last: tuple[float, float, np.uint8] | None = None  # valid current, voltage, range

    def add(self, chunk: Chunk) -> Iterator[Block]:
        valid: NDArray[np.bool_] | None = None
        first, stop = 0, len(chunk)
        if not chunk.valid.all():
            good = np.flatnonzero(chunk.valid)
            if not len(good):
                self.held += len(chunk)
                return
            first, stop = int(good[0]), int(good[-1]) + 1
            valid = chunk.valid[first:stop]
        part = slice(first, stop)
        current = _filled(chunk.current_a[part], valid)
        volts = chunk.voltage_v
        if isinstance(volts, np.ndarray):
            volts = _filled(volts[part], valid)
        border = _at(volts, 0)
        ranges = chunk.range[part]
        yield from self._gap(self.held + first, (float(current[0]), border, ranges[0]))
        yield Block(chunk.start + first, current, volts, ranges, valid)
        self.start, self.held = chunk.start + stop, len(chunk) - stop
        self.last = float(current[-1]), _at(volts, -1), ranges[-1]

    def rest(self) -> Iterator[Block]:
        if self.last is None:
            raise MeasurementError(
                f"none of {self.held} samples is valid, at least 1 is needed; check the meter's "
                "connection and capture again"
            )
        yield from self._gap(self.held, self.last)

    def _gap(self, samples: int, after: tuple[float, float, np.uint8]) -> Iterator[Block]:
        before = self.last or after
        current, volts = (before[0] + after[0]) / 2, (before[1] + after[1]) / 2
        for at in range(self.start, self.start + samples, BLOCK):
            n = min(BLOCK, self.start + samples - at)
            full = np.full(n, current)
            yield Block(at, full, volts, np.full(n, before[2], np.uint8), np.zeros(n, bool))


def _at(volts: Floats | float, i: int) -> float:
    return float(volts[i]) if isinstance(volts, np.ndarray) else volts


def _filled(values: Floats, valid: NDArray[np.bool_] | None) -> Floats:
    """Fill inner gaps; the first and the last value are valid."""
    if valid is None or valid.all():
        return values
    steps = np.diff(valid.astype(np.int8))
    starts, stops = np.flatnonzero(steps < 0) + 1, np.flatnonzero(steps > 0) + 1
    values = values.copy()
    values[~valid] = np.repeat((values[starts - 1] + values[stops]) / 2, stops - starts)
    return values


@dataclass(frozen=True)
class Span:
    """Samples [start, start + n) around something of interest."""

    index: int
    start: int
    current_a: Floats  # lost ones filled
    valid: NDArray[np.bool_]


class Spans:
    """Collects many short spans while blocks go by; memory of those that are open."""

    def __init__(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> None:
        """Take spans [starts, stops) that rise in ``starts``; what is before 0 is left out."""
        self.starts, self.stops = np.maximum(starts, 0), stops
        self.next = 0
        self.open: dict[int, Span] = {}

    def add(self, block: Block) -> Iterator[Span]:
        """Yield the spans that are complete."""
        while self.next < len(self.starts) and self.starts[self.next] < block.stop:
            i = self.next
            n = max(int(self.stops[i] - self.starts[i]), 0)
            self.open[i] = Span(i, int(self.starts[i]), np.full(n, np.nan), np.zeros(n, bool))
            self.next += 1
        for i, span in list(self.open.items()):
            low, high = max(span.start, block.start), min(int(self.stops[i]), block.stop)
            if low < high:
                here, there = (
                    slice(low - span.start, high - span.start),
                    slice(low - block.start, high - block.start),
                )
                span.current_a[here] = block.current_a[there]
                span.valid[here] = True if block.valid is None else block.valid[there]
            if self.stops[i] <= block.stop:
                yield self.open.pop(i)

    def rest(self) -> Iterator[Span]:
        """Yield those that the end of the capture cuts short; NaN where it has no sample."""
        yield from self.open.values()
