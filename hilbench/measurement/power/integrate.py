"""Charge and energy of every window in one streaming pass, in float64, memory O(block).

Between the cuts of a window (its edges, its batches, changes of range) the samples are summed;
a sample that a cut goes through counts on both sides by its share. What a first-order RC between
board and meter holds back is added: the charge that the board drew in [a, b] is the integral of
the current seen there plus tau * (i(b) - i(a)), exactly, whatever it draws around the window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import WindowError
from hilbench.measurement.power._stream import Block, Span, Spans, blocks
from hilbench.measurement.power.tail import Tail
from hilbench.power import Recording, Window, WindowSums

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BATCHES = 16  # where no number of inferences divides a window
MOST_BATCHES, LEAST_BATCHES = 32, 8
LEAST_SAMPLES = 4  # in a batch
EDGE_SAMPLES = 8  # on each side of an edge, at least, for the current at it


def sums(
    recording: Recording,
    windows: Sequence[Window],
    tail: Tail,
    filtered: Recording | None = None,
) -> list[WindowSums]:
    """Integrate all windows in one pass over the recording.

    ``charge_c`` and ``energy_j`` contain the tail's part, the sums over ranges and the batches do
    not. Batches are equal parts of what is left of a window 5 tau after its start (at most half
    of it is left out), of whole inferences where their number allows.

    Args:
        recording: read once.
        windows: in order, not overlapping.
        tail: of the RC between board and meter.
        filtered: the same capture through the vendor's filter, for ``switch_charge_c``.

    Raises:
        WindowError: windows overlap, are out of order, empty, or not within the capture.
        MeasurementError: the recording has holes that nobody accounts for, or no valid sample.
    """
    if not windows:
        return []
    _check(windows, recording)
    done = _Pass(windows, tail, recording.spec.sample_hz, len(recording.spec.ranges))
    for block in blocks(recording.chunks()):
        done.add(block)
    result = done.sums()
    if filtered is not None:
        other = sums(filtered, windows, tail)
        result = [
            replace(s, switch_charge_c=abs(s.charge_c - o.charge_c))
            for s, o in zip(result, other, strict=True)
        ]
    return result


def _check(windows: Sequence[Window], recording: Recording) -> None:
    end, hz = recording.end.samples + recording.end.lost, recording.spec.sample_hz
    before = 0.0
    for number, window in enumerate(windows, 1):
        if not before <= window.start < window.end <= end:
            raise WindowError(
                f"window {number} of {len(windows)} is from {window.start / hz:.6f} to "
                f"{window.end / hz:.6f} s, allowed is {before / hz:.6f} s, where the one before "
                f"ends, to {end / hz:.6f} s, where the capture ends; capture until after the last "
                "window and list windows in order"
            )
        before = window.end


def batch_borders(window: Window, tau_samples: float) -> Floats:
    """Return the borders of a window's batches, samples."""
    length = window.end - window.start
    n = window.marked.inferences
    fitting = [b for b in range(LEAST_BATCHES, MOST_BATCHES + 1) if n and n % b == 0]
    first = window.start + min(5 * tau_samples, length / 2)
    most = max(int((window.end - first) / LEAST_SAMPLES), 1)
    return np.linspace(first, window.end, min(fitting[-1] if fitting else BATCHES, most) + 1)


@dataclass(frozen=True)
class _Cuts:
    """All borders of all windows, and what lies behind each: piece j is [at[j], at[j + 1])."""

    at: Floats
    window: Ints  # [pieces]; -1: between windows
    batches: tuple[slice, ...]  # [windows] pieces that are batches

    @classmethod
    def of(cls, windows: Sequence[Window], tau_samples: float) -> _Cuts:
        at, owner, batches, pieces = [], [], [], 0
        for i, window in enumerate(windows):
            borders = batch_borders(window, tau_samples)
            at.append(np.concatenate(([window.start], borders)))
            owner += [i] * len(borders) + [-1]
            batches.append(slice(pieces + 1, pieces + len(borders)))
            pieces += len(borders) + 1
        return cls(np.concatenate(at), np.array(owner), tuple(batches))


class _Pass:
    """Accumulators of one pass."""

    def __init__(
        self, windows: Sequence[Window], tail: Tail, sample_hz: float, ranges: int
    ) -> None:
        self.windows, self.tail, self.sample_hz = windows, tail, sample_hz
        self.tau = tail.tau_s * sample_hz
        self.cuts = _Cuts.of(windows, self.tau)
        self.piece = np.zeros(len(self.cuts.at))
        self.range_charge = np.zeros((len(windows), ranges))
        self.range_energy = np.zeros((len(windows), ranges))
        self.range_samples = np.zeros((len(windows), ranges))
        self.start = np.array([w.start for w in windows])
        self.end = np.array([w.end for w in windows])
        self.whole = _whole(self.start, self.end)
        self.least = np.full(len(windows), np.inf)
        self.most = np.full(len(windows), -np.inf)
        self.valid = np.zeros(len(windows), np.int64)
        self.total = np.zeros(len(windows), np.int64)
        self.switches = np.zeros(len(windows), np.int64)
        self.last_range: np.uint8 | None = None
        self.at_edge = np.zeros((len(windows), 2))
        self.edges = _EdgeCurrents(windows, self.tau)

    def add(self, block: Block) -> None:
        for window, side, value in self.edges.add(block):
            self.at_edge[window, side] = value
        first = int(np.searchsorted(self.end, block.start, side="right"))
        last = int(np.searchsorted(self.start, block.stop, side="left"))
        if first < last:
            switches = self._switches(block)
            self._integrate(block, switches)
            self._extremes(block, first, last)
            self._count(block, first, last)
            here = np.searchsorted(self.start, switches, side="left") - 1
            inside = (here >= 0) & (switches < self.end[here])
            np.add.at(self.switches, here[inside], 1)
        self.last_range = block.range[-1]

    def _switches(self, block: Block) -> Ints:
        """Return where another range begins."""
        changed = np.flatnonzero(block.range[1:] != block.range[:-1]) + 1
        if self.last_range is not None and block.range[0] != self.last_range:
            changed = np.concatenate(([0], changed))
        return np.asarray(changed + block.start)

    def _integrate(self, block: Block, switches: Ints) -> None:
        cuts = self.cuts.at
        inner = cuts[
            np.searchsorted(cuts, block.start, "right") : np.searchsorted(cuts, block.stop)
        ]
        borders = np.unique(np.concatenate(([block.start], inner, switches, [block.stop])))
        piece = np.searchsorted(cuts, borders[:-1], side="right") - 1
        window = np.where(piece >= 0, self.cuts.window[piece], -1)
        inside = window >= 0
        charge = _between(block.current_a, borders - block.start)
        if isinstance(block.voltage_v, np.ndarray):
            energy = _between(block.current_a * block.voltage_v, borders - block.start)
        else:
            energy = charge * block.voltage_v
        ranges = block.range[borders[:-1].astype(np.int64) - block.start]
        where = window[inside], ranges[inside]
        np.add.at(self.piece, piece[inside], charge[inside])
        np.add.at(self.range_charge, where, charge[inside])
        np.add.at(self.range_energy, where, energy[inside])
        np.add.at(self.range_samples, where, np.diff(borders)[inside])

    def _extremes(self, block: Block, first: int, last: int) -> None:
        low = np.clip(self.whole[first:last, 0] - block.start, 0, len(block.current_a))
        high = np.clip(self.whole[first:last, 1] - block.start, 0, len(block.current_a))
        some = np.flatnonzero(low < high)
        current = block.current_a
        if block.valid is not None and not block.valid.any():
            return
        pairs = np.stack((low[some], high[some]), axis=1).ravel()
        if not len(pairs):
            return
        if pairs[-1] == len(current):
            pairs = pairs[:-1]
        for extreme, ufunc, never in (
            (self.least, np.minimum, np.inf),
            (self.most, np.maximum, -np.inf),
        ):
            seen = current if block.valid is None else np.where(block.valid, current, never)
            found = ufunc.reduceat(seen, pairs)[::2]
            extreme[first + some] = ufunc(extreme[first + some], found)

    def _count(self, block: Block, first: int, last: int) -> None:
        low = np.clip(np.rint(self.start[first:last]).astype(np.int64), block.start, block.stop)
        high = np.clip(np.rint(self.end[first:last]).astype(np.int64), block.start, block.stop)
        self.total[first:last] += high - low
        if block.valid is None:
            self.valid[first:last] += high - low
        else:
            before = np.concatenate(([0], np.cumsum(block.valid)))
            self.valid[first:last] += before[high - block.start] - before[low - block.start]

    def sums(self) -> list[WindowSums]:
        for window, side, value in self.edges.rest():
            self.at_edge[window, side] = value
        return [self._sums(i, window) for i, window in enumerate(self.windows)]

    def _sums(self, i: int, window: Window) -> WindowSums:
        batches = self.cuts.batches[i]
        borders = self.cuts.at[batches.start : batches.stop + 1]
        dt = 1 / self.sample_hz
        charge = float(self.range_charge[i].sum()) * dt
        energy = float(self.range_energy[i].sum()) * dt
        start_a, end_a = (float(v) for v in self.at_edge[i])
        tail_charge = self.tail.tau_s * (end_a - start_a)
        tail_energy = tail_charge * energy / charge if tail_charge else 0.0
        return WindowSums(
            window=window,
            samples=int(self.valid[i]),
            lost=int(self.total[i] - self.valid[i]),
            charge_c=charge + tail_charge,
            energy_j=energy + tail_energy,
            duration_s=(window.end - window.start) * dt,
            current_min_a=float(self.least[i]),
            current_max_a=float(self.most[i]),
            start_a=start_a,
            end_a=end_a,
            tail_charge_c=tail_charge,
            tail_energy_j=tail_energy,
            tau_s=self.tail.tau_s,
            u_tau_s=self.tail.u_tau_s,
            range_charge_c=self.range_charge[i] * dt,
            range_energy_j=self.range_energy[i] * dt,
            range_s=self.range_samples[i] * dt,
            switches=int(self.switches[i]),
            switch_charge_c=0.0,
            batch_a=self.piece[batches] / np.diff(borders),
        )


def _whole(start: Floats, end: Floats) -> NDArray[np.int64]:
    """Return [windows, 2] samples that are whole within each, or where none is, those it touches."""
    inner = np.stack((np.ceil(start), np.floor(end)), axis=1)
    outer = np.stack((np.floor(start), np.ceil(end)), axis=1)
    chosen = np.where((inner[:, :1] < inner[:, 1:]), inner, outer)
    return np.asarray(chosen.astype(np.int64))


def _between(values: Floats, borders: Floats) -> Floats:
    """Sum ``values`` between consecutive ``borders`` (from 0 to their number), samples by share."""
    whole = borders.astype(np.int64)
    share = borders - whole
    result = np.add.reduceat(values, whole[:-1])
    result[whole[:-1] == whole[1:]] = 0.0  # reduceat gives the value itself there
    cut = values[np.minimum(whole, len(values) - 1)] * share
    return np.asarray(result - cut[:-1] + cut[1:])


class _EdgeCurrents:
    """Current at every edge of every window, from a short fit to both its sides."""

    def __init__(self, windows: Sequence[Window], tau: float) -> None:
        self.tau = tau
        edges, reach, guard = [], [], []
        for window in windows:
            wide = max(1.0, 2 * window.u_edge)
            near = min(max(tau, EDGE_SAMPLES), (window.end - window.start) / 2)
            edges += [window.start, window.end]
            reach += [wide + near] * 2
            guard += [wide] * 2
        self.edge, self.reach, self.guard = np.array(edges), np.array(reach), np.array(guard)
        low = np.floor(self.edge - self.reach).astype(np.int64)
        self.order = np.argsort(low, kind="stable")
        high = np.ceil(self.edge + self.reach).astype(np.int64)
        self.spans = Spans(low[self.order], high[self.order])

    def add(self, block: Block) -> Iterable[tuple[int, int, float]]:
        return [self._fitted(span) for span in self.spans.add(block)]

    def rest(self) -> Iterable[tuple[int, int, float]]:
        return [self._fitted(span) for span in self.spans.rest()]

    def _fitted(self, span: Span) -> tuple[int, int, float]:
        number = int(self.order[span.index])
        window, side = divmod(number, 2)
        near = np.arange(len(span.current_a)) + (span.start - self.edge[number])  # sample's start
        value = edge_current(
            near, span.current_a, span.valid, self.tau, guard=self.guard[number], side=side
        )
        return window, side, value


LEAST_POINTS = 3  # valid ones inside, else the filled values that are integrated, too
MOST_DECAY = 30.0  # time constants; beyond, an exponential is 0 for every purpose


def edge_current(
    near: Floats,
    current_a: Floats,
    valid: NDArray[np.bool_],
    tau: float,
    *,
    guard: float,
    side: int,
) -> float:
    """Return the current at an edge from the samples around it.

    With a tail the current seen is continuous there: on each side it runs exponentially towards
    that side's level, which is taken as constant over the few samples given. Without one it jumps,
    and the mean inside the window is returned.

    Args:
        near: [n] begin of each sample, relative to the edge, samples.
        current_a: [n] lost ones filled, NaN outside the capture.
        valid: [n].
        tau: samples.
        guard: samples on both sides of the edge that are not looked at: the edge is uncertain.
        side: 0 at the start of a window, 1 at its end.
    """
    after, before = near >= guard, near + 1 <= -guard
    inside = before if side else after
    there = np.isfinite(current_a)
    use = there & valid
    if np.count_nonzero(use & inside) < LEAST_POINTS:
        use = there
    if tau == 0:
        chosen = current_a[use & inside]
        return float((chosen if len(chosen) else current_a[there]).mean())
    use &= after | before
    begin = np.clip(near[use] / tau, -MOST_DECAY, MOST_DECAY)
    decay = tau * np.exp(-begin) * -np.expm1(-1 / tau)  # mean over the sample
    first = before[use]
    table = np.stack((decay, np.where(first, 1 - decay, 0), np.where(first, 0, 1 - decay)), axis=1)
    solution: Floats = np.linalg.lstsq(table, current_a[use], rcond=None)[0]
    return float(solution[0])
