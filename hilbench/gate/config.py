"""gate.toml: what is gated, how much is too much, budgets, waivers. docs/gate.md explains it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hilbench.config.tables import Key, as_date, check, did_you_mean, parse
from hilbench.errors import ConfigError, UsageError
from hilbench.metrics import BY_NAME

SCHEMA = 1
GATED = tuple(n for n in BY_NAME if n not in {"latency_max", "latency_cold", "latency_us"})
"""Default: one latency a cell. The others are maxima, single events, or the same in other units."""

DEFAULT_MARGINS: Mapping[str, float] = {"cycles": 0.005, "energy": 0.02, "accuracy": 0.01}
"""0.5 % of latency, so that 1 % is found; 2 % of energy; one point of a hundred of accuracy; of
exact metrics nothing."""

_WHERE = {"metric": Key("string", required=True), "board": Key("string"), "variant": Key("string")}
_TOP = {
    "gate": Key("table"),
    "confirm": Key("table"),
    "margin": Key("list of tables"),
    "budget": Key("list of tables"),
    "waiver": Key("list of tables"),
    "pair": Key("list of tables"),
    "layout": Key("list of tables"),
}
_GATE = {
    "alpha": Key("number", above=0),
    "metrics": Key("list of strings"),
}
_CONFIRM = {"sessions": Key("integer", at_least=2), "inconclusive": Key("boolean")}
_MARGIN = {
    **_WHERE,
    "percent": Key("number", above=0),
    "points": Key("number", above=0),
    "allowance": Key("number", at_least=0),
}
_BUDGET = {**_WHERE, "maximum": Key("number"), "minimum": Key("number")}
_WAIVER = {
    **_WHERE,
    "maximum": Key("number"),
    "minimum": Key("number"),
    "reason": Key("string", required=True, not_blank=True),
    "expires": Key("date", required=True),
}
_PAIR = {
    "baseline": Key("string", required=True),
    "candidate": Key("string", required=True),
    "board": Key("string"),
}
_LAYOUT = {
    "board": Key("string"),
    "variant": Key("string"),
    "percent": Key("number", required=True, at_least=0),
    "builds": Key("integer", required=True, at_least=2),
}
_MARGIN_KEY = {
    "cycles": "percent",
    "energy": "percent",
    "accuracy": "points",
    "exact": "allowance",
}


@dataclass(frozen=True)
class Where:
    """Cells that an entry speaks of; board and variant may hold ``*`` and ``?``."""

    metric: str
    board: str = "*"
    variant: str = "*"

    def matches(self, board: str, variant: str, metric: str) -> bool:
        """Say whether a cell is meant."""
        return (
            metric == self.metric
            and fnmatchcase(board, self.board)
            and fnmatchcase(variant, self.variant)
        )

    def __str__(self) -> str:
        return f"{self.board}[{self.variant}]::{self.metric}"


@dataclass(frozen=True)
class Margin:
    """A change for the worse that is small enough, as a share; of exact metrics in their unit."""

    where: Where
    value: float


@dataclass(frozen=True)
class Limits:
    """What a value may be at most or at least, in the metric's unit."""

    maximum: float | None
    minimum: float | None

    def broken_by(self, value: float) -> str:
        """Return what it breaks, e.g. ``above 4096``, or nothing."""
        if self.maximum is not None and value > self.maximum:
            return f"above {self.maximum:g}"
        if self.minimum is not None and value < self.minimum:
            return f"below {self.minimum:g}"
        return ""


@dataclass(frozen=True)
class Budget:
    """An absolute limit."""

    where: Where
    limits: Limits


@dataclass(frozen=True)
class Waiver:
    """A regression that somebody accepts up to a value and a day."""

    where: Where
    limits: Limits
    reason: str
    expires: date  # the last day that it holds


@dataclass(frozen=True)
class Pair:
    """Variants whose sessions took turns: the energy of one is the baseline of the other."""

    baseline: str
    candidate: str
    board: str = "*"

    def matches(self, board: str, variant: str) -> bool:
        """Say whether a cell is a candidate of it."""
        return variant == self.candidate and fnmatchcase(board, self.board)


@dataclass(frozen=True)
class Layout:
    """How much latency scatters because code moved: layout.py, ``hilbench aa --layout``."""

    sd: float  # of ln latency over links of the same objects
    builds: int  # from which it was estimated
    board: str = "*"
    variant: str = "*"

    def matches(self, board: str, variant: str) -> bool:
        """Say whether a cell is meant."""
        return fnmatchcase(board, self.board) and fnmatchcase(variant, self.variant)


@dataclass(frozen=True)
class GateConfig:
    """gate.toml; the default is what holds without one."""

    alpha: float = 0.05
    metrics: tuple[str, ...] = GATED
    confirm_sessions: int = 6
    confirm_inconclusive: bool = True
    margins: tuple[Margin, ...] = ()
    budgets: tuple[Budget, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    pairs: tuple[Pair, ...] = ()
    layouts: tuple[Layout, ...] = ()
    source: str = "gate.toml"

    def margin(self, board: str, variant: str, metric: str) -> float:
        """Return the margin of a cell; the last entry that matches counts."""
        found = [m.value for m in self.margins if m.where.matches(board, variant, metric)]
        return found[-1] if found else DEFAULT_MARGINS.get(BY_NAME[metric].kind, 0.0)

    def layout(self, board: str, variant: str) -> Layout | None:
        """Return the layout floor of a cell; the last entry that matches counts."""
        found = [entry for entry in self.layouts if entry.matches(board, variant)]
        return found[-1] if found else None

    def check_orphans(self, cells: Iterable[tuple[str, str]]) -> None:
        """Refuse entries that speak of no cell at all: what they were for goes unguarded.

        Args:
            cells: board and variant of everything in the run or the baseline.

        Raises:
            ConfigError: names the entry and what there is.
        """
        known = list(cells)
        entries = [(k, e.where) for k, es in self._entries().items() for e in es]
        entries += [
            ("pair", Where("energy_uj", p.board, name))
            for p in self.pairs
            for name in (p.baseline, p.candidate)
        ]
        there = ", ".join(f"{b}[{v}]" for b, v in known) or "nothing"
        for entry in self.layouts:
            if not any(entry.matches(*cell) for cell in known):
                raise ConfigError(
                    f"{self.source}: [[layout]] {entry.board}[{entry.variant}] is an orphan: no such "
                    f"cell in the run or the baseline; there is {there}; correct or remove it"
                )
        for kind, where in entries:
            if where.metric not in self.metrics:
                raise ConfigError(
                    f"{self.source}: [[{kind}]] {where} guards nothing: {where.metric} is not in "
                    f"[gate] metrics; add it there, or remove the {kind}"
                )
            if not any(where.matches(b, v, where.metric) for b, v in known):
                raise ConfigError(
                    f"{self.source}: [[{kind}]] {where} is an orphan: no such cell in the run or the "
                    f"baseline; there is {there}; correct or remove it"
                )

    def _entries(self) -> Mapping[str, tuple[Margin | Budget | Waiver, ...]]:
        return {"margin": self.margins, "budget": self.budgets, "waiver": self.waivers}


def load_gate(path: Path) -> GateConfig:
    """Read gate.toml.

    Raises:
        ConfigError: absent, not TOML, or anything in it unknown, missing or of a wrong type.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); docs/gate.md shows one"
        ) from error
    document = parse(data, path, SCHEMA, _TOP)
    gate, confirm = document.get("gate", {}), document.get("confirm", {})
    check(gate, _GATE, f"{path}: [gate]")
    check(confirm, _CONFIRM, f"{path}: [confirm]")
    if gate.get("alpha", 0.05) >= 0.5:  # noqa: PLR2004 - more often wrong than right
        raise ConfigError(f"{path}: [gate] alpha is {gate['alpha']}, must be below 0.5")
    for metric in gate.get("metrics", ()):
        _known_metric(metric, f"{path}: [gate] metrics:")
    return GateConfig(
        alpha=float(gate.get("alpha", 0.05)),
        metrics=tuple(dict.fromkeys(gate.get("metrics", GATED))),
        confirm_sessions=confirm.get("sessions", 6),
        confirm_inconclusive=confirm.get("inconclusive", True),
        margins=tuple(_margin(t, w) for t, w in _each(document, "margin", _MARGIN, path)),
        budgets=tuple(
            Budget(_where(t, w), _limits(t, w)) for t, w in _each(document, "budget", _BUDGET, path)
        ),
        waivers=tuple(
            Waiver(_where(t, w), _waived_up_to(t, w), t["reason"], _day(t["expires"]))
            for t, w in _each(document, "waiver", _WAIVER, path)
        ),
        pairs=tuple(Pair(**t) for t, _ in _each(document, "pair", _PAIR, path)),
        layouts=tuple(
            Layout(t["percent"] / 100, t["builds"], t.get("board", "*"), t.get("variant", "*"))
            for t, _ in _each(document, "layout", _LAYOUT, path)
        ),
        source=str(path),
    )


def _each(
    document: Mapping[str, Any], kind: str, keys: Mapping[str, Key], path: Path
) -> Iterable[tuple[Mapping[str, Any], str]]:
    for number, table in enumerate(document.get(kind, ()), start=1):
        where = f"{path}: [[{kind}]] {number}:"
        check(table, keys, where)
        yield table, where


def _where(table: Mapping[str, Any], where: str) -> Where:
    _known_metric(table["metric"], f"{where} metric")
    return Where(table["metric"], table.get("board", "*"), table.get("variant", "*"))


def _known_metric(metric: str, where: str) -> None:
    if metric not in BY_NAME:
        raise ConfigError(
            f"{where} {metric!r} is no metric; known: {', '.join(BY_NAME)}"
            f"{did_you_mean(metric, BY_NAME)}"
        )


def _margin(table: Mapping[str, Any], where: str) -> Margin:
    place = _where(table, where)
    key = _MARGIN_KEY[BY_NAME[place.metric].kind]
    given = [k for k in ("percent", "points", "allowance") if k in table]
    if given != [key]:
        raise ConfigError(
            f"{where} a margin of {place.metric} is given as {key}, and as nothing else; write "
            f"{key} = 1"
        )
    value = float(table[key])
    return Margin(place, value if key == "allowance" else value / 100)


def _limits(table: Mapping[str, Any], where: str) -> Limits:
    maximum, minimum = table.get("maximum"), table.get("minimum")
    if maximum is None and minimum is None:
        raise ConfigError(f"{where} neither maximum nor minimum; add the one that limits it")
    return Limits(maximum, minimum)


def _waived_up_to(table: Mapping[str, Any], where: str) -> Limits:
    """A waiver has to end where it gets worse, or it would hide any regression."""
    limits, metric = _limits(table, where), table["metric"]
    if BY_NAME[metric].direction == "lower" and limits.maximum is None:
        raise ConfigError(
            f"{where} of {metric} more is worse, and there is no maximum: any regression would be "
            f"waived; add maximum = 1.0"
        )
    return limits


def _day(value: Any) -> date:
    day = as_date(value)
    if day is None:  # the key's type was checked
        raise UsageError(f"{value!r} is no date; write it as 2026-12-31")
    return day
