"""Annotations: what did not pass, as GitHub's workflow commands, beside the accepted number."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from hilbench.gate.lines import line_of
from hilbench.gate.verdicts import CellVerdict, GateResult
from hilbench.report._words import sorted_cells
from hilbench.report.junit import verdict_line

LIMIT = 9
"""Of each level. GitHub shows 10 a step, and a step that fails may add one of its own."""
_LEVELS = {
    "FAIL": "error", "INVALID": "warning", "MISSING": "warning", "INCONCLUSIVE": "warning",
}  # fmt: skip
_ALIKE = frozenset({"INVALID", "MISSING"})  # one for all metrics of a variant, if for one reason


def github_annotations(
    result: GateResult, baseline: Path, text: str, environ: Mapping[str, str] = os.environ
) -> list[str]:
    """Return a line per annotation, worst first: FAIL is an error, what is undecided a warning.

    Of more than ``LIMIT`` of a level the last one says how many are not shown. What the baseline
    has no line for (a budget of a new cell, a gate that is stale) stands beside no file.

    Args:
        result: verdicts.
        baseline: its file.
        text: what is in it.
        environ: ``GITHUB_WORKSPACE`` is the checkout; paths are relative to it.
    """
    path = _in_checkout(baseline, environ)
    levels: dict[str, list[str]] = {"error": [], "warning": []}
    for cells in _grouped(result):
        first, level = cells[0], _LEVELS[cells[0].verdict]
        line = line_of(text, first.board, first.variant, first.metric)
        title = f"{first.verdict} {first.cell}"
        message = verdict_line(first)
        if len(cells) > 1:
            title = f"{first.verdict} {first.board}[{first.variant}], {len(cells)} metrics"
            message = f"{first.verdict}: {first.reason}"
        levels[level].append(_command(level, title, message, path, line))
    levels["warning"] += [
        _command("warning", "stale gate", sentence, path, None) for sentence in result.stale
    ]
    if result.compared == 0:
        levels["error"].append(_command("error", "nothing compared", result.headline(), path, None))
    return [line for level, lines in levels.items() for line in _cut(level, lines)]


def _grouped(result: GateResult) -> list[list[CellVerdict]]:
    groups: dict[tuple[str, ...], list[CellVerdict]] = {}
    for cell in sorted_cells(result):
        if cell.verdict in _LEVELS:
            own = "" if cell.verdict in _ALIKE else cell.metric
            key = (cell.verdict, cell.board, cell.variant, cell.reason, own)
            groups.setdefault(key, []).append(cell)
    return list(groups.values())


def _cut(level: str, lines: list[str]) -> list[str]:
    if len(lines) <= LIMIT:
        return lines
    more = len(lines) - LIMIT + 1
    words = f"{more} more are not shown here; the step summary and the log have them all"
    return [*lines[: LIMIT - 1], f"::{level} title={more} more::{words}"]


def _in_checkout(path: Path, environ: Mapping[str, str]) -> str:
    root = Path(environ.get("GITHUB_WORKSPACE") or ".").resolve()
    whole = path.resolve()
    return str(PurePosixPath(whole.relative_to(root) if whole.is_relative_to(root) else path))


def _command(level: str, title: str, message: str, path: str, line: int | None) -> str:
    """Return ``::level file=…,line=…,title=…::message``, escaped as actions/toolkit does."""
    where = "" if line is None else f"file={_property(path)},line={line},"
    return f"::{level} {where}title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
