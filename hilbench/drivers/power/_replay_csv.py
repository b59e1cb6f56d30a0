"""CSV: one row of names, then one row a sample, separated by commas, semicolons or tabs.

The columns: see ``_replay_columns``. Lines that begin with ``#`` before the names are skipped. The
CSV of nRF Connect Power Profiler is read as it is, and so is our own export: what it calls SYNTHETIC
is emulated.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np

from hilbench.drivers.power import _replay_columns as columns
from hilbench.drivers.power import _replay_file as file
from hilbench.power import MeterSetup
from hilbench.recordings import Spooled

_ROWS = 1 << 15
_SEPARATORS = ",;\t"
_MAX_LINE = 1 << 16
_EMPTY = re.compile(r"(?<=,) *(?=[,\r\n])|^ *(?=,)", re.MULTILINE)
_CHANGED = re.compile(r"(?<=,)X(?=[,\r\n])")


def open_file(path: Path, setup: MeterSetup) -> Spooled:
    """Open a CSV file.

    Raises:
        MeterError: unreadable, damaged, or its columns are not those of samples.
        ConfigError: neither the file nor setup says the rate or the supply.
    """
    try:
        with _open(path) as stream:
            lines, header, synthetic = _header(path, stream)
    except (OSError, UnicodeDecodeError) as error:
        raise file.unreadable(path, error) from error
    if synthetic:
        setup = replace(setup, args=(*setup.args, ("emulated", "true")))
    separator = max(_SEPARATORS, key=header.count)
    names = [name.strip().strip('"') for name in header.strip().split(separator)]
    known = columns.understand(path, names)

    def blocks() -> Iterator[columns.Table]:
        try:
            with _open(path) as stream:
                for _ in range(lines):
                    stream.readline(_MAX_LINE)
                line = lines
                while rows := list(itertools.islice(stream, _ROWS)):
                    yield _table(path, rows, separator, line, known)
                    line += len(rows)
        except (OSError, UnicodeDecodeError) as error:
            raise file.unreadable(path, error) from error

    return columns.open_table(path, setup, known, blocks(), "CSV")


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", newline="")


def _header(path: Path, stream: TextIO) -> tuple[int, str, bool]:
    """Return how many lines there are up to the names, these, and whether a remark warns."""
    synthetic = False
    for number in itertools.count(1):
        line = stream.readline(_MAX_LINE)
        if not line:
            break
        if line.startswith("#"):
            synthetic |= "SYNTHETIC" in line  # as our own export says it
        elif line.strip():
            return number, line, synthetic
    raise file.damaged(path, "has no row of names")


def _table(
    path: Path, rows: list[str], separator: str, line: int, known: columns.Columns
) -> columns.Table:
    text = "".join(rows)
    if separator != ",":
        text = text.replace(separator, ",")
    if ",," in text or ",\n" in text or ",\r" in text or "\n," in text or text[0] == ",":
        text = _EMPTY.sub("nan", text + "\n")
    if "X" in text:
        text = _CHANGED.sub(f"{columns.CHANGED:g}", text + "\n")
    lines = [row for row in text.splitlines() if row.strip()]
    if not lines:
        return np.empty((0, len(known.use)))
    try:
        table: columns.Table = np.loadtxt(
            lines,
            np.float64,
            comments=None,
            delimiter=",",
            quotechar='"',
            usecols=known.use,
            ndmin=2,
        )
    except (ValueError, IndexError) as error:
        raise file.damaged(
            path, f"lines {line + 1} to {line + len(rows)} are no rows of numbers ({error})"
        ) from error
    return table
