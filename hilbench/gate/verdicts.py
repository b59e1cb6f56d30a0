"""What a gate says: a verdict per board x variant x metric, one headline, one exit code."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

from hilbench.errors import EXIT_INCONCLUSIVE, EXIT_PASS, EXIT_REGRESSION
from hilbench.metrics import MetricClass

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "IMPROVED", "NEW", "MISSING", "INVALID", "WAIVED"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
GOOD = frozenset({"PASS", "IMPROVED", "NEW", "WAIVED"})
COMPARED = frozenset({"PASS", "FAIL", "INCONCLUSIVE", "IMPROVED", "WAIVED"})

WORST_FIRST: tuple[Verdict, ...] = (
    "FAIL", "INVALID", "MISSING", "INCONCLUSIVE", "WAIVED", "IMPROVED", "NEW", "PASS",
)  # fmt: skip
"""Order of rows in every table."""


@dataclass(frozen=True)
class CellVerdict:
    """One metric of one variant on one board; None is unknown or does not apply.

    ``change``, ``low``, ``high``, ``margin`` and ``mde`` are relative to the baseline (0.01 is 1 %)
    and positive means worse; where ``unit`` is points (accuracy, but for mse) they are differences of
    shares (0.01 is one point of a hundred), lost; for exact metrics change is relative and margin is
    the allowance over baseline.
    """

    board: str
    variant: str
    metric: str  # name in metrics.METRICS
    verdict: Verdict
    kind: MetricClass
    baseline: float | None = None
    now: float | None = None
    change: float | None = None
    low: float | None = None  # one-sided 95 % bounds of change: together a 90 % interval
    high: float | None = None
    margin: float | None = None
    p: float | None = None  # of "not worse", one-sided
    p_adjusted: float | None = None  # Holm over the gate's family
    mde: float | None = None  # smallest change that would be seen with 80 % power
    n_baseline: int | None = None  # sessions; for accuracy vectors
    n_now: int | None = None
    reason: str = ""  # one sentence
    points: bool | None = None  # of accuracy: see above; None: as its kind has it
    waiver: str = ""  # its reason and expiry, where verdict is WAIVED

    @property
    def unit(self) -> str:
        """Of change, bounds, mde, and margin but of exact metrics, times 100."""
        points = self.kind == "accuracy" if self.points is None else self.points
        return "points" if points else "%"

    @property
    def cell(self) -> str:
        """``board[variant]::metric``, as tests are named."""
        return f"{self.board}[{self.variant}]::{self.metric}"


@dataclass(frozen=True)
class GateResult:
    """All verdicts of one gate."""

    run_id: str
    baseline_id: str
    cells: tuple[CellVerdict, ...]  # worst first, then board, variant, metric
    waivers: tuple[str, ...] = ()  # active ones, a sentence each
    warnings: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()  # what by itself makes the gate exit 4, e.g. an expired waiver

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many cells have each verdict, in the order of VERDICTS; zeros included."""
        found = Counter(cell.verdict for cell in self.cells)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def compared(self) -> int:
        """Cells in which two numbers met."""
        return sum(cell.verdict in COMPARED for cell in self.cells)

    @property
    def exit_code(self) -> int:
        """1: a regression; 4: inconclusive, missing, invalid, stale, or compared nothing; else 0."""
        if any(cell.verdict == "FAIL" for cell in self.cells):
            return EXIT_REGRESSION
        if self.stale or self.compared == 0:
            return EXIT_INCONCLUSIVE
        return EXIT_PASS if all(c.verdict in GOOD for c in self.cells) else EXIT_INCONCLUSIVE

    @property
    def only_inconclusive(self) -> bool:
        """Say whether INCONCLUSIVE cells alone make it exit 4: nothing stale, missing or invalid."""
        bad = {cell.verdict for cell in self.cells} - GOOD
        return bad == {"INCONCLUSIVE"} and not self.stale

    def headline(self) -> str:
        """One line: PASS, FAIL or UNDECIDED, the counts, and the worst cell."""
        counts = ", ".join(f"{n} {v}" for v in WORST_FIRST if (n := self.counts[v])) or "no cell"
        word = {EXIT_PASS: "PASS", EXIT_REGRESSION: "FAIL"}.get(self.exit_code, "UNDECIDED")
        line = f"{word}: {counts}; run {self.run_id} against {self.baseline_id}"
        if self.exit_code == EXIT_PASS:
            return line
        if self.compared == 0:
            return f"{line}; compared nothing, and that is no pass"
        worst = min(self.cells, key=lambda c: WORST_FIRST.index(c.verdict))
        if worst.verdict in GOOD:
            return f"{line}; {self.stale[0]}"
        return f"{line}; first: {worst.cell}: {worst.reason}"
