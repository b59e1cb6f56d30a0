"""Journals of older schemas. Every run ever sealed stays readable: an entry here is never removed.

Schema 1: until 0.1.0 was half done. Fields that came later have defaults that mean "unknown".
Schema 2: the provenance has ``inputs``, without which a run cannot be resumed; record ``resumed``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Line = Mapping[str, Any]


def _to_2(line: Line) -> Line:
    return {**line, "schema": 2, "inputs": {}} if line.get("kind") == "provenance" else line


UPGRADES: dict[int, Callable[[Line], Line]] = {1: _to_2}
"""From a schema to the next, line by line."""


def upgrade(lines: Sequence[Line]) -> Sequence[Line]:
    """Return a journal's lines as today's schema has them; an unknown schema is left as it is."""
    while lines and isinstance(schema := lines[0].get("schema"), int) and schema in UPGRADES:
        lines = [UPGRADES[schema](line) for line in lines]
    return lines
