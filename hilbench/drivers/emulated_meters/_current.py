"""What an emulated board draws: as samples behind an RC, and, independent of them, as truth.

Times are seconds since the emulated meter's epoch. The board's current is a straight line between
changes, so every integral here has a closed form and nothing is stepped.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hilbench.records import CurrentModel

Floats = NDArray[np.float64]
Kind = Literal["marker", "idle", "pin", "power", "voltage"]


@dataclass(frozen=True)
class Change:
    """Something that changes what the board draws or what the meter sees of it.

    ``marker``: edge; ``idle``: while the marker is up the board has gone to sleep; ``pin``: the
    meter's logic input alone (bounce); ``power``: the board's supply; ``voltage``: of it, in V.
    """

    t_s: float
    kind: Kind
    value: float


@dataclass(frozen=True)
class State:
    """The board between two changes."""

    model: CurrentModel
    marker: bool = False
    idle: bool = False
    pin: bool = False
    powered: bool = False
    voltage_v: float = 0.0
    turn: int = 0  # of operators_ma

    def after(self, change: Change) -> State:
        """Return the state that a change leads to."""
        on = bool(change.value)
        match change.kind:
            case "marker":
                # An idle stretch takes no operator's turn.
                ends_operator = self.marker and not on and not self.idle
                return replace(
                    self, marker=on, pin=on, idle=False, turn=self.turn + int(ends_operator)
                )
            case "idle":
                return replace(self, idle=on)
            case "pin":
                return replace(self, pin=on)
            case "power":
                return replace(self, powered=on)
            case "voltage":
                return replace(self, voltage_v=change.value)

    @property
    def slope_a_per_s(self) -> float:
        """Drift of the current, 0 without power."""
        return self.model.drift_ma_per_s * 1e-3 if self.powered else 0.0

    def current_a(self, t_s: float) -> float:
        """Return what the board draws at a time within this state."""
        if not self.powered:
            return 0.0
        active = self.marker and not self.idle
        if active and self.model.operators_ma:
            step_ma = self.model.operators_ma[self.turn % len(self.model.operators_ma)]
        else:
            step_ma = self.model.active_ma if active else self.model.idle_ma
        return step_ma * 1e-3 + self.slope_a_per_s * t_s


class Timeline:
    """All changes in the order of their times, whatever order they come in."""

    def __init__(self, model: CurrentModel) -> None:
        self.model = model
        self._changes: list[Change] = []

    def add(self, change: Change) -> None:
        """Insert a change behind those of the same time."""
        bisect.insort(self._changes, change, key=lambda c: c.t_s)

    def __len__(self) -> int:
        return len(self._changes)

    def __getitem__(self, index: int) -> Change:
        return self._changes[index]

    def rise_since(self, t_s: float) -> float | None:
        """Return when the marker rises first from a time on, if that is known."""
        at = bisect.bisect_left(self._changes, t_s, key=lambda c: c.t_s)
        rises = (c.t_s for c in self._changes[at:] if c.kind == "marker" and c.value)
        return next(rises, None)

    def windows(self, now_s: float) -> Iterator[tuple[float, float, float, float]]:
        """Yield start_s, end_s, charge_c, energy_j of every marker window that has ended by now.

        The truth: what the board drew, before any RC; a sum of exact integrals of straight lines.
        """
        state, rise = State(self.model), None
        charges: list[float] = []
        energies: list[float] = []
        at = 0.0
        for change in self._changes:
            if change.t_s > now_s:
                return
            if rise is not None:
                span = change.t_s - at
                charge = state.current_a(at + span / 2) * span
                charges.append(charge)
                energies.append(charge * state.voltage_v)
            at, before, state = change.t_s, state, state.after(change)
            if state.marker and not before.marker:
                rise = at
                charges.clear()
                energies.clear()
            elif before.marker and not state.marker and rise is not None:
                yield rise, at, math.fsum(charges), math.fsum(energies)
                rise = None


@dataclass(frozen=True)
class Block:
    """Consecutive samples."""

    start: int  # index of the first since the stream's start
    current_a: Floats  # [n] mean over each sample's time, behind the RC, with noise
    level: NDArray[np.bool_]  # [n] logic input in the middle of each sample's time
    edges: tuple[tuple[float, bool], ...]  # of the logic input: when, in samples; level


class Sampler:
    """A meter's samples of a timeline: means over [k, k + 1) / rate, after a first-order RC.

    With y behind the RC and u drawn by the board, tau y' = u - y, so the charge of a sample is
    integral(u) - tau (y(end) - y(start)): exact, and the sum of samples misses nothing.
    The supply's switch is between meter and RC: without power the current is 0 at once.
    """

    def __init__(self, timeline: Timeline, rate_hz: float) -> None:
        """Take the nominal rate; the true one has the model's clock error."""
        model = timeline.model
        self._timeline = timeline
        self._tau_s = model.tail_us * 1e-6
        self._noise_a = model.noise_ma * 1e-3
        self._random = np.random.default_rng(model.seed)
        self._state = State(model)
        self._next = 0  # change
        self._at_s = -math.inf  # samples of earlier times are made
        self._behind_a = 0.0  # y there
        self._t0_s = 0.0
        self._index = 0
        self.set_rate(rate_hz)

    @property
    def made_until_s(self) -> float:
        """Time of the board up to which samples are made: later changes only, please."""
        return self._at_s

    def set_rate(self, rate_hz: float) -> None:
        """Set the nominal rate of the next stream."""
        self.rate_hz = rate_hz * (1 + self._timeline.model.clock_ppm * 1e-6)

    def start(self, t0_s: float) -> None:
        """Begin a stream: sample 0 begins at ``t0_s``."""
        self._t0_s, self._index = t0_s, 0

    def due(self, until_s: float) -> int:
        """Return how many samples have ended by a time and are not made yet."""
        return max(0, math.floor((until_s - self._t0_s) * self.rate_hz) - self._index)

    def block(self, count: int) -> Block:
        """Make the next samples; all changes until their end must be in the timeline."""
        grid = self._t0_s + np.arange(self._index, self._index + count + 1) / self.rate_hz
        self._skip_to(float(grid[0]))
        pieces = [self._piece(0.0)]
        edges: list[tuple[float, bool]] = []
        while self._pending_before(float(grid[-1])):
            change = self._timeline[self._next]
            self._next += 1
            charge = self._go(change.t_s)
            was = self._state.pin
            self._apply(change)
            if self._state.pin != was:
                edges.append(((change.t_s - self._t0_s) * self.rate_hz, not was))
            pieces.append(self._piece(pieces[-1][4] + charge))
        self._go(float(grid[-1]))
        mean_a, level = self._sample(grid, pieces)
        block = Block(self._index, mean_a, level, tuple(edges))
        self._index += count
        return block

    def _pending_before(self, t_s: float) -> bool:
        return self._next < len(self._timeline) and self._timeline[self._next].t_s < t_s

    def _skip_to(self, t_s: float) -> None:
        while self._pending_before(t_s):
            change = self._timeline[self._next]
            self._next += 1
            self._go(change.t_s)
            self._apply(change)
        self._go(t_s)

    def _go(self, t_s: float) -> float:
        """Let the RC follow the board until a time within this state; return the charge."""
        if not math.isfinite(self._at_s):
            self._at_s = t_s
            return 0.0
        span = t_s - self._at_s
        u = self._state.current_a(self._at_s)
        slope = self._state.slope_a_per_s
        before = self._behind_a
        self._behind_a = float(_behind(np.float64(span), u, slope, before, self._tau_s))
        self._at_s = t_s
        return u * span + slope * span * span / 2 - self._tau_s * (self._behind_a - before)

    def _apply(self, change: Change) -> None:
        self._state = self._state.after(change)
        if not self._state.powered:
            self._behind_a = 0.0

    def _piece(self, charge: float) -> tuple[float, float, float, float, float, bool]:
        u = self._state.current_a(self._at_s)
        slope = self._state.slope_a_per_s
        return (self._at_s, u, slope, self._behind_a, charge, self._state.pin)

    def _sample(
        self, grid: Floats, pieces: list[tuple[float, float, float, float, float, bool]]
    ) -> tuple[Floats, NDArray[np.bool_]]:
        columns = [np.array(column) for column in zip(*pieces, strict=True)]
        starts, level = columns[0], columns[5]
        if len(pieces) == 1:  # most blocks
            which: NDArray[np.intp] = np.zeros(1, np.intp)
            seen = np.full(len(grid) - 1, level[0])
        else:
            which = np.searchsorted(starts, grid, side="right") - 1
            middle = (grid[1:] + grid[:-1]) / 2
            seen = level[np.searchsorted(starts, middle, side="right") - 1]
        span = grid - starts[which]
        u, slope, y, q = (column[which] for column in columns[1:5])
        charge = q + u * span + slope / 2 * span * span
        if self._tau_s:
            charge -= self._tau_s * (_behind(span, u, slope, y, self._tau_s) - y)
        mean_a = np.diff(charge) * self.rate_hz
        if self._noise_a:
            noise = self._random.normal(0.0, self._noise_a, len(mean_a))
            mean_a += np.where(mean_a > 0, noise, 0.0)  # none without power
        return mean_a, seen


def _behind(
    span_s: Floats | np.float64,
    u: Floats | float,
    slope: Floats | float,
    y: Floats | float,
    tau_s: float,
) -> Floats | np.float64:
    """Return the current behind the RC after some time, from y, under u + slope * time."""
    if tau_s == 0:
        return np.asarray(u + slope * span_s)
    lag = slope * tau_s
    return np.asarray(u + slope * span_s - lag + (y - u + lag) * np.exp(-span_s / tau_s))
