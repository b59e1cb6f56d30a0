"""Windows where no marker pin is wired: from the current itself.

``find`` first looks for a pulse pattern that the host made before the windows, by a matched filter;
``steps`` does without. Both take changes of level in a decimated trace for candidates, align them
with what the device tells, and then fit the edges at full rate: a step between two levels behind a
first-order low pass, whose time constant is common to all edges. So a tail does not delay them, as
it does a threshold.

Standard uncertainty of one edge in samples, with s the noise over the step, tau in samples:
``u**2 = 1 / 12 + s**2 / sum(slope**2) + 26 * s**4``. The first: unknown instant within a sample; the
second: Cramer-Rao bound of the fit, s without a tail, s * sqrt(2 * tau) with one; the third:
variance of a change point in strong noise (Yao, Ann. Statist. 15 (1987) 1321: 26 (noise/step)**4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import WindowError
from hilbench.measurement.power._align import Events
from hilbench.measurement.power._stream import Span, Spans, blocks
from hilbench.measurement.power.windows import (
    BOARD_CLOCK_LIMIT,
    CLOCK_WANDER,
    MARKER_LIMIT_S,
    Clocks,
    clock_ratio,
    place,
)
from hilbench.power import Marked, MarkerTier, Recording, Window

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 1 << 19  # of the decimated trace: 4 MB
BINS_PER_WINDOW = 64  # of the shortest
LEAST_BINS = 16
SIDES = (3, 6, 12)  # bins on each side of a step whose means are compared
STEP_SIGMA = 6.0
STEP_SHARE = 0.03  # of the span of levels: smaller steps are no candidates
MATCH = 0.7  # least correlation coefficient of the pattern
RIVAL = 0.85  # of the best: a second place that scores as much is one too many
TAU_EDGES = 10  # edges that the common time constant is taken from
LEAST_FOR_RATIO = 3  # windows: fewer say too little about the clocks
QUIET = 0.01  # of the step: less noise than the search is fine
GRID = 17  # places that are tried at once
_TINY = 1e-300  # against division by 0
MOST_AROUND = 1024  # samples on each side of an edge that is fitted


def find(
    recording: Recording,
    pattern: Sequence[Marked],
    marked: Sequence[Marked],
    gap_s: float,
    *,
    board_clock_limit: float = BOARD_CLOCK_LIMIT,
    marker_limit_s: float = MARKER_LIMIT_S,
) -> list[Window]:
    """Find the windows after a known pulse pattern; tier "pattern".

    Args:
        recording: read three times.
        pattern: idle and run stretches that the host made for this purpose, in order.
        marked: what follows, in order.
        gap_s: typical time between stretches of the pattern, in which the board talks.
        board_clock_limit: as for ``windows.match``.
        marker_limit_s: as for ``windows.match``.

    Raises:
        WindowError: the pattern is not there, or twice; a window is not there, or twice; the
            capture is too long for its shortest window.
    """
    trace = _Trace.of(recording, [*pattern, *marked])
    first = _pattern_start(trace, pattern, gap_s)
    clocks = Clocks(
        recording.spec.sample_hz, recording.spec.clock_limit, board_clock_limit, marker_limit_s
    )
    # What sleeps wakes when it can: the pattern says where windows may begin, and nothing closer.
    lasts_s = sum(p.duration_s for p in pattern) + gap_s * (len(pattern) - 1)
    slack_s = min(p.duration_s for p in pattern) / 2
    first += (lasts_s - slack_s) * recording.spec.sample_hz
    return _located(recording, marked, trace, clocks, tier="pattern", first=first)


def steps(
    recording: Recording,
    marked: Sequence[Marked],
    *,
    board_clock_limit: float = BOARD_CLOCK_LIMIT,
    marker_limit_s: float = MARKER_LIMIT_S,
) -> list[Window]:
    """Find windows by steps of the current and by what the device tells; tier "edge".

    Args:
        recording: read three times.
        marked: what the device told, in order.
        board_clock_limit: as for ``windows.match``.
        marker_limit_s: as for ``windows.match``.

    Raises:
        WindowError: a window is not there, or twice; the capture is too long for its shortest
            window.
    """
    trace = _Trace.of(recording, marked)
    clocks = Clocks(
        recording.spec.sample_hz, recording.spec.clock_limit, board_clock_limit, marker_limit_s
    )
    return _located(recording, marked, trace, clocks, tier="edge", first=0.0)


@dataclass(frozen=True)
class _Trace:
    """The capture in bounded memory: means of ``width`` samples."""

    mean_a: Floats
    width: int
    sample_hz: float

    @classmethod
    def of(cls, recording: Recording, marked: Sequence[Marked]) -> _Trace:
        """Decimate in one streaming pass."""
        hz, total = recording.spec.sample_hz, recording.end.samples + recording.end.lost
        shortest = min(m.duration_s for m in marked) * hz
        width = max(int(shortest / BINS_PER_WINDOW), -(-total // BINS), 1)
        if width > shortest / LEAST_BINS:
            raise WindowError(
                f"capture of {total / hz:.3f} s is too long to find a window of "
                f"{shortest / hz:.6f} s by its current, limit {BINS * shortest / LEAST_BINS / hz:.3f} "
                f"s and {LEAST_BINS} samples a window; wire the marker pin or let windows last longer"
            )
        sums = np.zeros(total // width + 1)
        for block in blocks(recording.chunks()):
            bins = np.arange(block.start // width, (block.stop - 1) // width + 1)
            begin = np.maximum(bins * width, block.start) - block.start
            sums[bins] += np.add.reduceat(block.current_a, begin)
        return cls(sums[: total // width] / width, width, hz)


def _candidates(trace: _Trace) -> tuple[Ints, Floats]:
    """Return the bins before which the level changes, and by how much.

    They are extremes of the difference of the means on both sides. Short sides tell neighbours
    apart and come first; longer ones add weaker and slower changes.
    """
    total = np.concatenate(([0.0], np.cumsum(trace.mean_a - trace.mean_a.mean())))
    noise = np.median(np.abs(np.diff(trace.mean_a))) * 1.4826  # of the difference of two bins
    low, high = np.percentile(trace.mean_a, (2, 98))
    found, sizes = np.zeros(0, np.int64), np.zeros(len(trace.mean_a) + 1)
    for side in SIDES:
        middle = np.arange(side, len(trace.mean_a) - side + 1)
        size = np.zeros(len(trace.mean_a) + 1)
        change = total[middle + side] - 2 * total[middle] + total[middle - side]
        size[middle] = np.abs(change) / side
        reach = side // 2 + 1
        around = np.lib.stride_tricks.sliding_window_view(np.pad(size, reach), 2 * reach + 1)
        least = max(STEP_SIGMA * noise / side**0.5, STEP_SHARE * (high - low))
        peak = np.flatnonzero((size == around.max(axis=1)) & (size > least))
        if len(found):
            after = np.minimum(np.searchsorted(found, peak), len(found) - 1)
            before = np.maximum(after - 1, 0)
            away = np.minimum(np.abs(found[after] - peak), np.abs(found[before] - peak))
            peak = peak[away > side]
        sizes[peak] = size[peak]
        found = np.sort(np.concatenate((found, peak)))
    return found, sizes[found]


def _pattern_start(trace: _Trace, pattern: Sequence[Marked], gap_s: float) -> float:
    """Return where the pattern begins, in samples, by its normalised correlation."""
    template, gap = [], np.zeros(round(gap_s * trace.sample_hz / trace.width))
    for number, stretch in enumerate(pattern):
        bins = round(stretch.duration_s * trace.sample_hz / trace.width)
        template.append(np.full(bins, 1.0 if stretch.kind == "run" else -1.0))
        if number + 1 < len(pattern):
            template.append(gap)
    wanted = np.concatenate(template)
    score = _correlation(trace.mean_a - trace.mean_a.mean(), wanted)
    best = int(np.argmax(score)) if len(score) else 0
    found = float(score[best]) if len(score) else 0.0
    if found < MATCH:
        raise WindowError(
            f"pulse pattern of {len(pattern)} stretches is not in the current: best correlation "
            f"{found:.2f}, limit {MATCH}; wire the marker pin or make the pattern's stretches longer"
        )
    far = np.abs(np.arange(len(score)) - best) > len(wanted) / 2
    second = float(score[far].max(initial=0.0))
    if second > RIVAL * found:
        raise WindowError(
            f"pulse pattern of {len(pattern)} stretches is in the current twice: correlation "
            f"{found:.2f} and {second:.2f}, limit {RIVAL * found:.2f}; make the pattern longer or "
            "unlike what is measured"
        )
    return float(best * trace.width)


def _correlation(values: Floats, template: Floats) -> Floats:
    """Return the correlation coefficient of ``template`` at every place, its zeros left out."""
    if len(values) < len(template):
        return np.zeros(0)
    use = (template != 0).astype(np.float64)
    centred = np.where(use > 0, template - template[use > 0].mean(), 0.0)
    size = 1 << (len(values) + len(template) - 1).bit_length()
    spectrum, squared = np.fft.rfft(values, size), np.fft.rfft(values**2, size)

    def slide(kernel: Floats, spectrum: NDArray[np.complex128]) -> Floats:
        product = spectrum * np.conj(np.fft.rfft(kernel, size))
        return np.asarray(np.fft.irfft(product, size)[: len(values) - len(template) + 1])

    spread = slide(use, squared) - slide(use, spectrum) ** 2 / use.sum()
    floor = 1e-9 * (values @ values) / len(values) * use.sum()
    scale = np.sqrt(np.maximum(spread, floor) * (centred @ centred))
    return np.asarray(slide(centred, spectrum) / scale)


def _located(
    recording: Recording,
    marked: Sequence[Marked],
    trace: _Trace,
    clocks: Clocks,
    *,
    tier: MarkerTier,
    first: float,
) -> list[Window]:
    """Fit all candidates at full rate, align those that are steps, use told durations."""
    bins, size = _candidates(trace)
    changes = (bins * trace.width).astype(np.float64)
    later = changes >= first
    at, u = edges_at_full_rate(recording, changes, size, trace.width, later)
    step = u < 4 * trace.width
    order = np.argsort(at[step], kind="stable")
    at, u = at[step][order], u[step][order]
    either = np.zeros(len(marked), np.int8)
    events = Events(at, np.zeros(len(at), np.int8), 3 * u)
    windows = place(
        events, u, marked, sign=either, clocks=clocks, tier=tier, shared=True, margin=1.0
    )
    return _constrained(windows, clocks)


def _constrained(windows: list[Window], clocks: Clocks) -> list[Window]:
    """Move both edges of each window by what its length is off, weighted by uncertainty."""
    ratio, u_ratio = 1.0, clocks.limit / 3**0.5
    if len(windows) >= LEAST_FOR_RATIO:
        seen = clock_ratio(windows, clocks.sample_hz)
        ratio, u_ratio = seen.ratio, float(np.hypot(seen.u_ratio, u_ratio * CLOCK_WANDER))
    moved: list[Window] = []
    for window in windows:
        told = window.marked.duration_s * clocks.sample_hz * ratio
        fixed = np.hypot(window.marked.tick_s / 6**0.5, clocks.marker_limit_s / 12**0.5)
        u_told = np.hypot(told * u_ratio, fixed * clocks.sample_hz)
        share = window.u_edge**2 / (2 * window.u_edge**2 + u_told**2)
        shift = float(share * (window.end - window.start - told))
        start, end = window.start + shift, window.end - shift
        if moved and start < moved[-1].end:  # an edge that neighbours share
            start = (start + moved[-1].end) / 2
            moved[-1] = replace(moved[-1], end=start)
        u_edge = float(window.u_edge * (1 - share) ** 0.5)
        moved.append(replace(window, start=start, end=end, u_edge=u_edge))
    return moved


def edges_at_full_rate(
    recording: Recording, changes: Floats, size: Floats, width: int, wanted: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Fit a step behind a low pass at changes of level, in two passes.

    Args:
        recording: read twice.
        changes: [n] rough places, ascending, samples; a fit keeps away from its neighbours.
        size: [n] of the steps: the time constant is taken from large ones.
        width: samples by which places may be off.
        wanted: [n] which are fitted.

    Returns:
        [wanted] edges and [wanted] their standard uncertainties, samples.
    """
    gap = 2.0 * width
    left = np.concatenate(([-np.inf], changes[:-1]))
    right = np.concatenate((changes[1:], [np.inf]))
    low = np.clip(left + gap, changes - MOST_AROUND, changes - gap).astype(np.int64)
    high = np.clip(right - gap, changes + gap, changes + MOST_AROUND).astype(np.int64) + 1
    which = np.flatnonzero(wanted)
    if not len(which):
        return np.zeros(0), np.zeros(0)

    def spans(some: Ints) -> Iterator[tuple[int, Span]]:
        collect = Spans(low[some], high[some])
        for block in blocks(recording.chunks()):
            yield from ((int(some[s.index]), s) for s in collect.add(block))
        yield from ((int(some[s.index]), s) for s in collect.rest())

    room = np.minimum(high - changes, changes - low)[which]
    largest = np.argsort(-size[which] * np.sqrt(room), kind="stable")[:TAU_EDGES]
    chosen = np.sort(which[largest])
    tau, u_tau = _common_tau([(changes[i], span) for i, span in spans(chosen)], width)
    at, u = np.zeros(len(changes)), np.zeros(len(changes))
    for i, span in spans(which):
        step = _Step.fit(span, changes[i], tau, width)
        at[i], u[i] = step.at, np.hypot(step.u, u_tau)
    return at[wanted], u[wanted]


def _common_tau(spans: Sequence[tuple[float, Span]], width: int) -> tuple[float, float]:
    """Return the time constant with the least residuals over all spans and its u, samples.

    Below one sample it is 0, and part of the edge's own uncertainty.
    """
    longest = max(len(span.current_a) for _, span in spans) / 4

    def cost(tau: float) -> float:
        return sum(_Step.fit(span, edge, tau, width).cost for edge, span in spans)

    taus = np.concatenate(([0.0], np.geomspace(0.5, max(longest, 1.0), 10)))
    for _ in range(5):
        costs = np.array([cost(tau) for tau in taus])
        best = min(max(int(np.argmin(costs)), 1), len(taus) - 2)
        near = slice(best - 1, best + 2)
        bend, lean = (float(v) for v in np.polyfit(taus[near] - taus[best], costs[near], 2)[:2])
        tau, low, high = float(taus[np.argmin(costs)]), taus[best - 1], taus[best + 1]
        if bend > 0:
            tau = float(np.clip(taus[best] - lean / (2 * bend), low, high))
        taus = np.linspace(low, high, 5)
    if tau < 1:
        return 0.0, 0.0
    if bend <= 0:
        return tau, float(high - low)
    misfits = [_Step.fit(span, edge, tau, width).misfit for edge, span in spans]
    beyond = max(float(np.mean(misfits)) - 1, 0.0)
    # Residuals that are not noise follow each other, over about tau, and are the same everywhere.
    return tau, ((beyond * tau * len(spans) + 1) / bend) ** 0.5


def step_response(near: Floats, tau: float) -> Floats:
    """Return the mean response to a unit step at 0 of samples between consecutive ``near``.

    Args:
        near: [..., n + 1] borders of the samples relative to the step, samples.
        tau: of the low pass, samples.
    """
    since = np.maximum(near, 0.0)
    if tau > 0:
        since = since + tau * np.expm1(-since / tau)  # its integral
    return np.diff(since, axis=-1)


@dataclass(frozen=True)
class _Step:
    """A step between two levels, fitted to a span by least squares."""

    at: float
    u: float
    cost: float  # sum of squared residuals over variance of the noise
    misfit: float  # cost of one sample: 1 where noise is all there is

    @classmethod
    def fit(cls, span: Span, rough: float, tau: float, width: int) -> _Step:
        """Search around ``rough``, in paces that become finer, for the place that fits best."""
        use = span.valid & np.isfinite(span.current_a)
        borders = span.start + np.arange(len(use) + 1.0)
        known = _before(np.flatnonzero(use).astype(np.float64), tau)
        values = _without(known, span.current_a[use])
        low = max(rough - 2 * width - 2 * tau, borders[0] + 1)
        high = min(rough + 2 * width, borders[-1] - 1)
        grid = np.linspace(low, max(high, low), GRID)
        for _ in range(3):
            table = _without(known, step_response(borders - grid[:, None], tau)[:, use])
            gain = (table @ values) ** 2 / np.maximum((table**2).sum(axis=1), 1e-300)
            at, pace = float(grid[int(np.argmax(gain))]), grid[1] - grid[0]
            grid = np.linspace(at - pace, at + pace, GRID)
        near = borders - at
        response = step_response(near, tau)[use]
        slope = (step_response(near - 0.5, tau) - step_response(near + 0.5, tau))[use]
        response, slope = _without(known, response), _without(known, slope)
        power = _TINY + float(response @ response)
        step = float(response @ values) / power
        rest = values - step * response
        variance = float(rest @ rest) / max(len(values) - 4, 1)
        slope -= response * (float(slope @ response) / power)
        follow = float(rest[1:] @ rest[:-1]) / (_TINY + float(rest @ rest))
        follow = float(np.clip(follow - 2 / len(rest) ** 0.5, 0.0, 0.98))  # beyond what noise does
        ratio = variance / (_TINY + step**2)
        bound, strong = ratio / (_TINY + float(slope @ slope)), 26 * ratio**2
        bound *= (1 + follow) / (1 - follow)  # something else changes here: fewer independent
        noise = float(np.median(np.abs(np.diff(values))) * 1.4826) ** 2 / 2
        cost = float(rest @ rest) / max(noise, (QUIET * step) ** 2, _TINY)
        return cls(at, float(np.sqrt(1 / 12 + bound + strong)), cost, cost / len(rest))


def _before(time: Floats, tau: float) -> Floats:
    """Return [n, 1 or 2] orthonormal: a level, and what earlier steps still have to decay."""
    level = np.ones(len(time))
    columns = (level, np.exp(-time / tau)) if tau > 0 else (level,)
    q: Floats = np.linalg.qr(np.column_stack(columns))[0]
    return q


def _without(known: Floats, rows: Floats) -> Floats:
    """Take out of each of ``rows`` [..., n] what lies in the columns of ``known`` [n, k]."""
    return np.asarray(rows - (rows @ known) @ known.T)
