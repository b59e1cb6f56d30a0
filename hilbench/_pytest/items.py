"""A suite.toml as tests: ``suite.toml::board[variant]::metric``, measured as one run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hilbench._pytest.bench import Bench
from hilbench._pytest.measuring import MEASURED
from hilbench._pytest.outcomes import record_row, record_verdict, settle
from hilbench.errors import BaselineError, HilbenchError
from hilbench.gate.verdicts import CellVerdict, GateResult
from hilbench.records import BoardConfig, SuiteConfig

if TYPE_CHECKING:
    import pandas as pd

    from hilbench._pytest.runs import Run

OUTPUTS = "outputs"
"""The item of each cell that says whether outputs are the oracle's; the others are metrics."""


class SuiteFile(pytest.File):
    """The suite of --hil-suite. Its cells are measured together when the first of them runs."""

    def __init__(self, *, bench: Bench, **kw: Any) -> None:
        super().__init__(**kw)
        self.bench = bench

    def collect(self) -> Iterator[pytest.Item]:
        """Every chosen board x variant, then the gate as a whole."""
        try:
            boards, suite, accepted = self.bench.chosen(), self.bench.suite, self._accepted()
        except HilbenchError as error:
            raise self.CollectError(str(error)) from error
        for board in boards:
            for variant in suite.variants:
                cell = {"board": board, "variant": variant.name}
                yield OutputsItem.from_parent(self, metric=OUTPUTS, **cell)
                for metric in (accepted or {}).get((board.id, variant.name), ()):
                    yield MetricItem.from_parent(self, metric=metric, **cell)
        if accepted is not None:
            yield GateItem.from_parent(self, name="gate")

    def _accepted(self) -> dict[tuple[str, str], list[str]] | None:
        """Return the gated metrics of each cell of the baseline; None without one."""
        if self.bench.settings.baseline is None:
            return None
        baseline, gated = self.bench.runs.baseline, self.bench.runs.gate_config.metrics
        assert baseline is not None
        return {
            key: [m for m in gated if cell.numbers.has(m)] for key, cell in baseline.cells.items()
        }

    def asked(self) -> tuple[list[BoardConfig], list[str]]:
        """Boards that are here and variants, of the items that were not deselected.

        All of them where the gate alone was selected.
        """
        items = [i for i in self.session.items if isinstance(i, CellItem) and i.suite is self]
        boards = {i.board.id: i.board for i in items} or {b.id: b for b in self.bench.chosen()}
        variants = [v.name for v in self.bench.suite.variants]
        wanted = {i.variant for i in items} or set(variants)
        here = [b for b in boards.values() if not self.bench.absence(b)]
        return here, [v for v in variants if v in wanted]

    def run(self) -> Run:
        """Measure, or return what was measured."""
        boards, variants = self.asked()
        return self.bench.runs.run(_only(self.bench.suite, variants), boards)

    def gate(self) -> GateResult:
        """Compare the run with the baseline."""
        boards, _ = self.asked()
        return self.bench.runs.judge_suite(self.run(), [b.id for b in boards])


def _only(suite: SuiteConfig, variants: list[str]) -> SuiteConfig:
    chosen = [v for v in suite.variants if v.name in variants]
    return replace(
        suite,
        variants=tuple(v if v.parent in variants else replace(v, parent=None) for v in chosen),
    )


class _Item(pytest.Item):
    """Sentences instead of tracebacks: what failed is on the bench, not in this file."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self.add_marker("hil")

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """As the id, without the file."""
        return self.path, None, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The sentence alone of our errors."""
        if isinstance(excinfo.value, HilbenchError):
            return excinfo.getrepr(style="value")
        return super().repr_failure(excinfo, style)


class CellItem(_Item):
    """Something about one cell."""

    def __init__(
        self, *, board: BoardConfig, variant: str, metric: str, parent: SuiteFile, **kw: Any
    ) -> None:
        # One name, not a collector and an item: so an id on the command line finds it. Its id as
        # text: so pytest reads it here as it does in its cache, and --lf finds it.
        name = f"{board.id}[{variant}]::{metric}"
        super().__init__(name=name, parent=parent, nodeid=f"{parent.nodeid}::{name}", **kw)
        self.board = board
        self.variant = variant
        self.metric = metric

    @property
    def suite(self) -> SuiteFile:
        """Its suite."""
        assert isinstance(self.parent, SuiteFile)
        return self.parent

    def setup(self) -> None:
        """Measure; whatever prevents that is an error, not a failure."""
        self.suite.bench.need(self.board)
        self.measured = self.suite.run()
        self.stash.setdefault(MEASURED, []).append((self.measured, self.board.id))
        for error in self.measured.errors(self.board.id, self.variant):
            if error.exit_code != 1:
                raise error


def check_oracle(row: pd.Series) -> None:
    """Refuse to pass outputs that were compared with nothing.

    Raises:
        BaselineError: says why there is no oracle.
    """
    if row["tflm"] and math.isnan(row["agreement_tflm"]):
        raise BaselineError(
            f"{row['board']}[{row['variant']}]: outputs were not compared with TensorFlow Lite "
            f"Micro's: {row['tflm']}"
        )


class OutputsItem(CellItem):
    """Outputs are the oracle's. Carries all numbers of the cell."""

    def setup(self) -> None:
        """Measure; without an oracle nothing can be said."""
        super().setup()
        row = self.measured.row(self.board.id, self.variant)
        record_row(self.user_properties, self.measured, row)
        check_oracle(row)

    def runtest(self) -> None:
        """Fail where outputs differ."""
        for error in self.measured.errors(self.board.id, self.variant):
            raise error


class MetricItem(CellItem):
    """One metric of one cell is not worse than the baseline's."""

    verdict: CellVerdict

    def setup(self) -> None:
        """Measure and judge all cells, as one family."""
        super().setup()
        del self.stash[MEASURED]  # a verdict is not explained by the bytes of a link
        result = self.suite.gate()
        self.verdict = next(
            c
            for c in result.cells
            if (c.board, c.variant, c.metric) == (self.board.id, self.variant, self.metric)
        )
        record_verdict(self.user_properties, self.measured, self.verdict)
        if self.verdict.verdict in {"INVALID", "MISSING"}:
            settle([self.verdict], named=False)

    def runtest(self) -> None:
        """Fail as the verdict says."""
        settle([self.verdict], named=False)


class GateItem(_Item):
    """What the gate says beyond the items above: stale waivers, cells without a test, nothing."""

    @staticmethod
    def check_boards(suite: SuiteFile) -> None:
        """Refuse a gate without boards.

        Raises:
            BaselineError: says so.
        """
        boards, _ = suite.asked()
        if not boards:
            raise BaselineError("gate: no board was here, so nothing was compared: that is no pass")

    def setup(self) -> None:
        """Judge.

        Raises:
            BaselineError: nothing was compared.
        """
        suite = self.parent
        assert isinstance(suite, SuiteFile)
        self.check_boards(suite)
        self.result = suite.gate()
        self.user_properties.append(("hil_headline", self.result.headline()))
        for line in (*self.result.waivers, *self.result.warnings):
            self.user_properties.append(("hil_note", line))
        if self.result.compared == 0:
            raise BaselineError(self.result.headline())

    def runtest(self) -> None:
        """Fail where no other item does.

        Raises:
            BaselineError: a waiver has expired.
        """
        told = {
            (i.board.id, i.variant, i.metric)
            for i in self.session.items
            if isinstance(i, MetricItem)
        }
        cells = self.result.cells
        settle([c for c in cells if (c.board, c.variant, c.metric) not in told])
        if self.result.stale:
            raise BaselineError("\n".join(self.result.stale))
