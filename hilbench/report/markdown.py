"""Markdown: for a GitHub step summary, which is dropped whole when it is longer than 1 MiB."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from hilbench.gate.verdicts import GateResult
from hilbench.metrics import show
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
    probability,
    shown,
    sorted_cells,
    what_to_do,
)
from hilbench.report.contents import Cell, Contents, Group, compact, exact

MAX_BYTES = 900_000  # of GitHub's 1 MiB: other steps' words come beside
_SIGNS = {
    "PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "❔", "IMPROVED": "⬇️", "NEW": "🆕", "MISSING": "🕳️",
    "INVALID": "⚠️", "WAIVED": "🏳️",
}  # fmt: skip
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def markdown_report(contents: Contents) -> str:
    """Return verdict, what to do, the gate worst first, what failed, results; cut to ``MAX_BYTES``."""
    lines: list[str] = []
    used = 0
    for line in _lines(contents):
        size = len(line.encode()) + 1
        if used + size > MAX_BYTES:
            lines.append(
                f"\nCut here: longer than {MAX_BYTES:,} bytes. `hilbench report "
                f"{contents.provenance.run_id} --format csv` has every row."
            )
            break
        lines.append(line)
        used += size
    return "\n".join(lines) + "\n"


def escaped(words: object) -> str:
    """Return text that is no markup in a cell of a table."""
    return _SPECIAL.sub(r"\\\1", str(words).replace("\n", " ").replace("\r", " "))


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(escaped(cell) for cell in cells)} |"


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]], left: int) -> Iterator[str]:
    yield _row(heads)
    yield f"|{'---|' * left}{'--:|' * (len(heads) - left)}"
    yield from (_row(row) for row in rows)


def _lines(contents: Contents) -> Iterator[str]:
    p = contents.provenance
    yield f"## hilbench: {escaped(p.name)}"
    yield ""
    first = headline(contents)
    yield f"**{escaped(first)}**" if contents.gate else first
    yield ""
    if contents.gate:
        yield from _gate(contents, contents.gate)
    if contents.failed:
        yield "### Not measured, or not whole"
        yield ""
        rows = [(c.board, c.variant, c.text("error")) for c in contents.failed]
        yield from _table(("board", "variant", "what happened"), rows, 3)
        yield ""
    for group in contents.groups:
        yield from _group(group)
    commit = f", commit {p.git_commit}" if p.git_commit else ""
    yield f"Run {escaped(p.run_id)}, {contents.state}; hilbench {escaped(p.hilbench)}{commit}."


def _gate(contents: Contents, gate: GateResult) -> Iterator[str]:
    yield from (f"- {sentence}" for sentence in what_to_do(contents))
    yield ""
    for title, said in (("Active waivers", gate.waivers), ("Warnings", gate.warnings)):
        if said:
            yield f"{title}:"
            yield ""
            yield from (f"- {escaped(sentence)}" for sentence in said)
            yield ""
    heads = (
        "verdict", "cell", "why", "baseline", "now", "change", interval_name(contents), "margin", "n",
        "mde", "adj. p",
    )  # fmt: skip
    for verdict, cells in groupby(sorted_cells(gate), key=lambda cell: cell.verdict):
        rows = [_verdict(row) for row in gate_rows(list(cells))]
        folded = verdict == "PASS"
        if folded:
            yield f"<details><summary>{len(rows):,} PASS</summary>"
            yield ""
        yield from _table(heads, rows, 3)
        yield ""
        if folded:
            yield "</details>"
            yield ""


def _verdict(row: Row) -> tuple[str, ...]:
    c = row.cell
    first = f"{_SIGNS[c.verdict]} {c.verdict}"
    if not row.alone:
        return (first, f"{c.board}[{c.variant}], {row.what}", row.why, *["-"] * 8)
    return (
        first, c.cell, row.why, shown(c, c.baseline), shown(c, c.now), change_words(c),
        interval_words(c), margin_words(c), counted(c), mde_words(c), probability(c.p_adjusted),
    )  # fmt: skip


def _group(group: Group) -> Iterator[str]:
    yield f"### {escaped(group.title)}"
    yield ""
    yield group.says
    yield ""
    heads = (
        "board", "variant", "accuracy", f"latency, {group.unit}", "energy, uJ", "plan, B", "arena, B",
        "sessions",
    )  # fmt: skip
    yield from _table(heads, [_result(cell) for cell in group.cells], 2)
    yield ""


def _result(cell: Cell) -> tuple[str, ...]:
    energy, half = compact(cell.number("energy_uj")), cell.number("energy_absolute_uj")
    around = f" ± {compact(half)}" if half is not None else ""
    lead = "SYNTHETIC " if cell.synthetic and energy != "-" else ""
    return (
        cell.board,
        cell.variant,
        f"{cell.text('accuracy_metric')} {show('accuracy', cell.number('accuracy'))}".strip(),
        exact("latency_median", cell.number("latency_median")),
        f"{lead}{energy}{around}",
        show("plan_bytes", cell.number("plan_bytes")),
        show("arena_bytes", cell.number("arena_bytes")),
        str(cell.row["sessions"]),
    )
