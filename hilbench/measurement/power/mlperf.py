"""Energy as MLPerf Tiny defines it, so that numbers compare with published ones. Pure.

A window lies between two falling edges of the timestamp pin and lasts at least 10 s and 10
inferences; there are 5 windows, one input each; energy is gross, and the result is their median
(MLPerfTiny_Rules and benchmark/runner of github.com/mlcommons/tiny).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import MeasurementError, UsageError, WindowError
from hilbench.measurement.power.budget import UJ
from hilbench.power import WindowSums

WINDOWS = 5  # one input each
MIN_WINDOW_S = 10.0
MIN_INFERENCES = 10
# A pair of events is the window where its length is that of the known duration within this. The
# boards' published windows agree to 0.1 %; a spurious event is off by whatever it is.
DURATION_LIMIT = 0.01


@dataclass(frozen=True)
class Trial:
    """One window's capture in energy mode."""

    sample_j: NDArray[np.float64]  # energy of each sample: power / sample_hz
    events: tuple[int, ...]  # index of the first sample after each falling edge, rising
    inferences: int
    duration_s: float | None = None  # by the device; None: it did not tell


@dataclass(frozen=True)
class TrialEnergy:
    """One window's result."""

    start: int  # sample
    end: int
    duration_s: float
    inferences: int
    energy_uj: float  # per inference, gross
    mean_mw: float
    spurious: tuple[int, ...]  # events that are no edge of the window


@dataclass(frozen=True)
class MlperfEnergy:
    """The published figure and what it is the median of."""

    median_uj: float
    trials: tuple[TrialEnergy, ...]


def inferences_per_window(inference_s: float) -> int:
    """Return how many inferences last 10 s, at least 10; 2 % more, so that no clock undoes it.

    Raises:
        UsageError: a duration that is not positive.
    """
    if not inference_s > 0:
        raise UsageError(f"inference takes {inference_s:g} s, limit > 0 s; measure latency first")
    return max(MIN_INFERENCES, math.ceil(1.02 * MIN_WINDOW_S / inference_s))


def medians(trials: Sequence[Trial], sample_hz: float) -> MlperfEnergy:
    """Return energy per inference of 5 windows and its median from energy samples and events.

    A capture with more than two events has spurious ones. The window is then the only pair of
    events whose distance is the device's duration or, where that was not told, the median of the
    session's captures with two events and as many inferences.

    Raises:
        WindowError: no pair of events has the known duration, or several do, or none is known.
        MeasurementError: not 5 windows, too short, too few inferences, or samples that are no
            numbers.
    """
    if len(trials) != WINDOWS:
        raise MeasurementError(
            f"MLPerf session has {len(trials)} windows, limit {WINDOWS}: measure one for each of 5 "
            "inputs"
        )
    found = []
    for k, trial in enumerate(trials):
        start, end = _window(k, trial, _known_s(trial, trials, sample_hz), sample_hz)
        found.append(_energy(k, trial, start, end, sample_hz))
    return MlperfEnergy(float(np.median([t.energy_uj for t in found])), tuple(found))


def from_sums(sums: Sequence[WindowSums]) -> MlperfEnergy:
    """Return the same from run windows of a session, measured in hilbench's own way.

    Raises:
        MeasurementError: as ``medians``.
    """
    runs = [s for s in sums if s.window.marked.kind == "run"]
    if len(runs) != WINDOWS:
        raise MeasurementError(
            f"MLPerf session has {len(runs)} windows, limit {WINDOWS}: measure one for each of 5 "
            "inputs"
        )
    found = tuple(
        TrialEnergy(
            start=round(s.window.start),
            end=round(s.window.end),
            duration_s=s.duration_s,
            inferences=s.window.marked.inferences,
            energy_uj=s.energy_j / s.window.marked.inferences * UJ,
            mean_mw=s.energy_j / s.duration_s * 1e3,
            spurious=(),
        )
        for s in runs
    )
    for k, trial in enumerate(found):
        _check_length(k, trial.duration_s, trial.inferences)
    return MlperfEnergy(float(np.median([t.energy_uj for t in found])), found)


def _known_s(trial: Trial, trials: Sequence[Trial], sample_hz: float) -> float | None:
    """Return the duration that tells a window from spurious events; None: nobody knows it."""
    if trial.duration_s is not None:
        return trial.duration_s
    clear = [
        (other.events[1] - other.events[0]) / sample_hz
        for other in trials
        if len(other.events) == 2 and other.inferences == trial.inferences  # noqa: PLR2004 - a pair
    ]
    return float(np.median(clear)) if clear else None


def _window(k: int, trial: Trial, known_s: float | None, sample_hz: float) -> tuple[int, int]:
    events = trial.events
    if list(events) != sorted(set(events)) or (events and events[-1] > len(trial.sample_j)):
        raise WindowError(
            f"window {k}: events at samples {list(events)} are not in order within "
            f"{len(trial.sample_j)} samples; repeat the capture"
        )
    if len(events) < 2:  # noqa: PLR2004 - a window has two edges
        raise WindowError(
            f"window {k}: {len(events)} falling edges in the trace, limit 2; check the wire from the "
            "marker pin"
        )
    if known_s is None:
        raise WindowError(
            f"window {k}: {len(events)} falling edges and nobody told its duration, limit 2; say how "
            "long the device ran"
        )
    pairs = [
        (a, b)
        for a, b in combinations(events, 2)
        if abs((b - a) / sample_hz - known_s) <= DURATION_LIMIT * known_s
    ]
    if len(pairs) != 1:
        raise WindowError(
            f"window {k}: {len(pairs)} pairs of falling edges at samples {list(events)} are "
            f"{known_s:g} s apart within {100 * DURATION_LIMIT:g} %, limit 1; repeat the capture"
        )
    return pairs[0]


def _energy(k: int, trial: Trial, start: int, end: int, sample_hz: float) -> TrialEnergy:
    total_j = float(np.sum(trial.sample_j[start:end], dtype=np.float64))
    if not np.isfinite(total_j):
        bad = int(np.flatnonzero(~np.isfinite(trial.sample_j[start:end]))[0]) + start
        raise MeasurementError(
            f"window {k}: sample {bad} is {trial.sample_j[bad]} J; repeat the capture"
        )
    duration_s = (end - start) / sample_hz
    _check_length(k, duration_s, trial.inferences)
    return TrialEnergy(
        start=start,
        end=end,
        duration_s=duration_s,
        inferences=trial.inferences,
        energy_uj=total_j / trial.inferences * UJ,
        mean_mw=total_j / duration_s * 1e3,
        spurious=tuple(e for e in trial.events if e not in {start, end}),
    )


def _check_length(k: int, duration_s: float, inferences: int) -> None:
    if duration_s < MIN_WINDOW_S or inferences < MIN_INFERENCES:
        raise MeasurementError(
            f"window {k}: {inferences} inferences in {duration_s:g} s, limit {MIN_INFERENCES} in "
            f"{MIN_WINDOW_S:g} s; ask for more inferences"
        )
