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


def lines(reports: Sequence[pytest.TestReport]) -> list[str]:
    """Return the section's lines; none when no test measured anything."""
    cells: dict[tuple[object, ...], Group] = {}
    verdicts: dict[tuple[object, ...], Group] = {}
    notes: dict[str, None] = {}
    for report in reports:
        for group in groups(report.user_properties):
            key = (group["run"], group["board"], group["variant"])
            if "verdict" in group:
                verdicts[*key, group["metric"]] = group
            else:
                cells[key] = group
        for name, value in report.user_properties:
            if name in {"hil_headline", "hil_note"}:
                notes[str(value)] = None
    found = [*_rows(list(cells.values())), *_verdicts(list(verdicts.values())), *notes]
    folders = dict.fromkeys(str(key[0]) for key in (*cells, *verdicts))
    return [*found, *(f"run: {folder}" for folder in folders)]


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
    text = show(name, value if isinstance(value, float) else None)
    return f"{text} {cell['unit']}" if name == "latency_median" and value is not None else text


def _verdicts(verdicts: Sequence[Group]) -> list[str]:
    if not verdicts:
        return []
    named = [v for v in verdicts if v["verdict"] != "PASS"]
    named.sort(key=lambda v: [str(w) for w in WORST_FIRST].index(str(v["verdict"])))
    table = [
        [
            str(v["verdict"]),
            f"{v['board']}[{v['variant']}]::{v['metric']}",
            _change(v),
            str(v["reason"]),
        ]
        for v in named
    ]
    counts = {w: sum(v["verdict"] == w for v in verdicts) for w in WORST_FIRST}
    told = ", ".join(f"{n} {w}" for w, n in counts.items() if n)
    return [*_aligned(table), f"verdicts of tests: {told}"]


def _change(verdict: Mapping[str, object]) -> str:
    change, low, high = (verdict.get(n) for n in ("change", "low", "high"))
    if not isinstance(change, float):
        return "-"
    if isinstance(low, float) and isinstance(high, float):
        return f"{change:+.2%} [{low:+.2%}, {high:+.2%}]"
    return f"{change:+.2%}"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    if not table:
        return []
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
