"""Going on with an interrupted run: what it must have again, and what it has already."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hilbench.bench.energy import EnergyRequest
from hilbench.bench.prepare import PreparedVariant
from hilbench.board.images import find_image
from hilbench.errors import HilbenchError, StoreError, UsageError
from hilbench.records import BoardConfig, SuiteConfig
from hilbench.runs.journal import SUMS, JournalContents
from hilbench.runs.rows import run_state
from hilbench.runs.schema import BoardRecord, ErrorRecord, SessionRecord, VariantRecord
from hilbench.runs.store import TABLES

_ENDINGS = ("", "-operators", "-refused")  # of a session's files


@dataclass(frozen=True)
class Before:
    """What a run has already; of a new run nothing."""

    sessions: Mapping[tuple[str, str], frozenset[int]] = field(default_factory=dict)
    boards: Mapping[str, BoardRecord] = field(default_factory=dict)
    variants: Mapping[tuple[str, str], VariantRecord] = field(default_factory=dict)
    failed: frozenset[tuple[str, str | None]] = frozenset()  # None: the whole board
    exit_codes: frozenset[int] = frozenset()  # of the errors so far

    def missing(self, board: str, variant: str, sessions: int) -> tuple[int, ...]:
        """Return the sessions to measure. What failed stays failed: nothing is tried twice."""
        if {(board, None), (board, variant)} & self.failed:
            return ()
        done = self.sessions.get((board, variant), frozenset())
        return tuple(n for n in range(1, sessions + 1) if n not in done)


def before(contents: JournalContents) -> Before:
    """Return what a journal holds."""
    sessions: dict[tuple[str, str], set[int]] = {}
    for record in contents.records:
        if isinstance(record, SessionRecord):
            sessions.setdefault((record.board, record.variant), set()).add(record.session)
    errors = [r for r in contents.records if isinstance(r, ErrorRecord)]
    failed = {
        (e.board, e.variant)
        for e in errors
        # Wrong outputs are an error of a session that was measured.
        if e.variant is None or e.session not in sessions.get((e.board, e.variant), ())
    }
    return Before(
        sessions={key: frozenset(numbers) for key, numbers in sessions.items()},
        boards={r.board: r for r in contents.records if isinstance(r, BoardRecord)},
        variants={
            (r.board, r.variant): r for r in contents.records if isinstance(r, VariantRecord)
        },
        failed=frozenset(failed),
        exit_codes=frozenset(e.exit_code for e in errors),
    )


def run_inputs(
    suite: SuiteConfig,
    boards: Sequence[BoardConfig],
    prepared: Sequence[PreparedVariant],
    *,
    limit: int | None,
    energy: EnergyRequest,
    abba: tuple[str, str] | None,
) -> dict[str, str]:
    """Return everything that a resumed run must have again: name to value or SHA-256.

    Where files lie is none of it, what is in them is.
    """
    inputs = {
        "suite": suite.name,
        "variants": ", ".join(v.name for v in suite.variants),
        "boards": ", ".join(b.id for b in boards),
        "sessions": str(suite.sessions),
        "warm-up": str(suite.warm_up),
        "iterations": str(suite.iterations),
        "limit": "all" if limit is None else str(limit),
        "energy request": ", ".join(f"{k} {v}" for k, v in dataclasses.asdict(energy).items()),
        "abba": "none" if abba is None else " ".join(abba),
    }
    for board in boards:
        told = replace(board, source="", notes="", tags=(), quarantine=None)
        inputs[f"table of board {board.id}"] = _sha256(repr(told).encode())
        try:
            inputs[f"image of board {board.id}"] = find_image(board.firmware).sha256
        except HilbenchError:  # its thread says so
            inputs[f"image of board {board.id}"] = "none"
    tables = {table.name: table for table in suite.vectors}
    for variant in suite.variants:
        table = replace(tables[variant.vectors], file=Path(), labels=None, golden=None)
        told_variant = replace(variant, model=Path())
        inputs[f"table of variant {variant.name}"] = _sha256(repr((told_variant, table)).encode())
    for ready in prepared:
        x, y = b"".join(x.tobytes() for x in ready.vectors.inputs), ready.vectors.y
        labels = b"" if y is None else y.tobytes()
        inputs[f"model of variant {ready.config.name}"] = ready.model.sha256
        inputs[f"plan of variant {ready.config.name}"] = ready.plan.sha256
        inputs[f"vectors of variant {ready.config.name}"] = _sha256(x + labels)
    return inputs


def check_resumable(contents: JournalContents, inputs: Mapping[str, str]) -> None:
    """Refuse a run that is complete and sealed, or that would go on as another one.

    Raises:
        UsageError: names what differs.
    """
    run_id, then = contents.provenance.run_id, contents.provenance.inputs
    if run_state(contents) == "complete":
        if (contents.folder / SUMS).exists():
            raise UsageError(f"run {run_id}: is complete; start a new one with: hilbench run")
        return
    if not then:
        raise UsageError(
            f"run {run_id}: its journal does not say what it was started with (an older hilbench "
            f"wrote it), so it cannot be resumed; start a new one"
        )
    if then.get("abba") != "none":
        raise UsageError(
            f"run {run_id}: sessions of {then.get('abba')} took turns against drift, which an "
            f"interruption undoes; start a new one"
        )
    for name in dict.fromkeys([*then, *inputs]):
        if then.get(name) != inputs.get(name):
            raise UsageError(
                f"run {run_id}: {name} was {_short(then.get(name))}, is now "
                f"{_short(inputs.get(name))}; restore it, or start a new run"
            )


def check_same(before: object, now: object, what: str) -> None:
    """Refuse to go on with another board, or with a host that says other things of a variant.

    Raises:
        StoreError: names the first field that differs.
    """
    assert dataclasses.is_dataclass(now)
    for name in (f.name for f in dataclasses.fields(now)):
        if name not in {"tags", "notes"} and getattr(before, name) != getattr(now, name):
            raise StoreError(
                f"{what}: {name} was {getattr(before, name)!r}, is now {getattr(now, name)!r}; "
                f"resume with what the run was started with, or start a new run"
            )


def clear_unacknowledged(contents: JournalContents, done: Before) -> None:
    """Remove what the interruption left half done, and what was sealed of the half-done run.

    Files of a session whose record was never written belong to no session.

    Raises:
        StoreError: not removed.
    """
    folder, provenance = contents.folder, contents.provenance
    doomed = [folder / f"{name}.{kind}" for name in TABLES for kind in ("csv", "parquet")]
    doomed += [p for p in folder.rglob(".*.tmp") if p.is_file()]
    for board, variant in provenance.cells:
        for number in done.missing(board, variant, provenance.sessions):
            doomed.append(folder / f"outputs/{board}/{variant}-{number}.npz")
            doomed += [
                folder / f"energy/{board}/{variant}-{number}{ending}.npz" for ending in _ENDINGS
            ]
    try:
        for path in doomed:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be removed ({error.strerror})") from error


def _short(value: str | None) -> str:
    if value is None:
        return "unknown"
    return f"{value[:12]}…" if len(value) == 64 else value  # noqa: PLR2004 - a SHA-256


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
