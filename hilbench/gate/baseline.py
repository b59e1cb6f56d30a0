"""baselines/<suite>.toml: accepted numbers, written by a command, read by people in a diff."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from hilbench.config.tables import Key, as_date, check, parse
from hilbench.errors import BaselineError, ConfigError, UsageError
from hilbench.gate.cycles import LEAST_SESSIONS
from hilbench.gate.energy import EnergySide
from hilbench.gate.snapshot import (
    CYCLES,
    EXACT,
    FIELDS,
    PER_VECTOR,
    AccuracySide,
    CellKey,
    CellNumbers,
    Snapshot,
)
from hilbench.runs.journal import write_atomically

SCHEMA = 1
_TOP = {"suite": Key("string", required=True), "cell": Key("table", required=True)}
_CELL = {
    "run": Key("string", required=True),
    "accepted": Key("date", required=True),
    "reason": Key("string", required=True, not_blank=True),
    "sessions": Key("integer", required=True, at_least=1),
    "model_sha256": Key("string", required=True),
    "image_sha256": Key("string", required=True),
    "fingerprint": Key("table of strings", required=True),
    "exact": Key("table", required=True),
    "cycles": Key("table", required=True),
    "accuracy": Key("table"),
    "energy": Key("table"),
}
_ACCURACY = {
    "metric": Key("string", required=True, allowed=tuple(PER_VECTOR)),
    "value": Key("number", required=True),
    "n": Key("integer", required=True, at_least=1),
    "outputs_sha256": Key("string", required=True),
    "correct": Key("string", required=True, pattern="[0-9a-f]*", pattern_says="hex digits"),
    "positive": Key("string", pattern="[0-9a-f]*", pattern_says="hex digits"),
    "scores": Key("string", pattern="[0-9a-f]*", pattern_says="hex digits"),
    "squared_errors": Key("string", pattern="[0-9a-f]*", pattern_says="hex digits"),
}
_ALWAYS = tuple(name for name, key in _ACCURACY.items() if key.required)
_ENERGY = {
    "uj": Key("list of numbers", required=True),
    "comparative_u": Key("number"),
    "absolute_u": Key("number"),
    "range_shares": Key("list of numbers", required=True),
}
_FINGERPRINT = {n: Key("string") for n in dict.fromkeys(f for fs in FIELDS.values() for f in fs)}
_HEADER = """\
# Accepted numbers that `hilbench gate` compares with. Written by `hilbench baseline accept`; review
# it as a diff, do not edit it by hand. docs/gate.md says what is what.
"""


@dataclass(frozen=True)
class Accepted:
    """One cell of a baseline."""

    numbers: CellNumbers
    run: str
    accepted: date
    reason: str


@dataclass(frozen=True)
class Baseline:
    """A baseline file."""

    suite: str
    cells: Mapping[CellKey, Accepted]
    id: str  # name and the beginning of the file's hash


def load_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        BaselineError: absent.
        ConfigError: not TOML, or anything in it unknown, missing or of a wrong type.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BaselineError(
            f"{path}: no baseline there ({error.strerror}); make one with: hilbench baseline accept "
            f"--run RUN --baseline {path} --reason TEXT"
        ) from error
    document = parse(data, path, SCHEMA, _TOP)
    boards = document["cell"]
    check(boards, {board: Key("table") for board in boards}, f"{path}: [cell]")
    cells = {}
    for board, variants in boards.items():
        where = f'{path}: [cell."{board}"]'
        check(variants, {variant: Key("table") for variant in variants}, where)
        for variant, table in variants.items():
            cells[board, variant] = _read_cell(table, f'{path}: [cell."{board}"."{variant}"]')
    digest = hashlib.sha256(data).hexdigest()[:12]
    return Baseline(document["suite"], cells, f"{path.name}@{digest}")


def _read_cell(table: Mapping[str, Any], where: str) -> Accepted:
    check(table, _CELL, where)
    check(table["fingerprint"], _FINGERPRINT, f"{where} fingerprint:")
    check(table["exact"], {n: Key("number") for n in EXACT}, f"{where} exact:")
    cycles = {**{n: Key("list of numbers") for n in CYCLES}, "resolution": Key("number", above=0)}
    check(table["cycles"], cycles, f"{where} cycles:")
    accuracy, energy = table.get("accuracy"), table.get("energy")
    if accuracy is not None:
        check(accuracy, _ACCURACY, f"{where} accuracy:")
    if energy is not None:
        check(energy, _ENERGY, f"{where} energy:")
        energy = {k: tuple(v) if isinstance(v, list) else v for k, v in energy.items()}
    _check_numbers(table, cycles, where)
    day = as_date(table["accepted"])
    assert day is not None
    numbers = CellNumbers(
        fingerprint=table["fingerprint"],
        model_sha256=table["model_sha256"],
        image_sha256=table["image_sha256"],
        exact=table["exact"],
        cycles={n: tuple(v) for n, v in table["cycles"].items() if n != "resolution"},
        resolution=float(table["cycles"].get("resolution", 0.0)),
        energy=None
        if energy is None
        else EnergySide(**({"comparative_u": None, "absolute_u": None} | energy)),
        accuracy=None if accuracy is None else AccuracySide(**accuracy),
        sessions=table["sessions"],
    )
    return Accepted(numbers, table["run"], day, table["reason"])


def _check_numbers(table: Mapping[str, Any], cycles: Mapping[str, Key], where: str) -> None:
    """Refuse what only an editor can have made: lists of another length, no logarithm, lost bits."""
    lists = {n: table["cycles"][n] for n in cycles if n != "resolution" and n in table["cycles"]}
    if "energy" in table:
        lists["uj"] = table["energy"]["uj"]
    for name, values in lists.items():
        if len(values) != table["sessions"]:
            raise ConfigError(
                f"{where} {name} has {len(values)} values, sessions is {table['sessions']}; accept "
                f"the run again"
            )
        if min(values) <= 0:
            raise ConfigError(
                f"{where} {name} has the value {min(values):g}, must be above 0; accept the run again"
            )
    if lists and "resolution" not in table["cycles"]:
        raise ConfigError(f"{where} cycles: resolution is missing; accept the run again")
    if "accuracy" in table:
        _check_digits(table["accuracy"], where)


def _check_digits(accuracy: Mapping[str, Any], where: str) -> None:
    """Bits of every vector, or 8 digits each."""
    n = accuracy["n"]
    bits, floats = 2 * -(-n // 8), 8 * n
    needs = {"correct": bits, "positive": bits, "scores": floats, "squared_errors": floats}
    for name, needed in needs.items():
        digits = accuracy.get(name, "")
        if digits and len(digits) != needed:
            raise ConfigError(
                f"{where} accuracy: {name} has {len(digits)} hex digits, {n} vectors need {needed}; "
                f"accept the run again"
            )


def accept(
    before: Baseline | None,
    run: Snapshot,
    *,
    reason: str,
    today: date,
    cells: Sequence[str] = ("*",),
) -> Baseline:
    """Return the baseline with cells of a run in it; others stay as they are.

    Args:
        before: None for a new file.
        run: where the numbers come from.
        reason: why they are right, for the reviewer.
        today: day of acceptance.
        cells: patterns of ``board[variant]``, with ``*`` and ``?``.

    Raises:
        UsageError: no reason, another suite, or a pattern that names no cell.
        BaselineError: a cell that is not a whole measurement.
    """
    if not reason.strip():
        raise UsageError("reason is blank; say why these numbers are right, for who reviews them")
    if before is not None and before.suite != run.suite:
        raise UsageError(
            f"baseline {before.id} is of suite {before.suite!r}, run {run.run_id} of "
            f"{run.suite!r}; name another file with --baseline"
        )
    known = [*run.cells, *run.failed]
    chosen: dict[CellKey, None] = {}
    for pattern in cells:
        found = [key for key in known if _matches(key, pattern)]
        if not found:
            raise UsageError(
                f"--cells {pattern!r} names no cell of run {run.run_id}; it has: "
                f"{', '.join(map(cell_name, known))}"
            )
        chosen |= dict.fromkeys(found)
    for key in chosen:
        _check_whole(key, run)
    new = {key: Accepted(run.cells[key], run.run_id, today, reason) for key in chosen}
    kept = {} if before is None else dict(before.cells)
    return Baseline(run.suite, kept | new, "" if before is None else before.id)


def _check_whole(key: CellKey, run: Snapshot) -> None:
    why = run.failed.get(key) or run.flawed.get(key)
    if not why and run.cells[key].sessions < LEAST_SESSIONS:
        why = f"{run.cells[key].sessions} session has no scatter, limit {LEAST_SESSIONS}"
    if not why and run.cells[key].varies:
        why = f"{', '.join(run.cells[key].varies)} differ between sessions"
    if why:
        raise BaselineError(
            f"{cell_name(key)} of run {run.run_id} cannot be a baseline: {why}; measure it again, or "
            f"leave it out with --cells"
        )


def cell_name(key: CellKey) -> str:
    """``board[variant]``."""
    return f"{key[0]}[{key[1]}]"


def _matches(key: CellKey, pattern: str) -> bool:
    """Brackets are part of the name, not a set of characters."""
    escaped = pattern.replace("[", "\0").replace("]", "\1")
    return fnmatchcase(cell_name(key).replace("[", "\0").replace("]", "\1"), escaped)


def save_baseline(path: Path, baseline: Baseline) -> None:
    """Write it whole or not at all, sorted by board and variant.

    Raises:
        StoreError: not written.
    """
    write_atomically(path, to_toml(baseline).encode())


def to_toml(baseline: Baseline) -> str:
    """Return the file's text; equal baselines give equal bytes."""
    blocks = [_HEADER + f"schema = {SCHEMA}\nsuite = {_toml(baseline.suite)}\n"]
    blocks += [_cell_toml(key, baseline.cells[key]) for key in sorted(baseline.cells)]
    return "\n".join(blocks)


def _cell_toml(key: CellKey, cell: Accepted) -> str:
    name = f"cell.{_toml(key[0])}.{_toml(key[1])}"
    numbers = cell.numbers
    head = {
        "run": cell.run,
        "accepted": cell.accepted,
        "reason": cell.reason,
        "sessions": numbers.sessions,
        "model_sha256": numbers.model_sha256,
        "image_sha256": numbers.image_sha256,
    }
    # What a fingerprint does not know is left out.
    known = {n: numbers.fingerprint[n] for n in _FINGERPRINT if numbers.fingerprint.get(n)}
    tables: dict[str, Mapping[str, Any]] = {
        "": head,
        ".fingerprint": known,
        ".exact": {n: numbers.exact[n] for n in EXACT if n in numbers.exact},
        ".cycles": {
            **{n: numbers.cycles[n] for n in CYCLES if n in numbers.cycles},
            "resolution": numbers.resolution,
        },
    }
    if numbers.accuracy is not None:
        held = asdict(numbers.accuracy)
        tables[".accuracy"] = {k: v for k, v in held.items() if v or k in _ALWAYS}
    if numbers.energy is not None:
        tables[".energy"] = {k: v for k, v in asdict(numbers.energy).items() if v is not None}
    return "\n".join(_table_toml(f"{name}{suffix}", t) for suffix, t in tables.items())


def _table_toml(name: str, values: Mapping[str, Any]) -> str:
    return "".join([f"[{name}]\n", *(f"{k} = {_toml(v)}\n" for k, v in values.items())])


def _toml(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):  # JSON's escapes are TOML's, but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


@dataclass(frozen=True)
class Change:
    """One line of ``hilbench baseline diff``; None is absent on that side."""

    cell: str  # board[variant]
    what: str  # metric, or a name of the fingerprint
    accepted: float | str | None
    now: float | str | None


def changes(baseline: Baseline, run: Snapshot) -> list[Change]:
    """Return what accepting the run would change, in the order of cells and metrics.

    Raises:
        UsageError: they are of two suites.
    """
    if baseline.suite != run.suite:
        raise UsageError(
            f"baseline {baseline.id} is of suite {baseline.suite!r}, run {run.run_id} of "
            f"{run.suite!r}; name another file with --baseline"
        )
    found = []
    for key in sorted({*baseline.cells, *run.cells}):
        old = _figures(baseline.cells[key].numbers) if key in baseline.cells else {}
        new = _figures(run.cells[key]) if key in run.cells else {}
        found += [
            Change(cell_name(key), what, old.get(what), new.get(what))
            for what in dict.fromkeys([*old, *new])
            if old.get(what) != new.get(what)
        ]
    return found


def _figures(numbers: CellNumbers) -> dict[str, float | str]:
    """One figure a metric, then model, image, outputs and fingerprint."""
    figures: dict[str, float | str] = dict(numbers.exact)
    figures |= {n: float(np.median(v)) for n, v in numbers.cycles.items()}
    if numbers.energy is not None:
        figures["energy_uj"] = float(np.median(numbers.energy.uj))
    if numbers.accuracy is not None:
        figures |= {
            "accuracy": numbers.accuracy.value,
            "outputs_sha256": numbers.accuracy.outputs_sha256,
        }
    figures |= {"model_sha256": numbers.model_sha256, "image_sha256": numbers.image_sha256}
    return figures | {n: t for n, t in numbers.fingerprint.items() if t}
