"""Where an inference's time and energy go: by kernel for all cells, by operator for each."""

from __future__ import annotations

import math
from typing import Literal

from hilbench.report._page import Table, figure, folded, paragraph
from hilbench.report.charts import Bar, bars
from hilbench.report.contents import Contents, Group, compact
from hilbench.report.quantities import kernel_kind
from hilbench.report.svg import ident
from hilbench.runs.rows import Row

_OTHERS = 6  # series with a colour of their own; the rest is one


def operators(
    contents: Contents, group: Group, detail: Literal["all", "first board", "none"]
) -> str:
    """Return shares by kernel, and folded the operators of each cell."""
    of_cell: dict[tuple[str, str], list[Row]] = {}
    for row in contents.operators:
        if row["board"] in group.boards:
            of_cell.setdefault((row["board"], row["variant"]), []).append(row)
    if not of_cell:
        return ""
    parts = ["<h3>Operators</h3>\n", _kernels(of_cell, group, drawn=detail != "none")]
    metered = {row["board"] for rows in of_cell.values() for row in rows
               if row["energy_uj"] is not None and not math.isnan(row["energy_uj"])}  # fmt: skip
    first = next((b for b in group.boards if b in metered), group.boards[0])
    boards = {"all": group.boards, "first board": (first,), "none": ()}[detail]
    for cell in group.cells:
        rows = of_cell.get((cell.board, cell.variant))
        if cell.board in boards and rows:
            parts.append(_cell(group, cell.board, cell.variant, rows, cell.synthetic))
    if detail != "all":
        what = f"those of {first} only" if detail == "first board" else "left out"
        parts.append(
            paragraph(f"Single operators are {what} for size; operators.csv of the run has all.")
        )
    return "".join(parts)


def _kernels(of_cell: dict[tuple[str, str], list[Row]], group: Group, *, drawn: bool) -> str:
    """Return one stacked bar per cell; cells with the same shares to 0.1 % share a bar."""
    cells: dict[tuple[str, str], dict[str, float]] = {}
    for (board, variant), operators_of in of_cell.items():
        own = cells.setdefault((variant, board), {})
        for row in operators_of:
            kind = kernel_kind(row["kernel"])
            own[kind] = own.get(kind, 0.0) + float(row["share_percent"])
    cells = {key: own for key, own in cells.items() if not any(v != v for v in own.values())}  # noqa: PLR0124 - NaN
    largest: dict[str, float] = {}
    for own in cells.values():
        largest.update({k: max(v, largest.get(k, 0.0)) for k, v in own.items()})
    named = sorted(largest, key=lambda kernel: (-largest[kernel], kernel))[:_OTHERS]
    series = [*named, *(["others"] if len(largest) > len(named) else [])]
    alike: dict[tuple[str, tuple[float, ...]], list[str]] = {}
    for variant in group.variants:
        for board in group.boards:
            if (variant, board) not in cells:
                continue
            own = cells[variant, board]
            known = [round(own.get(kernel, 0.0), 1) for kernel in named]
            if len(series) > len(named):
                known.append(round(sum(v for k, v in own.items() if k not in named), 1))
            alike.setdefault((variant, tuple(known)), []).append(board)
    if not alike:
        return ""
    id_ = f"kernels-{group.key}"
    rows = [
        Bar(
            f"{variant} on {group.named(boards)}",
            tuple(enumerate(known)),
            ", ".join(f"{s} {v:.0f} %" for s, v in _top(named, known)),
        )
        for (variant, known), boards in alike.items()
    ]
    says = f"Share of the profiled inference by kind of kernel: {', '.join(series)}, in this order."
    chart = bars(
        "share of an inference by kind of kernel", says, id_, rows, width=940, letters=True
    )
    twin = Table(
        id_, "Share by kind of kernel, %", ("variant", "boards", *series),
        tuple(
            (variant, ", ".join(boards), *(f"{v:.1f}" for v in known))
            for (variant, known), boards in alike.items()
        ),
        2, frozenset(range(2, 2 + len(series))),
    )  # fmt: skip
    if not drawn:
        return twin.render()
    order = ", ".join(f"{chr(ord('A') + k)} {name}" for k, name in enumerate(series))
    return figure([chart], order) + folded("the same as a table", twin.render())


def _top(series: list[str], known: tuple[float, ...]) -> list[tuple[str, float]]:
    return sorted(zip(series, known, strict=False), key=lambda pair: -pair[1])[:2]


def _cell(group: Group, board: str, variant: str, rows: list[Row], synthetic: bool) -> str:
    id_ = ident("operators", group.key, board, variant)
    energies = [row["energy_uj"] for row in rows if row["energy_uj"] is not None]
    names = [f"{row['operator']} {row['name']}" for row in rows]
    charts = []
    if not any(math.isnan(row["share_percent"]) for row in rows):
        drawn = [
            Bar(name, ((0, row["share_percent"]),), f"{row['share_percent']:.1f} %")
            for name, row in zip(names, rows, strict=True)
        ]
        says = f"Share of each of {len(rows)} operators in the profiled inference."
        charts.append(bars(f"{variant} on {board}: share of time", says, id_, drawn))
    if energies:
        drawn = [
            Bar(name, () if row["energy_uj"] is None else ((1, max(0.0, row["energy_uj"])),),
                "-" if row["energy_uj"] is None else f"{compact(row['energy_uj'])} uJ")
            for name, row in zip(names, rows, strict=True)
        ]  # fmt: skip
        lead = "synthetic energy" if synthetic else "energy"
        says = f"Gross {lead} of each operator; a dash where it was too short to be measured."
        charts.append(bars(f"{variant} on {board}: {lead}", says, id_, drawn, synthetic=synthetic))
    heads = (
        "operator",
        "kernel",
        "output",
        "MACs",
        f"latency, {group.unit}",
        "share, %",
        "energy, uJ",
    )
    cells = tuple(
        (
            name, str(row["kernel"]), str(row["output_shape"]), f"{row['macs']:,}",
            compact(row["latency"]), _one_decimal(row["share_percent"]), compact(row["energy_uj"]),
        )
        for name, row in zip(names, rows, strict=True)
    )  # fmt: skip
    twin = Table(
        id_,
        "Operators of one inference, profiling included",
        heads,
        cells,
        1,
        frozenset(range(3, 7)),
    )
    return folded(f"operators of {variant} on {board}", figure(charts, "") + twin.render())


def _one_decimal(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"
