"""Sentences that several formats share: what a verdict asks for, and how numbers were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hilbench.gate.verdicts import COMPARED, WORST_FIRST, CellVerdict, GateResult
from hilbench.metrics import BY_NAME
from hilbench.report.contents import Contents, exact

_TINY, _LARGE = 0.001, 1000  # of a hundred: nobody needs less, or three digits of more
_MOST_NAMED = 4
NOT_GATED = (
    "Not gated: these numbers were compared with nothing. Compare them: "
    "`hilbench gate {run} --baseline FILE`"
)


def headline(contents: Contents) -> str:
    """Return the gate's line, or that there was none."""
    if contents.gate:
        return contents.gate.headline()
    return NOT_GATED.format(run=contents.before.run or contents.provenance.run_id)


def what_to_do(contents: Contents) -> list[str]:
    """Return a sentence for every kind of verdict that asks for something; none without a gate."""
    gate = contents.gate
    if gate is None:
        return []
    counts, run = gate.counts, contents.before.run or gate.run_id
    baseline = contents.before.baseline and f" --baseline {contents.before.baseline}"
    config = contents.before.config and f" --config {contents.before.config}"
    advice = []
    exact = sum(c.verdict == "FAIL" and c.kind == "exact" for c in gate.cells)
    if n := counts["FAIL"] - exact:
        advice.append(
            f"{_cells(n)} got worse by more than the margin. Measure again in fresh sessions: "
            f"`hilbench gate {run}{baseline}{config} --confirm`."
        )
    if exact:
        advice.append(
            f"{_cells(exact)} that no session changes (bytes, agreement) got worse by more than the "
            "allowance: measuring again will not help."
        )
    if counts["FAIL"]:
        names = dict.fromkeys(f"{c.board}[{c.variant}]" for c in gate.cells if c.verdict == "FAIL")
        cells = [f' --cells "{name}"' for name in names] if len(names) <= _MOST_NAMED else []
        advice.append(
            "A change that is wanted can be accepted: `hilbench baseline accept --run "
            f"{run}{baseline}{''.join(cells)} --reason TEXT`."
        )
    if n := counts["INVALID"]:
        advice.append(f"{_cells(n)} cannot be compared with the baseline; each row says why.")
    if n := counts["MISSING"]:
        advice.append(
            f"{_cells(n)} of the baseline or of this run's plan {_were(n)} not measured: measure "
            "again, or leave them out of both; each row says why."
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


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def sorted_cells(gate: GateResult) -> list[CellVerdict]:
    """Return cells worst first, and among equals those nearest to their margin."""
    return sorted(
        gate.cells,
        key=lambda c: (WORST_FIRST.index(c.verdict), -_nearness(c), c.board, c.variant, c.metric),
    )


def _nearness(cell: CellVerdict) -> float:
    worst = cell.high if cell.high is not None else cell.change
    margin = relative_margin(cell)
    return worst / margin if worst is not None and margin else 0.0


def relative_margin(cell: CellVerdict) -> float | None:
    """Return the margin as a share, as change is; None where there is none, or it is unknown."""
    if cell.kind != "exact" or cell.margin is None:
        return cell.margin
    return cell.margin / abs(cell.baseline) if cell.baseline else None


@dataclass(frozen=True)
class Row:
    """A line of the gate's table: a cell, or a variant's cells that have the same to say."""

    cell: CellVerdict
    metrics: tuple[str, ...]

    @property
    def alone(self) -> bool:
        """Say whether it is one cell, whose numbers may be shown."""
        return len(self.metrics) == 1

    @property
    def what(self) -> str:
        """Return the metric, or how many."""
        return self.metrics[0] if self.alone else f"{len(self.metrics)} metrics"

    @property
    def why(self) -> str:
        """Return the reason, the waiver, and which metrics."""
        listed = "" if self.alone else f" ({', '.join(self.metrics)})"
        return f"{self.cell.reason}{listed} {self.cell.waiver}".strip()


def gate_rows(cells: Sequence[CellVerdict]) -> list[Row]:
    """Return rows in the order of cells; what was not compared, and why, is said once a variant."""
    found: dict[tuple[str, ...], list[CellVerdict]] = {}
    for cell in cells:
        own = cell.metric if cell.verdict in COMPARED else ""
        key = (cell.verdict, cell.board, cell.variant, cell.reason, own)
        found.setdefault(key, []).append(cell)
    return [Row(own[0], tuple(c.metric for c in own)) for own in found.values()]


def percent(value: float | None, unit: str = "%") -> str:
    """Return a relative change with its sign; a dash for an unknown one."""
    if value is None:
        return "-"
    if value == 0:
        return f"0 {unit}"
    hundredths = 100 * value
    if abs(hundredths) < _TINY:
        return f"{'+' if value > 0 else '-'}0.000 {unit}"
    digits = "+,.0f" if abs(hundredths) >= _LARGE else "+.3g"
    return f"{hundredths:{digits}} {unit}"


def change_words(cell: CellVerdict) -> str:
    """Return the change with sign and unit; a dash for an unknown one."""
    return percent(cell.change, cell.unit)


def margin_words(cell: CellVerdict) -> str:
    """Return the margin; of an exact metric it is in the metric's own unit."""
    if cell.margin is None:
        return "-"
    if cell.kind == "exact":
        unit = BY_NAME[cell.metric].unit if cell.metric in BY_NAME else ""
        return f"{cell.margin:,.10g} {unit}".strip()
    words = f"{100 * cell.margin:.3g} {cell.unit}"
    return "1 point" if words == "1 points" else words


def mde_words(cell: CellVerdict) -> str:
    """Return the smallest change that would be seen; a dash for an unknown one."""
    if cell.mde is None:
        return "-"
    if 100 * cell.mde < _TINY:
        return f"< {_TINY:g} {cell.unit}"
    return percent(cell.mde, cell.unit).lstrip("+")


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
    unit = cell.unit
    low = percent(cell.low, unit).removesuffix(f" {unit}")
    return f"{low} to {percent(cell.high, unit)}"


def interval_name(contents: Contents) -> str:
    """Return what the gate's interval is: two one-sided bounds at the gate's level."""
    return f"{100 * (1 - 2 * contents.before.alpha):g} % interval"


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
        alpha = contents.before.alpha
        bound = f"{100 * (1 - alpha):g} %"
        said += [
            (
                "Gate: PASS where the upper bound of the change is below the margin; FAIL where the "
                "change exceeds the margin and its adjusted p says that it is real; INCONCLUSIVE "
                "otherwise. Not significantly worse is no PASS. Positive is worse; changes of "
                "top1 and auc are points of a hundred. Bounds are one-sided "
                f"{bound}, together a {interval_name(contents)}; p is one-sided and adjusted by Holm "
                "over the gate; mde is the smallest change that these sessions would have seen with "
                "80 % power."
            ),
            (
                "Numbers that no session changes (bytes, agreement) are compared as they are, with "
                "an allowance in their own unit. Latency: log ratio of session medians, with the "
                "tick's quantisation; its change is one of geometric means, while baseline and now "
                "are medians. Energy: paired A B B A where the run has it, else against the "
                "stored number with the meter's uncertainty. Accuracy: vector by vector; top1 by McNemar's "
                "exact test (FAIL) and Tango's score test (PASS), auc by DeLong's variance, mse by "
                "paired errors relative to the baseline's. docs/gate.md has the details."
            ),
            (
                "In the column of intervals the line is 0, the dashed line the margin, the bar the "
                "interval; right is worse, and an arrow is beyond the scale."
            ),
        ]
    return said
