"""A suite.toml as tests: ``suite.toml::board[variant]::metric``, measured as one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from hilbench._pytest.bench import Bench, Run
from hilbench._pytest.measuring import MEASURED
from hilbench._pytest.outcomes import record_row, record_verdict, settle
from hilbench.errors import BaselineError, HilbenchError
from hilbench.gate.verdicts import CellVerdict, GateResult
from hilbench.records import BoardConfig, SuiteConfig

OUTPUTS = "outputs"
"""The item of each cell that says whether outputs are the oracle's; the others are metrics."""


class SuiteFile(pytest.File):
    """The suite of --hil-suite. Its cells are measured together when the first of them runs."""

    def __init__(self, *, bench: Bench, **kw: Any) -> None:
        super().__init__(**kw)
        self.bench = bench

    def collect(self) -> Iterator[pytest.Collector | pytest.Item]:
        """Every chosen board x variant, then the gate as a whole."""
        try:
            boards, suite, baseline = self.bench.chosen(), self.bench.suite, self.bench.baseline
            gated = self.bench.gate_config.metrics
        except HilbenchError as error:
            raise self.CollectError(str(error)) from error
        for board in boards:
            for variant in suite.variants:
                accepted = baseline and baseline.cells.get((board.id, variant.name))
                metrics = [m for m in gated if accepted and accepted.numbers.has(m)]
                name = f"{board.id}[{variant.name}]"
                yield Cell.from_parent(
                    self, name=name, board=board, variant=variant.name, metrics=metrics
                )
        if baseline is not None:
            yield GateItem.from_parent(self, name="gate")

    def asked(self) -> tuple[list[BoardConfig], list[str]]:
        """Boards that are here and variants, of all items of this suite that were not deselected."""
        items = [i for i in self.session.items if isinstance(i, CellItem) and i.suite is self]
        cells = [i.cell for i in items]
        boards = {c.board.id: c.board for c in cells if not self.bench.absence(c.board)}
        wanted = {c.variant for c in cells}
        return list(boards.values()), [
            v.name for v in self.bench.suite.variants if v.name in wanted
        ]

    def run(self) -> Run:
        """Measure, or return what was measured."""
        boards, variants = self.asked()
        return self.bench.run(_only(self.bench.suite, variants), boards)

    def gate(self) -> GateResult:
        """Compare the run with the baseline."""
        boards, _ = self.asked()
        return self.bench.judge_suite(self.run(), [b.id for b in boards])


def _only(suite: SuiteConfig, variants: list[str]) -> SuiteConfig:
    chosen = [v for v in suite.variants if v.name in variants]
    return replace(
        suite,
        variants=tuple(v if v.parent in variants else replace(v, parent=None) for v in chosen),
    )


class Cell(pytest.Collector):
    """One board x variant."""

    def __init__(self, *, board: BoardConfig, variant: str, metrics: list[str], **kw: Any) -> None:
        super().__init__(**kw)
        self.board = board
        self.variant = variant
        self.metrics = metrics

    def collect(self) -> Iterator[pytest.Item]:
        """Outputs, then every gated metric that the baseline has."""
        yield OutputsItem.from_parent(self, name=OUTPUTS)
        for metric in self.metrics:
            yield MetricItem.from_parent(self, name=metric)


class _Item(pytest.Item):
    """Sentences instead of tracebacks: what failed is on the bench, not in this file."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self.add_marker("hil")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The sentence alone of our errors."""
        if isinstance(excinfo.value, HilbenchError):
            return excinfo.getrepr(style="value")
        return super().repr_failure(excinfo, style)


class CellItem(_Item):
    """Something about one cell."""

    @property
    def cell(self) -> Cell:
        """The board x variant."""
        assert isinstance(self.parent, Cell)
        return self.parent

    @property
    def suite(self) -> SuiteFile:
        """Its suite."""
        assert isinstance(self.cell.parent, SuiteFile)
        return self.cell.parent

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """As the id, without the file."""
        return self.path, None, f"{self.cell.name}::{self.name}"

    def setup(self) -> None:
        """Measure; whatever prevents that is an error, not a failure."""
        bench, cell = self.suite.bench, self.cell
        bench.need(cell.board)
        self.measured = self.suite.run()
        self.stash.setdefault(MEASURED, []).append((self.measured, cell.board.id))
        for error in self.measured.errors(cell.board.id, cell.variant):
            if error.exit_code != 1:
                raise error


class OutputsItem(CellItem):
    """Outputs are the oracle's. Carries all numbers of the cell."""

    def runtest(self) -> None:
        """Fail where outputs differ."""
        board, variant = self.cell.board.id, self.cell.variant
        record_row(self.user_properties, self.measured, self.measured.row(board, variant))
        for error in self.measured.errors(board, variant):
            raise error


class MetricItem(CellItem):
    """One metric of one cell is not worse than the baseline's."""

    verdict: CellVerdict

    def setup(self) -> None:
        """Measure and judge all cells, as one family."""
        super().setup()
        result = self.suite.gate()
        self.verdict = next(
            c
            for c in result.cells
            if (c.board, c.variant, c.metric) == (self.cell.board.id, self.cell.variant, self.name)
        )
        record_verdict(self.user_properties, self.measured, self.verdict)
        if self.verdict.verdict in {"INVALID", "MISSING"}:
            settle([self.verdict])

    def runtest(self) -> None:
        """Fail as the verdict says."""
        settle([self.verdict])


class GateItem(_Item):
    """What the gate says beyond the items above: stale waivers, cells without a test, nothing."""

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """As the id, without the file."""
        return self.path, None, self.name

    def setup(self) -> None:
        """Judge.

        Raises:
            BaselineError: nothing was compared.
        """
        suite = self.parent
        assert isinstance(suite, SuiteFile)
        boards, _ = suite.asked()
        if not boards:
            raise BaselineError("gate: no board was here, so nothing was compared: that is no pass")
        self.result = suite.gate()
        self.user_properties.append(("hil_headline", self.result.headline()))
        for line in (*self.result.waivers, *self.result.warnings):
            self.user_properties.append(("hil_note", line))
        if self.result.compared == 0:
            raise BaselineError(self.result.headline())

    def runtest(self) -> None:
        """Fail where no other item does."""
        told = {
            (i.cell.board.id, i.cell.variant, i.name)
            for i in self.session.items
            if isinstance(i, MetricItem)
        }
        cells = self.result.cells
        settle([c for c in cells if (c.board, c.variant, c.metric) not in told])
        if self.result.stale:
            pytest.fail("\n".join(self.result.stale), pytrace=False)
