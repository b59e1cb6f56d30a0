"""One HTML file: verdict, gate, charts with their tables, provenance. docs/report.md says why so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hilbench.gate.verdicts import COMPARED, GateResult
from hilbench.report import _sections as sections
from hilbench.report._detail import Detail
from hilbench.report._page import Markup, Table, folded, lines, page, paragraph, verdict_words
from hilbench.report._words import (
    Row,
    change_words,
    counted,
    gate_rows,
    headline,
    interval_name,
    interval_words,
    margin_words,
    mde_words,
    method,
    probability,
    shown,
    sorted_cells,
    what_to_do,
)
from hilbench.report.charts import gate_interval
from hilbench.report.contents import Contents
from hilbench.report.svg import element, text

MAX_BYTES = 500_000
_CELLS_OF_DETAIL = (80, 160)  # with more, the first details were never small enough: not tried


DETAILS = (
    Detail(6, "all", 400, sessions=100, hover=True, changes=True),
    Detail(6, "first board", 200, sessions=100, hover=False, changes=True),
    Detail(3, "first board", 100, sessions=4, hover=False, changes=True),
    Detail(1, "none", 40, sessions=0, hover=False, changes=False),
)


def html_report(contents: Contents) -> str:
    """Return the page; the same from the same run and gate, byte by byte.

    A run too large for ``MAX_BYTES`` is drawn in less detail, and the page says what it leaves out.

    Raises:
        StoreError: evidence or outputs were changed after sealing, or cannot be read.
    """
    cells = sum(len(group.cells) for group in contents.groups)
    hopeless = sum(cells > most for most in _CELLS_OF_DETAIL)
    for detail in DETAILS[hopeless:]:
        document = _document(contents, detail)
        if len(document.encode()) <= MAX_BYTES:
            break
    return document


def _document(contents: Contents, detail: Detail) -> str:
    parts: list[tuple[str, str, str]] = []
    if contents.gate:
        parts.append(("gate", "Gate", _gate(contents, contents.gate, detail.gate_rows)))
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
    items = "".join(element("li", paragraph(said)) for said in what_to_do(contents))
    todo = f"<p>What to do:</p>\n<ul>{items}</ul>\n" if items else ""
    return element("div", first + todo, class_=kind) + _notices(gate)


def _notices(gate: GateResult) -> str:
    drawn = ""
    for title, said in (("Active waivers", gate.waivers), ("Warnings", gate.warnings)):
        if said:
            items = "".join(element("li", text(sentence)) for sentence in said)
            drawn += f"<p><strong>{title}</strong></p>\n<ul>{items}</ul>\n"
    return drawn


def _gate(contents: Contents, gate: GateResult, most: int) -> str:
    """Return what asks for a look, then what passed, then what is exactly as it was."""
    cells = sorted_cells(gate)
    asking = gate_rows([c for c in cells if c.verdict != "PASS"])
    same = [c for c in cells if c.verdict == "PASS" and c.baseline == c.now and c.low is None]
    passed = gate_rows([c for c in cells if c.verdict == "PASS" and c not in same])
    interval = interval_name(contents)
    drawn = ""
    if asking:
        drawn += _verdicts(
            asking[: 2 * most], "gate-cells", interval, "Worst first, then nearest to the margin"
        )
    if passed:
        table = _verdicts(
            passed[:most], "gate-passed", interval, "What passed, nearest to the margin first"
        )
        drawn += folded(f"{len(passed):,} PASS", table) if asking else table
    if same:
        metrics = Counter(c.metric for c in same)
        listed = ", ".join(f"{name} {n}" for name, n in sorted(metrics.items()))
        drawn += paragraph(f"{len(same):,} numbers are exactly the baseline's: {listed}.")
    return drawn + _left_out(sum(len(r.metrics) for r in asking[2 * most :] + passed[most:]))


def _verdicts(rows: Sequence[Row], id_: str, interval: str, caption: str) -> str:
    heads = (
        "verdict, cell", "baseline, now, change", f"0, margin, {interval}", "margin, mde",
        "n, adj. p", "why",
    )  # fmt: skip
    drawn = tuple(_verdict_row(row, id_) for row in rows)
    return Table(
        id_, f"{caption}. Positive change is worse.", heads, drawn,
        numbers=frozenset({1, 3, 4}), wide=frozenset({5}),
    ).render()  # fmt: skip


def _verdict_row(row: Row, id_: str) -> tuple[str, ...]:
    c = row.cell
    name = lines(f"{c.board}[{c.variant}]", row.what)
    first = Markup(f"{verdict_words(c.verdict)}<br>{name}")
    if not row.alone:
        return first, "", "", "", "", row.why
    compared = c.verdict in COMPARED
    bar = gate_interval(c, id_) if compared else ""
    around = text(interval_words(c)) if c.low is not None else ""
    return (
        first,
        lines(shown(c, c.baseline), shown(c, c.now), change_words(c) if compared else ""),
        Markup("<br>".join(part for part in (bar, around) if part)),
        lines(margin_words(c), mde_words(c) if c.mde is not None else "") if compared else "",
        lines(counted(c), probability(c.p_adjusted) if c.p_adjusted is not None else ""),
        row.why,
    )


def _left_out(n: int) -> str:
    if not n:
        return ""
    return paragraph(
        f"{n:,} more cells are left out here for size, none worse than the rows above: "
        "`hilbench report RUN --gate FILE --format csv` has all."
    )
