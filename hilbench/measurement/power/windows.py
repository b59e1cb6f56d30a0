"""Windows from the marker pin: its edges in the samples, matched with what the device tells.

A logic bit of sample k is taken for the level at the middle of the sample: a change between samples
k - 1 and k happened at k with a rectangular distribution of one sample, u = 1 / sqrt(12) sample an
edge, so that two edges make the 1 / sqrt(6) sample that the count of a pulse at random phase has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import WindowError
from hilbench.measurement.power._align import Alignment, Events, Misfit, Told, align
from hilbench.power import Chunk, Marked, MarkerTier, MeterSpec, Window

U_SAMPLE = 1 / np.sqrt(12)  # of a rectangular distribution one wide
BOARD_CLOCK_LIMIT = 0.03  # relative: an internal RC oscillator over temperature
MARKER_LIMIT_S = 20e-6  # between the pin and the reading of the counter, both edges together
CLOCK_WANDER = 0.1  # share of the clocks' limits by which their ratio changes within a capture


RATIOS = 41  # of the clocks that are tried: closer than they may wander


@dataclass(frozen=True)
class Edges:
    """Edges of the marker: indices of the first sample with the new level.

    An edge hidden in lost samples lies in their middle and is as uncertain as they are many.
    """

    rises: NDArray[np.int64]
    falls: NDArray[np.int64]
    bounces: int  # pulses of either level that were too short
    level_at_start: bool
    u_rises: NDArray[np.float64]  # standard uncertainties, samples
    u_falls: NDArray[np.float64]


@dataclass(frozen=True)
class ClockRatio:
    """The meter's seconds for one of the device's, over all windows. Both clocks are in it."""

    ratio: float
    u_ratio: float  # standard uncertainty by edges and ticks


def marker_edges(chunks: Iterable[Chunk], bit: int, debounce_s: float, sample_hz: float) -> Edges:
    """Find the edges of logic input ``bit`` in one streaming pass.

    Levels that last less than ``debounce_s`` are bounces. A burst of them between two different
    levels is one edge, at the first change; between two equal levels it is none.
    """
    debounce = _Debounce(debounce_s * sample_hz)
    level_at_start = False
    level = np.zeros(1, np.uint8)
    seen = -1  # last valid sample
    for number, chunk in enumerate(chunks):
        if not len(chunk):
            continue
        bits = chunk.logic & np.uint8(1 << bit)
        if number == 0 or seen < 0:
            level = bits[:1]
            level_at_start = bool(level[0])
        changes = np.flatnonzero(bits[1:] != bits[:-1]) + 1
        if bits[0] != level[0]:
            changes = np.concatenate(([0], changes))
        if len(changes):
            lost = _lost_before(chunk, changes, seen)
            debounce.add(chunk.start + changes, lost, bits[changes] != 0)
        level = bits[-1:]
        if chunk.valid[-1]:
            seen = chunk.start + len(chunk) - 1
        elif chunk.valid.any():
            seen = chunk.start + int(np.flatnonzero(chunk.valid)[-1])
    return debounce.edges(level_at_start=level_at_start)


def _lost_before(chunk: Chunk, changes: NDArray[np.int64], seen: int) -> NDArray[np.int64]:
    """Return how many lost samples stand right before each change."""
    lost = np.zeros(len(changes), np.int64)
    hidden = ~chunk.valid[np.maximum(changes - 1, 0)]
    hidden |= (changes == 0) & (seen != chunk.start - 1)
    if hidden.any():
        valid = np.concatenate(([seen - chunk.start], np.flatnonzero(chunk.valid)))
        last = valid[np.searchsorted(valid, changes[hidden], side="left") - 1]
        lost[hidden] = changes[hidden] - 1 - last
    return lost


class _Debounce:
    """Bursts of changes to edges; keeps one open burst, whatever the chunks are."""

    def __init__(self, shortest: float) -> None:
        self.shortest = shortest
        self.last: int | None = None  # last change
        self.count = 0  # changes in the open burst
        self.first = (0, 0, False)  # of the open burst: where, lost before it, level after it
        self.bounces = 0
        self.found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]] = []

    def add(self, at: NDArray[np.int64], lost: NDArray[np.int64], level: NDArray[np.bool_]) -> None:
        lengths = np.diff(at, prepend=at[0] if self.last is None else self.last)
        opens = lengths >= self.shortest
        opens[0] |= self.last is None
        self.bounces += int((~opens).sum())
        heads = np.flatnonzero(opens)
        joined = int(heads[0]) if len(heads) else len(at)  # belong to the open burst
        self.count += joined
        self.last = int(at[-1])
        if not len(heads):
            return
        self._close()
        counts = np.diff(heads)
        odd = heads[:-1][counts % 2 == 1]
        self.found.append((at[odd], lost[odd], level[odd]))
        head = int(heads[-1])
        self.first = (int(at[head]), int(lost[head]), bool(level[head]))
        self.count = len(at) - head

    def _close(self) -> None:
        if self.count % 2 == 1:
            at, lost, level = self.first
            self.found.append((np.array([at]), np.array([lost]), np.array([level])))
        self.count = 0

    def edges(self, *, level_at_start: bool) -> Edges:
        self._close()
        if not self.found:
            none, zero = np.zeros(0, np.int64), np.zeros(0)
            return Edges(none, none, self.bounces, level_at_start, zero, zero)
        at, lost, level = (np.concatenate(column) for column in zip(*self.found, strict=True))
        middle = at - lost // 2
        u = (lost + 1 + lost % 2) * U_SAMPLE  # the odd half sample of the middle
        return Edges(
            middle[level], middle[~level], self.bounces, level_at_start, u[level], u[~level]
        )


def match(
    edges: Edges,
    marked: Sequence[Marked],
    spec: MeterSpec,
    *,
    board_clock_limit: float = BOARD_CLOCK_LIMIT,
    marker_limit_s: float = MARKER_LIMIT_S,
) -> list[Window]:
    """Find for everything that the device marked its pulse of the marker.

    A pulse is a window when it lasts as long as the device says, within a tolerance of: both
    clocks' limits at first, a tenth of them about the ratio that all windows together show in the
    end; two ticks of the device; the edges' own reach (half a sample each, and of lost samples as
    many as there are); ``marker_limit_s``. Pulses that belong to no window are passed over,
    and a window may be interrupted by short ones.

    Args:
        edges: of the marker.
        marked: what the device told, in order.
        spec: of the meter: sample rate and the limit of its clock.
        board_clock_limit: relative.
        marker_limit_s: limit of what passes between pin and counter, both edges together.

    Raises:
        WindowError: a window is missing or lasts too long or short, or two pulses could be it.
    """
    at = np.concatenate((edges.rises, edges.falls)).astype(np.float64)
    u = np.concatenate((edges.u_rises, edges.u_falls))
    sign = np.repeat(np.array([1, -1], np.int8), (len(edges.rises), len(edges.falls)))
    order = np.argsort(at, kind="stable")
    events = Events(at[order], sign[order], np.sqrt(3) * u[order])
    clocks = Clocks(spec.sample_hz, spec.clock_limit, board_clock_limit, marker_limit_s)
    ups = np.ones(len(marked), np.int8)
    return place(events, u[order], marked, sign=ups, clocks=clocks, tier="gpio")


def match_events(
    at: NDArray[np.int64],
    marked: Sequence[Marked],
    spec: MeterSpec,
    *,
    board_clock_limit: float = BOARD_CLOCK_LIMIT,
    marker_limit_s: float = MARKER_LIMIT_S,
) -> list[Window]:
    """Find windows between events without a level, e.g. the falling edges of MLPerf Tiny.

    As ``match``, but every event may be the beginning or the end of a window, or both.

    Args:
        at: index of the sample that each event stands before.
        marked: what the device told, in order.
        spec: of the meter.
        board_clock_limit: relative.
        marker_limit_s: as for ``match``.

    Raises:
        WindowError: as for ``match``.
    """
    u = np.full(len(at), U_SAMPLE)
    events = Events(at.astype(np.float64), np.zeros(len(at), np.int8), np.sqrt(3) * u)
    clocks = Clocks(spec.sample_hz, spec.clock_limit, board_clock_limit, marker_limit_s)
    sign = np.zeros(len(marked), np.int8)
    return place(events, u, marked, sign=sign, clocks=clocks, tier="gpio", shared=True)


@dataclass(frozen=True)
class Clocks:
    """Limits of what makes a told and a measured duration differ."""

    sample_hz: float
    meter_limit: float  # relative
    board_limit: float  # relative
    marker_limit_s: float

    @property
    def limit(self) -> float:
        """Relative limit of the ratio of both clocks."""
        return self.meter_limit + self.board_limit


def place(
    events: Events,
    u: NDArray[np.float64],
    marked: Sequence[Marked],
    *,
    sign: NDArray[np.int8],
    clocks: Clocks,
    tier: MarkerTier,
    shared: bool = False,
    margin: float = np.inf,
) -> list[Window]:
    """Align events with what was told, first with the clocks' limits, then with their ratio.

    Args:
        events: candidates in order.
        u: [events] standard uncertainty of each, samples.
        marked: what the device told, in order.
        sign: [windows] of the event that begins each.
        clocks: limits of the tolerance.
        tier: what the events are.
        shared: the end of a window may be the beginning of the next.
        margin: how much worse a rival place may be and still make a window ambiguous.

    Raises:
        WindowError: a window has no place, or two.
    """
    if not marked:
        return []
    duration = np.array([m.duration_s for m in marked]) * clocks.sample_hz
    fixed = 2 * np.array([m.tick_s for m in marked]) + clocks.marker_limit_s
    fixed *= clocks.sample_hz

    def aligned(ratio: ClockRatio | None) -> Alignment | Misfit:
        seen, limit = 1.0, clocks.limit
        if ratio is not None:
            seen = ratio.ratio
            limit = min(clocks.limit, CLOCK_WANDER * clocks.limit + 3 * ratio.u_ratio)
        told = Told(duration * seen, sign, duration * limit + fixed, 2 * fixed)
        return align(events, told, shared=shared, margin=margin)

    def ratio_of(found: Alignment) -> ClockRatio:
        return _median_ratio(_windows(found, events, u, marked, tier), clocks.sample_hz)

    found = _placed(aligned(None), marked, clocks, tier)
    if len(marked) > 1:  # one window alone says nothing about the ratio
        closer = aligned(ratio_of(found))
        if isinstance(closer, Misfit):  # something spurious suits a window better at ratio 1
            closer = _other_ratio(aligned, ratio_of, clocks) or closer
        found = _placed(closer, marked, clocks, tier)
    windows = _windows(found, events, u, marked, tier)
    if found.rival is not None:
        i = found.rival
        measured = (windows[i].end - windows[i].start) / clocks.sample_hz
        raise WindowError(
            f"{_name(marked, i)} lasts {marked[i].duration_s:.6f} s by the device, and two "
            f"{PULSES[tier]} fit it, the better one {measured:.6f} s; {ADVICE[tier]}, or let windows "
            "last differently, then measure again"
        )
    return windows


def _other_ratio(
    aligned: Callable[[ClockRatio | None], Alignment | Misfit],
    ratio_of: Callable[[Alignment], ClockRatio],
    clocks: Clocks,
) -> Alignment | None:
    """Try all ratios of the clocks within their limits; take the only alignment that there is."""
    found: dict[tuple[int, ...], Alignment] = {}
    for ratio in np.linspace(1 - clocks.limit, 1 + clocks.limit, RATIOS):
        first = aligned(ClockRatio(float(ratio), 0.0))
        again = aligned(ratio_of(first)) if isinstance(first, Alignment) else first
        if isinstance(again, Alignment):
            found[(*again.first, *again.last)] = again
    return next(iter(found.values())) if len(found) == 1 else None


PULSES = {"gpio": "marker pulses", "pattern": "pairs of steps", "edge": "pairs of steps"}
ADVICE = {
    "gpio": "check the marker's wire and debounce_s",
    "pattern": "wire the marker pin or make idle and active current differ more",
    "edge": "wire the marker pin or make idle and active current differ more",
}


def _name(marked: Sequence[Marked], i: int) -> str:
    what = marked[i].kind if marked[i].kind == "idle" else f"run of {marked[i].inferences}"
    return f"window {i + 1} of {len(marked)} ({what})"


def _placed(
    found: Alignment | Misfit, marked: Sequence[Marked], clocks: Clocks, tier: MarkerTier
) -> Alignment:
    if isinstance(found, Alignment):
        return found
    i, pulses = found.window, PULSES[tier]
    nearest = (
        f"none of the {pulses} is left for it"
        if found.nearest is None
        else f"the nearest of the {pulses} {found.nearest / clocks.sample_hz:.6f} s"
    )
    raise WindowError(
        f"{_name(marked, i)} lasts {marked[i].duration_s:.6f} s by the device, {nearest}, "
        f"tolerance {found.tolerance / clocks.sample_hz:.6f} s; {ADVICE[tier]}, then measure again"
    )


def _windows(
    found: Alignment,
    events: Events,
    u: NDArray[np.float64],
    marked: Sequence[Marked],
    tier: MarkerTier,
) -> list[Window]:
    u_edge = np.sqrt((u[found.first] ** 2 + u[found.last] ** 2) / 2)
    return [
        Window(m, float(events.at[a]), float(events.at[b]), tier, float(v))
        for m, a, b, v in zip(marked, found.first, found.last, u_edge, strict=True)
    ]


def _ratios(
    windows: Sequence[Window], sample_hz: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return measured over told duration of each window and its standard uncertainty."""
    told = np.array([w.marked.duration_s for w in windows]) * sample_hz
    tick = np.array([w.marked.tick_s for w in windows]) * sample_hz
    ratio = np.array([w.end - w.start for w in windows]) / told
    u = np.sqrt(2 * np.array([w.u_edge for w in windows]) ** 2 + tick**2 / 6) / told
    return ratio, u


def _median_ratio(windows: Sequence[Window], sample_hz: float) -> ClockRatio:
    """Weighted median: one misplaced window does not move it."""
    ratio, u = _ratios(windows, sample_hz)
    order = np.argsort(ratio)
    share = np.cumsum(1 / u[order] ** 2)
    middle = ratio[order][np.searchsorted(share, share[-1] / 2)]
    return ClockRatio(float(middle), float(1.25 / np.sqrt(share[-1])))  # 1.25: of a median


def clock_ratio(windows: Sequence[Window], sample_hz: float) -> ClockRatio:
    """Return the ratio of the meter's to the device's durations, weighted by uncertainty.

    Args:
        windows: as matched, at least one, not trimmed.
        sample_hz: nominal rate of the meter.
    """
    ratio, u = _ratios(windows, sample_hz)
    weight = 1 / u**2
    return ClockRatio(float((ratio * weight).sum() / weight.sum()), float(weight.sum() ** -0.5))


def settled(window: Window, tau_s: float, sample_hz: float) -> Window:
    """Leave out the first 5 tau, in which the current still falls from what was before: idle.

    Without a tail, leave out what an uncertain edge may share with what is around at both ends:
    talking draws more than idle, so that what slips in only ever adds. With one the current at the
    edge is fitted, which knows the edge's own place.

    Raises:
        WindowError: nothing is left.
    """
    guard = 0.0 if tau_s else max(1.0, 2 * window.u_edge)
    start = window.start + 5 * tau_s * sample_hz + guard
    end = window.end - guard
    if start + 1 > end:
        out_s = 5 * tau_s + 2 * guard / sample_hz
        raise WindowError(
            f"{window.marked.kind} window lasts {window.marked.duration_s:.6f} s, of which "
            f"{out_s:.6f} s are left out until its current has settled (5 time constants of "
            f"{tau_s:.6f} s) and at uncertain edges; idle for {2 * out_s:.6f} s or longer"
        )
    return replace(window, start=start, end=end)
