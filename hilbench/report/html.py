"""One HTML file: verdict, gate, charts with their tables, provenance. docs/report.md says why so."""

from __future__ import annotations

from collections.abc import Sequence

from hilbench.gate.verdicts import COMPARED, GOOD, CellVerdict, GateResult
from hilbench.report import _sections as sections
from hilbench.report._detail import Detail
from hilbench.report._page import Markup, Table, page, paragraph, verdict_words
from hilbench.report._words import (
    counted,
    headline,
    interval_words,
    method,
    percent,
    plain_percent,
    probability,
    shown,
    sorted_cells,
    what_to_do,
)
from hilbench.report.charts import gate_interval
from hilbench.report.contents import Contents
from hilbench.report.svg import element, text

MAX_BYTES = 500_000


DETAILS = (
    Detail(6, "all", 400, sessions=True, hover=True),
    Detail(6, "first board", 200, sessions=True, hover=False),
    Detail(3, "first board", 100, sessions=False, hover=False),
    Detail(1, "none", 40, sessions=False, hover=False),
)


def html_report(contents: Contents) -> str:
    """Return the page; the same from the same run and gate, byte by byte.

    A run too large for ``MAX_BYTES`` is drawn in less detail, and the page says what it leaves out.

    Raises:
        StoreError: evidence or outputs were changed after sealing, or cannot be read.
    """
    for detail in DETAILS:
        document = _document(contents, detail)
        if len(document.encode()) <= MAX_BYTES:
            break
    return document


def _document(contents: Contents, detail: Detail) -> str:
    parts: list[tuple[str, str, str]] = []
    if contents.gate:
        parts.append(("gate", "Gate", _gate(contents.gate, detail.gate_rows)))
    if contents.failed:
        parts.append(("failed", "Not measured, or not whole", sections.failed(contents)))
    for group in contents.groups:
        parts += sections.of_group(contents, group, detail)
    if waveforms := sections.waveforms(contents, detail.waveforms):
        parts.append(("waveforms", "Current", waveforms))
    if contents.comparisons:
        parts.append(("comparisons", "Variants that took turns", sections.comparisons(contents)))
    parts += [
        ("provenance", "Provenance", sections.provenance(contents)),
        ("method", "Method", "".join(paragraph(said) for said in method(contents))),
    ]
    return page(f"{contents.provenance.run_id}: hilbench report", parts, _top(contents))


def _top(contents: Contents) -> str:
    p = contents.provenance
    boards = ", ".join(dict.fromkeys(board for board, _ in p.cells))
    variants = len(dict.fromkeys(variant for _, variant in p.cells))
    line = (
        f"run {p.run_id}, {contents.state}; {variants} variants on {boards}; hilbench {p.hilbench}"
    )
    return (
        f"<header>\n<h1>{text(p.name)}</h1>\n{paragraph(line, 'dim')}{_verdict(contents)}</header>"
    )


def _verdict(contents: Contents) -> str:
    gate = contents.gate
    if gate is None:
        return element("div", paragraph(headline(contents)), class_="verdict")
    word, _, rest = gate.headline().partition(":")
    kind = {0: "verdict good", 1: "verdict bad"}.get(gate.exit_code, "verdict")
    first = f"<p><strong>{text(word)}</strong>{text(rest and f': {rest.strip()}')}</p>\n"
    lines = "".join(element("li", paragraph(said)) for said in what_to_do(gate))
    todo = f"<p>What to do:</p>\n<ul>{lines}</ul>\n" if lines else ""
    return element("div", first + todo, class_=kind) + _notices(gate)


def _notices(gate: GateResult) -> str:
    drawn = ""
    for title, said in (("Active waivers", gate.waivers), ("Warnings", gate.warnings)):
        if said:
            items = "".join(element("li", text(sentence)) for sentence in said)
            drawn += f"<p><strong>{title}</strong></p>\n<ul>{items}</ul>\n"
    return drawn


def _gate(gate: GateResult, most: int) -> str:
    cells = sorted_cells(gate)
    asking = sum(cell.verdict not in GOOD for cell in cells)
    chosen = cells[: max(most, min(asking, 4 * most))]
    heads = (
        "verdict", "board", "variant", "metric", "baseline", "now", "change, 90 % interval",
        "0 and margin", "margin", "mde", "n", "adj. p", "why",
    )  # fmt: skip
    rows = [
        (
            verdict_words(c.verdict), c.board, c.variant, c.metric,
            shown(c, c.baseline), shown(c, c.now), _change(c),
            Markup(gate_interval(c, "gate-cells") if c.verdict in COMPARED else ""),
            plain_percent(c.margin), plain_percent(c.mde), counted(c), probability(c.p_adjusted),
            f"{c.reason} {c.waiver}".strip(),
        )
        for c in chosen
    ]  # fmt: skip
    caption = "Worst first, then nearest to the margin. Positive change is worse."
    table = Table(
        "gate-cells", caption, heads, tuple(rows), keys=4,
        numbers=frozenset({4, 5, 6, 8, 9, 10, 11}), wide=frozenset({12}),
    )  # fmt: skip
    return table.render() + _left_out(cells[len(chosen) :])


def _change(cell: CellVerdict) -> Markup:
    around = "" if cell.low is None else f"<br>{interval_words(cell)}"
    return Markup(f"{percent(cell.change)}{around}")


def _left_out(rest: Sequence[object]) -> str:
    if not rest:
        return ""
    return paragraph(
        f"{len(rest):,} more cells, none worse than the last row, are left out here for size: "
        "`hilbench report RUN --gate FILE --format csv` has all."
    )
