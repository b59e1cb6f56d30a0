"""Tables that never cut a number: what does not fit the width goes into a second table below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

_GAP = 1  # between columns


@dataclass(frozen=True)
class TextColumn:
    """One column of ready text; cells may have several lines."""

    title: str
    cells: Sequence[str]
    right: bool = False

    @property
    def width(self) -> int:
        """Width of the longest line."""
        lines = (line for text in (self.title, *self.cells) for line in text.split("\n"))
        return max(map(cell_len, lines))


def fit(keys: Sequence[TextColumn], columns: Sequence[TextColumn], width: int) -> list[list[int]]:
    """Return the columns of each table, as few tables as ``width`` allows; keys stand in each.

    A column that is too wide even alone gets a table of its own and is folded there.
    """
    own = sum(c.width + _GAP for c in keys)
    tables: list[list[int]] = [[]]
    used = own
    for index, column in enumerate(columns):
        if tables[-1] and used + column.width + _GAP > width:
            tables.append([])
            used = own
        tables[-1].append(index)
        used += column.width + _GAP
    return tables


def print_table(
    console: Console,
    title: str,
    keys: Sequence[TextColumn],
    columns: Sequence[TextColumn],
    sections: Sequence[int] = (),
) -> None:
    """Print a table, in several parts where the console is too narrow.

    Args:
        console: where to print.
        title: above the first part.
        keys: the columns that say what a row is; repeated in every part.
        columns: the others.
        sections: rows before which a line is drawn.
    """
    for part, indices in enumerate(fit(keys, columns, console.width)):
        table = Table(
            title=title if part == 0 else None,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            padding=(0, _GAP, 0, 0),
            pad_edge=False,
        )
        chosen = [*keys, *(columns[i] for i in indices)]
        for column in chosen:
            table.add_column(
                column.title, justify="right" if column.right else "left", overflow="fold"
            )
        for number, row in enumerate(_rows(chosen)):
            if number in sections:
                table.add_section()
            table.add_row(*row)
        console.print(table)


def _rows(columns: Sequence[TextColumn]) -> Iterator[tuple[str, ...]]:
    return zip(*(c.cells for c in columns), strict=True)
