"""A TOML table against a declaration of its keys; the one place that words the errors."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hilbench import plugins
from hilbench.errors import ConfigError

KeyType = Literal["string", "integer", "number", "list of strings", "table", "table of strings"]
_ARTICLE = {"integer": "an integer"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Key:
    """What a key may hold."""

    type: KeyType
    required: bool = False
    allowed: tuple[str, ...] = ()
    plugin: str = ""  # the value names a driver of this kind
    at_least: float | None = None
    above: float | None = None
    example: str = ""  # what a sentence about its absence tells to add


Keys = Mapping[str, Key]


def read(path: Path, schema: int, keys: Keys) -> dict[str, Any]:
    """Read a TOML file whose top level has ``schema`` and ``keys``.

    Raises:
        ConfigError: absent, not TOML, another schema, or a top-level key is wrong.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); `hilbench init` writes a commented one"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    check(document, {"schema": Key("integer", required=True), **keys}, f"{path}:")
    if document["schema"] != schema:
        raise ConfigError(
            f"{path}: schema is {document['schema']}, this hilbench reads schema {schema}"
        )
    return document


def check(table: Mapping[str, Any], keys: Keys, where: str) -> None:
    """Compare a table with the declaration of its keys.

    Args:
        table: decoded TOML.
        keys: the legal keys.
        where: file and table, e.g. ``boards.toml: [board.m4]``; starts every sentence.

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
        elif key.required:
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
    if not _is(value, key.type):
        kind = _ARTICLE.get(key.type, f"a {key.type}")
        raise ConfigError(f"{where} must be {kind}, is {_describe(value)}")
    allowed = plugins.names(key.plugin) if key.plugin else key.allowed
    if allowed and value not in allowed:
        choice = ", ".join(repr(a) for a in allowed)
        raise ConfigError(
            f"{where} is {value!r}, must be one of {choice}{did_you_mean(value, allowed)}"
        )
    if key.at_least is not None and value < key.at_least:
        raise ConfigError(f"{where} is {value}, must be at least {key.at_least:g}")
    if key.above is not None and value <= key.above:
        raise ConfigError(f"{where} is {value}, must be above {key.above:g}")


def _is(value: Any, kind: KeyType) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return type(value) is int  # bool is an int to Python, not to TOML
        case "number":
            return type(value) in {int, float} and math.isfinite(value)
        case "list of strings":
            return isinstance(value, list) and all(isinstance(v, str) for v in value)
        case "table":
            return isinstance(value, dict)
        case "table of strings":
            return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())


def _describe(value: Any) -> str:
    if isinstance(value, str):
        return f"the string {value!r}"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, dict):
        return "a table"
    return repr(value)


_EXAMPLE = {"string": '"…"', "integer": "1", "number": "1.0", "list of strings": '["…"]'}


def _example(name: str, key: Key) -> str:
    return key.example or f"{name} = {_EXAMPLE[key.type]}"
