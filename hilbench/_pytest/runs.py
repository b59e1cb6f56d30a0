"""Measured once, judged once: the runs and the gate of one pytest process."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hilbench._pytest.byte_log import ByteLog
from hilbench._pytest.shared import Shared, revive
from hilbench.bench import run_suite
from hilbench.bench.progress import BoardProgress, Progress
from hilbench.board.tap import tap
from hilbench.config.boards import files_of
from hilbench.errors import HilbenchError, StoreError, UsageError
from hilbench.gate.baseline import Baseline, load_baseline
from hilbench.gate.config import GateConfig, load_gate
from hilbench.gate.judge import judge
from hilbench.gate.snapshot import snapshot
from hilbench.gate.verdicts import CellVerdict, GateResult
from hilbench.records import BoardConfig, SuiteConfig
from hilbench.runs import load
from hilbench.runs.journal import read_journal, write_atomically
from hilbench.runs.schema import ErrorRecord

if TYPE_CHECKING:
    import pandas as pd

    from hilbench._pytest.bench import Bench

_log = logging.getLogger("hilbench")


class Run:
    """A finished run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per board x variant."""
        return load(self.folder)

    @cached_property
    def _errors(self) -> list[ErrorRecord]:
        records = read_journal(self.folder).records
        return [r for r in records if isinstance(r, ErrorRecord)]

    def row(self, board: str, variant: str) -> pd.Series:
        """Return the row of one cell."""
        frame = self.frame
        return frame[(frame["board"] == board) & (frame["variant"] == variant)].iloc[0]

    def errors(self, board: str, variant: str) -> list[HilbenchError]:
        """Return what went wrong in one cell, or on its whole board."""
        return [
            revive(r.type, r.sentence)
            for r in self._errors
            if r.board == board and r.variant in {None, variant}
        ]

    def link_file(self, board: str) -> Path:
        """Return where the bytes of a board's link are, beside the sealed folder."""
        return self.folder.parent / f"{self.folder.name}.{board}.link.txt"


class Runs:
    """Measures and judges for the tests of a :class:`~hilbench._pytest.bench.Bench`."""

    def __init__(self, bench: Bench) -> None:
        self.by_id: dict[str, Run] = {}
        self._bench = bench
        self._results: dict[tuple[Path, tuple[str, ...]], GateResult] = {}

    # -- measuring ------------------------------------------------------------------------------

    def run(self, suite: SuiteConfig, boards: Sequence[BoardConfig]) -> Run:
        """Measure a suite on boards, once in this session whoever asks, in parallel over boards.

        Raises:
            HilbenchError: nothing at all could be measured because of one common fault.
            KeyboardInterrupt: after every board is powered down.
        """
        limit = self._bench.settings.limit
        key = repr((
            dataclasses.astuple(suite),
            [_content(p) for v in suite.variants for p in (v.model,)],
            [_content(p) for v in suite.vectors for p in (v.file, v.labels, v.golden) if p],
            [dataclasses.astuple(b) for b in boards],
            limit,
        ))  # fmt: skip
        shared = Shared(self._bench.settings.scratch)
        folder = shared.once(key, [b.id for b in boards], lambda: self._measure(suite, boards))
        return self.by_id.setdefault(folder.name, Run(folder))

    def _measure(self, suite: SuiteConfig, boards: Sequence[BoardConfig]) -> Path:
        log = ByteLog()
        with tap(log):
            outcome = run_suite(
                suite,
                boards,
                results=self._bench.settings.results,
                limit=self._bench.settings.limit,
                progress=Progress(_tell),
                files=[
                    *([Path(suite.source)] if suite.source else []),
                    self._bench.settings.boards_file,
                    *files_of(boards),
                ],
            )
        run = Run(outcome.folder)
        for board in log.boards():
            text = "\n".join(log.lines(board)) + "\n"
            write_atomically(run.link_file(board), text.encode())
        if outcome.interrupted:
            raise KeyboardInterrupt(f"boards are off; what was measured is in {outcome.folder}")
        for error in outcome.errors:
            if isinstance(error, StoreError):
                raise error
        return outcome.folder

    # -- gating ---------------------------------------------------------------------------------

    @cached_property
    def baseline(self) -> Baseline | None:
        """The baseline of --hil-baseline, None without it.

        Raises:
            BaselineError: absent.
            ConfigError: the file is wrong.
        """
        file = self._bench.settings.baseline
        return None if file is None else load_baseline(file)

    @cached_property
    def gate_config(self) -> GateConfig:
        """What --hil-gate says, or the built-in margins.

        Raises:
            ConfigError: the file is wrong.
        """
        file = self._bench.settings.gate
        return GateConfig() if file is None else load_gate(file)

    def judge_suite(self, run: Run, boards: Sequence[str]) -> GateResult:
        """Compare a run of the suite with the baseline; what nobody asked to measure is left out.

        Raises:
            ConfigError, UsageError, StoreError.
        """
        key = (run.folder, tuple(boards))
        if key not in self._results:
            result = self._judge(run, boards=boards)
            measured = set(run.frame["variant"])
            left_out = {v.name for v in self._bench.suite.variants} - measured
            asked = tuple(c for c in result.cells if c.variant not in left_out)
            self._results[key] = replace(result, cells=asked)
        return self._results[key]

    def judge_cell(
        self, run: Run, board: str, variant: str, metrics: Sequence[str]
    ) -> tuple[CellVerdict, ...]:
        """Compare some metrics of one cell with the baseline.

        Raises:
            UsageError: no --hil-baseline; or as judge().
        """
        only = {(board, variant, metric) for metric in metrics or self.gate_config.metrics}
        return self._judge(run, only=only).cells

    def _judge(
        self,
        run: Run,
        *,
        boards: Sequence[str] = (),
        only: Collection[tuple[str, str, str]] | None = None,
    ) -> GateResult:
        if self.baseline is None:
            raise UsageError("hil_gate compares with a baseline; name it with --hil-baseline FILE")
        found = snapshot(run.folder)
        if found.suite != self.baseline.suite:
            raise UsageError(
                f"--hil-baseline {self.baseline.id} is of suite {self.baseline.suite!r}, this was "
                f"measured as {found.suite!r}; name another file, or make both variants of one "
                f"--hil-suite"
            )
        today = date.today()  # noqa: DTZ011 - waivers end on a local day
        return judge(found, self.baseline, self.gate_config, today=today, boards=boards, only=only)


def _content(path: Path) -> str:
    """Tell files apart that were written again; of a folder its entries."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    stats = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(path.glob("*"))]
    return repr((str(path), stats))


def _tell(before: BoardProgress, after: BoardProgress) -> None:
    """For --log-cli-level=INFO."""
    if after.error and after.error != before.error:
        _log.info(after.error)  # the test that needed it says so, too
    now = (after.state, after.variant, after.session)
    if now != (before.state, before.variant, before.session):
        cell = f" {after.variant}, session {after.session}" if after.variant else ""
        _log.info("board %s: %s%s", after.board, after.state, cell)
