"""The records of a journal, in the order they are written.

provenance, then for each board: board, then for each variant: variant, session ..., at last end.
An error record may stand anywhere, comparisons stand behind the sessions that they compare. An
interrupted run that was resumed goes on behind its end, if it got that far, with resumed. A record is one line of journal.jsonl: its fields and ``kind``.
Nothing derived is stored but what needs data that are not kept: the frame does the arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from hilbench.codec import decode, encode
from hilbench.errors import StoreError
from hilbench.measurement.accuracy import Accuracy
from hilbench.measurement.agreement import Agreement
from hilbench.measurement.latency import TicksSummary
from hilbench.measurement.memory import ImageMemory
from hilbench.records import ClockInfo, LinkFigures, MemoryFigures, PlannedOperator

SCHEMA = 2  # a change of a record's meaning: see upgrade.py
OLDEST_SCHEMA = 1
State = Literal["complete", "interrupted", "failed"]


@dataclass(frozen=True)
class ProvenanceRecord:
    """Where the numbers come from; the first line, before any inference."""

    KIND: ClassVar[str] = "provenance"
    name: str  # short name of the run: the suite's or the model's
    run_id: str  # name of the run's folder
    started_utc: str  # ISO 8601
    hilbench: str  # version
    python: str
    platform: str
    packages: dict[str, str]  # name to version
    git_commit: str | None  # of the checkout hilbench runs from; None outside one
    git_dirty: bool | None
    argv: tuple[str, ...]
    files: dict[str, str]  # configuration files: path to SHA-256
    cells: tuple[tuple[str, str], ...]  # board, variant: everything the run set out to measure
    sessions: int
    warm_up: int
    iterations: int
    inputs: dict[str, str] = field(default_factory=dict)  # what a resumed run must have again
    schema: int = SCHEMA


@dataclass(frozen=True)
class BoardRecord:
    """Who answered: HELLO, the image, the emulator; once for each board."""

    KIND: ClassVar[str] = "board"
    board: str
    port: str
    chip: str
    unique_id: str
    emulated: bool
    emulator: str | None  # name and version
    runtime: str
    kernels: str
    protocol_version: int
    counter_bits: int
    counter_overhead_ticks: int  # already subtracted on the board
    pool_bytes: int  # memory for model, arena and vectors
    packet_bytes: int
    window_bytes: int
    port_untested: bool  # nobody ran this port on a real board yet
    image_build_id: str
    image_sha256: str
    compiler: str
    flags: str
    image: ImageMemory
    supply_v: float | None
    active_ma: float | None
    tags: tuple[str, ...] = ()
    notes: str = ""


@dataclass(frozen=True)
class VariantRecord:
    """What is loaded onto a board: known before the first inference; once for each cell."""

    KIND: ClassVar[str] = "variant"
    board: str
    variant: str
    technique: str
    parent: str | None
    model: str  # file name
    model_sha256: str
    tflite_bytes: int
    zlib_bytes: int  # of the .tflite file, level 9
    plan_sha256: str
    plan_bytes: int
    arena_bytes: int | None  # None: the board plans its memory itself, a session's figures have it
    operators: tuple[PlannedOperator, ...]
    vectors_name: str
    vectors_sha256: str
    vectors_n: int  # vectors used, a stated subset included
    quantise: str  # second value of models.vectors.prepare
    tflm: str = ""  # TensorFlow Lite Micro's version, or why outputs are not compared with it
    reference: str | None = None  # host interpreter, name and version
    reference_accuracy: Accuracy | None = None  # the host interpreter's on the same vectors


@dataclass(frozen=True)
class EnergyRecord:
    """What a meter said of a session. Figures by the names of their columns (energy_columns.py)."""

    numbers: dict[str, float]  # an unknown one is left out
    texts: dict[str, str]
    range_energy_uj: tuple[float, ...]  # gross energy of an inference by the meter's range
    range_us: tuple[float, ...]  # time of an inference by the meter's range
    operators_uj: tuple[float | None, ...] = ()  # as VariantRecord.operators; None: too short
    operators_absolute_uj: tuple[float | None, ...] = ()  # half-widths of their 95 % intervals


@dataclass(frozen=True)
class SessionRecord:
    """One session, reset to reset: raw ticks, and what was computed from outputs that are kept."""

    KIND: ClassVar[str] = "session"
    board: str
    variant: str
    session: int  # from 1
    clock: ClockInfo
    ticks: TicksSummary
    memory: MemoryFigures
    link: LinkFigures
    model_from: Literal["link", "probe", "kept", "image"]  # how the model got there
    restore: Literal["board", "host"]  # who restores the input before every inference
    slots: int  # vectors that fit on the board at once; 0: one inference per RUN
    wall_s: float  # reset to last output
    energy_source: str
    energy_uj: float | None = None  # per inference; None without a meter
    energy: EnergyRecord | None = None  # of a meter with samples
    accuracy: Accuracy | None = None
    tflm: Agreement | None = None  # with golden TFLM outputs
    reference: Agreement | None = None  # with the host interpreter
    operator_ticks: tuple[int, ...] = ()  # sums over the profiled RUN, as VariantRecord.operators
    profiled_inferences: int = 0
    recoveries: tuple[str, ...] = ()  # what brought the board back when a plain reset did not
    files: dict[str, str] = field(default_factory=dict)  # path below the run folder to SHA-256


@dataclass(frozen=True)
class ComparisonRecord:
    """Gross energy of two variants whose sessions took turns on one board (A B B A)."""

    KIND: ClassVar[str] = "comparison"
    board: str
    a: str
    b: str
    sessions: int  # of each
    ratio: float  # of A to B
    expanded: float  # half-width of its 95 % interval, relative
    coverage_k: float
    gain_cancels: bool
    says: str


@dataclass(frozen=True)
class ErrorRecord:
    """Something failed; the run goes on with what is left."""

    KIND: ClassVar[str] = "error"
    board: str
    variant: str | None  # None: the whole board
    session: int | None  # None: the whole cell
    type: str  # class in hilbench.errors
    sentence: str
    exit_code: int = 3


@dataclass(frozen=True)
class ResumedRecord:
    """The run goes on from here, some time after it was interrupted or killed."""

    KIND: ClassVar[str] = "resumed"
    resumed_utc: str  # ISO 8601
    hilbench: str  # version
    git_commit: str | None
    git_dirty: bool | None
    packages: dict[str, str]  # name to version
    argv: tuple[str, ...]
    torn: str = ""  # line that was cut off while it was written; nobody was told it was kept


@dataclass(frozen=True)
class EndRecord:
    """The last line, unless the run was resumed. Without it the run was killed."""

    KIND: ClassVar[str] = "end"
    state: State
    ended_utc: str


Record = (
    ProvenanceRecord
    | BoardRecord
    | VariantRecord
    | SessionRecord
    | ComparisonRecord
    | ErrorRecord
    | ResumedRecord
    | EndRecord
)
KINDS: dict[str, type[Record]] = {
    cls.KIND: cls
    for cls in (
        ProvenanceRecord,
        BoardRecord,
        VariantRecord,
        SessionRecord,
        ComparisonRecord,
        ErrorRecord,
        ResumedRecord,
        EndRecord,
    )
}


def to_dict(record: Record) -> dict[str, Any]:
    """Return the record as JSON-ready values, ``kind`` first."""
    return {"kind": record.KIND, **encode(record)}


def from_dict(values: Mapping[str, Any], where: str = "record") -> Record:
    """Read a record back.

    Args:
        values: what :func:`to_dict` made.
        where: file and line, for the error sentence.

    Raises:
        StoreError: unknown kind or schema, or a field is missing, unknown or of another type.
    """
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise StoreError(f"{where}: unknown kind {kind!r}; known: {', '.join(KINDS)}")
    if kind == ProvenanceRecord.KIND and values.get("schema") != SCHEMA:
        raise StoreError(
            f"{where}: journal has schema {values.get('schema')!r}, this hilbench reads "
            f"{OLDEST_SCHEMA} to {SCHEMA}; read it with the hilbench that wrote it"
        )
    fields = {k: v for k, v in values.items() if k != "kind"}
    return decode(KINDS[kind], fields, f"{where}: {kind}")
