"""Export of a recording as CSV, for spreadsheets; the replay meter reads it back.

A remark, a row of names, a row a sample: ``time_s``, ``current_a``, ``voltage_v`` where it was measured,
and each logic input as 0 or 1. A lost sample has its row, with an empty current. Ten digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from hilbench.errors import StoreError
from hilbench.power import Chunk, Recording

_DIGITS = "%.10g"  # of times, too: ten suffice for an hour in microseconds


def export_csv(recording: Recording, path: Path) -> None:
    """Write a recording as a CSV file.

    Raises:
        StoreError: not written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            _write(recording, file)
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _write(recording: Recording, file: TextIO) -> None:
    who, spec = recording.identity, recording.spec
    volts = "" if spec.voltage == "measured" else f", {recording.setup.supply_v:g} V {spec.voltage}"
    synthetic = ", SYNTHETIC: an emulated meter" if who.emulated else ""
    file.write(f"# {who.model} {who.serial_number}".rstrip() + f"{volts}{synthetic}\n")
    header = True
    for table in _tables(recording):
        table.to_csv(file, index=False, header=header, float_format=_DIGITS, lineterminator="\n")
        header = False


def _tables(recording: Recording) -> Iterator[pd.DataFrame]:
    measured = recording.spec.voltage == "measured"
    for chunk in recording.chunks():
        yield _table(chunk, recording.spec.sample_hz, recording.spec.logic_inputs, measured)


def _table(chunk: Chunk, sample_hz: float, inputs: tuple[str, ...], measured: bool) -> pd.DataFrame:
    index = np.arange(chunk.start, chunk.start + len(chunk))
    columns = {"time_s": index / sample_hz, "current_a": chunk.current_a}
    if measured:
        columns["voltage_v"] = np.broadcast_to(chunk.voltage_v, len(chunk))
    logic = {name.lower(): chunk.logic >> bit & 1 for bit, name in enumerate(inputs)}
    return pd.DataFrame(columns | logic)
