"""A TOML table against a declaration of its keys; the one place that words the errors."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from hilbench import plugins
from hilbench.errors import ConfigError

KeyType = Literal[
    "string",
    "integer",
    "number",
    "boolean",
    "list of strings",
    "list of numbers",
    "list of tables",
    "table",
    "table of strings",
    "string or table",
    "date",
]
_ARTICLE = {"integer": "an integer"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LEADING_ZERO = re.compile(r"^\s*[\w.-]+\s*=\s*(0[0-9A-Fa-f_]+)\s*(#.*)?$")


@dataclass(frozen=True)
class Key:
    """What a key may hold."""

    type: KeyType
    required: bool = False
    allowed: tuple[str, ...] = ()
    plugin: str = ""  # the value names a driver of this kind
    at_least: float | None = None
    above: float | None = None
    pattern: str = ""  # the whole string matches
    pattern_says: str = ""  # what the pattern means, for people
    not_blank: bool = False
    example: str = ""  # what a sentence about its absence tells to add


Keys = Mapping[str, Key]


def read(path: Path, schema: int, keys: Keys) -> dict[str, Any]:
    """Read a TOML file whose top level has ``schema`` and ``keys``.

    Raises:
        ConfigError: absent, not TOML, another schema, or a top-level key is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); `hilbench init` writes a commented one"
        ) from error
    return parse(data, path, schema, keys)


def parse(data: bytes, path: Path, schema: int, keys: Keys) -> dict[str, Any]:
    """Do what :func:`read` does, with the bytes of a file that need not be written yet.

    Raises:
        ConfigError: not TOML, another schema, or a top-level key is wrong.
    """
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}{_zero_hint(text, error)}") from error
    check(document, {"schema": Key("integer", required=True), **keys}, f"{path}:")
    if document["schema"] != schema:
        raise ConfigError(
            f"{path}: schema is {document['schema']}, this hilbench reads schema {schema}"
        )
    return document


def _zero_hint(text: str, error: tomllib.TOMLDecodeError) -> str:
    """TOML has no numbers with a leading zero, serial numbers and USB ids do."""
    at = re.search(r"at line (\d+)", str(error))
    lines = text.split("\n")
    line = lines[int(at[1]) - 1] if at and int(at[1]) <= len(lines) else ""
    number = _LEADING_ZERO.match(line)
    return f'; if {number[1]} is an id, quote it: "{number[1]}"' if number else ""


def check(table: Mapping[str, Any], keys: Keys, where: str, *, partial: bool = False) -> None:
    """Compare a table with the declaration of its keys.

    Args:
        table: decoded TOML.
        keys: the legal keys.
        where: file and table, e.g. ``boards.toml: [board.m4]``; starts every sentence.
        partial: keys that are required may be in another file.

    Raises:
        ConfigError: an unknown key, a missing key, a wrong type or value.
    """
    for name in table:
        if name not in keys:
            known = f"known: {', '.join(keys)}{did_you_mean(name, keys)}"
            raise ConfigError(f"{where} unknown key {name!r}; {known}")
    for name, key in keys.items():
        if name in table:
            _check_value(table[name], key, f"{where} {name}")
        elif key.required and not partial:
            raise ConfigError(f"{where} {name} is missing; add {_example(name, key)}")


def check_name(name: str, where: str) -> None:
    """Raise ConfigError unless a table's name can be part of a file name."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{where} name {name!r} may hold letters, digits, '_', '-' and '.' only; rename it"
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _check_value(value: Any, key: Key, where: str) -> None:
    if not _IS[key.type](value):
        kind = _ARTICLE.get(key.type, f"a {key.type}")
        raise ConfigError(f"{where} must be {kind}, is {_describe(value)}{_quote_hint(value, key)}")
    allowed = plugins.names(key.plugin) if key.plugin else key.allowed
    if allowed and isinstance(value, str) and value not in allowed:
        choice = ", ".join(repr(a) for a in allowed)
        raise ConfigError(
            f"{where} is {value!r}, must be one of {choice}{did_you_mean(value, allowed)}"
        )
    if key.pattern and isinstance(value, str) and not re.fullmatch(key.pattern, value):
        raise ConfigError(f"{where} is {value!r}, must be {key.pattern_says}")
    if key.not_blank and not value.strip():
        raise ConfigError(f"{where} is blank; say it or remove the key")
    if key.at_least is not None and value < key.at_least:
        raise ConfigError(f"{where} is {value}, must be at least {key.at_least:g}")
    if key.above is not None and value <= key.above:
        raise ConfigError(f"{where} is {value}, must be above {key.above:g}")


def _all_strings(values: Iterable[Any]) -> bool:
    return all(isinstance(v, str) for v in values)


def _is_number(value: Any) -> bool:
    return type(value) in {int, float} and math.isfinite(value)


_IS: Mapping[KeyType, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: type(v) is int,  # bool is an int to Python, not to TOML
    "number": _is_number,
    "boolean": lambda v: isinstance(v, bool),
    "list of strings": lambda v: isinstance(v, list) and _all_strings(v),
    "list of numbers": lambda v: isinstance(v, list) and all(map(_is_number, v)),
    "list of tables": lambda v: isinstance(v, list) and all(isinstance(t, dict) for t in v),
    "table": lambda v: isinstance(v, dict),
    "table of strings": lambda v: isinstance(v, dict) and _all_strings(v.values()),
    "string or table": lambda v: isinstance(v, str | dict),
    "date": lambda v: as_date(v) is not None,
}


def as_date(value: Any) -> date | None:
    """Return a TOML date or an ISO string as a date; None for anything else, a time of day too."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, date) and not isinstance(value, datetime) else None


def _describe(value: Any) -> str:
    if isinstance(value, str):
        return f"the string {value!r}"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, date):  # a datetime too
        return f"the date {value.isoformat()}"
    if isinstance(value, dict):
        return "a table"
    return repr(value)


def _quote_hint(value: Any, key: Key) -> str:
    """Say how to write a string where TOML read something else."""
    if key.type == "date":
        return "; write it as 2026-12-31"
    if key.type == "table of strings" and isinstance(value, dict):
        name, inner = next((n, v) for n, v in value.items() if not isinstance(v, str))
        return f"; {name} is {_describe(inner)}{_quote_hint(inner, Key('string'))}"
    if not key.type.startswith("string") or isinstance(value, (dict, list, str)):
        return ""
    if key.pattern:  # e.g. 0x0483 was read as 1155: the digits are lost, only the form can be told
        return f"; quote it, as {key.pattern_says}"
    text = value.isoformat() if isinstance(value, date) else str(value).lower()
    return f'; quote it: "{text}"'


_EXAMPLE = {
    "string": '"…"',
    "integer": "1",
    "number": "1.0",
    "boolean": "true",
    "list of strings": '["…"]',
    "list of numbers": "[1.0]",
    "string or table": '"…"',
    "date": "2026-12-31",
}


def _example(name: str, key: Key) -> str:
    return key.example or f"{name} = {_EXAMPLE[key.type]}"
