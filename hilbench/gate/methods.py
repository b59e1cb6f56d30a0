"""The test of one cell by its metric's class, finished when its family is known. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hilbench.gate import cycles, energy, vectors
from hilbench.gate.config import GateConfig
from hilbench.gate.cycles import LEAST_SESSIONS, Estimate
from hilbench.gate.snapshot import AccuracySide, CellNumbers, Snapshot
from hilbench.gate.verdicts import CellVerdict, Verdict
from hilbench.metrics import BY_NAME
from hilbench.runs.schema import ComparisonRecord


@dataclass(frozen=True)
class Test:
    """A cell that belongs to the family."""

    cell: CellVerdict
    p: float  # one-sided, of "not worse"
    smallest_p: float  # that any result could have
    finish: Callable[[float, float], CellVerdict]  # adjusted p, alpha


def value(numbers: CellNumbers, metric: str) -> float:
    """Return the cell's one number, as the frame has it."""
    kind = BY_NAME[metric].kind
    if kind == "energy":
        assert numbers.energy is not None
        return float(np.median(numbers.energy.uj))
    if kind == "accuracy":
        assert numbers.accuracy is not None
        return numbers.accuracy.value
    if kind == "exact":
        return numbers.exact[metric]
    return float(np.median(numbers.cycles[metric]))


def count(numbers: CellNumbers, metric: str) -> int:
    """Return sessions; for accuracy vectors."""
    if metric == "accuracy" and numbers.accuracy is not None:
        return numbers.accuracy.n
    return numbers.sessions


def test_of(
    cell: CellVerdict, was: CellNumbers, now: CellNumbers, config: GateConfig
) -> Test | CellVerdict:
    """Return the test of a metric that is not exact."""
    if cell.kind == "accuracy":
        assert was.accuracy is not None
        assert now.accuracy is not None
        return _accuracy_test(cell, was.accuracy, now.accuracy)
    assert cell.margin is not None
    if min(was.sessions, now.sessions) < LEAST_SESSIONS:
        return Test(cell, 1.0, 1.0, lambda _p, _alpha: cell)  # no scatter: refused as a plan
    if cell.kind == "energy":
        return _energy_test(cell, was, now)
    layout = (
        None if was.image_sha256 == now.image_sha256 else config.layout(cell.board, cell.variant)
    )
    estimate = cycles.log_ratio(
        was.cycles[cell.metric],
        now.cycles[cell.metric],
        _tick(now, cell.metric),
        layout.sd if layout else 0.0,
        layout.builds - 1 if layout else math.inf,
    )
    identical = set(was.cycles[cell.metric]) == set(now.cycles[cell.metric])
    return _estimated(cell, estimate, "timing is bit-identical" if identical else "")


def _tick(numbers: CellNumbers, metric: str) -> float:
    """One tick in the metric's unit."""
    scale = 1.0
    if metric == "latency_us":  # in another unit than the median's
        scale = numbers.cycles["latency_us"][0] / numbers.cycles["latency_median"][0]
    return numbers.resolution * scale


def _estimated(cell: CellVerdict, estimate: Estimate, note: str = "") -> Test:
    def finish(p_adjusted: float, alpha: float) -> CellVerdict:
        assert cell.margin is not None
        low, high = (float(bound) for bound in estimate.bounds(alpha))
        verdict = str(cycles.decide(estimate, cell.margin, p_adjusted, alpha))
        done = replace(
            cell,
            verdict=_checked(verdict),
            change=float(np.expm1(estimate.d)),
            low=low,
            high=high,
            p=float(estimate.p_worse),
            p_adjusted=p_adjusted,
            mde=float(estimate.mde(alpha)),
        )
        return replace(done, reason=_reason(done, "%") + (f"; {note}" if note else ""))

    return Test(cell, float(estimate.p_worse), 0.0, finish)


def _checked(verdict: str) -> Verdict:
    found: dict[str, Verdict] = {
        "PASS": "PASS", "FAIL": "FAIL", "INCONCLUSIVE": "INCONCLUSIVE", "IMPROVED": "IMPROVED",
    }  # fmt: skip
    return found[verdict]


def _reason(cell: CellVerdict, unit: str) -> str:
    """Return the numbers behind a verdict in one sentence; positive is worse."""
    change, low, high, margin, mde = (
        f"{100 * x:+.2f} {unit}" if x is not None and math.isfinite(x) else "unknown"
        for x in (cell.change, cell.low, cell.high, cell.margin, cell.mde)
    )
    if cell.verdict == "FAIL":
        return f"{change}, surely worse (at least {low}), and beyond the margin of {margin}"
    if cell.verdict == "INCONCLUSIVE":
        more = "take more vectors" if cell.kind == "accuracy" else "measure more"
        return (
            f"{change} ({low} to {high}) is neither surely within the margin of {margin} nor surely "
            f"worse and beyond it; this run sees changes from {mde}: {more}"
        )
    return f"{change}, surely below {high}, margin {margin}"


def _energy_test(cell: CellVerdict, was: CellNumbers, now: CellNumbers) -> Test | CellVerdict:
    assert was.energy is not None
    assert now.energy is not None
    found = energy.stored(was.energy, now.energy)
    if found is None:
        return replace(
            cell,
            verdict="INCONCLUSIVE",
            reason="the meter's uncertainty is not known, so that a stored number says nothing; "
            "compare in one run with --abba and a [[pair]]",
        )
    return _estimated(cell, found[0], f"against a stored number, {found[1]}")


def _accuracy_test(cell: CellVerdict, was: AccuracySide, now: AccuracySide) -> Test | CellVerdict:
    cell = replace(cell, points=now.metric != "mse")
    assert cell.margin is not None
    if not now.outputs_sha256:
        return replace(
            cell, verdict="INVALID", reason="outputs differ between sessions of this run"
        )
    if was.outputs_sha256 == now.outputs_sha256:
        reason = "outputs are equal, byte by byte"
        return replace(cell, verdict="PASS", change=0.0, low=0.0, high=0.0, reason=reason)
    if unknown := [side for side, of in (("baseline", was), ("run", now)) if not of.paired]:
        return replace(
            cell,
            verdict="INCONCLUSIVE",
            reason=f"outputs changed, and the {unknown[0]} does not hold {_HELD[now.metric]} "
            f"({now.metric}): they cannot be paired; look at both, and accept the run if it is right",
        )
    found = vectors.pair(was, now, cell.margin)
    if isinstance(found, str):
        return replace(cell, verdict="INCONCLUSIVE", reason=found)

    def finish(p_adjusted: float, alpha: float) -> CellVerdict:
        return _accuracy_verdict(replace(cell, p=found.p, p_adjusted=p_adjusted), found, alpha)

    return Test(cell, found.p, found.smallest_p, finish)


_HELD = {
    "top1": "which vectors are right",
    "auc": "the score of each vector",
    "mse": "the squared error of each vector",
}


def _accuracy_verdict(cell: CellVerdict, found: vectors.Paired, alpha: float) -> CellVerdict:
    assert cell.margin is not None
    assert cell.p_adjusted is not None
    low, high = found.bounds(alpha)
    verdict: Verdict = "INCONCLUSIVE"
    if cell.p_adjusted < alpha and found.change > cell.margin:
        verdict = "FAIL"
    elif found.non_inferior_p(cell.margin) < alpha:
        verdict = "IMPROVED" if high < 0 and -found.change > cell.margin else "PASS"
    done = replace(
        cell,
        verdict=verdict,
        change=found.change,
        low=low,
        high=high if math.isfinite(high) else None,
        mde=found.seen(alpha),
    )
    return replace(done, reason=f"{found.says}: {_reason(done, done.unit)}")


def pair_test(
    name: tuple[str, str, str], run: Snapshot, config: GateConfig
) -> Test | CellVerdict | None:
    """Return the paired energy test of a cell that is a [[pair]]'s candidate, else None."""
    board, variant, metric = name
    if metric != "energy_uj":
        return None
    for pair in config.pairs:
        if not pair.matches(board, variant):
            continue
        for record in run.comparisons:
            if record.board == board and {record.a, record.b} == {pair.baseline, variant}:
                cell = CellVerdict(board, variant, metric, "INVALID", "energy")
                cell = replace(cell, margin=config.margin(board, variant, metric))
                if flaw := _flaw_of((board, variant), (board, pair.baseline), run=run):
                    return replace(cell, reason=flaw)
                return _paired(cell, record, pair.baseline, run)
    return None


def _flaw_of(*keys: tuple[str, str], run: Snapshot) -> str:
    """Say which of two has wrong outputs: what takes less energy may have computed less."""
    return next((run.flawed[key] for key in keys if key in run.flawed), "")


def _paired(cell: CellVerdict, record: ComparisonRecord, baseline: str, run: Snapshot) -> Test:
    """By blocks A B B A where there are at least two, else by the run's own comparison."""
    sides = [run.cells.get((cell.board, name)) for name in (baseline, cell.variant)]
    known = [s.energy for s in sides if s is not None and s.energy is not None]
    if len(known) == len(sides):
        cell = replace(
            cell,
            baseline=float(np.median(known[0].uj)),
            now=float(np.median(known[1].uj)),
            n_baseline=len(known[0].uj),
            n_now=len(known[1].uj),
        )
    says = f"paired with {baseline} in this run, A B B A"
    if len(known) == len(sides) and record.gain_cancels:
        units = [side.comparative_u for side in known if side.comparative_u is not None]
        whole = min(len(side.uj) for side in known) // 2 * 2
        if len(units) == len(known) and whole >= 2 * energy.LEAST_BLOCKS:
            a, b = (side.uj[:whole] for side in known)
            return _estimated(cell, energy.paired(a, b, math.hypot(*units)), f"{says}, by blocks")
    ratio = record.ratio if record.a == baseline else 1 / record.ratio
    estimate = energy.from_ratio(ratio, record.expanded, record.coverage_k)
    return _estimated(cell, estimate, says)
