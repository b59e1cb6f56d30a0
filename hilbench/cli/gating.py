"""A gate on the terminal: worst first, and last the headline."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from hilbench.gate.verdicts import GOOD, CellVerdict, GateResult
from hilbench.metrics import show
from hilbench.report.tables import TextColumn, print_table

WIDE = 160  # of a file or a pipe


def print_gate(result: GateResult, console: Console, *, everything: bool) -> None:
    """Print waivers, the table worst first, why, warnings, and last the headline."""
    if not console.is_terminal:
        console.width = WIDE
    shown = [c for c in result.cells if everything or c.verdict not in {"PASS", "NEW"}]
    if shown:
        print_table(console, "gate", *_columns(_rows(shown)))
    hidden = len(result.cells) - len(shown)
    if hidden:
        _line(console, f"{hidden} more cells are PASS or NEW; --all shows them")
    for line in reasons(shown):
        _line(console, line)
    for title, texts in (
        ("waiver", result.waivers), ("stale", result.stale), ("warning", result.warnings),
    ):  # fmt: skip
        for text in texts:
            _line(console, f"{title}: {text}")
    _line(console, result.headline())


Row = tuple[str, CellVerdict]  # what stands in the column metric


def _rows(cells: Sequence[CellVerdict]) -> list[Row]:
    """One row a metric; one for all of a variant where they are MISSING or INVALID alike."""
    groups: dict[tuple[str, ...], list[CellVerdict]] = {}
    for cell in cells:
        alike = cell.verdict in {"MISSING", "INVALID"}
        own = "" if alike else cell.metric
        groups.setdefault((cell.verdict, cell.board, cell.variant, cell.reason, own), []).append(
            cell
        )
    return [
        (found[0].metric, found[0])
        if len(found) == 1
        else (
            f"{len(found)} metrics",
            _without_numbers(found[0]),
        )
        for found in groups.values()
    ]


def _without_numbers(cell: CellVerdict) -> CellVerdict:
    return CellVerdict(cell.board, cell.variant, cell.metric, cell.verdict, cell.kind)


def reasons(cells: Sequence[CellVerdict]) -> list[str]:
    """Return why cells are not good; what a board's cells have in common is said once."""
    groups: dict[tuple[str, str, str], list[CellVerdict]] = {}
    for cell in cells:
        if cell.verdict not in GOOD:
            groups.setdefault((cell.verdict, cell.board, cell.reason), []).append(cell)
    return [
        f"{verdict} {found[0].cell}: {reason}"
        if len(found) == 1
        else f"{verdict} {board}, {len(found)} cells: {reason}"
        for (verdict, board, reason), found in groups.items()
    ]


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _columns(rows: Sequence[Row]) -> tuple[list[TextColumn], list[TextColumn]]:
    cells = [cell for _, cell in rows]
    keys = [
        TextColumn("verdict", [c.verdict for c in cells]),
        TextColumn("board", [c.board for c in cells]),
        TextColumn("variant", [c.variant for c in cells]),
        TextColumn("metric", [metric for metric, _ in rows]),
    ]
    return keys, [
        TextColumn("baseline", [show(c.metric, c.baseline) for c in cells], right=True),
        TextColumn("now", [show(c.metric, c.now) for c in cells], right=True),
        TextColumn("change", [_percent(c, c.change) for c in cells], right=True),
        TextColumn("bounds", [_bounds(c) for c in cells], right=True),
        TextColumn("margin", [_margin(c) for c in cells], right=True),
        TextColumn("seen from", [_percent(c, c.mde) for c in cells], right=True),
        TextColumn("p adj", [_p(c.p_adjusted) for c in cells], right=True),
        TextColumn("n", [_n(c) for c in cells], right=True),
    ]


def _percent(cell: CellVerdict, value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.2f} {_unit(cell)}"


def _unit(cell: CellVerdict) -> str:
    return "pt" if cell.unit == "points" else cell.unit


def _bounds(cell: CellVerdict) -> str:
    if cell.low is None or cell.high is None:
        return "-"
    return f"{100 * cell.low:+.2f} {100 * cell.high:+.2f}"


def _margin(cell: CellVerdict) -> str:
    if cell.margin is None:
        return "-"
    return f"{cell.margin:g}" if cell.kind == "exact" else f"{100 * cell.margin:g} {_unit(cell)}"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"


def _n(cell: CellVerdict) -> str:
    known = [str(n) for n in (cell.n_baseline, cell.n_now) if n is not None]
    return "+".join(known) or "-"
