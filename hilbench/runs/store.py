"""Sealing: a run's frames as files, and hashes of everything."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pandas as pd

from hilbench.runs.frame import load, operators_frame, sessions_frame
from hilbench.runs.journal import write_atomically
from hilbench.runs.rows import run_state
from hilbench.runs.sums import read_run, write_sums

FRAMES = {"frame": load, "sessions": sessions_frame, "operators": operators_frame}


def seal(folder: Path) -> str:
    """Write frame, sessions and operators as CSV (and Parquet where pyarrow is), then SHA256SUMS.

    Works on interrupted and killed runs too; sealing again gives the same files.

    Returns:
        The run's state: complete, interrupted or failed.

    Raises:
        StoreError: the journal is damaged, or a file cannot be written.
    """
    contents = read_run(folder)
    parquet = parquet_works()
    for name, produce in FRAMES.items():
        frame = produce(contents)
        write_atomically(folder / f"{name}.csv", as_csv(frame))
        if parquet:
            write_atomically(folder / f"{name}.parquet", as_parquet(frame))
    write_sums(folder)
    return run_state(contents)


def as_csv(frame: pd.DataFrame) -> bytes:
    """Return a frame as a CSV file."""
    return frame.to_csv(index=False).encode()


def as_parquet(frame: pd.DataFrame) -> bytes:
    """Return a frame as a Parquet file; needs pyarrow."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


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
