"""A against A: noise floors of a bench, and how often the gate cries wolf on it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilbench.errors import UsageError
from hilbench.gate.config import GateConfig
from hilbench.gate.cycles import LEAST_SESSIONS, POWER, decide, log_ratio
from hilbench.gate.family import holm
from hilbench.gate.snapshot import CellNumbers, Snapshot
from hilbench.gate.student import t_quantile
from hilbench.measurement.accuracy import wilson
from hilbench.metrics import BY_NAME

LEAST_FOR_HALVES = 2 * LEAST_SESSIONS
_MOST_SESSIONS = 1000


@dataclass(frozen=True)
class Floor:
    """Noise of one metric in one cell, over sessions."""

    board: str
    variant: str
    metric: str
    sessions: int
    sd: float  # of ln value: the coefficient of variation where it is small
    margin: float  # of the gate
    sessions_needed: int | None  # on each side, to see a change of the margin with 80 % power


@dataclass(frozen=True)
class Rates:
    """What a gate does to many families of cells."""

    families: int
    any_fail: int  # families with at least one FAIL
    passes: float  # shares of cells
    fails: float
    inconclusive: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share of families with a FAIL (Wilson)."""
        return wilson(self.any_fail, self.families)


def floors(run: Snapshot, config: GateConfig) -> list[Floor]:
    """Return the noise of every gated latency and energy.

    Raises:
        UsageError: the run has cells of one session: no scatter.
    """
    found = []
    for (board, variant), numbers in run.cells.items():
        for metric in config.metrics:
            values = _values(numbers, metric)
            if not values:
                continue
            if len(values) < LEAST_SESSIONS:
                raise UsageError(
                    f"{board}[{variant}] has {len(values)} session, limit {LEAST_SESSIONS}; measure "
                    f"with --sessions 10 or more"
                )
            sd = float(np.std(np.log(values), ddof=1))
            margin = config.margin(board, variant, metric)
            needed = sessions_needed(sd, margin, config.alpha)
            found.append(Floor(board, variant, metric, len(values), sd, margin, needed))
    return found


def _values(numbers: CellNumbers, metric: str) -> tuple[float, ...]:
    kind = BY_NAME[metric].kind
    if kind == "energy":
        return () if numbers.energy is None else numbers.energy.uj
    return numbers.cycles.get(metric, ()) if kind == "cycles" else ()


def sessions_needed(sd: float, margin: float, alpha: float) -> int | None:
    """Return the sessions on each side that see a change of ``margin`` with 80 % power.

    (t_{1-alpha} + t_{0.8}) sd sqrt(2 / n) <= ln(1 + margin), at least 2; None beyond 1000.
    """
    for n in range(LEAST_SESSIONS, _MOST_SESSIONS + 1):
        dof = 2 * n - 2
        t = t_quantile(1 - alpha, dof) + t_quantile(POWER, dof)
        if t * sd * math.sqrt(2 / n) <= math.log1p(margin):
            return n
    return None


def rates(
    baseline: ArrayLike,
    now: ArrayLike,
    tick: ArrayLike,
    margin: ArrayLike,
    alpha: float,
) -> Rates:
    """Gate families of cells as :func:`hilbench.gate.judge.judge` gates latencies.

    Args:
        baseline: [families, cells, sessions].
        now: the same shape; another number of sessions is fine.
        tick: [cells] or one for all.
        margin: likewise, relative.
        alpha: one-sided, of a family.
    """
    estimate = log_ratio(baseline, now, tick)
    verdicts = decide(estimate, margin, holm(estimate.p_worse), alpha)
    failed = verdicts == "FAIL"
    return Rates(
        families=len(verdicts),
        any_fail=int(failed.any(axis=-1).sum()),
        passes=float(np.isin(verdicts, ("PASS", "IMPROVED")).mean()),
        fails=float(failed.mean()),
        inconclusive=float((verdicts == "INCONCLUSIVE").mean()),
    )


def halves(run: Snapshot, config: GateConfig, splits: int, seed: int) -> Rates:
    """Gate random halves of each cell's sessions against each other.

    Nothing changed between them, so that every FAIL is a false alarm.

    Raises:
        UsageError: fewer than 4 sessions a cell, or no latency and no energy at all.
    """
    rng = np.random.default_rng(seed)
    sides: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = ([], [])
    ticks, margins = [], []
    shown = [
        (key, metric, values)
        for key, numbers in run.cells.items()
        for metric in config.metrics
        if (values := _values(numbers, metric))
    ]
    if not shown:
        raise UsageError(f"run {run.run_id} has no latency and no energy to compare with itself")
    size = min(len(values) for _, _, values in shown)
    if size < LEAST_FOR_HALVES:
        raise UsageError(
            f"run {run.run_id} has cells of {size} sessions, limit {LEAST_FOR_HALVES} for two "
            f"halves; measure with --sessions 10 or more"
        )
    for key, metric, values in shown:
        order = rng.permuted(np.tile(np.array(values[: size // 2 * 2]), (splits, 1)), axis=1)
        sides[0].append(order[:, : size // 2])
        sides[1].append(order[:, size // 2 :])
        # Energy has no ticks; nothing is known to better than this.
        is_latency = BY_NAME[metric].kind == "cycles"
        ticks.append(run.cells[key].resolution if is_latency else min(values) * 1e-12)
        margins.append(config.margin(*key, metric))
    a, b = (np.stack(side, axis=1) for side in sides)
    return rates(a, b, np.array(ticks), np.array(margins), config.alpha)


def simulate(
    *,
    cells: int,
    sessions: int,
    sd: float,
    change: float,
    margin: float,
    alpha: float,
    families: int,
    seed: int,
) -> Rates:
    """Gate a simulated bench: log-normal session medians around 1e6 ticks.

    Args:
        cells: of a family.
        sessions: on each side, at least 2.
        sd: session to session, of ln latency.
        change: true, relative, of every cell; 0 for false alarms.
        margin: relative.
        alpha: one-sided.
        families: how many gates.
        seed: of the noise.

    Raises:
        UsageError: fewer than 2 sessions: such a plan can never fail.
    """
    if sessions < LEAST_SESSIONS:
        raise UsageError(
            f"{sessions} session can never fail: it has no scatter, limit {LEAST_SESSIONS}"
        )
    rng = np.random.default_rng(seed)
    shape = (families, cells, sessions)
    a = np.round(1e6 * np.exp(rng.normal(0, sd, shape)))
    b = np.round(1e6 * (1 + change) * np.exp(rng.normal(0, sd, shape)))
    return rates(a, b, 1.0, margin, alpha)
