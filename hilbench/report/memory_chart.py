"""A plan's arena over time, as text and as a picture that stands alone."""

from __future__ import annotations

from collections.abc import Sequence

from hilbench.records import Placement, Plan
from hilbench.report.svg import COLOURS, FONT_PX, element, label, text, width_px

_NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHARED, _FREE = "#", "."
_LEFT, _TOP, _HEIGHT, _BOTTOM = 64.0, 40.0, 300.0, 150.0
_NARROWEST, _WIDEST = 26.0, 90.0  # px of one operator
_ROOM_FOR_LETTERS = 9.0


def letters(plan: Plan) -> list[str]:
    """Return one letter per placement, beginning again after 52."""
    return [_NAMES[i % len(_NAMES)] for i in range(len(plan.placements))]


def live(plan: Plan, step: int) -> list[int]:
    """Return the placements that exist while an operator runs."""
    return [i for i, p in enumerate(plan.placements) if p.first <= step <= p.last]


def live_bytes(plan: Plan, step: int) -> int:
    """Return how many bytes of the arena hold something while an operator runs; shared ones once."""
    end = total = 0
    for p in sorted((plan.placements[i] for i in live(plan, step)), key=lambda p: p.offset):
        total += max(p.offset + p.bytes - max(end, p.offset), 0)
        end = max(end, p.offset + p.bytes)
    return total


def memory_rows(plan: Plan, columns: int) -> list[str]:
    """Return a line per operator: the arena from its first byte to its last in so many characters.

    A letter is a tensor or scratch, ``#`` an output over what its operator has consumed, a point is
    free. What is smaller than a character still gets one.
    """
    names = letters(plan)
    return [
        _row([(names[i], plan.placements[i]) for i in live(plan, step)], plan.arena_bytes, columns)
        for step in range(len(plan.operators))
    ]


def _row(held: Sequence[tuple[str, Placement]], size: int, columns: int) -> str:
    cells = [_FREE] * columns
    taken: list[tuple[int, int]] = []
    for name, p in sorted(held, key=lambda item: -item[1].bytes):
        begin = p.offset * columns // size
        end = max(-(-(p.offset + p.bytes) * columns // size), begin + 1)
        for i in range(begin, min(end, columns)):
            low, high = i * size // columns, (i + 1) * size // columns
            shared = any(
                b < min(high, p.offset + p.bytes) and max(low, p.offset) < e for b, e in taken
            )
            cells[i] = _SHARED if shared else name
        taken.append((p.offset, p.offset + p.bytes))
    return "".join(cells)


def memory_svg(plan: Plan, title: str) -> str:
    """Return a picture: operators to the right, the arena upwards, a box per tensor and scratch.

    It needs no style sheet and follows the viewer's colours where they are asked for.
    """
    count = len(plan.operators)
    wide = min(max(640.0 / max(count, 1), _NARROWEST), _WIDEST)
    width = _LEFT + wide * count + 150.0
    base = _TOP + _HEIGHT
    parts = [label(8.0, 18.0, title, font_weight="bold", font_size=FONT_PX + 2)]
    boxes = [_box(p, plan, i, wide, base) for i, p in enumerate(plan.placements)]
    parts += [rectangle for rectangle, _ in boxes]
    parts += _lines(plan, wide, base)
    parts += [words for _, words in boxes]
    for i, operator in enumerate(plan.operators):
        x = _LEFT + wide * (i + 0.5) + 4
        parts.append(
            label(
                x, base + 12, f"{i} {operator.name}", "end",
                transform=f"rotate(-60 {x:g} {base + 12:g})",
            )
        )  # fmt: skip
    height = base + _BOTTOM
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" font-family="system-ui, sans-serif" '
        f'font-size="{FONT_PX}" style="color-scheme:light dark;background:Canvas;color:CanvasText" '
        f'fill="currentColor"><title>{text(title)}</title><desc>{text(_says(plan))}</desc>'
        f"{''.join(parts)}</svg>\n"
    )


def _says(plan: Plan) -> str:
    return (
        f"Arena of {plan.arena_bytes:,} bytes, lower bound {plan.bound_bytes:,}. "
        "Each box is a tensor or scratch: when it exists, and where it lies."
    )


def _box(p: Placement, plan: Plan, index: int, wide: float, base: float) -> tuple[str, str]:
    """Return a rectangle and the letters in it."""
    count, size = len(plan.operators), plan.arena_bytes
    x = _LEFT + wide * max(p.first, 0)
    across = wide * (min(p.last, count - 1) + 1) - wide * max(p.first, 0)
    up, tall = p.offset / size * _HEIGHT, p.bytes / size * _HEIGHT
    says = f"{p.name}: bytes {p.offset:,} to {p.offset + p.bytes:,}"
    rectangle = element(
        "rect", element("title", text(says)), x=x, y=base - up - tall, width=across,
        height=max(tall, 0.5), fill=COLOURS[index % len(COLOURS)], fill_opacity=0.55,
        stroke="currentColor", stroke_width=0.7,
    )  # fmt: skip
    words = f"{p.bytes:,}"
    fits = tall > _ROOM_FOR_LETTERS and width_px(words) < across
    middle = base - up - tall / 2 + 4
    return rectangle, label(x + across / 2, middle, words, "middle") if fits else ""


def _lines(plan: Plan, wide: float, base: float) -> list[str]:
    right = _LEFT + wide * len(plan.operators)
    parts = []
    for value, words in ((0, "0"), (plan.bound_bytes, "bound"), (plan.arena_bytes, "arena")):
        y = base - value / plan.arena_bytes * _HEIGHT
        dash = "4 3" if words == "bound" else None
        parts.append(
            element(
                "path", d=f"M{_LEFT:g} {y:g}H{right:g}", stroke="currentColor", fill="none",
                stroke_dasharray=dash,
            )
        )  # fmt: skip
        if words != "0":
            same = words == "bound" and plan.bound_bytes == plan.arena_bytes
            if not same:
                parts.append(label(right + 6, y + 4, f"{words} {value:,} B"))
    parts.append(label(_LEFT - 6, base + 4, "0", "end"))
    parts.append(label(_LEFT - 6, base - _HEIGHT + 4, f"{plan.arena_bytes:,}", "end"))
    return parts
