"""Where every tensor lives in the arena.

A strategy is a function of buffers to offsets, so that an optimal one can take ``best_fit``'s place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hilbench.models.planner.layout import ALIGNMENT


@dataclass(frozen=True)
class Buffer:
    """Memory of ``size`` bytes that must survive from step ``first`` to step ``last``, inclusive."""

    size: int
    first: int
    last: int

    def overlaps(self, other: Buffer) -> bool:
        """Say whether both must exist at the same time."""
        return self.first <= other.last and other.first <= self.last


Strategy = Callable[[Sequence[Buffer]], list[int]]


def align(size: int) -> int:
    """Round up to the alignment of tensors and constants."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def best_fit(buffers: Sequence[Buffer]) -> list[int]:
    """Return an offset per buffer: each into the smallest gap that holds it.

    Buffers are placed in several orders, and the smallest arena wins: largest first (Pisarchyk and
    Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 5.2), from either
    end of time; and outwards from the busiest step, which leaves no gap beside a chain of layers.
    """
    if not buffers:
        return []
    steps = sorted({b.first for b in buffers})
    peak = max(steps, key=lambda step: sum(b.size for b in buffers if b.first <= step <= b.last))

    def distance(buffer: Buffer) -> int:
        return max(buffer.first - peak, peak - buffer.last, 0)

    keys: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
        lambda b: (-b.size, b.first),
        lambda b: (-b.size, -b.last),
        lambda b: (distance(b), -b.size, b.first),
        lambda b: (distance(b), b.last - b.first, -b.size),
    )
    numbers = range(len(buffers))
    placements = (_place(buffers, sorted(numbers, key=lambda i: key(buffers[i]))) for key in keys)
    return min(placements, key=lambda offsets: arena_bytes(buffers, offsets))


def arena_bytes(buffers: Sequence[Buffer], offsets: Sequence[int]) -> int:
    """Return the bytes that a placement takes."""
    return max((o + align(b.size) for o, b in zip(offsets, buffers, strict=True)), default=0)


def _place(buffers: Sequence[Buffer], order: Sequence[int]) -> list[int]:
    offsets: dict[int, int] = {}
    for i in order:
        taken = sorted(
            (offset, offset + align(buffers[j].size))
            for j, offset in offsets.items()
            if buffers[i].overlaps(buffers[j])
        )
        offsets[i] = _smallest_gap(taken, align(buffers[i].size))
    return [offsets[i] for i in range(len(buffers))]


def _smallest_gap(taken: list[tuple[int, int]], size: int) -> int:
    best: tuple[int, int] | None = None  # (gap, offset)
    end = 0
    for begin, finish in taken:
        gap = begin - end
        if gap >= size and (best is None or gap < best[0]):
            best = (gap, end)
        end = max(end, finish)
    return end if best is None else best[1]


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """Return the bytes that must exist at once at the busiest step: no strategy needs less."""
    steps = {buffer.first for buffer in buffers}
    return max(
        (sum(align(b.size) for b in buffers if b.first <= s <= b.last) for s in steps), default=0
    )
