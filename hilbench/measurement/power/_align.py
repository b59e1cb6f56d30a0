"""Which events frame which window: alignment of a sequence by dynamic programming.

Windows are told in order with their durations; events (edges of the marker, steps of the current)
are seen in order with their places, spurious ones among them. Every window gets a first and a last
event whose distance is its duration within tolerance, windows do not overlap, and the sum of
squared residuals is least. Exact: no greedy choice that a later window could regret.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEARLY = 0.25  # squared tolerances: of residuals at half the tolerance and at none

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Events:
    """Seen in order. ``sign``: 1 up, -1 down, 0 either; ``reach``: limit of error, samples."""

    at: Floats
    sign: NDArray[np.int8]
    reach: Floats

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.at)


@dataclass(frozen=True)
class Told:
    """Windows in order, in samples. ``sign`` is that of the first event, the last has the other."""

    length: Floats
    sign: NDArray[np.int8]
    tolerance: Floats  # without the events' own reach
    same: Floats  # edges that differ by less are one place

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.length)


@dataclass(frozen=True)
class Alignment:
    """``first`` and ``last`` event of every window; ``rival``: one with two places that fit."""

    first: Ints
    last: Ints
    rival: int | None


@dataclass(frozen=True)
class Misfit:
    """The first window without a place and the pulse that comes nearest to it."""

    window: int
    nearest: float | None  # samples; None: no pulse is left between its neighbours
    tolerance: float


@dataclass(frozen=True)
class _Pairs:
    first: Ints
    last: Ints
    cost: Floats


def align(
    events: Events, told: Told, *, shared: bool = False, margin: float = np.inf
) -> Alignment | Misfit:
    """Place all windows, or say which has no place.

    Args:
        events: where something happened.
        told: what should be there.
        shared: the last event of a window may be the first of the next.
        margin: a rival place that shares less than half with the chosen one counts when it costs
            less than this more, in squared tolerances; a nearer one when it costs ``NEARLY`` as much.
    """
    used = 1 if shared else 2  # events that a window takes from its neighbours
    pairs = []
    for i in range(len(told)):
        low, high = used * i, len(events) - 1 - used * (len(told) - 1 - i)
        pairs.append(_pairs(events, told, i, low, high + 1))
        if not len(pairs[-1].first):
            return _misfit(events, told, shared=shared)
    ahead = _chain(pairs, shared=shared)
    if not np.isfinite(ahead[-1]).any():
        return _misfit(events, told, shared=shared)
    mirrored = [_Pairs(-p.last, -p.first, p.cost) for p in reversed(pairs)]
    behind = _chain(mirrored, shared=shared)[::-1]
    first, last = _trace(pairs, ahead, shared=shared)
    rival = None
    for i, pair in enumerate(pairs):
        total = ahead[i] + behind[i] - pair.cost
        moved, elsewhere = _other(events, pair, first[i], last[i])
        moved -= events.reach[pair.first] + events.reach[pair.last]
        extra = total - total[(pair.first == first[i]) & (pair.last == last[i])]
        if ((elsewhere & (extra < margin)) | ((moved > told.same[i]) & (extra < NEARLY))).any():
            rival = i
            break
    return Alignment(first, last, rival)


def _pairs(events: Events, told: Told, i: int, low: int, high: int) -> _Pairs:
    """Return pairs of events in [low, high) that are window i within its tolerance."""
    low, high = max(low, 0), min(high, len(events))
    sign = events.sign[low:high]
    starts = low + np.flatnonzero((sign == told.sign[i]) | (sign == 0))
    ends = low + np.flatnonzero((sign == -told.sign[i]) | (sign == 0))
    if not len(starts) or not len(ends):
        none = np.zeros(0, np.int64)
        return _Pairs(none, none, np.zeros(0))
    widest = told.tolerance[i] + 2 * events.reach[low:high].max()
    wanted = events.at[starts] + told.length[i]
    begin = np.searchsorted(events.at[ends], wanted - widest, side="left")
    count = np.searchsorted(events.at[ends], wanted + widest, side="right") - begin
    count = np.maximum(count, 0)
    first = np.repeat(starts, count)
    offset = np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count)
    last = ends[np.repeat(begin, count) + offset]
    limit = told.tolerance[i] + events.reach[first] + events.reach[last]
    z = (events.at[last] - events.at[first] - told.length[i]) / limit
    fits = (np.abs(z) <= 1) & (last > first)
    return _Pairs(first[fits], last[fits], z[fits] ** 2)


def _chain(pairs: list[_Pairs], *, shared: bool) -> list[Floats]:
    """Return for every pair of every window the least cost of all windows up to it."""
    totals: list[Floats] = []
    for i, pair in enumerate(pairs):
        if i == 0:
            totals.append(pair.cost)
            continue
        order, least = _least(pairs[i - 1], totals[-1])
        ends = pairs[i - 1].last[order]
        before = np.searchsorted(ends, pair.first, side="right" if shared else "left")
        totals.append(pair.cost + np.concatenate(([np.inf], least))[before])
    return totals


def _least(pair: _Pairs, total: Floats) -> tuple[Ints, Floats]:
    order = np.argsort(pair.last, kind="stable")
    return order, np.minimum.accumulate(total[order])


def _trace(pairs: list[_Pairs], totals: list[Floats], *, shared: bool) -> tuple[Ints, Ints]:
    first = np.empty(len(pairs), np.int64)
    last = np.empty(len(pairs), np.int64)
    border = np.inf
    for i in reversed(range(len(pairs))):
        free = pairs[i].last <= border if shared else pairs[i].last < border
        best = int(np.argmin(np.where(free, totals[i], np.inf)))
        first[i], last[i] = pairs[i].first[best], pairs[i].last[best]
        border = first[i]
    return first, last


def _other(events: Events, pair: _Pairs, first: int, last: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return how far pairs are from the chosen one, and which share less than half with it."""
    start, end = events.at[pair.first], events.at[pair.last]
    common = np.minimum(end, events.at[last]) - np.maximum(start, events.at[first])
    moved = np.abs(start - events.at[first]) + np.abs(end - events.at[last])
    return moved, np.asarray(common < 0.5 * (events.at[last] - events.at[first]))


def _misfit(events: Events, told: Told, *, shared: bool) -> Misfit:
    """Find the first window without a place when as many as possible have one."""
    step = 1 if shared else 0
    most = np.zeros((len(told) + 1, len(events) + 1), np.int32)  # of windows, in events before
    pairs, gains = [], []
    for i in range(len(told)):
        pair = _pairs(events, told, i, 0, len(events))
        gain = most[i, pair.first + step] + 1
        row = most[i].copy()
        np.maximum.at(row, pair.last + 1, gain)
        most[i + 1] = np.maximum.accumulate(row)
        pairs.append(pair)
        gains.append(gain)
    used, low, high, missing = len(events), 0, len(events), len(told) - 1
    for i in reversed(range(len(told))):
        if most[i + 1, used] == most[i, used]:
            missing, low, high = i, 0, used
            continue
        best = np.flatnonzero((pairs[i].last < used) & (gains[i] == most[i + 1, used]))[0]
        if low == 0 and missing > i:
            low = int(pairs[i].last[best]) + 1 - step
        used = int(pairs[i].first[best]) + step
    return _nearest(events, told, missing, low, high)


def _nearest(events: Events, told: Told, i: int, low: int, high: int) -> Misfit:
    """Say which pulse among events [low, high) comes nearest to window i."""
    at, sign, reach = events.at[low:high], events.sign[low:high], events.reach[low:high]
    starts = np.flatnonzero((sign == told.sign[i]) | (sign == 0))
    ends = np.flatnonzero((sign == -told.sign[i]) | (sign == 0))
    follower = np.searchsorted(ends, starts, side="right")
    starts, follower = starts[follower < len(ends)], follower[follower < len(ends)]
    if not len(starts):
        return Misfit(i, None, float(told.tolerance[i]))
    lengths = at[ends[follower]] - at[starts]
    best = int(np.argmin(np.abs(lengths - told.length[i])))
    limit = told.tolerance[i] + reach[starts[best]] + reach[ends[follower[best]]]
    return Misfit(i, float(lengths[best]), float(limit))
