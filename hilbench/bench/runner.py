"""Boards in parallel, one thread each: cells, sessions, journal. One board's fault is its own."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hilbench import plugins
from hilbench.bench.energy import EnergyRequest
from hilbench.bench.prepare import PreparedVariant
from hilbench.bench.progress import Progress
from hilbench.bench.resume import Before, check_same
from hilbench.bench.session import SessionData, SessionPlan, measure_session
from hilbench.board.image_facts import image_facts
from hilbench.board.images import find_image
from hilbench.board.life import OpenBoard, open_board
from hilbench.board.resident import needs_resident, patch_image
from hilbench.errors import (
    BoardError,
    DeviceError,
    HilbenchError,
    LinkError,
    MeasurementError,
    ModelError,
    ModelTooLargeError,
    OutputMismatchError,
    StoreError,
    UsageError,
)
from hilbench.interfaces import EmulatedBoard, EnergyEstimate
from hilbench.measurement.memory import image_memory
from hilbench.measurement.power.budget import Budget, compare
from hilbench.measurement.power.plan import abba
from hilbench.power import MeterSpec
from hilbench.records import BoardConfig, Image
from hilbench.runs.evidence import MARGIN_S, save_evidence
from hilbench.runs.journal import Journal
from hilbench.runs.schema import (
    BoardRecord,
    ComparisonRecord,
    ErrorRecord,
    SessionRecord,
    VariantRecord,
)

_LOOK_S = 0.2
_STOP_S = 10.0


@dataclass
class Runner:
    """Measures every prepared variant on every board; ``errors`` holds what went wrong."""

    variants: Sequence[PreparedVariant]
    failed_variants: Mapping[str, HilbenchError]  # could not be prepared: an error on every board
    boards: Sequence[BoardConfig]
    sessions: int
    warm_up: int
    iterations: int
    journal: Journal
    progress: Progress
    energy: EnergyRequest = field(default_factory=EnergyRequest)
    abba: tuple[str, str] | None = None  # two variants whose sessions take turns
    before: Before = field(default_factory=Before)  # of a run that goes on
    errors: list[HilbenchError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._emulators: list[EmulatedBoard] = []
        self._open: list[OpenBoard] = []
        self._crashes: list[BaseException] = []
        self._done = {board.id: threading.Event() for board in self.boards}

    def run(self) -> None:
        """Measure; returns when every board is done or has failed.

        Raises:
            KeyboardInterrupt: after every board is powered down.
        """
        for board in self.boards:
            # Each session runs every vector once; warm-up and iterations are not vectors.
            total = sum(len(v.vectors.x) * len(self._missing(board.id, v)) for v in self.variants)
            self.progress.add(board.id, total)
        threads = [
            threading.Thread(target=self._board_thread, args=(board,), name=f"board-{board.id}")
            for board in self.boards
        ]
        for thread in threads:
            thread.start()
        try:
            for done in self._done.values():
                while not done.wait(_LOOK_S):
                    pass
        except KeyboardInterrupt:
            self._stop()
            raise
        if self._crashes:
            raise self._crashes[0]

    def _missing(self, board_id: str, variant: PreparedVariant) -> tuple[int, ...]:
        return self.before.missing(board_id, variant.config.name, self.sessions)

    def _stop(self) -> None:
        """Take every board away from its thread, then wait for the threads to notice.

        Events, not join(): an interrupted join() may call a running thread ended (CPython 3.11).
        """
        self._stopping.set()
        for emulated in self._emulators:
            emulated.stop()
        for board in tuple(self._open):  # a real one cannot be ended, but its supply can
            try:
                board.cut()
            except HilbenchError as error:
                self.errors.append(error)
        deadline_s = time.monotonic() + _STOP_S
        for done in self._done.values():
            done.wait(max(0.0, deadline_s - time.monotonic()))

    @contextlib.contextmanager
    def _cut_by_ctrl_c(self, board: OpenBoard) -> Iterator[None]:
        self._open.append(board)
        try:
            yield
        finally:
            self._open.remove(board)

    def _started(self, emulated: EmulatedBoard) -> None:
        """Remember an emulator; one that a board restarts after Ctrl-C goes at once."""
        self._emulators.append(emulated)
        if self._stopping.is_set():
            emulated.stop()

    def _board_thread(self, config: BoardConfig) -> None:
        try:
            try:
                self._measure_board(config)
            except StoreError:
                raise
            except HilbenchError as error:
                self._record(error, config.id, None, None)
        except StoreError as lost:  # the journal itself: nothing more can be kept
            self.errors.append(lost)
            self.progress.set(config.id, error=str(lost), state="failed")
        except BaseException as crash:  # noqa: BLE001 - a bug here must surface in the main thread
            if not self._stopping.is_set():
                self._crashes.append(crash)
        finally:
            self.progress.set(config.id, finished=True)
            self._done[config.id].set()

    def _measure_board(self, config: BoardConfig) -> None:
        for name, error in self.failed_variants.items():
            if self.before.missing(config.id, name, self.sessions):
                self._record(error, config.id, name, None)
        variants_left = [v for v in self.variants if self._missing(config.id, v)]
        if not variants_left:
            self.progress.set(config.id, state="nothing to measure")
            return
        image = find_image(config.firmware)
        if self.abba is not None and needs_resident(image) is not None:
            raise UsageError(
                f"board {config.id}: has one variant in an image at a time, so "
                f"{' and '.join(self.abba)} cannot take turns; leave out --abba, or this board"
            )
        with tempfile.TemporaryDirectory(prefix="hilbench-") as folder:
            for number, (flashed, variants) in enumerate(
                self._loads(config, image, variants_left, Path(folder))
            ):
                with (
                    open_board(
                        config, flashed, lambda state: self._enter(config.id, state), self._started
                    ) as board,
                    self._cut_by_ctrl_c(board),
                ):
                    if number == 0:
                        self._introduce(board, image)
                    self._measure_cells(board, variants)
                    if self._stopping.is_set():
                        return
        self.progress.set(config.id, state="done", variant="")

    def _enter(self, board_id: str, state: str) -> None:
        """Tell the next step of a board's life; after Ctrl-C there is none.

        Raises:
            BoardError: interrupted. Nobody hears of it: nothing is recorded any more.
        """
        if self._stopping.is_set():
            raise BoardError(f"board {board_id}: interrupted before {state}; run it again")
        self.progress.set(board_id, state=state)

    def _introduce(self, board: OpenBoard, image: Image) -> None:
        """Keep who answered; a run that goes on must meet the same board."""
        record = board_record(board, image)
        if (known := self.before.boards.get(record.board)) is None:
            self.journal.append(record)
        else:
            check_same(known, record, f"board {record.board}")

    def _loads(
        self, config: BoardConfig, image: Image, variants: Sequence[PreparedVariant], folder: Path
    ) -> Iterator[tuple[Image, Sequence[PreparedVariant]]]:
        """What to flash for which variants: one image for all, or one each where plans are in it."""
        if needs_resident(image) is None:
            yield image, variants
            return
        facts = image_facts(image)  # as HELLO will state them
        for variant in (v.for_board(facts.runtime, facts.kernels) for v in variants):
            try:
                patched = patch_image(image, variant.plan, folder)
            except ModelTooLargeError as error:
                if (config.id, variant.config.name) not in self.before.variants:
                    self.journal.append(variant_record(config.id, variant))
                self._record(error, config.id, variant.config.name, None)
                missing = len(self._missing(config.id, variant))
                self.progress.shorten(config.id, len(variant.vectors.x) * missing)
                continue
            yield patched, [variant]

    def _order(
        self, board_id: str, variants: Sequence[PreparedVariant]
    ) -> Iterator[tuple[PreparedVariant, int]]:
        """Every session of every variant, one variant after the other, but for a pair in ABBA order."""
        pair = [v for name in self.abba or () for v in variants if v.config.name == name]
        if pair:
            counts = dict.fromkeys(self.abba or (), 0)
            for variant in abba(pair[0], pair[1], self.sessions):
                counts[variant.config.name] += 1
                yield variant, counts[variant.config.name]
        for variant in variants:
            if variant not in pair:
                yield from ((variant, number) for number in self._missing(board_id, variant))

    def _measure_cells(self, board: OpenBoard, variants: Sequence[PreparedVariant]) -> None:
        """All sessions; a fault ends its cell, a dead board raises."""
        board_id = board.config.id
        variants = [
            variant.for_board(board.hello.runtime, board.hello.kernels) for variant in variants
        ]
        driver = plugins.load("power", board.config.meter.driver)
        estimate = driver.estimate(board.config) if board.metering is None else None
        begun = {name for at, name in self.before.variants if at == board_id}
        failed: set[str] = set()
        pair: dict[str, list[Budget]] = {}  # in ABBA order: gross energy of each session
        for variant, number in self._order(board_id, variants):
            name = variant.config.name
            if self._stopping.is_set():
                return
            if name in failed:
                continue
            if name not in begun:
                self.journal.append(variant_record(board_id, variant))
                begun.add(name)
            self.progress.set(board_id, state="running", variant=name, session=number)
            data = self._measure_session(board, variant, number, estimate)
            if data is None:
                failed.add(name)
            elif data.energy is not None and name in (self.abba or ()):
                pair.setdefault(name, []).append(data.energy.energy.gross)
        if self.abba is not None and len(pair) == len(self.abba) and not failed & set(self.abba):
            assert board.metering is not None
            found = comparison(board_id, self.abba, pair, board.metering.spec)
            self.journal.append(found)

    def _measure_session(
        self,
        board: OpenBoard,
        variant: PreparedVariant,
        number: int,
        estimate: EnergyEstimate | None,
    ) -> SessionData | None:
        """One session into the journal; None: it failed, and its cell ends."""
        board_id, name = board.config.id, variant.config.name
        done = 0

        def advance(vectors: int) -> None:
            nonlocal done
            done += vectors
            self.progress.advance(board_id, vectors)

        try:
            data = measure_session(
                board,
                variant,
                SessionPlan(number, self.warm_up, self.iterations, self.energy),
                estimate,
                advance,
            )
            record = self._keep(data)
        except StoreError:
            raise
        except HilbenchError as error:
            cause = board.explain(error)
            if not isinstance(cause, HilbenchError):
                raise
            self._keep_refused(cause, f"{board_id}/{name}-{number}-refused")
            self._record(cause, board_id, name, number)
            if not _board_survives(cause) and not self._stopping.is_set():
                _bring_back(board, name)
            remaining = sum(n >= number for n in self._missing(board_id, variant))
            self.progress.shorten(board_id, remaining * len(variant.vectors.x) - done)
            return None
        self._judge(record, variant)
        return data

    def _keep(self, data: SessionData) -> SessionRecord:
        """Evidence first, then arrays, then the record that names them."""
        record, energy = data.record, data.energy
        if energy is not None:
            for ending, capture in energy.captures.items():
                files = save_evidence(
                    self.journal.folder,
                    f"{record.board}/{record.variant}-{record.session}{ending}",
                    capture.recording,
                    capture.windows,
                    None if energy.full_trace else MARGIN_S,
                )
                record = replace(record, files=record.files | files)
        arrays = {
            "outputs": data.outputs,
            "ticks": data.ticks,
            "vector_ticks": data.vector_ticks,
            "correct": data.correct,
            "labels": data.labels,
            **data.per_vector,
        }
        return self.journal.append_session(
            record, **{name: array for name, array in arrays.items() if array is not None}
        )

    def _keep_refused(self, error: HilbenchError, name: str) -> None:
        """Keep all of a capture that was no measurement: somebody will want to look at it."""
        if isinstance(error, MeasurementError) and error.capture is not None:
            files = save_evidence(self.journal.folder, name, error.capture, (), None)
            error.args = (f"{error}; the capture is kept in {next(iter(files))}",)

    def _judge(self, record: SessionRecord, variant: PreparedVariant) -> None:
        """Wrong outputs are a fact of the firmware, not of the bench: recorded, and exit code 1."""
        # int8 must equal TFLM; LiteRT's own resolvers disagree among themselves, so it only counts
        # for float32.
        oracle = record.tflm if variant.quantised else record.reference
        if oracle is None or oracle.agrees:
            return
        if oracle.relative_max is not None:
            how = f"differ by {oracle.relative_max:.2g} of max|y|, limit 1e-05"
        else:
            wrong = oracle.vectors - oracle.identical
            how = f"differ in {wrong} of {oracle.vectors} vectors, by up to {oracle.lsb_max} LSB"
        self._record(
            OutputMismatchError(
                f"board {record.board}, variant {record.variant}: outputs {how} from "
                f"{oracle.oracle}; the board's outputs are in outputs/ of the run folder"
            ),
            record.board,
            record.variant,
            record.session,
        )

    def _record(
        self, error: HilbenchError, board: str, variant: str | None, session: int | None
    ) -> None:
        if self._stopping.is_set():
            return  # the fault is ours: boards were taken away
        self.errors.append(error)
        self.journal.append(
            ErrorRecord(
                board=board,
                variant=variant,
                session=session,
                type=type(error).__name__,
                sentence=str(error),
                exit_code=error.exit_code,
            )
        )
        self.progress.set(board, error=str(error), state="failed" if variant is None else "running")


def _board_survives(error: HilbenchError) -> bool:
    """Say whether the fault leaves the board usable without asking it."""
    return isinstance(error, ModelError | DeviceError) or not isinstance(
        error, BoardError | LinkError
    )


def _bring_back(board: OpenBoard, variant: str) -> None:
    """Reset the board after a fault.

    Raises:
        BoardError: it does not come back, whatever was tried; the rest of it is not measured.
    """
    try:
        board.start_session()
    except HilbenchError as error:
        raise BoardError(
            f"board {board.config.id}: did not come back after the failure of {variant}, its "
            f"remaining cells are not measured: {error}"
        ) from error


def comparison(
    board: str, names: tuple[str, str], pair: Mapping[str, Sequence[Budget]], spec: MeterSpec
) -> ComparisonRecord:
    """Return how the energies of two variants compare that took turns at one meter."""
    a, b = (pair[name] for name in names)
    found = compare(a, b, spec, same_meter=True)
    return ComparisonRecord(
        board=board,
        a=names[0],
        b=names[1],
        sessions=len(a),
        ratio=found.ratio,
        expanded=found.expanded,
        coverage_k=found.coverage_k,
        gain_cancels=found.gain_cancels,
        says=found.says.replace("A is", f"{names[0]} is").replace("of B", f"of {names[1]}"),
    )


def board_record(board: OpenBoard, image: Image) -> BoardRecord:
    """Return who answered."""
    hello, config = board.hello, board.config
    return BoardRecord(
        board=config.id,
        port=hello.port,
        chip=hello.chip,
        unique_id=hello.unique_id,
        emulated=board.emulated_by is not None,
        emulator=board.emulated_by,
        runtime=hello.runtime,
        kernels=hello.kernels,
        protocol_version=hello.protocol_version,
        counter_bits=hello.counter_bits,
        counter_overhead_ticks=hello.counter_overhead_ticks,
        pool_bytes=hello.pool_bytes,
        packet_bytes=hello.packet_bytes,
        window_bytes=hello.window_bytes,
        port_untested=bool(hello.port_untested),
        image_build_id=image.build_id,
        image_sha256=image.sha256,
        compiler=image.compiler,
        flags=image.flags,
        image=image_memory(Path(image.path).read_bytes(), str(image.path)),
        supply_v=config.supply_v,
        active_ma=config.active_ma,
        tags=config.tags,
        notes=config.notes,
    )


def variant_record(board: str, variant: PreparedVariant) -> VariantRecord:
    """Return what is about to be loaded."""
    config, model, plan, vectors = variant.config, variant.model, variant.plan, variant.vectors
    return VariantRecord(
        board=board,
        variant=config.name,
        technique=config.technique,
        parent=config.parent,
        model=model.path.name,
        model_sha256=model.sha256,
        tflite_bytes=len(model.data),
        zlib_bytes=variant.zlib_bytes,
        plan_sha256=plan.sha256,
        plan_bytes=len(plan.data),
        arena_bytes=plan.arena_bytes,
        operators=plan.operators,
        vectors_name=vectors.name,
        vectors_sha256=vectors.sha256,
        vectors_n=len(vectors.x),
        quantise=variant.quantise,
        tflm=variant.golden_name,
        reference=variant.reference_name,
        reference_accuracy=variant.reference_accuracy,
    )
