"""A against A: noise floors of a bench, and how often the gate cries wolf on it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilbench.errors import UsageError
from hilbench.gate.baseline import Accepted, Baseline
from hilbench.gate.config import GateConfig
from hilbench.gate.confirm import confirm as confirmed
from hilbench.gate.confirm import flagged
from hilbench.gate.cycles import LEAST_SESSIONS, POWER, decide, log_ratio
from hilbench.gate.family import holm
from hilbench.gate.judge import Adjust, judge
from hilbench.gate.snapshot import CellNumbers, Snapshot
from hilbench.gate.student import t_quantile
from hilbench.measurement.accuracy import wilson
from hilbench.metrics import BY_NAME

LEAST_FOR_HALVES = 2 * LEAST_SESSIONS
_MOST_SESSIONS = 1000
_DAY = date.min  # no waiver plays a part


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

    sessions: tuple[int, ...]  # of the baseline, of now, fresh ones
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


def replay(
    run: Snapshot, config: GateConfig, families: int, seed: int, *, confirm: bool = False
) -> Rates:
    """Put sessions of one run through the gate as it is configured, in random halves.

    Each family is a whole :func:`hilbench.gate.judge.judge` of half of every cell's sessions
    against the other half; with ``confirm`` a screen, and ``[confirm] sessions`` kept back for what
    it flags. Nothing changed between them, so that every FAIL is a false alarm. Waivers and budgets
    play no part: one hides alarms, the other is no test.

    Args:
        run: of one image a board, all of its sessions alike.
        config: metrics, margins, alpha, [confirm].
        families: how many gates.
        seed: of the splits.
        confirm: as ``hilbench gate --confirm``.

    Raises:
        UsageError: too few sessions, no latency and no energy, or a plan that can never fail.
    """
    config = _statistics_of(config, run)
    cells = {k: n for k, n in run.cells.items() if any(_values(n, m) for m in config.metrics)}
    if not cells:
        raise UsageError(f"run {run.run_id} has no latency and no energy to compare with itself")
    kept = config.confirm_sessions if confirm else 0
    half = _half(run.run_id, min(numbers.sessions for numbers in cells.values()), kept)
    adjust: Adjust = "none" if confirm else "holm"
    rng = np.random.default_rng(seed)
    results = []
    for _ in range(families):
        orders = {key: rng.permutation(numbers.sessions) for key, numbers in cells.items()}
        first, now, fresh = (
            {k: _some(cells[k], order[part]) for k, order in orders.items()}
            for part in (slice(half), slice(half, 2 * half), slice(2 * half, 2 * half + kept))
        )
        accepted = {k: Accepted(n, run.run_id, _DAY, "") for k, n in first.items()}
        before = Baseline(run.suite, accepted, run.run_id)
        result = judge(
            Snapshot(run.run_id, run.suite, now, {}), before, config, today=_DAY, adjust=adjust
        )
        if confirm and flagged(result, config):
            again = Snapshot(run.run_id, run.suite, fresh, {})
            result = confirmed(result, again, before, config, _DAY)
        results.append([cell.verdict for cell in result.cells])
    return _counted(np.array(results), (half, half, kept) if confirm else (half, half))


def _statistics_of(config: GateConfig, run: Snapshot) -> GateConfig:
    """Return what of a gate can raise a false alarm in this run."""
    metrics = tuple(m for m in config.metrics if BY_NAME[m].kind in {"cycles", "energy"})
    margins = tuple(
        m
        for m in config.margins
        if m.where.metric in metrics and any(m.where.matches(*k, m.where.metric) for k in run.cells)
    )
    return replace(
        config, metrics=metrics, margins=margins, budgets=(), waivers=(), pairs=(), layouts=()
    )


def _half(run_id: str, size: int, kept: int) -> int:
    half = (size - kept) // 2
    if half < LEAST_SESSIONS:
        needed = LEAST_FOR_HALVES + kept
        what = f"two halves and {kept} fresh sessions" if kept else "two halves"
        raise UsageError(
            f"run {run_id} has cells of {size} sessions, limit {needed} for {what}; measure with "
            f"--sessions {max(10, needed)} or more"
        )
    return half


def unreplayed(run: Snapshot, config: GateConfig) -> list[str]:
    """Return cells that a gate compares and :func:`replay` does not: energies of pairs in turns."""
    return [
        f"{board}[{variant}]::energy_uj"
        for board, variant in run.cells
        if any(pair.matches(board, variant) for pair in config.pairs)
    ]


def _some(numbers: CellNumbers, sessions: NDArray[np.int64]) -> CellNumbers:
    """Return the cell as if it had only these sessions, counted from 0."""
    energy = numbers.energy
    return replace(
        numbers,
        exact={},
        accuracy=None,
        varies=(),
        cycles={n: tuple(v[k] for k in sessions) for n, v in numbers.cycles.items()},
        energy=energy and replace(energy, uj=tuple(energy.uj[k] for k in sessions)),
        sessions=len(sessions),
    )


def rates(
    sides: tuple[ArrayLike, ...],
    tick: ArrayLike,
    margin: ArrayLike,
    alpha: float,
    *,
    inconclusive: bool = True,
) -> Rates:
    """Gate families of latencies, as :func:`hilbench.gate.judge.judge` does cell by cell.

    Args:
        sides: baseline, now, and, to screen and confirm, fresh sessions; each [families, cells,
            sessions] with any number of sessions.
        tick: [cells] or one for all.
        margin: likewise, relative.
        alpha: one-sided, of a family.
        inconclusive: measure INCONCLUSIVE cells again, too.
    """
    baseline, now, *fresh = (np.asarray(side, dtype=np.float64) for side in sides)
    sessions = tuple(side.shape[-1] for side in (baseline, now, *fresh))
    estimate = log_ratio(baseline, now, tick)
    p = estimate.p_worse
    if not fresh:
        return _counted(decide(estimate, margin, holm(p), alpha), sessions)
    screen = decide(estimate, margin, p, alpha)
    again = np.isin(screen, ("FAIL", "INCONCLUSIVE") if inconclusive else ("FAIL",))
    second = log_ratio(baseline, fresh[0], tick)
    adjusted = holm(np.where(again, second.p_worse, 1.0))
    found = np.where(again, decide(second, margin, adjusted, alpha), screen)
    return _counted(found, sessions)


def _counted(verdicts: NDArray[np.str_], sessions: tuple[int, ...]) -> Rates:
    failed = verdicts == "FAIL"
    return Rates(
        sessions=sessions,
        families=len(verdicts),
        any_fail=int(failed.any(axis=-1).sum()),
        passes=float(np.isin(verdicts, ("PASS", "IMPROVED")).mean()),
        fails=float(failed.mean()),
        inconclusive=float((verdicts == "INCONCLUSIVE").mean()),
    )


@dataclass(frozen=True)
class Bench:
    """A simulated bench: log-normal session medians around 1e6 ticks of one."""

    cells: int  # of a family
    sessions: int  # on each side
    sd: float  # session to session, of ln latency
    change: float = 0.0  # true, relative, of every cell

    def sides(
        self, config: GateConfig, families: int, seed: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return baseline, now and fresh sessions, [families, cells, sessions] each.

        Raises:
            UsageError: fewer than 2 sessions: such a plan can never fail.
        """
        if self.sessions < LEAST_SESSIONS:
            raise UsageError(
                f"{self.sessions} session can never fail: it has no scatter, limit {LEAST_SESSIONS}"
            )
        rng = np.random.default_rng(seed)

        def medians(level: float, sessions: int) -> NDArray[np.float64]:
            noise = rng.normal(0, self.sd, (families, self.cells, sessions))
            return np.asarray(np.round(level * np.exp(noise)))

        level = 1e6 * (1 + self.change)
        return (
            medians(1e6, self.sessions),
            medians(level, self.sessions),
            medians(level, config.confirm_sessions),
        )
