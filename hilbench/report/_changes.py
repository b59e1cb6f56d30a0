"""What changed against the baseline: board x variant, a map and a column for each metric."""

from __future__ import annotations

from collections.abc import Sequence

from hilbench.metrics import BY_NAME
from hilbench.report._page import Table, figure, folded
from hilbench.report._words import change_words, relative_margin
from hilbench.report.charts import Grid, HeatCell, heat_map
from hilbench.report.contents import Contents, Group

_FULL = 3.0  # margins: darker it does not get
_LEAST_MARGIN = 0.01  # for colours, where the margin is 0
_MOST_NAMED = 3  # boards above a column
_NOT_GATED = "-"


def changes(contents: Contents, group: Group, metrics: Sequence[str]) -> str:
    """Return a map of each metric that changed anywhere, and a table of them all."""
    gate = contents.gate
    moved = {c.metric for c in gate.cells if c.change} if gate else set()
    maps = {metric: _map(contents, group, metric) for metric in metrics if metric in moved}
    maps = {
        metric: of_board for metric, of_board in maps.items()
        if any(cell.shade for column in of_board.values() for cell in column)
    }  # fmt: skip
    if not maps:
        return ""
    id_ = f"changes-{group.key}"
    names = {metric: _name(group, metric) for metric in maps}
    charts = [
        heat_map(
            names[metric], f"{names[metric]} against the baseline; positive is worse.", id_,
            grid(group, alike(of_board)), diverging=True,
        )
        for metric, of_board in maps.items()
    ]  # fmt: skip
    rows = tuple(
        (board, variant, *(
            of_board[board][k].words if board in of_board else _NOT_GATED
            for of_board in maps.values()
        ))
        for board in group.boards for k, variant in enumerate(group.variants)
    )  # fmt: skip
    heads = ("board", "variant", *names.values())
    twin = Table(
        id_, "Change against the baseline; positive is worse", heads, rows, 2,
        frozenset(range(2, len(heads))),
    )  # fmt: skip
    caption = (
        "Against the baseline: + and orange are worse, - and blue better; the margin is a third of "
        "the full colour. Accuracy is in points of a hundred, lost. A word is the gate's verdict "
        "where nothing was compared; a dash: not gated."
    )
    table = folded("the same as a table", twin.render())
    return f"<h3>What changed</h3>\n{figure(charts, caption)}{table}"


def _name(group: Group, metric: str) -> str:
    synthetic = metric == "energy_uj" and any(c.synthetic for c in group.cells)
    return f"{'SYNTHETIC ' if synthetic else ''}{BY_NAME[metric].label}, change"


def _map(contents: Contents, group: Group, metric: str) -> dict[str, tuple[HeatCell, ...]]:
    """Return the column of each board where the metric is gated."""
    of_board = {
        board: tuple(_change(contents, board, variant, metric) for variant in group.variants)
        for board in group.boards
    }
    return {b: c for b, c in of_board.items() if any(cell.words != _NOT_GATED for cell in c)}


def _change(contents: Contents, board: str, variant: str, metric: str) -> HeatCell:
    verdict = contents.verdicts.get((board, variant, metric))
    if verdict is None or verdict.change is None:
        return HeatCell(_NOT_GATED if verdict is None else verdict.verdict.lower(), None)
    full = _FULL * (relative_margin(verdict) or _LEAST_MARGIN)
    return HeatCell(change_words(verdict), max(-1.0, min(1.0, verdict.change / full)))


def alike(of_board: dict[str, tuple[HeatCell, ...]]) -> dict[tuple[HeatCell, ...], list[str]]:
    """Return boards by their column; those with the same numbers stand in one."""
    columns: dict[tuple[HeatCell, ...], list[str]] = {}
    for board, column in of_board.items():
        columns.setdefault(column, []).append(board)
    return columns


def grid(group: Group, columns: dict[tuple[HeatCell, ...], list[str]]) -> Grid:
    """Return the cells of a map with a heading above each column."""
    cells = [[column[r] for column in columns] for r in range(len(group.variants))]
    names = [b if len(b) <= _MOST_NAMED else (group.named(b),) for b in columns.values()]
    return Grid(group.variants, names, cells)
