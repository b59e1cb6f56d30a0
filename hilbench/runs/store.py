"""Sealing: a run's frames as files, and hashes of everything."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import hilbench
from hilbench.runs.column import Column
from hilbench.runs.columns import COLUMNS, COMPARISON_COLUMNS, OPERATOR_COLUMNS, SESSION_COLUMNS
from hilbench.runs.frame import comparisons_frame, load, operators_frame, sessions_frame
from hilbench.runs.journal import JournalContents, write_atomically
from hilbench.runs.rows import run_state
from hilbench.runs.schema import SCHEMA
from hilbench.runs.sums import read_run, write_sums


@dataclass(frozen=True)
class Table:
    """A frame that is kept as a file."""

    name: str
    produce: Callable[[JournalContents], pd.DataFrame]
    columns: tuple[Column, ...]


TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table("frame", load, COLUMNS),
        Table("sessions", sessions_frame, SESSION_COLUMNS),
        Table("operators", operators_frame, OPERATOR_COLUMNS),
        Table("comparisons", comparisons_frame, COMPARISON_COLUMNS),
    )
}


def seal(folder: Path) -> str:
    """Write the run's tables as CSV (and Parquet where pyarrow is), then SHA256SUMS.

    Works on interrupted and killed runs too; sealing again gives the same files.

    Returns:
        The run's state: complete, interrupted or failed.

    Raises:
        StoreError: the journal is damaged, or a file cannot be written.
    """
    contents = read_run(folder)
    parquet = parquet_works()
    for table in TABLES.values():
        frame = table.produce(contents)
        write_atomically(folder / f"{table.name}.csv", as_csv(frame))
        if parquet:
            data = as_parquet(frame, table, contents.provenance.run_id)
            write_atomically(folder / f"{table.name}.parquet", data)
    write_sums(folder)
    return run_state(contents)


def as_csv(frame: pd.DataFrame) -> bytes:
    """Return a frame as a CSV file."""
    return frame.to_csv(index=False).encode()


def as_parquet(frame: pd.DataFrame, table: Table, run_id: str) -> bytes:
    """Return a frame as a Parquet file; needs pyarrow.

    The file's metadata say which run, rows, schema and hilbench, a column's its unit and meaning.
    """
    import pyarrow as pa  # noqa: PLC0415 - optional and slow to import
    from pyarrow import parquet  # noqa: PLC0415

    arrow = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [
        arrow.schema.field(column.name).with_metadata(_about(column)) for column in table.columns
    ]
    of_file = {
        "hilbench.run_id": run_id,
        "hilbench.rows": table.name,
        "hilbench.schema_version": str(SCHEMA),
        "hilbench.version": hilbench.__version__,
    }
    schema = pa.schema(fields, metadata=arrow.schema.metadata | of_file)
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays(arrow.columns, schema=schema), buffer)
    return buffer.getvalue()


def _about(column: Column) -> dict[str, str]:
    unit = "that of column unit" if column.unit == "`unit`" else column.unit
    about = {"unit": unit, "meaning": column.meaning}
    return about if column.over == "cell" else about | {"over_sessions": column.over}


def parquet_works() -> bool:
    """Say whether pyarrow is there; one that is there but broken is worth a warning, not a run."""
    try:
        import pyarrow as pa  # noqa: F401, PLC0415 - optional and slow to import
    except ModuleNotFoundError:
        return False
    except ImportError as error:
        warnings.warn(
            f"pyarrow is installed but cannot be imported ({error}); results are written as CSV "
            f"only, install a pyarrow that fits this numpy for Parquet",
            stacklevel=3,
        )
        return False
    return True
