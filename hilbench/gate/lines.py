"""Where in a baseline file a number stands, for annotations beside it."""

from __future__ import annotations

import json

from hilbench.gate.snapshot import CYCLES, EXACT


def line_of(text: str, board: str, variant: str, metric: str) -> int | None:
    """Return the line of an accepted number, counted from 1; None where the file has no such line.

    Args:
        text: of the file, as ``hilbench baseline accept`` writes it.
        board: id.
        variant: name.
        metric: name in metrics.METRICS.
    """
    table, key = _place(metric)
    names = ".".join(json.dumps(name, ensure_ascii=False) for name in (board, variant))
    lines = text.split("\n")
    try:
        heading = lines.index(f"[cell.{names}.{table}]")
    except ValueError:
        return None
    for number, line in enumerate(lines[heading + 1 :], start=heading + 2):
        if line.startswith("["):
            return None
        if line.startswith(f"{key} = "):
            return number
    return None


def _place(metric: str) -> tuple[str, str]:
    """Return table and key of a metric."""
    if metric in EXACT:
        return "exact", metric
    if metric in CYCLES:
        return "cycles", metric
    return ("accuracy", "value") if metric == "accuracy" else ("energy", "uj")
