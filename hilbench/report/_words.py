"""Sentences that several formats share: what a verdict asks for, and how numbers were made."""

from __future__ import annotations

from collections.abc import Sequence

from hilbench.gate.verdicts import WORST_FIRST, CellVerdict, GateResult
from hilbench.metrics import BY_NAME
from hilbench.report.contents import Contents, exact

NOT_GATED = (
    "Not gated: these numbers were compared with nothing. Compare them: "
    "`hilbench gate {run} --baseline FILE`"
)


def headline(contents: Contents) -> str:
    """Return the gate's line, or that there was none."""
    if contents.gate:
        return contents.gate.headline()
    return NOT_GATED.format(run=contents.provenance.run_id)


def what_to_do(gate: GateResult) -> list[str]:
    """Return a sentence for every kind of verdict that asks for something."""
    counts, run = gate.counts, gate.run_id
    advice = []
    if n := counts["FAIL"]:
        advice.append(
            f"{_cells(n)} got worse by more than the margin. Measure again in fresh sessions: "
            f"`hilbench gate {run} --confirm`. If the change is wanted: "
            f"`hilbench baseline accept --run {run} --reason TEXT`."
        )
    if n := counts["INVALID"]:
        advice.append(f"{_cells(n)} cannot be compared with the baseline; each row says why.")
    if n := counts["MISSING"]:
        advice.append(
            f"{_cells(n)} of the baseline, not measured now: measure again; rows say why."
        )
    if n := counts["INCONCLUSIVE"]:
        advice.append(
            f"{_cells(n)} could be seen neither as worse nor as good enough. Measure more sessions "
            "(`hilbench run ... --sessions 12`); mde is the smallest change that was visible."
        )
    advice += [f"{sentence.rstrip('.')}." for sentence in gate.stale]
    return advice


def _cells(n: int) -> str:
    return f"{n} cell{'s' * (n != 1)}"


def sorted_cells(gate: GateResult) -> list[CellVerdict]:
    """Return cells worst first, and among equals those nearest to their margin."""
    return sorted(
        gate.cells,
        key=lambda c: (WORST_FIRST.index(c.verdict), -_nearness(c), c.board, c.variant, c.metric),
    )


def _nearness(cell: CellVerdict) -> float:
    worst = cell.high if cell.high is not None else cell.change
    return worst / cell.margin if worst is not None and cell.margin else 0.0


def percent(value: float | None) -> str:
    """Return a relative change with its sign; a dash for an unknown one."""
    if value is None:
        return "-"
    return "0 %" if value == 0 else f"{100 * value:+.3g} %"


def plain_percent(value: float | None) -> str:
    """Return a size in percent, without sign; a dash for an unknown one."""
    return "-" if value is None else f"{100 * value:.3g} %"


def probability(value: float | None) -> str:
    """Return a p value; a dash for an unknown one."""
    if value is None:
        return "-"
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"  # noqa: PLR2004 - nobody needs more


def counted(cell: CellVerdict) -> str:
    """Return n of the baseline and of now."""
    if cell.n_baseline is None and cell.n_now is None:
        return "-"
    before, now = ("-" if n is None else str(n) for n in (cell.n_baseline, cell.n_now))
    return f"{before} / {now}"


def shown(cell: CellVerdict, value: float | None) -> str:
    """Return a value of the cell's metric; of a metric that this hilbench does not know, as it is."""
    if cell.metric in BY_NAME:
        return exact(cell.metric, value)
    return "-" if value is None else f"{value:.6g}"


def interval_words(cell: CellVerdict) -> str:
    """Return the interval of the change; a dash for an unknown one."""
    if cell.low is None or cell.high is None:
        return "-"
    return f"{percent(cell.low)} to {percent(cell.high)}"


def method(contents: Contents) -> Sequence[str]:
    """Return how the numbers were made."""
    p = contents.provenance
    said = [
        (
            f"The session (reset to reset) is the unit of replication: {p.sessions} planned for "
            f"each cell, {p.iterations} timed inferences each, after {p.warm_up} warm-up and one "
            "cold. A session's latency is the median of its inferences, a cell's is the median of "
            "its sessions. Nothing is trimmed. A dash is a number that nobody knows; it is never 0."
        ),
        (
            "Emulated boards and hardware never share a chart, nor do two time bases, nor synthetic "
            "and measured energy. Intervals: of top1 accuracy Wilson's, of auc Hanley and McNeil's, "
            "of mse normal, all 95 %; of energy the expanded uncertainty of its budget (95 %); of "
            "latency the least and the largest session median."
        ),
        (
            "Flash of the model is the plan that the board executes, RAM for tensors is the planned "
            "arena. Stack used is a high-water mark by painting, a lower bound."
        ),
    ]
    if contents.gate:
        said.append(
            "Gate: PASS where the upper bound of the change is below the margin; FAIL where the "
            "change exceeds the margin and its adjusted p says that it is real; INCONCLUSIVE "
            "otherwise. Positive is worse. Bounds are one-sided 95 %, together a 90 % interval; p is "
            "adjusted by Holm over the gate. In the column of intervals the line is 0, the dashed "
            "line the margin, right is worse; a triangle is beyond the scale."
        )
    return said
