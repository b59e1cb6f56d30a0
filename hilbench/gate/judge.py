"""A run against a baseline: every cell its verdict. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from hilbench.errors import UsageError
from hilbench.gate import methods
from hilbench.gate.baseline import Baseline, cell_name
from hilbench.gate.config import GateConfig, Waiver
from hilbench.gate.exact import decide_exact, relative
from hilbench.gate.family import check_can_fail, holm
from hilbench.gate.refusals import mismatch, missing
from hilbench.gate.snapshot import CellKey, CellNumbers, Snapshot
from hilbench.gate.verdicts import WORST_FIRST, CellVerdict, GateResult
from hilbench.metrics import BY_NAME

Adjust = Literal["holm", "none"]
Name = tuple[str, str, str]  # board, variant, metric


@dataclass(frozen=True)
class _Sides:
    """The two sides of a gate."""

    run: Snapshot
    baseline: Mapping[CellKey, CellNumbers]
    config: GateConfig


def judge(
    run: Snapshot,
    baseline: Baseline,
    config: GateConfig,
    *,
    today: date,
    boards: Collection[str] = (),
    only: Collection[Name] | None = None,
    adjust: Adjust = "holm",
    family: int = 0,
) -> GateResult:
    """Return every verdict, worst first.

    Args:
        run: what was measured.
        baseline: what was accepted.
        config: margins, budgets, waivers.
        today: waivers end on it or later.
        boards: gate these only; empty: all of both sides.
        only: gate these cells only; None: all.
        adjust: p-values over the family: Holm, or none to screen.
        family: size of the family from which ``only`` was chosen; 0: they are all of it.

    Raises:
        ConfigError: an entry of gate.toml speaks of no cell.
        UsageError: the two are of different suites, a board is in neither, or a cell of this plan
            can never fail.
    """
    if baseline.suite != run.suite:
        raise UsageError(
            f"baseline {baseline.id} is of suite {baseline.suite!r}, run {run.run_id} of "
            f"{run.suite!r}; name another file with --baseline"
        )
    before = {key: cell.numbers for key, cell in baseline.cells.items()}
    keys = list(dict.fromkeys([*before, *run.cells, *run.failed]))
    if only is None:
        config.check_orphans(keys)
    if unknown := [b for b in boards if b not in {key[0] for key in keys}]:
        raise UsageError(f"board {unknown[0]!r} is neither in the run nor in the baseline")
    sides = _Sides(run, before, config)
    names = [
        (*key, metric)
        for key in keys
        for metric in config.metrics
        if (not boards or key[0] in boards) and (only is None or (*key, metric) in only)
    ]
    drafts = [d for name in names if (d := _draft(name, sides)) is not None]
    verdicts = _decide(drafts, config.alpha, adjust, family)
    verdicts = [_within_budget(v, config) for v in verdicts]
    active = [w for w in config.waivers if today <= w.expires]
    verdicts = [_waived(v, active) for v in verdicts]
    verdicts.sort(key=lambda v: (WORST_FIRST.index(v.verdict), v.board, v.variant, v.metric))
    return GateResult(
        run.run_id,
        baseline.id,
        tuple(verdicts),
        waivers=tuple(map(_says, active)),
        warnings=(*run.warnings, *_with_itself(run, baseline), *_warnings(sides, verdicts, active)),
        stale=tuple(
            f"waiver of {w.where} expired on {w.expires} ({w.reason}); fix what it waived, renew or "
            f"remove it"
            for w in config.waivers
            if w.expires < today
        ),
    )


def _draft(name: Name, sides: _Sides) -> CellVerdict | methods.Test | None:
    """Return a verdict, or a test that waits for its family; None: nobody measures this here."""
    board, variant, metric = name
    key = (board, variant)
    was, now = sides.baseline.get(key), sides.run.cells.get(key)
    cell = CellVerdict(board, variant, metric, "INVALID", BY_NAME[metric].kind)
    paired = methods.pair_test(name, sides.run, sides.config)
    if paired is not None:
        return paired
    if was is not None and was.has(metric):
        cell = replace(
            cell, baseline=methods.value(was, metric), n_baseline=methods.count(was, metric)
        )
    if now is None or not now.has(metric):
        return _absent(cell, was, now, sides)
    cell = replace(cell, now=methods.value(now, metric), n_now=methods.count(now, metric))
    if why := _untrue(metric, now, sides.run.flawed.get(key, "")):
        return replace(cell, reason=why)
    if was is None or not was.has(metric):
        return replace(cell, verdict="NEW", reason="is not in the baseline; accept it")
    if why := mismatch(metric, was, now):
        return replace(cell, reason=why)
    cell = replace(cell, margin=sides.config.margin(board, variant, metric))
    return _exact(cell) if cell.kind == "exact" else methods.test_of(cell, was, now, sides.config)


def _absent(
    cell: CellVerdict, was: CellNumbers | None, now: CellNumbers | None, sides: _Sides
) -> CellVerdict | None:
    """Return MISSING where a number was expected."""
    key = (cell.board, cell.variant)
    if was is None:  # new, and failed: one line is enough
        if key in sides.run.failed and cell.metric == sides.config.metrics[0]:
            return replace(cell, verdict="MISSING", reason=missing(key, sides.run, sides.baseline))
        return None
    if not was.has(cell.metric):
        return None
    why = (
        missing(key, sides.run, sides.baseline)
        if now is None
        else "was measured for the baseline and not in this run; measure it, or accept a baseline "
        "without it"
    )
    return replace(cell, verdict="MISSING", reason=why)


def _untrue(metric: str, now: CellNumbers, flaw: str) -> str:
    """Say why a number that is there is no measurement."""
    if metric in now.varies:
        return "is declared exact and differs between sessions of this run; find out why"
    # How far outputs agree with an oracle is compared: it is what an output error is about.
    return flaw if flaw and not metric.startswith("agreement_") else ""


def _exact(cell: CellVerdict) -> CellVerdict:
    assert cell.baseline is not None
    assert cell.now is not None
    assert cell.margin is not None
    metric = BY_NAME[cell.metric]
    verdict = decide_exact(cell.baseline, cell.now, cell.margin, metric.direction)
    unit = f" {metric.unit}" if metric.unit else ""
    by = cell.now - cell.baseline
    reason = f"{by:+.10g}{unit}, allowance {cell.margin:g}{unit}" if by else "is the same"
    return replace(cell, verdict=verdict, change=relative(cell.baseline, cell.now), reason=reason)


def _decide(
    drafts: list[CellVerdict | methods.Test], alpha: float, adjust: Adjust, size: int
) -> list[CellVerdict]:
    family = [d for d in drafts if isinstance(d, methods.Test)]
    p = [t.p for t in family]
    if adjust == "holm":
        check_can_fail({t.cell.cell: t.smallest_p for t in family}, alpha, size)
        p = holm(p, size).tolist()
    else:  # screening is followed by a confirmation, which is judged, and refused, as a family
        for test in family:
            check_can_fail({test.cell.cell: test.smallest_p}, alpha)
    adjusted = iter(p)
    return [d.finish(next(adjusted), alpha) if isinstance(d, methods.Test) else d for d in drafts]


def _within_budget(cell: CellVerdict, config: GateConfig) -> CellVerdict:
    """A budget is absolute: neither a margin nor a missing baseline excuses it."""
    if cell.now is None or cell.verdict == "INVALID":
        return cell
    for budget in config.budgets:
        if not budget.where.matches(cell.board, cell.variant, cell.metric):
            continue
        if broken := budget.limits.broken_by(cell.now):
            return replace(cell, verdict="FAIL", reason=f"{cell.now:.10g} is {broken}, the budget")
    return cell


def _waived(cell: CellVerdict, active: list[Waiver]) -> CellVerdict:
    if cell.verdict not in {"FAIL", "INCONCLUSIVE"} or cell.now is None:
        return cell
    for waiver in active:
        if waiver.where.matches(cell.board, cell.variant, cell.metric):
            if broken := waiver.limits.broken_by(cell.now):
                return replace(cell, reason=f"{cell.reason}; {broken}, the waiver's limit")
            return replace(cell, verdict="WAIVED", waiver=_says(waiver))
    return cell


def _says(waiver: Waiver) -> str:
    parts = [("maximum", waiver.limits.maximum), ("minimum", waiver.limits.minimum)]
    limits = ", ".join(f"{name} {value:g}" for name, value in parts if value is not None)
    return f"{waiver.where}: {waiver.reason} ({limits}; until {waiver.expires})"


def _with_itself(run: Snapshot, baseline: Baseline) -> list[str]:
    """A run that passes against itself says nothing of what was built since."""
    same = [key for key, cell in baseline.cells.items() if cell.run == run.run_id]
    if not same:
        return []
    cells = f"{len(same)} cells" if len(same) > 1 else cell_name(same[0])
    return [f"{cells} of the baseline came from this very run and meet themselves; measure again"]


def _warnings(sides: _Sides, verdicts: list[CellVerdict], active: list[Waiver]) -> list[str]:
    found = []
    for waiver in active:
        hit = [v for v in verdicts if waiver.where.matches(v.board, v.variant, v.metric)]
        if hit and all(v.verdict in {"PASS", "IMPROVED"} for v in hit):
            found.append(f"waiver of {waiver.where} is not needed any more; remove it")
    found += _latency_warnings(sides)
    found += _layout_warnings(sides)
    return found


def _latency_warnings(sides: _Sides) -> list[str]:
    """A latency that neither side has is compared with nothing, and no row would say so."""
    return [
        f"{board}[{variant}]: {metric} is not compared: a session has none (ticks that did not reach "
        f"the host), or it is 0; measure with fewer iterations"
        for (board, variant), now in sides.run.cells.items()
        for metric in sides.config.metrics
        if metric in {"latency_median", "latency_max"} and not now.has(metric)
    ]


def _layout_warnings(sides: _Sides) -> list[str]:
    """Another image lays its code out otherwise: that alone moves cycles on a chip with a cache."""
    boards = [
        board
        for (board, variant), now in sides.run.cells.items()
        if (was := sides.baseline.get((board, variant))) is not None
        and was.image_sha256 != now.image_sha256
        and now.fingerprint.get("time_base") != "instructions"
        and sides.config.layout(board, variant) is None
    ]
    return [
        f"board {board}: the image differs from the baseline's and gate.toml has no [[layout]] for it: "
        f"a small change of latency may be code layout; measure that with hilbench aa --layout --board "
        f"{board}"
        for board in dict.fromkeys(boards)
    ]
