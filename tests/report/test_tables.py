"""Tables on narrow and wide consoles: nothing is cut."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hilbench.report.tables import TextColumn, fit, print_table

KEYS = [TextColumn("variant", ["clustered16_int8", "fp32"])]
COLUMNS = [
    TextColumn(f"column {i}", [f"{i}{i}{i},{i}{i}{i}.25k", "9.054M"], right=True) for i in range(7)
]


def printed(width):
    text = io.StringIO()
    print_table(Console(file=text, width=width), "a title", KEYS, COLUMNS, sections=[1])
    return text.getvalue()


@pytest.mark.parametrize("width", [200, 120, 80, 60, 40, 30])
def test_every_cell_is_whole_at_any_width(width):
    text = printed(width)
    assert "\u2026" not in text
    for column in COLUMNS:
        assert all(cell in text for cell in column.cells)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("a title") == 1


def test_a_wide_console_gets_one_table_and_a_narrow_one_repeats_the_keys():
    assert printed(200).count("clustered16_int8") == 1
    assert printed(60).count("clustered16_int8") == len(fit(KEYS, COLUMNS, 60)) == 3


def test_columns_keep_their_order_and_none_is_lost():
    for width in range(20, 150):
        assert [i for part in fit(KEYS, COLUMNS, width) for i in part] == list(range(7))
