"""Boards × variants × sessions to a run folder; ``measure`` is the same for one cell."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from hilbench.bench.energy import EnergyRequest
from hilbench.bench.prepare import PreparedVariant, prepare_variant
from hilbench.bench.progress import Progress
from hilbench.bench.resume import (
    Before,
    before,
    check_resumable,
    check_same,
    clear_unacknowledged,
    run_inputs,
)
from hilbench.bench.runner import Runner, variant_record
from hilbench.board.signals import uninterrupted
from hilbench.config import load_boards
from hilbench.config.defaults import default_boards_path
from hilbench.errors import (
    EXIT_COULD_NOT_MEASURE,
    EXIT_INTERRUPTED,
    EXIT_PASS,
    EXIT_REGRESSION,
    EXIT_USAGE,
    HilbenchError,
    StoreError,
    UsageError,
)
from hilbench.models.vectors import RawVectors, load_vectors
from hilbench.records import BoardConfig, SuiteConfig, VariantConfig, VectorsConfig
from hilbench.runs import Journal, load, read_run, seal
from hilbench.runs.journal import JournalContents
from hilbench.runs.provenance import provenance, resumed
from hilbench.runs.rows import run_state
from hilbench.runs.schema import State

if TYPE_CHECKING:
    import pandas as pd


MOST_INFERENCES = 2**32 - 1  # of one RUN message


@dataclass(frozen=True)
class Outcome:
    """A finished run."""

    folder: Path
    errors: tuple[HilbenchError, ...]
    interrupted: bool = False
    earlier: frozenset[int] = frozenset()  # exit codes of errors before the run was resumed

    @property
    def exit_code(self) -> int:
        """Wrong outputs first (a fact about the firmware), then what could not be measured."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        codes = {e.exit_code for e in self.errors} | self.earlier
        for code in (EXIT_REGRESSION, EXIT_COULD_NOT_MEASURE, EXIT_USAGE):
            if code in codes:
                return code
        return EXIT_PASS


def run_suite(
    suite: SuiteConfig,
    boards: Sequence[BoardConfig],
    *,
    results: Path,
    limit: int | None = None,
    progress: Progress | None = None,
    files: Sequence[Path] = (),
    energy: EnergyRequest | None = None,
    abba: tuple[str, str] | None = None,
    resume: Path | None = None,
) -> Outcome:
    """Measure every variant of a suite on every board.

    Args:
        suite: what to measure and how often.
        boards: where; each gets a thread.
        results: the run folder is made in here.
        limit: use only the first so many vectors; None for all.
        progress: told what each board does.
        files: configuration files whose hashes go into the provenance.
        energy: how boards with a power meter measure; None: as EnergyRequest() says.
        abba: two variants whose sessions take turns, A B B A, so that a drift hits both alike.
        resume: folder of an interrupted run to go on with: only missing sessions are measured. A
            cell or board that failed stays failed.

    Raises:
        HilbenchError: nothing at all could be measured because of one common fault.
        UsageError: the run to resume is complete, or was started with something else.

    Ctrl-C ends the run early: boards are off, the run folder is readable, ``interrupted`` is set.
    """
    if not boards:
        raise UsageError("no board to measure on; name one with --board")
    check_repetition(suite)
    check_abba(suite, abba)
    prepared, failed = _prepare(suite, limit)
    if not prepared and len(suite.variants) == 1:
        raise failed[suite.variants[0].name]
    for name in abba or ():
        if name in failed:  # a comparison with half of it missing is none
            raise failed[name]
    energy = energy or EnergyRequest()
    inputs = run_inputs(suite, boards, prepared, limit=limit, energy=energy, abba=abba)
    done = Before()
    if resume is not None:
        contents = read_run(resume)
        check_resumable(contents, inputs)
        done = before(contents)
        if run_state(contents) == "complete":  # killed while it was sealed
            clear_unacknowledged(contents, done)
            seal(resume)
            return Outcome(resume, (), earlier=done.exit_codes)
        journal = _resume(contents, done, prepared)
    else:
        journal = Journal.create(
            results,
            provenance(
                suite.name,
                cells=tuple((b.id, v.name) for b in boards for v in suite.variants),
                sessions=suite.sessions,
                warm_up=suite.warm_up,
                iterations=suite.iterations,
                files=files,
                inputs=inputs,
            ),
        )
    runner = Runner(
        variants=prepared,
        failed_variants=failed,
        boards=boards,
        sessions=suite.sessions,
        warm_up=suite.warm_up,
        iterations=suite.iterations,
        journal=journal,
        progress=progress or Progress(),
        energy=energy,
        abba=abba,
        before=done,
    )
    state: State = "failed"
    try:
        runner.run()
        lost = any(isinstance(error, StoreError) for error in runner.errors)
        state = "failed" if lost else "complete"
    except KeyboardInterrupt:
        state = "interrupted"
    finally:
        with uninterrupted():  # a second Ctrl-C may not tear what is being sealed
            try:
                journal.end(state)
                seal(journal.folder)
            except StoreError as error:
                runner.errors.append(error)
    return Outcome(
        journal.folder,
        tuple(runner.errors),
        interrupted=state == "interrupted",
        earlier=done.exit_codes,
    )


def _resume(
    contents: JournalContents, done: Before, prepared: Sequence[PreparedVariant]
) -> Journal:
    """Check everything before the first byte of the run is changed."""
    by_name = {v.config.name: v for v in prepared}
    for (board, name), record in done.variants.items():
        if name in by_name:
            ready = by_name[name]
            if board in done.boards:  # not yet, where the plan is in the image
                known = done.boards[board]
                ready = ready.for_board(known.runtime, known.kernels)
            check_same(record, variant_record(board, ready), f"variant {name}")
    journal = Journal.resume(contents, resumed())
    clear_unacknowledged(contents, done)
    return journal


def _prepare(
    suite: SuiteConfig, limit: int | None
) -> tuple[list[PreparedVariant], dict[str, HilbenchError]]:
    """Everything the host can refuse is refused here, before any board is touched."""
    tables = {table.name: table for table in suite.vectors}
    raw: dict[str, RawVectors] = {}
    prepared: list[PreparedVariant] = []
    failed: dict[str, HilbenchError] = {}
    for variant in suite.variants:
        table = tables[variant.vectors]
        try:
            if table.name not in raw:
                raw[table.name] = load_vectors(table)
            prepared.append(prepare_variant(variant, raw[table.name], table, limit))
        except HilbenchError as error:
            failed[variant.name] = error
    return prepared, failed


def check_repetition(suite: SuiteConfig) -> None:
    """Refuse counts that measure nothing or do not fit the wire.

    Raises:
        UsageError: names the count, its value and the limits.
    """
    for name, least in (("sessions", 1), ("warm_up", 0), ("iterations", 1)):
        value = getattr(suite, name)
        if not least <= value <= MOST_INFERENCES:
            option = name.replace("_", "-")
            raise UsageError(f"{option} is {value}, must be {least} to {MOST_INFERENCES}")


def check_abba(suite: SuiteConfig, abba: tuple[str, str] | None) -> None:
    """Refuse a pair that is none.

    Raises:
        UsageError: a variant that the suite does not have, or twice the same.
    """
    known = [variant.name for variant in suite.variants]
    for name in abba or ():
        if name not in known:
            raise UsageError(f"abba: no variant {name!r} in the suite; it has: {', '.join(known)}")
    if abba is not None and abba[0] == abba[1]:
        raise UsageError(f"abba: {abba[0]!r} cannot take turns with itself; name two variants")


def single_model_suite(
    model: Path, vectors: VectorsConfig, *, sessions: int, warm_up: int, iterations: int
) -> SuiteConfig:
    """Return the suite of one model that nobody wrote a suite.toml for."""
    return SuiteConfig(
        name=model.stem,
        variants=(VariantConfig(name=model.stem, model=model, vectors=vectors.name),),
        vectors=(vectors,),
        sessions=sessions,
        warm_up=warm_up,
        iterations=iterations,
        source=str(model),
    )


def measure(
    model: str | Path,
    board: str | BoardConfig,
    vectors: str | Path | tuple[ArrayLike, ArrayLike | None],
    *,
    metric: Literal["top1", "auc", "mse", "none"] = "top1",
    sessions: int = 3,
    warm_up: int = 1,
    iterations: int = 10,
    results: str | Path | None = None,
    energy: EnergyRequest | None = None,
) -> pd.Series:
    """Measure one model on one board: the objective of a search loop.

    Args:
        model: a .tflite file.
        board: an id in the boards file, or a board.
        vectors: a vector file, or arrays ``(x [n, *input shape], y [n])``, or a DataFrame with a
            row a vector and a Series; y may be None with metric "none".
        metric: how outputs and labels become an accuracy.
        sessions: reset to reset; the unit of replication.
        warm_up: untimed inferences before the timed ones.
        iterations: timed inferences per session.
        results: keep the run folder in here; None keeps nothing.
        energy: how a board with a power meter measures; None: as EnergyRequest() says.

    Returns:
        One row of :func:`hilbench.load`; docs/frame.md explains the columns.

    Raises:
        HilbenchError: the first thing that went wrong; no row is made up for a failed cell.
    """
    with tempfile.TemporaryDirectory(prefix="hilbench-") as scratch:
        if isinstance(vectors, tuple):
            file = Path(scratch) / "vectors.npz"
            labels = {} if vectors[1] is None else {"y": np.asarray(vectors[1])}
            np.savez(file, x=np.asarray(vectors[0]), **labels)
        else:
            file = Path(vectors)
        suite = single_model_suite(
            Path(model),
            VectorsConfig(name=file.stem, file=file, metric=metric),
            sessions=sessions,
            warm_up=warm_up,
            iterations=iterations,
        )
        outcome = run_suite(
            suite,
            [board if isinstance(board, BoardConfig) else find_board(board)],
            results=Path(scratch) if results is None else Path(results),
            energy=energy,
        )
        if outcome.interrupted:
            raise KeyboardInterrupt
        if outcome.errors:
            raise outcome.errors[0]
        return load(outcome.folder).iloc[0]


def find_board(board_id: str) -> BoardConfig:
    """Return a board of the default boards file.

    Raises:
        UsageError: no such board.
    """
    known = load_boards(default_boards_path())
    if board_id not in known:
        raise UsageError(
            f"no board {board_id!r} in {default_boards_path()}; it has: {', '.join(known)}"
        )
    return known[board_id]
