"""Screen, then confirm: flagged cells are judged again on fresh sessions. Pure.

Cells that are not surely good at the plain level are measured again, and their verdicts are those of
the fresh sessions alone, after Holm over *all* cells that were screened, where those that were not
flagged have p = 1. Correcting for the flagged ones alone would be right if both looks were
independent; they are not, since a stored baseline is the same in both: P(any false alarm) would be
27 % over 120 cells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date

from hilbench.gate.baseline import Baseline
from hilbench.gate.config import GateConfig
from hilbench.gate.judge import Name, judge
from hilbench.gate.snapshot import Snapshot
from hilbench.gate.verdicts import WORST_FIRST, GateResult


@dataclass(frozen=True)
class Job:
    """What to measure again on one board, in one run."""

    board: str
    variants: tuple[str, ...]
    abba: tuple[str, str] | None = None


def flagged(screen: GateResult, config: GateConfig) -> tuple[Name, ...]:
    """Return the cells that a fresh measurement can decide: no exact ones, no broken budgets."""
    wanted = {"FAIL", "INCONCLUSIVE"} if config.confirm_inconclusive else {"FAIL"}
    return tuple(
        (c.board, c.variant, c.metric)
        for c in screen.cells
        if c.verdict in wanted and c.p is not None
    )


def jobs(names: Collection[Name], config: GateConfig) -> tuple[Job, ...]:
    """Return what to measure: per board its flagged variants, and every flagged pair in turns."""
    alone: dict[str, dict[str, None]] = {}
    pairs: dict[tuple[str, str, str], None] = {}
    for board, variant, metric in names:
        pair = next((p for p in config.pairs if p.matches(board, variant)), None)
        if metric == "energy_uj" and pair is not None:
            pairs[board, pair.baseline, variant] = None
        else:
            alone.setdefault(board, {})[variant] = None
    found = [Job(board, tuple(variants)) for board, variants in alone.items()]
    return (*found, *(Job(board, (a, b), (a, b)) for board, a, b in pairs))


def merged(runs: Iterable[Snapshot]) -> Snapshot:
    """Return the runs of all jobs as one."""
    parts = list(runs)
    return Snapshot(
        "+".join(p.run_id for p in parts),
        parts[0].suite,
        {k: v for p in parts for k, v in p.cells.items()},
        {k: v for p in parts for k, v in p.failed.items()},
        tuple(c for p in parts for c in p.comparisons),
        (),
        {k: v for p in parts for k, v in p.flawed.items()},
    )


def confirm(
    screen: GateResult, fresh: Snapshot, baseline: Baseline, config: GateConfig, today: date
) -> GateResult:
    """Return the screen's verdicts with those of fresh sessions in the places of flagged ones."""
    again = judge(
        fresh,
        baseline,
        config,
        today=today,
        only=set(flagged(screen, config)),
        family=sum(c.p is not None for c in screen.cells),
    )
    found = {(c.board, c.variant, c.metric): c for c in again.cells}
    cells = [
        replace(one, reason=f"{one.reason}; judged on fresh sessions")
        if (one := found.get((c.board, c.variant, c.metric))) is not None
        else c
        for c in screen.cells
    ]
    cells.sort(key=lambda c: (WORST_FIRST.index(c.verdict), c.board, c.variant, c.metric))
    return replace(screen, run_id=f"{screen.run_id}, again {again.run_id}", cells=tuple(cells))
