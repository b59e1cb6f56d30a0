"""Tables of samples: what their columns are called, and where each sample is on the time line.

Columns (any order; upper or lower case; ``current (uA)`` and ``Current(uA)`` are ``current_ua``):

========================================= =======================================================
``current_a``, ``_ma``, ``_ua``, ``_na``  required; empty or NaN: a lost sample
``time_s``, ``_ms``, ``_us``              of the sample; missing steps are lost samples. Or
``sample``                                index of the sample, or no column at all: then the rate
                                          comes from ``sample_hz``
``voltage_v``, ``_mv``                    measured; without it the supply is declared
``d0`` .. ``d7``                          logic inputs, 0 or 1 (X, changed within a sample: the
                                          level before)
========================================= =======================================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilbench.drivers.power import _replay_file as file
from hilbench.errors import ConfigError
from hilbench.power import Chunk, MeterSetup
from hilbench.recordings import Spool, Spooled, account

_SCALES = {
    "current": {"a": 1.0, "ma": 1e-3, "ua": 1e-6, "na": 1e-9},
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6},
    "voltage": {"v": 1.0, "mv": 1e-3},
}
_ALIASES = {"timestamp": "time", "i": "current", "u": "voltage"}
_MICRO = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"})
_UNITS = re.compile(r"(.*?)[\s_]*[(\[]\s*(\S+?)\s*[)\]]")
_INPUT = re.compile(r"d[0-7]")
_STEP_LIMIT = 0.3  # of a sample period: how far a time may lie beside the grid
_MAX_STEP = 1 << 24  # samples: a longer gap is a second recording
_WHOLE = 1e-6  # relative: a rate as near to a whole one is that one, times are rounded
CHANGED = 2.0  # a logic input that was both within a sample

Table = NDArray[np.float64]  # [rows, columns]


@dataclass(frozen=True)
class Columns:
    """Which column of the file holds what. Fields but ``use`` are places in ``use``."""

    use: tuple[int, ...]  # columns of the file that are needed
    current: int
    current_scale: float
    time: int | None
    time_scale: float
    sample: int | None
    voltage: int | None
    voltage_scale: float
    logic: tuple[int, ...]  # D0 first, as far as they are there
    inputs: tuple[str, ...]


def understand(path: Path, names: Sequence[str]) -> Columns:
    """Find the columns by their names.

    Raises:
        MeterError: no current, no unit, or two columns for one thing.
    """
    plain = [_plain(name) for name in names]
    found: dict[str, tuple[int, float]] = {}
    for kind, scales in _SCALES.items():
        for k, name in enumerate(plain):
            head, _, unit = name.rpartition("_")
            if head == kind and unit in scales:
                if kind in found:
                    raise file.damaged(
                        path,
                        f"two columns for the {kind}: {names[found[kind][0]]!r} and {names[k]!r}",
                    )
                found[kind] = (k, scales[unit])
            elif name == kind:
                raise file.damaged(
                    path, f"column {names[k]!r} has no unit; call it {kind}_{next(iter(scales))}"
                )
    if "current" not in found:
        raise file.damaged(
            path,
            f"no current among the columns {', '.join(repr(n) for n in names[:8])}; call it "
            f"current_a, current_ma, current_ua or current_na",
        )
    logic = {name: k for k, name in enumerate(plain) if _INPUT.fullmatch(name)}
    inputs = tuple(sorted(logic))
    use: list[int] = []

    def place(column: int | None) -> int | None:
        if column is None:
            return None
        use.append(column)
        return len(use) - 1

    time, time_scale = found.get("time", (None, 1.0))
    voltage, voltage_scale = found.get("voltage", (None, 1.0))
    place(found["current"][0])
    return Columns(
        current=0,
        current_scale=found["current"][1],
        time=place(time),
        time_scale=time_scale,
        sample=place(plain.index("sample") if "sample" in plain else None),
        voltage=place(voltage),
        voltage_scale=voltage_scale,
        logic=tuple(len(use) + k for k in range(len(inputs))),
        inputs=tuple(name.upper() for name in inputs),
        use=(*use, *(logic[name] for name in inputs)),
    )


def open_table(
    path: Path, setup: MeterSetup, columns: Columns, blocks: Iterator[Table], what: str
) -> Spooled:
    """Read a table once; what is slow to parse is spooled and fast to read again.

    Raises:
        MeterError: times are not those of a constant rate.
        ConfigError: neither the file nor setup says the rate or the supply.
        StoreError: the disk is full.
    """
    measured = columns.voltage is not None
    supply_v = setup.supply_v if measured else file.declared_v(path, setup)
    grid = _grid(path, columns, setup)
    builder = _Builder(path, columns, supply_v)
    spec = file.spec(
        setup,
        grid.rate_hz,
        columns.inputs,
        "measured" if measured else "declared",
        source=f"{what} does not say how good its meter was",
    )
    spool = Spool(file.identity(path, setup, what), spec, setup)

    def chunks() -> Iterator[Chunk]:
        last: Chunk | None = None
        for table in blocks:
            if len(table) == 0:
                continue
            for chunk in builder.chunks(table, grid.place(table), last):
                spool.append(chunk)
                yield chunk
                last = chunk

    end = account(chunks())
    if end.samples == 0:
        raise file.damaged(path, "holds no sample")
    spool.spec = replace(spec, sample_hz=file.checked_rate(setup, grid.seen_hz()))
    return spool.finish(end)


def _grid(path: Path, columns: Columns, setup: MeterSetup) -> _Grid:
    if columns.time is not None:
        return _Grid(path, columns.time, columns.time_scale)
    if setup.sample_hz is None:
        raise ConfigError(
            f"{path}: has no column time_s and sample_hz is not said; say the rate in Hz"
        )
    return _Grid(path, columns.sample, 1 / setup.sample_hz, setup.sample_hz)


class _Grid:
    """Where rows are, in samples since the first: steps add up, so that no clock drifts away."""

    def __init__(
        self, path: Path, column: int | None, unit_s: float, rate_hz: float | None = None
    ) -> None:
        self._path = path
        self._column = column  # None: every row is the next sample
        self._unit_s = unit_s
        self._given_hz = rate_hz
        self.rate_hz = math.nan if rate_hz is None else rate_hz
        self._rows = 0
        self._first = self._last = 0.0  # in units
        self._index = -1  # of the last row

    def place(self, table: Table) -> NDArray[np.int64]:
        """Return the index of each row of the next block.

        Raises:
            MeterError: rows are not whole samples apart, or not in order.
        """
        if self._column is None:
            index = np.arange(self._index + 1, self._index + 1 + len(table))
        else:
            index = self._steps(table[:, self._column])
        self._rows += len(table)
        self._index = int(index[-1])
        return index

    def _steps(self, at: NDArray[np.float64]) -> NDArray[np.int64]:
        if self._rows == 0:
            self._first = float(at[0])
            if math.isnan(self.rate_hz):
                self.rate_hz = 1 / self._period_s(at)
        before = at[0] - 1 / (self._unit_s * self.rate_hz) if self._rows == 0 else self._last
        exact = np.diff(at, prepend=before) * (self._unit_s * self.rate_hz)
        whole = np.round(exact)
        good = (np.abs(exact - whole) <= _STEP_LIMIT) & (whole >= 1) & (whole <= _MAX_STEP)
        if not good.all():
            k = int(good.argmin())
            raise file.damaged(
                self._path,
                f"row {self._rows + k + 1} is {exact[k]:.3f} samples after the one before it, "
                f"expected whole ones, 1 to {_MAX_STEP}",
            )
        self._last = float(at[-1])
        index: NDArray[np.int64] = self._index + np.cumsum(whole.astype(np.int64))
        return index

    def _period_s(self, at: NDArray[np.float64]) -> float:
        """Return the median step of the first block: more than half of them are one sample."""
        steps = np.diff(at) * self._unit_s
        if len(steps) == 0 or not np.isfinite(steps).all() or not float(np.median(steps)) > 0:
            raise file.damaged(
                self._path,
                "its times do not rise from row to row; two rows and the resolution of a sample "
                "are needed",
            )
        return float(np.median(steps))

    def seen_hz(self) -> float:
        """Return the rate that the whole file has, or the one that was said."""
        if self._given_hz is not None:
            return self._given_hz
        rate = self._index / ((self._last - self._first) * self._unit_s)
        return float(round(rate)) if abs(rate - round(rate)) < _WHOLE * rate else rate


@dataclass(frozen=True)
class _Builder:
    path: Path
    columns: Columns
    supply_v: float

    def chunks(self, table: Table, at: NDArray[np.int64], before: Chunk | None) -> Iterator[Chunk]:
        """Yield a block as chunks; samples between its rows are lost."""
        start = before.start + len(before) if before is not None else 0
        while start <= at[-1]:
            n = min(int(at[-1]) + 1 - start, file.CHUNK_SAMPLES)
            rows = slice(*np.searchsorted(at, (start, start + n)))
            grid = np.full((n, table.shape[1]), np.nan)
            grid[at[rows] - start] = table[rows]
            before = self._chunk(start, grid, before)
            yield before
            start += n

    def _chunk(self, start: int, grid: Table, before: Chunk | None) -> Chunk:
        columns = self.columns
        if np.isinf(grid).any():
            at = start + int(np.isinf(grid).any(axis=1).argmax())
            raise file.damaged(self.path, f"an infinite value at sample {at}")
        current = grid[:, columns.current] * columns.current_scale
        voltage: NDArray[np.float64] | float = self.supply_v
        if columns.voltage is not None:
            voltage = grid[:, columns.voltage] * columns.voltage_scale
        logic = np.zeros(len(grid), np.uint8)
        for k, column in enumerate(columns.logic):
            level = np.where(np.isnan(current), CHANGED, grid[:, column])  # lost: the last
            good = np.isin(level, (0.0, 1.0, CHANGED))
            if not good.all():
                bad = int(good.argmin())
                raise file.damaged(
                    self.path,
                    f"{columns.inputs[k]} is {level[bad]:g} at sample {start + bad}, expected 0 or "
                    f"1",
                )
            last = np.maximum.accumulate(np.where(level != CHANGED, np.arange(len(level)), -1))
            held = bool(before.logic[-1] >> k & 1) if before is not None else False
            logic |= np.where(last >= 0, level[last] == 1, held).astype(np.uint8) << np.uint8(k)
        return file.chunk(start, current, voltage, logic)


def _plain(name: str) -> str:
    """Return ``Current(uA)`` as ``current_ua``."""
    text = name.strip().lower().translate(_MICRO)
    match = _UNITS.fullmatch(text)
    head, unit = match.groups() if match else (text.rpartition("_")[0], text.rpartition("_")[2])
    return f"{_ALIASES.get(head, head)}_{unit}" if head else _ALIASES.get(text, text)
