"""Parquet: columns as in CSV, see ``_replay_columns``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hilbench.drivers.power import _replay_columns as columns
from hilbench.drivers.power import _replay_file as file
from hilbench.errors import ToolMissingError
from hilbench.power import MeterSetup
from hilbench.recordings import Spooled

_ROWS = 1 << 15


def open_file(path: Path, setup: MeterSetup) -> Spooled:
    """Open a Parquet file.

    Raises:
        ToolMissingError: pyarrow is not installed.
        MeterError: unreadable, damaged, or its columns are not those of samples.
        ConfigError: neither the file nor setup says the rate or the supply.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional and slow to import
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise ToolMissingError(
            f"{path}: Parquet needs pyarrow; install it with: pip install 'hilbench[parquet]'"
        ) from error
    try:
        names = parquet.read_schema(path).names
    except OSError as error:
        raise file.unreadable(path, error) from error
    except pa.ArrowException as error:
        raise file.damaged(path, f"no Parquet ({_line(error)})") from error
    known = columns.understand(path, names)
    wanted = [names[k] for k in known.use]

    def blocks() -> Iterator[columns.Table]:
        try:
            with parquet.ParquetFile(path) as opened:
                for batch in opened.iter_batches(_ROWS, columns=wanted):
                    yield np.column_stack(
                        [
                            batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
                            for name in wanted
                        ]
                    )
        except (OSError, pa.ArrowException) as error:
            raise file.damaged(path, f"no Parquet of numbers ({_line(error)})") from error

    return columns.open_table(path, setup, known, blocks(), "Parquet")


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
