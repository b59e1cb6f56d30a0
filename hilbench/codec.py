"""Frozen dataclasses to JSON-ready dicts and back; the type hints are the schema."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hilbench.errors import StoreError

T = TypeVar("T")

_parts: Callable[[Any], tuple[Any, tuple[Any, ...]]] = cache(
    lambda hint: (get_origin(hint), get_args(hint))
)
_fields: Callable[[Any], dict[str, dataclasses.Field[Any]]] = cache(
    lambda cls: {f.name: f for f in dataclasses.fields(cls)}
)
_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)


def encode(record: Any) -> dict[str, Any]:
    """Return the fields of a frozen dataclass as JSON-ready values; tuples become lists."""
    return {f.name: _plain(getattr(record, f.name)) for f in dataclasses.fields(record)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return encode(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value


def decode(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build a dataclass from what :func:`encode` made; ``where`` starts the error sentence.

    Raises:
        StoreError: a field is missing, unknown, or of another type.
    """
    fields, hints = _fields(cls), _hints(cls)
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise StoreError(f"{where}: unknown field {unknown[0]!r}; written by a newer hilbench?")
    arguments = {}
    for name, field in fields.items():
        if name in values:
            value, hint = values[name], hints[name]
            known = type(value) is hint  # most are; a journal of a large run has millions
            arguments[name] = value if known else _typed(hint, value, f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise StoreError(f"{where}: field {name!r} is missing")
    return cls(**arguments)


def _typed(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = _parts(hint)
    typed = value
    if origin in {Union, types.UnionType}:  # in this schema always "T | None"
        inner = next(a for a in arguments if a is not type(None))
        typed = None if value is None else _typed(inner, value, where)
    elif dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        typed = decode(hint, value, where)  # type: ignore[arg-type]
    elif origin is tuple and isinstance(value, (list, tuple)):
        typed = _typed_tuple(arguments, value, where)
    elif origin is dict and isinstance(value, Mapping):
        of = arguments[1]
        typed = {k: v if type(v) is of else _typed(of, v, where) for k, v in value.items()}
    elif hint is float and type(value) is int:
        typed = float(value)
    elif not (value in arguments if origin is Literal else type(value) is hint):
        raise StoreError(f"{where}: {value!r} is not of type {getattr(hint, '__name__', hint)}")
    return typed


def _typed_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if arguments[-1] is Ellipsis:
        of = arguments[0]
        return tuple(v if type(v) is of else _typed(of, v, where) for v in value)
    if len(arguments) != len(value):
        raise StoreError(f"{where}: {len(value)} values, expected {len(arguments)}")
    return tuple(_typed(a, v, where) for a, v in zip(arguments, value, strict=True))
