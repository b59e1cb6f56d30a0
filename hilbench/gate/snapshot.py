"""What a gate knows of a run, cell by cell; a baseline keeps the same (baseline.py)."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import StoreError
from hilbench.gate.energy import EnergySide
from hilbench.measurement.power.budget import CANCELS
from hilbench.metrics import BY_NAME, METRICS
from hilbench.runs.journal import JournalContents
from hilbench.runs.rows import Cell, cells, session_values
from hilbench.runs.schema import ComparisonRecord, SessionRecord
from hilbench.runs.sums import read_run

CellKey = tuple[str, str]  # board, variant
EXACT = tuple(m.name for m in METRICS if m.kind == "exact")
CYCLES = tuple(m.name for m in METRICS if m.kind == "cycles")
LOWER_BOUNDS = frozenset({"stack_used_bytes"})
"""Exact metrics that are high-water marks: the largest of the sessions counts."""

_EACH = ("port", "chip", "emulated")
_TIMED = ("time_base", "unit", "counter_hz", "emulator")
_TOOLCHAIN = ("compiler", "flags", "runtime", "kernels")
_VECTORS = ("vectors_sha256", "vectors_n", "quantise")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "exact": (*_EACH, *_TOOLCHAIN),
    "cycles": (*_EACH, *_TIMED, *_TOOLCHAIN, *_VECTORS),
    "energy": (
        *_EACH, *_TIMED, *_TOOLCHAIN, *_VECTORS,
        "unique_id", "supply_v", "energy_source", "energy_meter", "energy_calibration_sha256",
    ),
    "accuracy": (*_EACH, *_VECTORS, "accuracy_metric"),
}  # fmt: skip
"""What of the fingerprint has to be equal before two numbers of a class may meet."""

_KEPT = ("quantisation_uj", "loss_uj", "switches_uj", "tail_uj", "restore_uj")
"""Of an energy's uncertainty: what neither cancels between two sides nor scatters."""

OF_THE_FILE = frozenset({"tflite_bytes", "zlib_bytes"})
"""Exact metrics of the model file alone: no toolchain changes them."""
OF_THE_OUTPUTS = frozenset({"agreement_tflm", "agreement_reference", "lsb_max_reference"})
"""Exact metrics that depend on the vectors."""


def fields_of(metric: str) -> tuple[str, ...]:
    """Return the names in the fingerprint that have to be equal for a metric."""
    if metric in OF_THE_FILE:
        return _EACH
    if metric in OF_THE_OUTPUTS:
        return (*_EACH, *_VECTORS)
    return FIELDS[BY_NAME[metric].kind]


PER_VECTOR: Mapping[str, tuple[str, ...]] = {
    "top1": ("correct",), "auc": ("scores", "positive"), "mse": ("squared_errors",),
}  # fmt: skip
"""Arrays of outputs/*.npz, and fields of AccuracySide, that pair vectors, by the suite's metric."""


@dataclass(frozen=True)
class AccuracySide:
    """Outputs of one cell."""

    metric: str  # top1, auc, mse
    value: float
    n: int  # vectors
    outputs_sha256: str  # of the outputs' bytes; "" where sessions differ
    # In hex; "" where nobody knows. Bits: k, most significant first, is set where vector k is so.
    correct: str  # bits: right (top1)
    positive: str = ""  # bits: of the positive class (auc)
    scores: str = ""  # float32, big endian (auc)
    squared_errors: str = ""  # likewise (mse)

    @property
    def paired(self) -> bool:
        """Say whether vectors can be paired: the metric's figures of each are known."""
        return all(getattr(self, name) for name in PER_VECTOR[self.metric])

    def bits(self, name: str) -> NDArray[np.bool_]:
        """Return ``correct`` or ``positive``, [n]."""
        packed = np.frombuffer(bytes.fromhex(getattr(self, name)), np.uint8)
        return np.unpackbits(packed)[: self.n].astype(bool)

    def floats(self, name: str) -> NDArray[np.float64]:
        """Return ``scores`` or ``squared_errors``, [n]."""
        return np.frombuffer(bytes.fromhex(getattr(self, name)), ">f4").astype(np.float64)


@dataclass(frozen=True)
class CellNumbers:
    """Everything about one board x variant that can be compared."""

    fingerprint: Mapping[str, str]
    model_sha256: str
    image_sha256: str
    exact: Mapping[str, float]
    cycles: Mapping[str, tuple[float, ...]]  # metric to one value a session
    resolution: float  # one tick in `unit`
    energy: EnergySide | None = None
    accuracy: AccuracySide | None = None
    varies: tuple[str, ...] = ()  # exact metrics that differ between sessions
    sessions: int = 0

    def has(self, metric: str) -> bool:
        """Say whether the metric was measured."""
        kind = BY_NAME[metric].kind
        if kind == "energy":
            return self.energy is not None
        if kind == "accuracy":
            return self.accuracy is not None
        return metric in (self.exact if kind == "exact" else self.cycles)


@dataclass(frozen=True)
class Snapshot:
    """A run as a gate sees it."""

    run_id: str
    suite: str
    cells: Mapping[CellKey, CellNumbers]
    failed: Mapping[CellKey, str]  # cells that are not whole, and why
    comparisons: tuple[ComparisonRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    flawed: Mapping[CellKey, str] = field(default_factory=dict)  # whole, but with an error


def snapshot(run: Path | JournalContents) -> Snapshot:
    """Read a run.

    Args:
        run: its folder, or what read_run made of it.

    Raises:
        StoreError: no run there, damaged, changed after sealing, or its outputs are.
    """
    contents = read_run(run)
    whole: dict[CellKey, CellNumbers] = {}
    failed: dict[CellKey, str] = {}
    flawed: dict[CellKey, str] = {}
    estimated: set[str] = set()
    for cell in cells(contents):
        key = (cell.board_id, cell.variant_id)
        short = len(cell.sessions) < contents.provenance.sessions
        if short or cell.board is None or cell.variant is None:
            failed[key] = cell.error or "no record of its board or variant"
            continue
        if cell.error:
            flawed[key] = cell.error
        whole[key] = _numbers(cell, contents.folder)
        if cell.sessions[0].energy_uj is not None and cell.sessions[0].energy is None:
            estimated.add(cell.board_id)
    return Snapshot(
        contents.provenance.run_id,
        contents.provenance.name,
        whole,
        failed,
        _comparisons(contents),
        tuple(
            f"board {board}: its energy is estimated from its latency, not measured: not compared"
            for board in sorted(estimated)
        ),
        flawed,
    )


def _comparisons(contents: JournalContents) -> tuple[ComparisonRecord, ...]:
    return tuple(r for r in contents.records if isinstance(r, ComparisonRecord))


def _numbers(cell: Cell, folder: Path) -> CellNumbers:
    board, variant, sessions = cell.board, cell.variant, cell.sessions
    assert board is not None
    assert variant is not None
    figures = [session_values(s) for s in sessions]
    fixed = {
        "tflite_bytes": variant.tflite_bytes,
        "zlib_bytes": variant.zlib_bytes,
        "plan_bytes": variant.plan_bytes,
        "arena_bytes": cell.arena_bytes,
        "flash_bytes": board.image.flash_bytes,
        "ram_bytes": board.image.ram_bytes,
    }
    exact: dict[str, float] = {}
    varies: list[str] = []
    for name in EXACT:
        values = [fixed[name]] if name in fixed else [f.get(name) for f in figures]
        if None in values:
            continue
        known = [v for v in values if v is not None]
        exact[name] = max(known) if BY_NAME[name].direction == "lower" else min(known)
        if name not in LOWER_BOUNDS and len(set(known)) > 1:
            varies.append(name)
    first = figures[0]
    return CellNumbers(
        fingerprint=_fingerprint(cell, first),
        model_sha256=variant.model_sha256,
        image_sha256=board.image_sha256,
        exact=exact,
        cycles={n: v for n in CYCLES if (v := _each(figures, n)) is not None},
        resolution=float(first["latency_resolution"]),
        energy=_energy(sessions),
        accuracy=_accuracy(sessions, folder),
        varies=tuple(varies),
        sessions=len(sessions),
    )


def _fingerprint(cell: Cell, first: Mapping[str, Any]) -> dict[str, str]:
    """Everything as text: it is compared for equality and shown to people."""
    board, variant = cell.board, cell.variant
    values: dict[str, Any] = {
        "port": board and board.port,
        "chip": board and board.chip,
        "unique_id": board and board.unique_id,
        "emulated": board and ("yes" if board.emulated else "no"),
        "emulator": board and board.emulator,
        "compiler": board and board.compiler,
        "flags": board and board.flags,
        "runtime": board and board.runtime,
        "kernels": board and board.kernels,
        "supply_v": board and board.supply_v,
        "vectors_sha256": variant and variant.vectors_sha256,
        "vectors_n": variant and variant.vectors_n,
        "quantise": variant and variant.quantise,
        **{
            name: first.get(name)
            for name in (
                "time_base", "unit", "counter_hz", "accuracy_metric",
                "energy_source", "energy_meter", "energy_calibration_sha256",
            )
        },
    }  # fmt: skip
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _each(figures: Sequence[Mapping[str, Any]], name: str) -> tuple[float, ...] | None:
    """One value a session; None when a session lacks it, or it has no logarithm."""
    values = [f.get(name) for f in figures]
    known = [float(v) for v in values if v is not None and v > 0]
    return tuple(known) if len(known) == len(values) else None


def _energy(sessions: Sequence[SessionRecord]) -> EnergySide | None:
    """Only what a meter with samples said; an estimate from latency is no second number."""
    told = [(s.energy_uj, s.energy) for s in sessions]
    known = [(uj, e) for uj, e in told if uj is not None and e is not None and uj > 0]
    if len(known) != len(told):
        return None
    ranges = [np.array(e.range_energy_uj) / uj for uj, e in known if e.range_energy_uj]
    told_u = [(uj, e.numbers) for uj, e in known]
    return EnergySide(
        tuple(uj for uj, _ in known),
        _systematic_u(told_u, _KEPT),
        _systematic_u(told_u, (*_KEPT, *CANCELS)),
        tuple(map(float, np.mean(ranges, axis=0))) if len(ranges) == len(known) else (),
    )


def _systematic_u(
    sessions: Sequence[tuple[float, Mapping[str, float]]], components: Sequence[str]
) -> float | None:
    """Return what the scatter of sessions does not show, standard and relative; None: unknown.

    Components are wrong alike in every session, so their mean counts; window edges fall anew in
    each, but may be in step, so they shrink with sessions and are not left to the scatter.
    """
    wrong_alike, edges = [], []
    for uj, numbers in sessions:
        parts = [numbers.get(f"energy_u_{name}") for name in (*components, "edges_uj")]
        if None in parts:
            return None
        *alike, edge = [p / uj for p in parts if p is not None]
        wrong_alike.append(math.hypot(*alike))
        edges.append(edge)
    return math.hypot(float(np.mean(wrong_alike)), math.hypot(*edges) / len(edges))


def _accuracy(sessions: Sequence[SessionRecord], folder: Path) -> AccuracySide | None:
    figures = [s.accuracy for s in sessions]
    if figures[0] is None:
        return None
    metric = figures[0].metric
    digests: set[str] = set()
    kept: set[tuple[str, ...]] = set()
    for session in sessions:
        arrays = _arrays(session, folder)
        digests.add(hashlib.sha256(np.ascontiguousarray(arrays["outputs"]).tobytes()).hexdigest())
        kept.add(tuple(_hex(arrays.get(name)) for name in PER_VECTOR[metric]))
    known = dict(zip(PER_VECTOR[metric], kept.pop(), strict=True)) if len(kept) == 1 else {}
    return AccuracySide(
        metric,
        figures[0].value,
        figures[0].n,
        digests.pop() if len(digests) == 1 else "",
        **({"correct": ""} | known),
    )


def _hex(array: NDArray[Any] | None) -> str:
    """Bits of a mask, else float32, big endian; nothing of nothing."""
    if array is None:
        return ""
    packed = np.packbits(array) if array.dtype == np.bool_ else array.astype(">f4")
    return packed.tobytes().hex()


def _arrays(session: SessionRecord, folder: Path) -> dict[str, NDArray[Any]]:
    name = next((f for f in session.files if f.startswith("outputs/")), None)
    if name is None:
        raise StoreError(
            f"{folder}: session {session.session} of {session.board} {session.variant} names no "
            f"outputs; measure it again"
        )
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise StoreError(f"{folder / name}: cannot be read ({error.strerror})") from error
    if hashlib.sha256(data).hexdigest() != session.files[name]:
        raise StoreError(f"{folder / name}: is not what the journal names; restore it")
    with np.load(io.BytesIO(data)) as arrays:
        wanted = {"outputs", *(name for names in PER_VECTOR.values() for name in names)}
        return {n: arrays[n] for n in arrays.files if n in wanted}
