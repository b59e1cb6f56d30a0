"""Where sessions lie, and beside them those of the baseline. Pure: numbers in, SVG out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hilbench.report.svg import Canvas, Mark, Scale, attribute, element, label, width_px

_WIDTH, _TOP, _ROW = 540, 30, 22
_HALF = 7  # px of the baseline above, and of now below the middle of a row that has both
_LOG_FROM = 3.0  # largest over smallest: differences in % would hide all but the largest


@dataclass(frozen=True)
class Strip:
    """A cell's sessions; values are ratios to the same reference, 1 where they are equal."""

    name: str
    series: int
    now: tuple[float, ...]
    before: tuple[float, ...] = ()  # the baseline's, where it may stand beside


def strips(
    title: str, desc: str, table: str, rows: Sequence[Strip], *, reference: str,
    synthetic: bool = False,
) -> str:  # fmt: skip
    """Return a row of marks per strip: this run's filled, above them the baseline's hollow.

    Args:
        title: what is drawn, and where.
        desc: the same in a sentence.
        table: id of the twin.
        rows: from top to bottom.
        reference: what 1 is, for the axis.
        synthetic: write so across the chart.
    """
    left = 14 + max(width_px(row.name) for row in rows)
    heights = [_ROW + 2 * _HALF * bool(row.before) for row in rows]
    bottom = _TOP + sum(heights)
    x = _scale([v for row in rows for v in (*row.now, *row.before)], left, _WIDTH - 30)
    canvas = Canvas(_WIDTH, bottom + 40, title, desc, table, "half")
    canvas.add(label(4, 14, title, font_weight="bold"))
    if synthetic:
        canvas.synthetic(left, _TOP, _WIDTH - left, bottom - _TOP)
    for value in x.ticks(6):
        at = attribute(x(value))
        same = abs(value - (1.0 if x.log else 0.0)) < 1e-12  # noqa: PLR2004 - rounding of ticks
        line = element(
            "path", d=f"M{at} {_TOP}V{bottom}", stroke="currentColor", opacity=0.6 if same else 0.18
        )
        canvas.add(line, label(x(value), bottom + 15, _tick(x, value), "middle"))
    words = f"{'times' if x.log else 'from'} {reference}{', logarithmic' if x.log else ''}"
    canvas.add(label((left + _WIDTH - 30) / 2, bottom + 32, words, "middle"))
    y = float(_TOP)
    for row, height in zip(rows, heights, strict=True):
        middle, half = y + height / 2, _HALF if row.before else 0
        canvas.add(label(left - 8, middle + 4, row.name, "end"))
        mark = Mark.number(row.series)
        old = [mark.at(_at(x, v), middle - half, ghost=True) for v in row.before]
        new = [mark.at(_at(x, v), middle + half) for v in row.now]
        canvas.group(old, stroke="currentColor", opacity=0.8)
        canvas.group(new, stroke="currentColor", stroke_width=0.8, opacity=0.8)
        y += height
    return canvas.render()


def _scale(ratios: Sequence[float], start: float, end: float) -> Scale:
    """Return ratios on a logarithmic axis where they lie far apart, else offsets from 1."""
    low, high = min(1.0, *ratios), max(1.0, *ratios)
    if high / low >= _LOG_FROM:
        margin = (high / low) ** 0.06
        return Scale(low / margin, high * margin, start, end, log=True)
    span = high - low or 1e-6
    return Scale(low - 1 - 0.08 * span, high - 1 + 0.08 * span, start, end)


def _at(x: Scale, ratio: float) -> float:
    return x(ratio if x.log else ratio - 1)


def _tick(x: Scale, value: float) -> str:
    if x.log:
        return f"× {value:g}"
    return f"{100 * value:+.3g} %" if abs(value) > 1e-12 else "0"  # noqa: PLR2004 - rounding


def finite(values: Sequence[float]) -> bool:
    """Say whether every value is known and has a ratio."""
    return bool(values) and all(math.isfinite(v) and v > 0 for v in values)
