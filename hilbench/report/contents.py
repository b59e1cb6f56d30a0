"""What a report shows of a run, read once; cells in groups whose numbers may stand in one chart."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hilbench.errors import StoreError
from hilbench.gate.verdicts import COMPARED, CellVerdict, GateResult
from hilbench.metrics import BY_NAME, show
from hilbench.report.quantities import si
from hilbench.runs import read_run
from hilbench.runs.journal import JournalContents
from hilbench.runs.rows import Row, cell_rows, operator_rows, session_values
from hilbench.runs.schema import BoardRecord, ComparisonRecord, ProvenanceRecord, SessionRecord

_BASES = {
    "cycles": ("cycles", "Latency is in cycles of the core."),
    "instructions": (
        "instructions",
        "Latency is in instructions that an emulator counted: no time, and no cycles of a chip.",
    ),
    "host": ("host time", "Latency is this computer's time, as noisy as it is."),
    "time": ("time", "Latency is time by the board's clock."),
    "unknown": (
        "unknown ticks",
        "Latency is in ticks of a program behind a PTY; what they are in time, nobody knows.",
    ),
}
_LARGE = 1000
_MOST_NAMED = 3  # boards that share a number


@dataclass(frozen=True)
class Cell:
    """One board x variant. Numbers that nobody knows are None."""

    board: str
    variant: str
    row: Row

    def number(self, column: str) -> float | None:
        """Return a figure of the frame; None where it is not known."""
        value = self.row.get(column)
        return None if value is None else float(value)

    def text(self, column: str) -> str:
        """Return a text of the frame; "" where there is none."""
        value = self.row.get(column)
        return "" if value is None else str(value)

    @property
    def synthetic(self) -> bool:
        """Say whether its energy is an emulated meter's or a constant of boards.toml."""
        return self.text("energy_source") == "synthetic"

    @property
    def lower_is_better(self) -> bool:
        """Say so of its accuracy: of an error it is."""
        return self.text("accuracy_metric") == "mse"


@dataclass(frozen=True)
class Group:
    """Cells that are all emulated or all not, on one time base: only these share a chart."""

    key: str  # for ids in the page
    title: str
    says: str  # what its time base is
    emulated: bool
    unit: str  # of latency
    cells: tuple[Cell, ...]

    @property
    def boards(self) -> tuple[str, ...]:
        """Return its boards, in the order of the run."""
        return tuple(dict.fromkeys(cell.board for cell in self.cells))

    @property
    def variants(self) -> tuple[str, ...]:
        """Return its variants, in the order of the run."""
        return tuple(dict.fromkeys(cell.variant for cell in self.cells))

    def named(self, boards: Sequence[str]) -> str:
        """Return boards for a heading: a table beside it names each."""
        if len(boards) <= _MOST_NAMED:
            return ", ".join(boards)
        if len(boards) == len(self.boards):
            return f"all {len(boards)} boards"
        return f"{boards[0]} and {len(boards) - 1} more"

    def of_board(self, board: str) -> tuple[Cell, ...]:
        """Return the board's cells."""
        return tuple(cell for cell in self.cells if cell.board == board)


@dataclass(frozen=True)
class Before:
    """What a gate's baseline tells beside the verdicts, and how the gate was asked.

    ``sessions``: board, variant, metric to the value of each session, in the metric's unit;
    ``right``: board, variant to whether each vector was right, in the order of the vectors.
    """

    sessions: Mapping[tuple[str, str, str], tuple[float, ...]] = field(default_factory=dict)
    right: Mapping[tuple[str, str], Sequence[bool]] = field(default_factory=dict)
    alpha: float = 0.05  # of gate.toml; this is what it is without one
    run: str = ""  # as a command finds it
    baseline: str = ""  # file
    config: str = ""  # file


@dataclass(frozen=True)
class Contents:
    """A run, ready to be shown."""

    folder: Path
    provenance: ProvenanceRecord
    state: str
    groups: tuple[Group, ...]
    failed: tuple[Cell, ...]  # cells with an error, measured in part or not at all
    operators: tuple[Row, ...]
    comparisons: tuple[ComparisonRecord, ...]
    boards: tuple[BoardRecord, ...]
    records: tuple[SessionRecord, ...]
    gate: GateResult | None
    before: Before
    verdicts: dict[tuple[str, str, str], CellVerdict]  # board, variant, metric
    medians: dict[tuple[str, str], tuple[float, ...]]  # of sessions, NaN where unknown
    energies: dict[tuple[str, str], tuple[float, ...]]  # of sessions, by a meter; uJ
    marks: dict[str, int]  # variant to the number of its mark, alike in every chart

    def verdict(self, cell: Cell, metric: str) -> CellVerdict | None:
        """Return what the gate says of a metric of a cell."""
        return self.verdicts.get((cell.board, cell.variant, metric))

    def baseline(self, cell: Cell, metric: str) -> float | None:
        """Return the baseline's number, where it may stand beside the cell's: it was compared.

        In a paired comparison that is another variant of this run, and no number of this one.
        """
        verdict = self.verdict(cell, metric)
        if verdict is None or verdict.verdict not in COMPARED:
            return None
        own = self.before.sessions.get((cell.board, cell.variant, metric), ())
        paired = metric == "energy_uj" and self.before.sessions and verdict.baseline != _middle(own)
        return None if paired else verdict.baseline

    def sessions_before(self, cell: Cell, metric: str) -> tuple[float, ...]:
        """Return the baseline's sessions where they may stand beside the cell's; else none."""
        known = self.baseline(cell, metric) is not None
        return self.before.sessions.get((cell.board, cell.variant, metric), ()) if known else ()


def _middle(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def read_contents(
    run: Path | JournalContents, gate: GateResult | None = None, before: Before | None = None
) -> Contents:
    """Read a run, complete or not.

    Args:
        run: its folder, or what read_run made of it.
        gate: what the gate says of it.
        before: what the gate's baseline tells beside that.

    Raises:
        StoreError: not a run, damaged, or changed after sealing.
    """
    journal = read_run(run)
    records = tuple(r for r in journal.records if isinstance(r, SessionRecord))
    cells = [Cell(row["board"], row["variant"], row) for row in cell_rows(journal)]
    return Contents(
        folder=journal.folder,
        provenance=journal.provenance,
        state=cells[0].text("state") if cells else "",
        groups=_groups(cells),
        failed=tuple(cell for cell in cells if cell.text("error")),
        operators=tuple(operator_rows(journal)),
        comparisons=tuple(r for r in journal.records if isinstance(r, ComparisonRecord)),
        boards=tuple(r for r in journal.records if isinstance(r, BoardRecord)),
        records=records,
        gate=gate,
        before=before or Before(),
        verdicts={(v.board, v.variant, v.metric): v for v in (gate.cells if gate else ())},
        medians=_medians(records),
        energies=_energies(records),
        marks={name: k for k, name in enumerate(dict.fromkeys(cell.variant for cell in cells))},
    )


def _medians(records: Sequence[SessionRecord]) -> dict[tuple[str, str], tuple[float, ...]]:
    found: dict[tuple[str, str], list[float]] = {}
    for record in records:
        median = session_values(record)["latency_median"]
        known = math.nan if median is None else float(median)
        found.setdefault((record.board, record.variant), []).append(known)
    return {cell: tuple(medians) for cell, medians in found.items()}


def _energies(records: Sequence[SessionRecord]) -> dict[tuple[str, str], tuple[float, ...]]:
    """Return what a meter with samples said; an estimate from latency is latency again."""
    found: dict[tuple[str, str], list[float]] = {}
    for record in records:
        if record.energy_uj is not None and record.energy is not None:
            found.setdefault((record.board, record.variant), []).append(record.energy_uj)
    return {cell: tuple(energies) for cell, energies in found.items()}


def _groups(cells: list[Cell]) -> tuple[Group, ...]:
    """Put measured cells with those they may be compared with; a board's other cells go along."""
    key_of: dict[str, tuple[bool, str]] = {}
    for cell in cells:
        if cell.text("time_base"):
            key_of.setdefault(cell.board, (bool(cell.row["emulated"]), cell.text("time_base")))
    found: dict[tuple[bool, str], list[Cell]] = {}
    for cell in cells:
        own = (
            (bool(cell.row["emulated"]), cell.text("time_base")) if cell.text("time_base") else None
        )
        key = own or key_of.get(cell.board)
        if key is not None:
            found.setdefault(key, []).append(cell)
    return tuple(_group(emulated, base, own) for (emulated, base), own in found.items())


def _group(emulated: bool, base: str, cells: list[Cell]) -> Group:
    what = "emulated" if emulated else "hardware"
    name, says = _BASES.get(base, (base, ""))
    unit = next(cell.text("unit") for cell in cells if cell.text("unit"))
    return Group(
        key=f"{what}-{base}",
        title=f"{what.capitalize()} boards, {name}",
        says=says,
        emulated=emulated,
        unit=unit,
        cells=tuple(cells),
    )


def kept_file(folder: Path, record: SessionRecord, file: str) -> Path:
    """Return the path of a session's file, when it is what the journal names.

    Raises:
        StoreError: absent or changed.
    """
    path = folder / file
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); restore it") from error
    if digest != record.files[file]:
        raise StoreError(f"{path}: is not what the journal names; restore it")
    return path


def short(metric: str, value: float | None) -> str:
    """Return a number of a metric for a chart: four digits, k and M; a dash for an unknown one."""
    if value is None or math.isnan(value):
        return "-"
    if BY_NAME[metric].kind == "accuracy" or BY_NAME[metric].direction == "exact":
        return show(metric, value)
    return compact(value)


def exact(metric: str, value: float | None) -> str:
    """Return a number of a metric for a table: latency below 1000 with four digits, not rounded off."""
    if value is None or math.isnan(value):
        return "-"
    if BY_NAME[metric].kind == "cycles" and abs(value) < _LARGE:
        return f"{value:.4g}"
    return show(metric, value)


def compact(value: float | None) -> str:
    """Return a number with four digits, k and M, without its unit; a dash for an unknown one."""
    if value is None or math.isnan(value):
        return "-"
    return si(value, "").strip() if abs(value) >= _LARGE else f"{value:.4g}"


def tick(value: float, unit: str = "") -> str:
    """Return a round number for an axis: 10 k, not 10.00 k."""
    number, _, prefixed = (
        si(value, unit) if unit or abs(value) >= _LARGE else f"{value:.4g}"
    ).partition(" ")
    return f"{float(number):g} {prefixed}".strip()


def unit_of(metric: str, cell: Cell) -> str:
    """Return the unit of a metric in a cell."""
    return BY_NAME[metric].unit or (
        cell.text("unit") if metric.startswith("latency") else cell.text("accuracy_metric")
        if metric == "accuracy" else ""
    )  # fmt: skip


def interval(cell: Cell, metric: str) -> tuple[float, float] | None:
    """Return the 95 % interval of a figure; None where there is none or nobody knows it."""
    if metric == "accuracy":
        ends = cell.number("accuracy_low"), cell.number("accuracy_high")
        return None if ends[0] is None or ends[1] is None else (ends[0], ends[1])
    value, half = cell.number("energy_uj"), cell.number("energy_absolute_uj")
    if metric != "energy_uj" or value is None or half is None:
        return None
    return value - half, value + half
