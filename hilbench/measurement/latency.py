"""Ticks to latency, in the unit of the board's time base. Pure.

A session is the unit of replication: its median is one observation. Inferences are never pooled
over sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hilbench.errors import MeasurementError
from hilbench.records import ClockInfo, RunResult


@dataclass(frozen=True)
class TicksSummary:
    """All timed inferences of one session, in ticks of the board's counter."""

    inferences: int
    stored: int  # ticks that reached the host one by one; fewer than inferences: no median
    median: float | None  # None when stored < inferences: a median of a part is not the median
    minimum: int
    maximum: int
    sum: int
    cold: int | None  # first inference after loading, not among the others
    restore_sum: int  # spent on restoring inputs before the timed inferences, not part of sum
    outputs_equal: bool  # every iteration of a vector gave the same output


@dataclass(frozen=True)
class Latency:
    """Latency of one inference in one session, in ``unit``."""

    unit: str
    median: float | None
    minimum: float
    maximum: float
    mean: float
    cold: float | None
    resolution: float  # one tick: nothing finer can be told apart


def summarise(runs: Sequence[RunResult]) -> TicksSummary:
    """Combine the RUNs of one session.

    Raises:
        MeasurementError: there are no inferences, the counter stands still, or ticks and totals
            contradict each other.
    """
    inferences = sum(r.inferences for r in runs)
    if inferences == 0:
        raise MeasurementError("session holds no timed inference; ask for at least 1 iteration")
    for index, run in enumerate(runs):
        _check(run, index)
    if max(r.ticks_max for r in runs) == 0:
        raise MeasurementError(
            f"{inferences} timed inferences took 0 ticks; the board's counter stands still or is too "
            "slow for this model: fix hb_port_counter, and see `hilbench doctor`"
        )
    stored = sum(len(r.ticks) for r in runs)
    ticks = np.concatenate([r.ticks for r in runs])
    timed = [r for r in runs if r.inferences]
    cold = [r.cold_ticks for r in runs if r.cold_ticks is not None]
    return TicksSummary(
        inferences=inferences,
        stored=stored,
        median=float(np.median(ticks)) if stored == inferences else None,
        minimum=min(r.ticks_min for r in timed),
        maximum=max(r.ticks_max for r in timed),
        sum=sum(r.ticks_sum for r in runs),
        cold=cold[0] if cold else None,
        restore_sum=sum(r.restore_ticks_sum for r in runs),
        outputs_equal=all(r.outputs_equal for r in runs),
    )


def _check(run: RunResult, index: int) -> None:
    """The board sums on its own: a lost or doubled tick shows as a contradiction."""
    if len(run.ticks) > run.inferences:
        raise MeasurementError(
            f"RUN {index}: {len(run.ticks)} ticks for {run.inferences} inferences; rerun the session"
        )
    if run.inferences == 0 or len(run.ticks) != run.inferences:
        return
    seen = (int(run.ticks.sum(dtype=np.uint64)), int(run.ticks.min()), int(run.ticks.max()))
    told = (run.ticks_sum, run.ticks_min, run.ticks_max)
    if seen != told:
        raise MeasurementError(
            f"RUN {index}: ticks give sum, min, max {seen}, the board says {told}; rerun the session"
        )


def latency(ticks: TicksSummary, clock: ClockInfo) -> Latency:
    """Return the session's latency in ``clock.unit``."""
    per_tick = clock.per_tick
    return Latency(
        unit=clock.unit,
        median=None if ticks.median is None else ticks.median * per_tick,
        minimum=ticks.minimum * per_tick,
        maximum=ticks.maximum * per_tick,
        mean=ticks.sum / ticks.inferences * per_tick,
        cold=None if ticks.cold is None else ticks.cold * per_tick,
        resolution=per_tick,
    )


def latency_us(ticks: TicksSummary, clock: ClockInfo) -> float | None:
    """Return the median in microseconds, or None where the time base is not a time.

    Instructions of an emulator say nothing about microseconds of a chip; exact cycles do, at the
    board's clock.
    """
    if clock.time_base not in {"host", "time", "cycles"} or ticks.median is None:
        return None
    return ticks.median / clock.counter_hz * 1e6


def session_spread(medians: Sequence[float]) -> float | None:
    """Return (max - min) / median of the session medians; None with fewer than two sessions."""
    if len(medians) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    middle = float(np.median(medians))
    if middle == 0:
        return 0.0 if max(medians) == min(medians) else None
    return (max(medians) - min(medians)) / middle


def operator_shares(ticks: Sequence[float]) -> tuple[float, ...]:
    """Return each operator's share of the profiled ticks in percent; they sum to 100.

    Raises:
        MeasurementError: no operator used a tick, so that there is nothing to divide.
    """
    total = sum(ticks)
    if total == 0:
        raise MeasurementError(
            f"profile of {len(ticks)} operators holds 0 ticks; the counter is too slow for it"
        )
    return tuple(100.0 * t / total for t in ticks)
