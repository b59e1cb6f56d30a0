"""Time constant of what lies between board and meter, from the steps at the windows' edges.

Behind a first-order low pass the current after a step is ``level + rest * exp(-t / tau)`` and does
not jump. Edges of one sort (idle or run, begin or end) are stacked, each weighted by its own step,
and fitted together; sorts that agree are averaged, one whose current changes by itself (operators,
a UART) does not fit an exponential and weighs little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import MeasurementError
from hilbench.measurement.power._stream import Span, Spans, blocks
from hilbench.power import Recording, Window

Floats = NDArray[np.float64]

BEFORE = 8  # samples whose mean is the level before an edge
MOST_AFTER = 1 << 15  # samples that an edge is followed for
LEAST_AFTER = 12
LEAST_FITTED = 40  # samples, however short the tail
STEP_SIGMA = 5.0  # a smaller step is none
DECAYS = 8.0  # time constants that the fit looks at
SETTLED = 3.0  # time constants that must fit between an edge and the next
JUMP = 0.25  # of the step: more between the levels on both sides of an edge is no low pass
FLAT = 0.02  # of the step: residuals that are still no structure
CONSISTENT = 3.0  # standard uncertainties


@dataclass(frozen=True)
class Tail:
    """First-order low pass between board and meter."""

    tau_s: float  # 0: none that is resolved
    u_tau_s: float  # standard uncertainty
    edges: int = 0  # that it was fitted to
    says: str = ""  # what a person should know


def fit(recording: Recording, windows: Sequence[Window]) -> Tail:
    """Fit the time constant in one streaming pass; memory of the spans around open edges.

    A time constant below one sample is not resolved and becomes 0 with the uncertainty of a
    rectangular distribution up to what could have been seen. So does any where no edge has a step:
    then it is unknown up to what windows last, and ``tau * (end_a - start_a)`` is small by itself.

    Raises:
        MeasurementError: the current has not settled when the next edge comes.
    """
    if not windows:
        raise MeasurementError("no window to fit a time constant to, at least 1 is needed")
    dt = 1 / recording.spec.sample_hz
    end = recording.end.samples + recording.end.lost
    stacks = _stacked(recording, windows, end)
    stepping = [stack for stack in stacks.values() if stack.edges]
    if not stepping:
        longest = max(w.end - w.start for w in windows) / SETTLED
        return Tail(
            0.0,
            float(longest * dt / np.sqrt(3)),
            0,
            "no current step at any edge of a window: time constant unknown, but of no effect",
        )
    found = [group for stack in stepping if (group := stack.fitted()) is not None]
    if not found:
        found = [group for stack in stepping if (group := stack.jumped()) is not None]
    if not found:
        raise MeasurementError(
            f"current after {sum(s.edges for s in stepping)} edges changes by itself, so no time "
            "constant can be told from it; add idle windows before and after the runs"
        )
    settled = [group for group in found if group.length >= SETTLED * group.tau]
    best = min(settled or found, key=lambda group: group.u)
    if not settled:
        raise MeasurementError(
            f"current settles with a time constant of about {best.tau * dt:.6f} s, but the next "
            f"edge comes after {best.length * dt:.6f} s, at least {SETTLED:g} time constants are "
            "needed; make idle windows longer or the capacitor behind the meter smaller"
        )
    return _combined(settled, best, dt)


def _combined(groups: Sequence[_Group], best: _Group, dt: float) -> Tail:
    used = [
        group
        for group in groups
        if abs(group.tau - best.tau) <= CONSISTENT * np.hypot(group.u, best.u)
    ]
    weight = np.array([group.u**-2 for group in used])
    taus = np.array([group.tau for group in used])
    tau = float((taus * weight).sum() / weight.sum())
    scatter = float((weight * (taus - tau) ** 2).sum() / max(len(used) - 1, 1))
    u = float(weight.sum() ** -0.5) * max(1.0, scatter**0.5)
    edges = sum(group.edges for group in used)
    names = ", ".join(group.name for group in used)
    if tau < 1:
        limit = max(best.u * np.sqrt(3), tau + u)
        return Tail(
            0.0,
            float(limit * dt / np.sqrt(3)),
            edges,
            f"time constant below {limit * dt * 1e6:.3g} us, not resolved at {dt * 1e6:.3g} us "
            f"a sample ({names})",
        )
    return Tail(
        tau * dt,
        u * dt,
        edges,
        f"time constant {tau * dt * 1e6:.4g} us, u {u * dt * 1e6:.2g} us, from {edges} edges "
        f"({names})",
    )


@dataclass(frozen=True)
class _Group:
    """What one sort of edges says, in samples. tau 0: below what they resolve."""

    name: str
    tau: float
    u: float
    edges: int
    length: float  # that they were followed for


def _stacked(recording: Recording, windows: Sequence[Window], end: int) -> dict[str, _Stack]:
    edges, guards, room, names = [], [], [], []
    for i, window in enumerate(windows):
        following = windows[i + 1].start if i + 1 < len(windows) else end
        wide = max(1.0, 2 * window.u_edge)
        edges += [window.start, window.end]
        room += [window.end - window.start, following - window.end]
        guards += [wide] * 2
        names += [f"{window.marked.kind} begins", f"{window.marked.kind} ends"]
    at, guard = np.array(edges), np.array(guards)
    first = np.ceil(at + guard).astype(np.int64)
    after = np.minimum(np.array(room) - 2 * guard, MOST_AFTER).astype(np.int64)
    low = np.floor(at - guard).astype(np.int64) - BEFORE
    spans = Spans(low, first + np.maximum(after, 0))
    stacks = {name: _Stack(name) for name in names}

    def take(span: Span) -> None:
        i = span.index
        border = int(first[i]) - span.start
        if after[i] >= LEAST_AFTER and border >= 0:
            before = span.current_a[:BEFORE][span.valid[:BEFORE]]
            stacks[names[i]].add(
                before, span.current_a[border:], span.valid[border:], float(first[i] - at[i])
            )

    for block in blocks(recording.chunks()):
        for span in spans.add(block):
            take(span)
    for span in spans.rest():
        take(span)
    return stacks


class _Stack:
    """Responses after edges of one sort, each weighted by its step."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sum = np.zeros(0)
        self.weight = np.zeros(0)
        self.noise = 0.0  # sum of squared step times variance
        self.squares = 0.0
        self.since = 0.0
        self.edges = 0

    def add(self, before: Floats, current: Floats, valid: NDArray[np.bool_], since: float) -> None:
        good = valid & np.isfinite(current)
        late = good & (np.arange(len(current)) >= len(current) * 2 // 3)
        if not len(before) or np.count_nonzero(late) < LEAST_AFTER // 3:
            return
        variance = float(np.median(np.abs(np.diff(current[good]))) * 1.4826) ** 2 / 2
        level = float(current[late].mean())
        step = level - float(before.mean())
        if abs(step) <= STEP_SIGMA * np.sqrt(variance * (1 / len(before) + 1 / late.sum())):
            return
        if len(self.sum) < len(current):
            more = len(current) - len(self.sum)
            self.sum, self.weight = np.pad(self.sum, (0, more)), np.pad(self.weight, (0, more))
        n = len(current)
        self.sum[:n][good] += step * (current[good] - level)
        self.weight[:n][good] += step**2
        self.noise += step**2 * variance
        self.squares += step**2
        self.since += since * step**2
        self.edges += 1

    def fitted(self) -> _Group | None:
        """Fit level and exponential; None where the response is not that of a low pass."""
        use = self.weight > 0
        time = np.flatnonzero(use) + self.since / self.squares
        response = self.sum[use] / self.weight[use]  # in steps: -1 before, 0 settled
        weight = self.weight[use] / self.squares
        sigma = self.noise**0.5 / self.squares
        seen = _exponential(time, response, weight)
        length, hidden = float(time[-1]), max(sigma, seen.u_rest)
        if seen.tau < 1 or abs(seen.rest) * np.exp(-time[0] / seen.tau) < CONSISTENT * hidden:
            if seen.residual > 2 * np.hypot(sigma, FLAT):
                return None
            # It is over at the first sample, or in the noise: sqrt(tau / 2) samples' worth of it.
            over = (time[0] + 1) / np.log(1 / np.clip(CONSISTENT * sigma, 1e-3, JUMP))
            limit = float(over + 2 * (CONSISTENT * hidden) ** 2)
            return _Group(self.name, 0.0, limit / 3**0.5, self.edges, length)
        if abs(seen.level + seen.rest + 1) > JUMP + 1 / seen.tau:
            return None
        return _Group(self.name, seen.tau, seen.u_tau, self.edges, length)

    def jumped(self) -> _Group | None:
        """Bound the time constant where the current changes by itself, but jumps first.

        Most of the step at once: a low pass would need a step half as large again at its input to
        be half way there.
        """
        use = self.weight > 0
        time = np.flatnonzero(use) + self.since / self.squares
        response = self.sum[use] / self.weight[use]
        at_once = min(2, len(response))
        if float(response[:at_once].mean()) < -JUMP:
            return None
        limit = float(time[0] + at_once) / np.log(2)
        return _Group(self.name, 0.0, limit / 3**0.5, self.edges, float(time[-1]))


@dataclass(frozen=True)
class _Exponential:
    tau: float
    u_tau: float
    level: float
    rest: float
    u_rest: float  # at the first point
    residual: float  # rms


def _exponential(time: Floats, response: Floats, weight: Floats) -> _Exponential:
    """Fit ``level + rest * exp(-time / tau)`` to points within 8 tau, by least squares."""
    tau, n = _coarse(time, response, weight), len(time)
    for _ in range(4):
        n = max(int(np.searchsorted(time, time[0] + DECAYS * tau)), min(LEAST_FITTED, len(time)))
        closer = _coarse(time[:n], response[:n], weight[:n])
        if closer == tau:
            break
        tau = closer
    time, response, root = time[:n], response[:n], np.sqrt(weight[:n])
    for _ in range(8):
        level, rest = _linear(time, response, weight[:n], tau)
        decay = np.exp(-time / tau)
        table = np.stack((np.ones(n), decay, rest * decay * time / tau**2), axis=1)
        residual = response - level - rest * decay
        change = np.linalg.lstsq(table * root[:, None], residual * root, rcond=None)[0][2]
        tau = float(np.clip(tau + change, tau / 2, tau * 2))
    level, rest = _linear(time, response, weight[:n], tau)
    decay = np.exp(-time / tau)
    table = np.stack((np.ones(n), decay, rest * decay * time / tau**2), axis=1) * root[:, None]
    residual = (response - level - rest * decay) * root
    variance = float(residual @ residual) / max(n - 3, 1)
    follow = float(residual[1:] @ residual[:-1] / max(residual @ residual, 1e-300))
    follow = min(max(follow, 0.0), 0.98)
    scale = variance * (1 + follow) / (1 - follow)  # residuals that follow each other count less
    u = np.sqrt(np.maximum(np.diag(np.linalg.pinv(table.T @ table)), 0) * scale)
    return _Exponential(tau, float(u[2]), level, rest, float(u[1] * decay[0]), variance**0.5)


def _coarse(time: Floats, response: Floats, weight: Floats) -> float:
    taus = np.geomspace(0.3, max(time[-1], 1.0), 40)
    costs = []
    for tau in taus:
        level, rest = _linear(time, response, weight, tau)
        costs.append(float(weight @ (response - level - rest * np.exp(-time / tau)) ** 2))
    return float(taus[int(np.argmin(costs))])


def _linear(time: Floats, response: Floats, weight: Floats, tau: float) -> tuple[float, float]:
    """Return the best level and rest for one tau."""
    decay = np.exp(-time / tau)
    total = weight.sum()
    mean_d, mean_r = weight @ decay / total, weight @ response / total
    spread = weight @ (decay - mean_d) ** 2
    rest = float(weight @ ((decay - mean_d) * (response - mean_r)) / max(spread, 1e-300))
    return float(mean_r - rest * mean_d), rest
