"""What the fixtures hil_bench and hil_gate give to a test."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from numpy.typing import ArrayLike

from hilbench._pytest.bench import Bench
from hilbench._pytest.outcomes import record_row, record_verdict, settle
from hilbench.errors import BaselineError, UsageError
from hilbench.gate.verdicts import COMPARED, CellVerdict
from hilbench.metrics import BY_NAME
from hilbench.records import BoardConfig, VariantConfig, VectorsConfig

if TYPE_CHECKING:
    import pandas as pd

    from hilbench._pytest.runs import Run

MEASURED: pytest.StashKey[list[tuple[Run, str]]] = pytest.StashKey()
"""Runs and boards of one test, for its byte logs."""


class HilBench:
    """Measures on the test's board. The same request is measured once in a test session."""

    def __init__(self, bench: Bench, board: BoardConfig, item: pytest.Item) -> None:
        self.board = board
        self._bench = bench
        self._item = item

    def __call__(
        self,
        model: str | Path | VariantConfig,
        vectors: str | Path | tuple[ArrayLike, ArrayLike | None] | None = None,
        *,
        labels: str | Path | None = None,
        dtype: str | None = None,
        metric: Literal["top1", "auc", "mse", "none"] = "top1",
        quantise: Literal["host", "offset128", "none"] = "host",
        sessions: int = 3,
        warm_up: int = 1,
        iterations: int = 10,
    ) -> pd.Series:
        """Measure one model.

        Args:
            model: a .tflite file, or ``hil_variant``: then everything else is as its suite says.
            vectors: a vector file, or arrays ``(x [n, *input shape], y [n])``; y may be None with
                metric "none".
            labels: CSV, of a .npy file.
            dtype: of a folder of .bin files.
            metric: how outputs and labels become an accuracy.
            quantise: what the host does to float vectors of an int8 model.
            sessions: reset to reset; --hil-sessions overrides it.
            warm_up: untimed inferences.
            iterations: timed inferences per session.

        Returns:
            One row of :func:`hilbench.load`; docs/frame.md explains the columns. Paths are relative
            to pytest's rootdir.

        Raises:
            OutputMismatchError: outputs are not the oracle's: the test fails.
            HilbenchError: could not be measured: the test is an error.
        """
        if isinstance(model, VariantConfig):
            if vectors is not None:
                raise UsageError(
                    f"variant {model.name} has its vectors from its suite; leave them out"
                )
            suite = replace(self._bench.suite, variants=(replace(model, parent=None),))
        else:
            root = self._bench.settings.root
            file = self._file(vectors, model)
            table = VectorsConfig(
                name="arrays" if isinstance(vectors, tuple) else file.stem,
                file=file,
                labels=None if labels is None else root / labels,
                metric=metric,
                quantise=quantise,
                dtype=dtype,
            )
            from hilbench.bench import single_model_suite  # noqa: PLC0415 - slow

            suite = single_model_suite(
                root / model,
                table,
                sessions=sessions,
                warm_up=warm_up,
                iterations=iterations,
            )
            suite = replace(suite, source="")  # no suite.toml whose hash could be kept
        run = self._bench.runs.run(self._bench.repeated(suite), [self.board])
        self._item.stash.setdefault(MEASURED, []).append((run, self.board.id))
        variant = suite.variants[0].name
        row = run.row(self.board.id, variant)
        errors = run.errors(self.board.id, variant)
        if not errors or errors[0].exit_code == 1:
            record_row(self._item.user_properties, run, row)
        if errors:
            raise errors[0]
        return row

    def _file(
        self, vectors: str | Path | tuple[ArrayLike, ArrayLike | None] | None, model: str | Path
    ) -> Path:
        if vectors is None:
            raise UsageError(f"{model} needs test vectors; give hil_bench(model, vectors=FILE)")
        if isinstance(vectors, tuple):
            return self._kept(vectors)
        return self._bench.settings.root / vectors

    def _kept(self, arrays: tuple[ArrayLike, ArrayLike | None]) -> Path:
        """Arrays as a file that is the same for the same arrays."""
        found = {n: np.asarray(a) for n, a in zip("xy", arrays, strict=True) if a is not None}
        digest = hashlib.sha256()
        for name, array in found.items():
            digest.update(f"{name} {array.dtype} {array.shape} ".encode() + array.tobytes())
        file = self._bench.settings.scratch / f"vectors-{digest.hexdigest()[:16]}.npz"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_name(f"{file.stem}-{os.getpid()}.npz")  # another worker may write, too
            np.savez(part, **found)
            part.replace(file)
        return file


class HilGate:
    """Compares rows with the baseline."""

    def __init__(self, bench: Bench, item: pytest.Item) -> None:
        self._bench = bench
        self._item = item

    def __call__(self, row: pd.Series, *, metrics: Sequence[str] = ()) -> tuple[CellVerdict, ...]:
        """End the test as the gate says; returns the verdicts when all of them are good.

        Args:
            row: what hil_bench returned.
            metrics: names in hilbench.metrics; default: those of gate.toml, or all that are gated.

        Raises:
            pytest.fail.Exception: a regression, or undecided.
            UsageError: no --hil-baseline, an unknown metric, or as hilbench.gate.judge.
            BaselineError: something could not be compared, or nothing was.
        """
        if unknown := [m for m in metrics if m not in BY_NAME]:
            raise UsageError(f"{unknown[0]!r} is no metric; known: {', '.join(BY_NAME)}")
        run = self._bench.runs.by_id[row["run_id"]]
        cells = self._bench.runs.judge_cell(run, row["board"], row["variant"], metrics)
        for cell in cells:
            record_verdict(self._item.user_properties, run, cell)
        settle(cells)
        check_compared(cells, f"{row['board']}[{row['variant']}]", run.folder)
        return cells


def check_compared(cells: Sequence[CellVerdict], name: str, run: Path) -> None:
    """Refuse a gate in which no two numbers met.

    Raises:
        BaselineError: says so.
    """
    if not any(cell.verdict in COMPARED for cell in cells):
        raise BaselineError(
            f"{name}: compared nothing, and that is no pass; accept its numbers with: hilbench "
            f"baseline accept --run {run} --baseline FILE --reason TEXT"
        )
