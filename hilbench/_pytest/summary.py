"""The table at the end, from what reports carry: the same with and without xdist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest

from hilbench.gate.verdicts import WORST_FIRST
from hilbench.metrics import BY_NAME, show

COLUMNS = ("latency_median", "energy_uj", "accuracy", "agreement_tflm", "plan_bytes", "arena_bytes")
Group = dict[str, object]


def groups(properties: Iterable[Sequence[object]]) -> list[Group]:
    """Return a test's properties in groups, each begun by hil_board; others are left out."""
    found: list[Group] = []
    for name, value in properties:
        if not str(name).startswith("hil_"):
            continue
        if name == "hil_board":
            found.append({})
        if found:
            found[-1][str(name).removeprefix("hil_")] = value
    return found


def lines(reports: Sequence[pytest.TestReport], baseline: str | None = None) -> list[str]:
    """Return the section's lines; none when no test measured anything.

    Args:
        reports: those with properties of hilbench.
        baseline: the file of --hil-baseline.
    """
    cells: dict[tuple[object, ...], Group] = {}
    verdicts: dict[tuple[object, ...], Group] = {}
    notes: dict[str, None] = {}
    headline = False
    for report in reports:
        for group in groups(report.user_properties):
            key = (group["run"], group["board"], group["variant"])
            if "verdict" in group:
                verdicts[*key, group["metric"]] = group
            else:
                cells[key] = group
        for name, value in report.user_properties:
            headline |= name == "hil_headline"
            if name in {"hil_headline", "hil_note"}:
                notes[str(value)] = None
        if report.skipped and ("hil_outcome", "absent") in map(tuple, report.user_properties):
            notes[f"skipped: {_reason(report)}"] = None
    if boards := [str(c["board"]) for c in cells.values() if c.get("energy_source") == "synthetic"]:
        of = ", ".join(dict.fromkeys(boards))
        notes[f"energy of {of}: SYNTHETIC, nothing was measured on a chip"] = None
    found = [*_rows(list(cells.values())), *_verdicts(list(verdicts.values()), counted=headline)]
    if baseline and cells and not (verdicts or headline or any(r.failed for r in reports)):
        notes[f"no test compared anything with {baseline}: add --hil-suite, or use hil_gate"] = None
    folders = dict.fromkeys(str(key[0]) for key in (*cells, *verdicts))
    return [*found, *notes, *(f"run: {folder}" for folder in folders)]


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped."""
    told = report.longrepr
    return str(told[2] if isinstance(told, tuple) else told).removeprefix("Skipped: ")


def _rows(cells: Sequence[Group]) -> list[str]:
    shown = [c for c in COLUMNS if any(c in cell for cell in cells)]
    if not cells:
        return []
    heads = [f"{BY_NAME[c].label}{'/' if BY_NAME[c].unit else ''}{BY_NAME[c].unit}" for c in shown]
    table = [["board", "variant", *heads]]
    for cell in cells:
        values = [_value(cell, name) for name in shown]
        table.append([str(cell["board"]), str(cell["variant"]), *values])
    return _aligned(table)


def _value(cell: Mapping[str, object], name: str) -> str:
    value = cell.get(name)
    text = show(name, value if isinstance(value, int | float) else None)
    return f"{text} {cell['unit']}" if name == "latency_median" and value is not None else text


def _verdicts(verdicts: Sequence[Group], *, counted: bool) -> list[str]:
    """Return what did not pass, and how many verdicts there are unless the gate's headline tells."""
    if not verdicts:
        return []
    named = [v for v in verdicts if v["verdict"] != "PASS"]
    named.sort(key=lambda v: [str(w) for w in WORST_FIRST].index(str(v["verdict"])))
    table = [
        [str(v["verdict"]), f"{v['board']}[{v['variant']}]::{v['metric']}", str(v["reason"])]
        for v in named
    ]
    counts = {w: sum(v["verdict"] == w for v in verdicts) for w in WORST_FIRST}
    told = ", ".join(f"{n} {w}" for w, n in counts.items() if n)
    return [*_aligned(table), *([] if counted else [f"verdicts of tests: {told}"])]


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    if not table:
        return []
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
