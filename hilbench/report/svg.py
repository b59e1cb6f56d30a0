"""Small SVG: presentation attributes only, so that it is seen where style is forbidden.

Lines and letters are ``currentColor``: they follow the page into dark mode. Colours are Okabe and
Ito's, and each comes with a shape of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
BETTER, WORSE = "#0072B2", "#D55E00"
SHAPES = (
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",  # circle
    "M-4.5-4.5h9v9h-9z",  # square
    "M0-6 6 5H-6z",  # triangle up
    "M0-6.5 5.5 0 0 6.5-5.5 0z",  # diamond
    "M0 6 6-5H-6z",  # triangle down
    "M-2-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z",  # plus
    "M-5-2.5-2.5-5 0-2.5 2.5-5 5-2.5 2.5 0 5 2.5 2.5 5 0 2.5-2.5 5-5 2.5-2.5 0z",  # cross
    "M0-6.5 1.8-2 6.3-2 2.7 1 4 6 0 3-4 6-2.7 1-6.3-2-1.8-2z",  # star
)
FONT_PX = 11
_DECADES_OF_A_LOG_AXIS = 0.7
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def width_px(words: str, *, bold: bool = False) -> float:
    """Return at most how wide letters are: room is made for the widest of common fonts."""
    wide = sum(
        7.9 if c.isupper() or c in "mwMW%+" else 4.2 if c in " .,:il|" else 6.9 for c in words
    )
    return wide * (1.12 if bold else 1.0)


def clean(words: str) -> str:
    """Return text without control characters, which XML has not."""
    return _CONTROL.sub("�", words)


def text(value: object) -> str:
    """Escape for HTML, SVG and XML; control characters, which XML has not, become U+FFFD."""
    return escape(clean(str(value)))


def attribute(value: object) -> str:
    """Return a value for an attribute; numbers to a tenth of a pixel."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a mark without a place was drawn")
        return f"{round(value, 1) + 0.0:g}"  # + 0.0: no -0
    return text(value)


def ident(*parts: object) -> str:
    """Return an id for the page."""
    return re.sub(r"\s", "_", "-".join(str(part) for part in parts))


def element(tag: str, content: str | None = None, **attributes: object) -> str:
    """Return one element; ``content`` is markup already. ``stroke_width=2``: stroke-width="2"."""
    inside = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{attribute(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{inside}/>" if content is None else f"<{tag}{inside}>{content}</{tag}>"


def label(x: float, y: float, words: str, anchor: str | None = None, **attributes: object) -> str:
    """Return letters; ``anchor``: start (default), middle, end."""
    return element("text", text(words), x=x, y=y, text_anchor=anchor, **attributes)


@dataclass(frozen=True)
class Mark:
    """Colour and shape of a series; different for the first 56."""

    colour: str
    shape: int

    @classmethod
    def number(cls, index: int) -> Mark:
        """Return the index-th."""
        return cls(COLOURS[index % len(COLOURS)], index % len(SHAPES))

    def at(self, x: float, y: float, says: str = "", *, ghost: bool = False) -> str:
        """Return the mark; ``says`` appears under the mouse. A ghost is hollow."""
        title = element("title", text(says)) if says else None
        fill = "none" if ghost else self.colour
        return element("use", title, href=f"#m{self.shape}", x=x, y=y, fill=fill)


def definitions() -> str:
    """Return the marks' shapes, once a page."""
    shapes = "".join(element("path", id=f"m{k}", d=d) for k, d in enumerate(SHAPES))
    return f'<svg width="0" height="0" aria-hidden="true"><defs>{shapes}</defs></svg>'


def box(x: float, y: float, width: float, height: float) -> str:
    """Return a rectangle for the ``d`` of a path: many in one are a third of the bytes."""
    wide = attribute(width)
    return f"M{attribute(x)} {attribute(y)}h{wide}v{attribute(height)}h-{wide}z"


def legend_mark(mark: Mark) -> str:
    """Return a mark for a line of text."""
    inside = element("g", mark.at(8.0, 8.0), stroke="currentColor")
    return f'<svg width="16" height="16" aria-hidden="true">{inside}</svg>'


@dataclass(frozen=True)
class Scale:
    """Values to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def around(
        cls, values: Sequence[float], start: float, end: float, *, log: bool = False
    ) -> Scale:
        """Return the scale that holds all values with a margin; logarithmic where they ask for it."""
        low, high = min(values), max(values)
        if log and low > 0 and math.log10(high / low) >= _DECADES_OF_A_LOG_AXIS:
            margin = (high / low) ** 0.08
            return cls(low / margin, high * margin, start, end, log=True)
        span = high - low or abs(high) * 0.1 or 1.0
        floor = 0.0 if low >= 0 else -math.inf  # nothing here is negative that was not measured so
        return cls(max(floor, low - 0.08 * span), high + 0.08 * span, start, end)

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Return round values inside."""
        return _log_ticks(self.low, self.high, most) if self.log else self._linear_ticks(most)

    def _linear_ticks(self, most: int) -> list[float]:
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(s * power for s in (1, 2, 2.5, 5, 10, 20) if s * power >= rough)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        ticks = [d * 10.0**e for e in exponents for d in digits if low <= d * 10.0**e <= high]
        if len(ticks) <= most:
            return ticks
    every = math.ceil(len(ticks) / most)
    return ticks[::every]


@dataclass
class Canvas:
    """One picture with its title, its description and the table that says the same."""

    width: float
    height: float
    title: str
    desc: str
    table: str  # id of its twin
    kind: str | None = None  # class, for print
    parts: list[str] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)  # of letters

    def add(self, *parts: str) -> None:
        """Draw over what is there."""
        self.parts.extend(parts)

    def group(self, parts: Sequence[str], **attributes: object) -> None:
        """Draw parts that share attributes."""
        if parts:
            self.add(element("g", "".join(parts), **attributes))

    def occupy(self, x: float, y: float, width: float, height: float) -> None:
        """Keep labels off a place."""
        self.boxes.append((x, y, x + width, y + height))

    def place(self, x: float, y: float, words: str, room: tuple[float, float]) -> str:
        """Return a label beside a mark where it covers nothing; "" where there is no such place."""
        wide, half = width_px(words), FONT_PX / 2
        for left, middle in (
            (x + 9, y), (x - 9 - wide, y), (x - wide / 2, y - 13), (x - wide / 2, y + 13),
            (x + 7, y - 10), (x + 7, y + 10), (x - 7 - wide, y - 10), (x - 7 - wide, y + 10),
        ):  # fmt: skip
            box = (left, middle - half, left + wide, middle + half)
            inside = room[0] <= box[0] and box[2] <= room[1] and box[1] >= 0
            if inside and not any(_overlap(box, other) for other in self.boxes):
                self.boxes.append(box)
                return label(left, middle + 4, words)
        return ""

    def letters(self, labels: Sequence[str], **attributes: object) -> None:
        """Draw labels that lines and shades stop before."""
        self.group(labels, stroke="Canvas", stroke_width=3, paint_order="stroke", **attributes)

    def synthetic(self, left: float, top: float, width: float, height: float) -> None:
        """Write SYNTHETIC across a place."""
        size = min(width / 9, height * 0.5)
        x, y = left + width / 2, top + height / 2
        self.add(
            label(
                x, y + size * 0.36, "SYNTHETIC", "middle", font_size=size, font_weight="bold",
                opacity=0.16, transform=f"rotate(-12 {attribute(x)} {attribute(y)})",
            )
        )  # fmt: skip

    def axes(
        self, x: Scale, y: Scale, names: tuple[str, str], show: Callable[[str, float], str]
    ) -> None:
        """Draw grid, ticks and names; ``show(axis, value)`` words a tick."""
        lines, letters = [], []
        across = x.ticks(max(2, int(abs(x.end - x.start) / 60)))
        for value, words in zip(across, _told_apart("x", across, show), strict=True):
            lines.append(f"M{attribute(x(value))} {attribute(y.end)}V{attribute(y.start)}")
            letters.append(label(x(value), y.start + 15, words, "middle"))
        up = y.ticks()
        for value, words in zip(up, _told_apart("y", up, show), strict=True):
            lines.append(f"M{attribute(x.start)} {attribute(y(value))}H{attribute(x.end)}")
            letters.append(label(x.start - 6, y(value) + 4, words, "end"))
        frame = f"M{attribute(x.start)} {attribute(y.end)}V{attribute(y.start)}H{attribute(x.end)}"
        self.add(
            element("path", d="".join(lines), stroke="currentColor", opacity=0.18, fill="none"),
            element("path", d=frame, stroke="currentColor", fill="none"),
            *letters,
            label((x.start + x.end) / 2, y.start + 31, names[0], "middle"),
            label(x.start, y.end - 8, names[1], "start"),
        )

    def render(self) -> str:
        """Return the <svg> element."""
        width, height = attribute(float(self.width)), attribute(float(self.height))
        kind = f' class="{text(self.kind)}"' if self.kind else ""
        return (
            f'<svg{kind} role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'font-family="system-ui, sans-serif" font-size="{FONT_PX}" fill="currentColor" '
            f'aria-details="{text(self.table)}"><title>{text(self.title)}</title>'
            f"<desc>{text(self.desc)}</desc>{''.join(self.parts)}</svg>"
        )


def _told_apart(axis: str, values: Sequence[float], show: Callable[[str, float], str]) -> list[str]:
    """Return the words of ticks, in full where rounded ones would be alike."""
    words = [show(axis, value) for value in values]
    return words if len(set(words)) == len(words) else [f"{value:,.12g}" for value in values]


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
