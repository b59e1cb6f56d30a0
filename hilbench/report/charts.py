"""Heat maps, bars and the gate's intervals. Pure: numbers in, SVG out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hilbench.gate.verdicts import CellVerdict
from hilbench.report._words import change_words, interval_words, margin_words, relative_margin
from hilbench.report.svg import (
    BETTER,
    WORSE,
    Canvas,
    Mark,
    attribute,
    box,
    element,
    label,
    width_px,
)

_ROW = 22
_LETTER = 12  # px: a narrower part has no letter
_LIGHT, _DARK = (234, 243, 250), (0, 58, 107)
_WHITE = (255, 255, 255)
_INTERVAL_WIDTH, _INTERVAL_HEIGHT = 150, 18
_MARGINS_SHOWN = 2.5  # to each side of 0
_LOG_FROM = 5.0  # largest over smallest
_FULL_FROM = 0.1  # of the least value: what is closer is nearly alike, and looks so


@dataclass(frozen=True)
class HeatCell:
    """``shade``: 0 (best) to 1 (worst), or -1 (better) to 1 (worse); None: nothing is known."""

    words: str
    shade: float | None


def shades(values: Sequence[float | None], *, lower_is_better: bool = True) -> list[float | None]:
    """Return a shade of each value, by its logarithm where they lie far apart.

    Differences of less than a tenth of the least value are not stretched over all shades.
    """
    known = [v for v in values if v is not None]
    if not known:
        return [None] * len(values)
    low, high = min(known), max(known)
    log = low > 0 and high / low >= _LOG_FROM
    darkest = min(1.0, (high / low - 1) / _FULL_FROM) if low > 0 else 1.0

    def shade(value: float) -> float:
        if high == low:
            return 0.0
        part = math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)
        return darkest * (part if lower_is_better else 1 - part)

    return [None if v is None else shade(v) for v in values]


@dataclass(frozen=True)
class Grid:
    """Cells by row and column; a column's name may have several lines."""

    rows: Sequence[str]
    columns: Sequence[Sequence[str]]
    cells: Sequence[Sequence[HeatCell]]


def heat_map(title: str, desc: str, table: str, grid: Grid, *, diverging: bool = False) -> str:
    """Return shaded cells with the value in each."""
    rows, columns, cells = grid.rows, grid.columns, grid.cells
    left = 14 + max(map(width_px, rows))
    wide = [
        max(46.0, 10 + max(width_px(w) for w in (*names, *(line[k].words for line in cells))))
        for k, names in enumerate(columns)
    ]
    at = [left + sum(wide[:k]) for k in range(len(wide) + 1)]
    lines = max(map(len, columns))
    top = 30 + 14 * lines
    width = max(at[-1] + 6, 12 + width_px(title, bold=True))
    canvas = Canvas(math.ceil(width), top + _ROW * len(rows) + 6, title, desc, table)
    canvas.add(label(4, 14, title, font_weight="bold"))
    for k, names in enumerate(columns):
        x = at[k] + wide[k] / 2
        for line, name in enumerate(names):
            canvas.add(label(x, top - 8 - 14 * (len(names) - 1 - line), name, "middle"))
    for r, name in enumerate(rows):
        canvas.add(label(left - 8, top + _ROW * r + 15, name, "end"))
    boxes: dict[str, list[str]] = {}  # by colour: many in one path are few bytes
    letters: dict[str | None, list[str]] = {}
    for r, line_of_cells in enumerate(cells):
        for k, cell in enumerate(line_of_cells):
            x, y = at[k], float(top + _ROW * r)
            ink = None
            if cell.shade is not None:
                fill, ink = _fill(cell.shade, diverging=diverging)
                boxes.setdefault(fill, []).append(box(x, y, wide[k] - 1, _ROW - 1))
            letters.setdefault(ink, []).append(label(x + wide[k] / 2, y + 15, cell.words))
    canvas.add(*(element("path", fill=fill, d="".join(d)) for fill, d in boxes.items()))
    for ink, labels in letters.items():
        canvas.group(labels, text_anchor="middle", fill=ink)
    return canvas.render()


def _fill(shade: float, *, diverging: bool) -> tuple[str, str]:
    """Return the colour of a cell and black or white, whichever is seen better on it."""
    if diverging:
        end = _rgb(WORSE if shade > 0 else BETTER)
        colour = _between(_WHITE, end, min(1.0, abs(shade)))
    else:
        colour = _between(_LIGHT, _DARK, min(1.0, max(0.0, shade)))
    return "#{:02x}{:02x}{:02x}".format(*colour), _ink(colour)


def _ink(colour: tuple[int, int, int]) -> str:
    """Return black or white, whichever has more contrast: 4.5 at least."""
    return "#fff" if luminance(colour) < 0.179 else "#000"  # noqa: PLR2004 - both are equal there


def luminance(colour: tuple[int, int, int]) -> float:
    """Return the relative luminance (WCAG 2.2)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB
        for c in (v / 255 for v in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _between(a: tuple[int, int, int], b: tuple[int, int, int], part: float) -> tuple[int, int, int]:
    red, green, blue = (round(p + (q - p) * part) for p, q in zip(a, b, strict=True))
    return red, green, blue


@dataclass(frozen=True)
class Bar:
    """One row; ``parts`` are (series, length), stacked, in units of the longest bar's sum."""

    name: str
    parts: tuple[tuple[int, float], ...]
    words: str


def bars(
    title: str, desc: str, table: str, rows: Sequence[Bar], *, width: int = 460,
    synthetic: bool = False, letters: bool = False,
) -> str:  # fmt: skip
    """Return horizontal bars that begin at 0; the longest fills the width.

    ``letters`` names the series in the bars: A, B, ...
    """
    left = 12 + max(width_px(row.name) for row in rows)
    right = 12 + max(width_px(row.words) for row in rows)
    width = math.ceil(max(width, left + right + 120, 12 + width_px(title, bold=True)))
    room = width - left - right
    longest = max(sum(length for _, length in row.parts) for row in rows) or 1.0
    canvas = Canvas(width, 30 + _ROW * len(rows), title, desc, table)
    canvas.add(label(4, 14, title, font_weight="bold"))
    if synthetic:
        canvas.synthetic(left, 26, room, _ROW * len(rows))
    drawn: dict[str, list[str]] = {}  # by colour
    inside: dict[str, list[str]] = {}
    for r, row in enumerate(rows):
        x, y = left, 26.0 + _ROW * r
        canvas.add(label(left - 6, y + 14, row.name, "end"))
        for series, length in row.parts:
            wide = length / longest * room
            colour = Mark.number(series).colour
            drawn.setdefault(colour, []).append(box(x, y + 3, wide, 14))
            if letters and wide >= _LETTER:
                letter = label(x + wide / 2, y + 14, chr(ord("A") + series))
                inside.setdefault(_ink(_rgb(colour)), []).append(letter)
            x += wide
        canvas.add(label(x + 6, y + 14, row.words))
    shapes = [element("path", fill=colour, d="".join(d)) for colour, d in drawn.items()]
    canvas.group(shapes, stroke="currentColor", stroke_width=0.6)
    for ink, labels in inside.items():
        canvas.group(labels, text_anchor="middle", fill=ink)
    return canvas.render()


def gate_interval(cell: CellVerdict, table: str) -> str:
    """Return the change with its interval, 0, and the margin as a dashed line; "" where unknown.

    All are in margins: the dashed line is at the same place in every row. Right is worse; what is
    beyond the scale ends in an arrow.
    """
    margin = relative_margin(cell)
    if cell.change is None or not margin:
        return ""
    middle, y = _INTERVAL_WIDTH / 2, _INTERVAL_HEIGHT / 2
    per = (middle - 8) / _MARGINS_SHOWN

    def at(value: float) -> float:
        return middle + per * min(_MARGINS_SHOWN, max(-_MARGINS_SHOWN, value / abs(margin)))

    def beyond(value: float) -> bool:
        return abs(value) > _MARGINS_SHOWN * abs(margin)

    title = f"change {change_words(cell)}, margin {margin_words(cell)}"
    says = f"interval {interval_words(cell)}" if cell.low is not None else "no interval: exact"
    canvas = Canvas(_INTERVAL_WIDTH, _INTERVAL_HEIGHT, title, says, table)
    limit = attribute(at(abs(margin)))
    canvas.add(
        element("path", d=f"M{attribute(middle)} 1V17", stroke="currentColor", opacity=0.5),
        element("path", d=f"M{limit} 1V17", stroke=WORSE, stroke_width=1.5, stroke_dasharray="3 2"),
    )
    if cell.low is not None and cell.high is not None:
        line = f"M{attribute(at(cell.low))} {attribute(y)}H{attribute(at(cell.high))}"
        canvas.add(element("path", d=line, stroke="currentColor", stroke_width=3, opacity=0.6))
        ends = "".join(_arrow(at(v), y, v) for v in (cell.low, cell.high) if beyond(v))
        if ends:
            canvas.add(element("path", d=ends, fill="currentColor"))
    colour = WORSE if cell.verdict == "FAIL" else BETTER
    if beyond(cell.change):
        arrow = _arrow(at(cell.change), y, cell.change)
        canvas.add(element("path", d=arrow, fill=colour, stroke="currentColor", stroke_width=0.8))
    else:
        mark = Mark(colour, 3).at(at(cell.change), y)
        canvas.group([mark], stroke="currentColor", stroke_width=0.8)
    return canvas.render()


def _arrow(x: float, y: float, towards: float) -> str:
    """Return a triangle whose tip is past the end of the scale."""
    tip = 7 if towards > 0 else -7
    return f"M{attribute(x)} {attribute(y - 6)}v12l{tip}-6z"
