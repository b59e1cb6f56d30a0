"""From a run to DataFrames: the only producer of them. docs/frame.md explains the columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hilbench.errors import StoreError
from hilbench.runs.column import Column
from hilbench.runs.columns import COLUMNS, COMPARISON_COLUMNS, OPERATOR_COLUMNS, SESSION_COLUMNS
from hilbench.runs.journal import JournalContents
from hilbench.runs.rows import NAN, Row, cell_rows, comparison_rows, operator_rows, session_rows
from hilbench.runs.sums import read_run


def load(run: str | Path | JournalContents) -> pd.DataFrame:
    """Read a run: one row per board x variant, in the order they were asked for.

    A run that goes on, was interrupted or killed can be read too; cells that were not measured have
    a row that says so.

    Args:
        run: its folder, or what read_run made of it.

    Raises:
        StoreError: no journal there, or it is damaged or changed after sealing.
    """
    return _frame(cell_rows(read_run(run)), COLUMNS)


def sessions_frame(run: str | Path | JournalContents) -> pd.DataFrame:
    """Read a run: one row per board x variant x session that was measured.

    Raises:
        StoreError: as :func:`load`.
    """
    return _frame(session_rows(read_run(run)), SESSION_COLUMNS)


def operators_frame(run: str | Path | JournalContents) -> pd.DataFrame:
    """Read a run: one row per board x variant x operator, for cells that were profiled.

    Raises:
        StoreError: as :func:`load`, or a profile has another number of operators than its plan.
    """
    return _frame(operator_rows(read_run(run)), OPERATOR_COLUMNS)


def comparisons_frame(run: str | Path | JournalContents) -> pd.DataFrame:
    """Read a run: one row per board on which two variants took turns at a power meter.

    Raises:
        StoreError: as :func:`load`.
    """
    return _frame(comparison_rows(read_run(run)), COMPARISON_COLUMNS)


def _frame(rows: Sequence[Row], columns: Sequence[Column]) -> pd.DataFrame:
    """Build the frame; a row's key that is no column is a mistake here, not a new column."""
    names = [c.name for c in columns]
    for row in rows:
        if unknown := sorted(set(row) - set(names)):
            raise StoreError(f"frame has no column {unknown[0]!r}; declare it in runs/columns.py")
    return pd.DataFrame({c.name: _series(c, rows) for c in columns}, columns=names)


def _series(column: Column, rows: Sequence[Row]) -> pd.Series[Any]:
    missing = {"string": "", "boolean": pd.NA, "float64": NAN}
    values = [row.get(column.name) for row in rows]
    if column.dtype in missing:
        values = [missing[column.dtype] if v is None else v for v in values]
    try:
        # The extension dtypes are the same in pandas 2 and 3, whatever str means there.
        return pd.Series(pd.array(values, dtype=column.dtype), name=column.name)
    except (TypeError, ValueError) as error:
        raise StoreError(f"frame column {column.name!r} must be {column.dtype}: {error}") from error
