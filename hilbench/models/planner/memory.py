"""Where every tensor lives in the arena.

A strategy is a function of a problem to offsets, so that another one can take ``best_fit``'s place.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from hilbench.models.planner.layout import ALIGNMENT

_SHUFFLES = 400  # orders that are tried before best_fit gives up to reach the bound


@dataclass(frozen=True)
class Buffer:
    """Memory of ``size`` bytes that must survive from step ``first`` to step ``last``, inclusive."""

    size: int
    first: int
    last: int

    def overlaps(self, other: Buffer) -> bool:
        """Say whether both must exist at the same time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Problem:
    """Buffers, and which of them may share bytes although both exist.

    ``distances[i, j]``: buffer j, the output of the operator that reads buffer i for the last time,
    may begin that many bytes before i, or nearer, or behind i's end. Pairs in ``in_place`` have no
    more freedom than that: j begins where i does, or they are apart.
    """

    buffers: Sequence[Buffer]
    distances: Mapping[tuple[int, int], int] = field(default_factory=dict)
    in_place: Collection[tuple[int, int]] = frozenset()

    def size(self, i: int) -> int:
        """Return the bytes of a buffer, rounded up to the alignment."""
        return align(self.buffers[i].size)

    def forbidden(self, i: int, j: int, at: int) -> list[tuple[int, int]]:
        """Return open intervals where buffer i must not begin when buffer j begins at ``at``."""
        if not self.buffers[i].overlaps(self.buffers[j]):
            return []
        low, high = at - self.size(i), at + self.size(j)
        if (i, j) in self.in_place or (j, i) in self.in_place:
            return [(low, at), (at, high)]
        if (i, j) in self.distances:
            high = min(high, at + align(self.distances[i, j]))
        if (j, i) in self.distances:
            low = max(low, at - align(self.distances[j, i]))
        return [(low, high)]


Strategy = Callable[[Problem], list[int]]


def align(size: int) -> int:
    """Round up to the alignment of tensors and constants."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def best_fit(problem: Problem) -> list[int]:
    """Return an offset per buffer: each where the arena grows least, there into the smallest gap.

    Buffers are placed in several orders, and the smallest arena wins: largest first (Pisarchyk and
    Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 5.2), from either
    end of time, outwards from the busiest step; and, while the arena is above the lower bound, in
    orders that differ from the best one by a few exchanges (from a fixed seed).
    """
    buffers = problem.buffers
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
        lambda b: (b.first, -b.size),
        lambda b: (-b.last, -b.size),
    )
    numbers = range(len(buffers))
    orders = [sorted(numbers, key=lambda i: key(buffers[i])) for key in keys]
    placed = [(_place(problem, order), order) for order in orders]
    best, order = min(placed, key=lambda p: arena_bytes(problem, p[0]))
    return _improve(problem, best, order)


def _improve(problem: Problem, best: list[int], order: list[int]) -> list[int]:
    size, bound = arena_bytes(problem, best), lower_bound(problem)
    chance = random.Random(1)  # noqa: S311 - the same plan every time
    for _ in range(_SHUFFLES):
        if size <= bound:
            break
        other = list(order)
        for _ in range(chance.randint(1, 3)):
            other.insert(chance.randrange(len(other)), other.pop(chance.randrange(len(other))))
        offsets = _place(problem, other)
        found = arena_bytes(problem, offsets)
        if found <= size:
            best, order, size = offsets, other, found
    return best


def arena_bytes(problem: Problem, offsets: Sequence[int]) -> int:
    """Return the bytes that a placement takes."""
    return max((o + problem.size(i) for i, o in enumerate(offsets)), default=0)


def _place(problem: Problem, order: Sequence[int]) -> list[int]:
    """Place buffers one after the other, below the first one, too: its place is not the lowest yet."""
    offsets: dict[int, int] = {}
    low = high = 0  # what is taken so far
    for i in order:
        forbidden = sorted(x for j, at in offsets.items() for x in problem.forbidden(i, j, at))
        offsets[i] = _best_gap(forbidden, problem.size(i), low, high)
        low, high = min(low, offsets[i]), max(high, offsets[i] + problem.size(i))
    return [offsets[i] - low for i in range(len(order))]


def _best_gap(forbidden: list[tuple[int, int]], size: int, low: int, high: int) -> int:
    """Return where a buffer begins: where the arena grows least, there in the smallest gap.

    ``forbidden`` are sorted open intervals of its beginning.
    """
    if not forbidden:
        return low
    gaps: list[tuple[int, int]] = []  # of beginnings
    free = forbidden[0][0]
    gaps.append((min(free, low), free))
    free = forbidden[0][1]
    for begin, end in forbidden[1:]:
        if begin >= free:
            gaps.append((free, begin))
        free = max(free, end)
    gaps.append((free, max(free, high)))
    places = (
        (max(high, at + size) - min(low, at), end - begin, at)  # the arena, the gap
        for begin, end in gaps
        for at in (begin, end)
    )
    return min(places)[-1]


def lower_bound(problem: Problem) -> int:
    """Return the bytes that must exist at once at the busiest step: no strategy needs less."""
    steps = {buffer.first for buffer in problem.buffers}
    return max((_bound_at(problem, step) for step in steps), default=0)


def _bound_at(problem: Problem, step: int) -> int:
    live = [i for i, b in enumerate(problem.buffers) if b.first <= step <= b.last]
    pairs = [(i, j) for i, j in problem.distances if problem.buffers[j].first == step]
    outputs = {j for _, j in pairs}
    inputs = {i for i, _ in pairs}
    others = sum(problem.size(i) for i in live if i not in outputs | inputs)
    read = sum(problem.size(i) for i in inputs)
    written = sum(problem.size(j) for j in outputs)
    shared = max(read, written)
    if len(pairs) == 1:
        ((i, j),) = pairs
        ahead = max(align(problem.distances[i, j]), 0)
        shared = min(max(ahead + problem.size(i), problem.size(j)), read + written)
    return others + shared
