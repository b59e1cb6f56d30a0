"""Accuracy against what it costs: a panel per board and cost, boards that agree in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hilbench.metrics import BY_NAME, show
from hilbench.report._detail import Detail
from hilbench.report.contents import Cell, Contents, Group, interval, tick, unit_of
from hilbench.report.svg import Canvas, Mark, Scale, attribute, element, label

COSTS = ("latency_median", "energy_uj", "plan_bytes", "arena_bytes")
NAMES = {"plan_bytes": "flash of the model", "arena_bytes": "RAM for tensors"}
_WIDTH, _HEIGHT = 540, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 22, 44, 40
_CHARACTERS = 60  # of a heading


@dataclass(frozen=True)
class Point:
    """One variant in a panel; intervals are (low, high), ghosts are where the baseline was."""

    variant: str
    x: float
    y: float
    x_range: tuple[float, float] | None
    y_range: tuple[float, float] | None
    ghost: tuple[float, float] | None

    @property
    def xs(self) -> tuple[float, ...]:
        """Return all that has to be on the axis of cost."""
        return (self.x, *(self.x_range or ()), *(self.ghost or ())[:1])

    @property
    def ys(self) -> tuple[float, ...]:
        """Return all that has to be on the axis of accuracy."""
        return (self.y, *(self.y_range or ()), *(self.ghost or ())[1:])


@dataclass(frozen=True)
class _Kind:
    """Panels of a kind are small multiples: they have the same axes."""

    cost: str
    metric: str  # of accuracy
    unit: str  # of cost
    synthetic: bool


def pareto_panels(contents: Contents, group: Group, table: str, detail: Detail) -> list[list[str]]:
    """Return a row of SVGs per cost; boards that agree share one, and all of a row have its axes."""
    kinds: dict[_Kind, dict[tuple[Point, ...], list[str]]] = {}
    for cost in COSTS:
        for board in group.boards:
            for kind, points in _points(contents, group.of_board(board), cost, detail):
                kinds.setdefault(kind, {}).setdefault(points, []).append(board)
    rows: list[list[str]] = []
    for kind, alike in kinds.items():
        xs = [v for points in alike for p in points for v in p.xs]
        ys = [
            v for other, found in kinds.items() if other.metric == kind.metric
            for points in found for p in points for v in p.ys
        ]  # fmt: skip
        scales = (
            Scale.around(xs, _LEFT, _WIDTH - _RIGHT, log=True),
            Scale.around(ys, _HEIGHT - _BOTTOM, _TOP),
        )
        rows.append([
            _panel(contents, points, scales, boards=boards, kind=kind, table=table,
                   hover=detail.hover)
            for points, boards in alike.items()
        ])  # fmt: skip
    return rows


def _points(
    contents: Contents, cells: Sequence[Cell], cost: str, detail: Detail
) -> Iterator[tuple[_Kind, tuple[Point, ...]]]:
    found: dict[_Kind, list[Point]] = {}
    for cell in cells:
        point = _point(contents, cell, cost, detail)
        if point is not None:
            synthetic = cost == "energy_uj" and cell.synthetic
            kind = _Kind(cost, cell.text("accuracy_metric"), unit_of(cost, cell), synthetic)
            found.setdefault(kind, []).append(point)
    return ((kind, tuple(points)) for kind, points in found.items())


def _point(contents: Contents, cell: Cell, cost: str, detail: Detail) -> Point | None:
    x, y = cell.number(cost), cell.number("accuracy")
    if x is None or y is None:
        return None
    before = contents.baseline(cell, cost), contents.baseline(cell, "accuracy")
    ghost = None
    if detail.changes and before[0] is not None and before[1] is not None:
        ghost = before[0], before[1]
    x_range = interval(cell, cost)
    if cost == "latency_median":
        x_range = session_range(contents, cell)
    return Point(cell.variant, x, y, x_range, interval(cell, "accuracy"), ghost)


def session_range(contents: Contents, cell: Cell) -> tuple[float, float] | None:
    """Return the least and the largest session median; None where one of them is unknown."""
    own = contents.medians.get((cell.board, cell.variant), ())
    return (min(own), max(own)) if own and not any(m != m for m in own) else None  # noqa: PLR0124 - NaN


def front(points: Sequence[Point], *, lower_is_better: bool) -> list[Point]:
    """Return the points that no other one beats in both, cheapest first."""
    sign = -1 if lower_is_better else 1
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, -sign * p.y, p.variant)):
        if not best or sign * point.y > sign * best[-1].y:
            best.append(point)
    return best


def _panel(
    contents: Contents,
    points: Sequence[Point],
    scales: tuple[Scale, Scale],
    *,
    boards: Sequence[str],
    kind: _Kind,
    table: str,
    hover: bool,
) -> str:
    cost, metric, unit = kind.cost, kind.metric, kind.unit
    what = NAMES.get(cost, BY_NAME[cost].label)
    best = front(points, lower_is_better=metric == "mse")
    canvas = Canvas(
        _WIDTH,
        _HEIGHT,
        f"{metric} against {what} ({unit}) on {', '.join(boards)}",
        f"{len(points)} variants; not beaten in both: {', '.join(p.variant for p in best)}."
        + (" Synthetic energy: nothing was measured on a chip." if kind.synthetic else ""),
        table,
        "half",
    )
    x, y = scales
    if kind.synthetic:
        canvas.synthetic(_LEFT, _TOP, _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM)
    canvas.axes(
        x, y, (f"{what}, {unit}{', logarithmic' if x.log else ''}", metric),
        lambda _, value: tick(value),
    )  # fmt: skip
    canvas.add(label(4, 14, f"{_heading(boards)}: {what}", font_weight="bold"))
    canvas.add(_steps(best, x, y))
    canvas.group(_whiskers(points, x, y), stroke="currentColor", opacity=0.45, fill="none")
    canvas.group(_ghosts(contents, points, x, y), stroke="currentColor", opacity=0.6)
    marks = [
        Mark.number(contents.marks[p.variant]).at(
            x(p.x), y(p.y), _says(p, cost, unit) if hover else ""
        )
        for p in points
    ]
    canvas.group(marks, stroke="currentColor", stroke_width=0.8)
    for p in points:
        canvas.occupy(x(p.x) - 6, y(p.y) - 6, 12, 12)
    canvas.letters([
        canvas.place(x(p.x), y(p.y), p.variant, (_LEFT, _WIDTH))
        for p in sorted(points, key=lambda p: p not in best)
    ])  # fmt: skip
    return canvas.render()


def _heading(boards: Sequence[str]) -> str:
    names = ", ".join(boards)
    return names if len(names) <= _CHARACTERS else f"{len(boards)} boards alike"


def _says(point: Point, cost: str, unit: str) -> str:
    return f"{point.variant}: {show(cost, point.x)} {unit}, {show('accuracy', point.y)}"


def _steps(best: Sequence[Point], x: Scale, y: Scale) -> str:
    path = f"M{attribute(x(best[0].x))} {attribute(y(best[0].y))}"
    for point in best[1:]:
        path += f"H{attribute(x(point.x))}V{attribute(y(point.y))}"
    return element(
        "path", d=f"{path}H{attribute(x.end)}", stroke="currentColor", fill="none",
        stroke_dasharray="5 3", opacity=0.6,
    )  # fmt: skip


def _whiskers(points: Sequence[Point], x: Scale, y: Scale) -> list[str]:
    lines = []
    for p in points:
        at_x, at_y = attribute(x(p.x)), attribute(y(p.y))
        if p.y_range:
            lines.append(f"M{at_x} {attribute(y(p.y_range[0]))}V{attribute(y(p.y_range[1]))}")
        if p.x_range and p.x_range[0] > 0:
            lines.append(f"M{attribute(x(p.x_range[0]))} {at_y}H{attribute(x(p.x_range[1]))}")
    return [element("path", d="".join(lines))] if lines else []


def _ghosts(contents: Contents, points: Sequence[Point], x: Scale, y: Scale) -> list[str]:
    """Draw where the baseline was, hollow, with a line to where the variant is now."""
    drawn = []
    for p in points:
        if p.ghost is None or p.ghost == (p.x, p.y):
            continue
        at = x(p.ghost[0]), y(p.ghost[1])
        line = f"M{attribute(at[0])} {attribute(at[1])}L{attribute(x(p.x))} {attribute(y(p.y))}"
        mark = Mark.number(contents.marks[p.variant])
        drawn += [
            element("path", d=line, stroke_dasharray="2 2"),
            mark.at(*at, f"baseline of {p.variant}", ghost=True),
        ]
    return drawn
