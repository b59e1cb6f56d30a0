"""How sessions are distributed, and beside them those of the baseline."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from hilbench.gate.verdicts import WORST_FIRST
from hilbench.report._page import Table, figure, folded, paragraph
from hilbench.report.charts_strips import Strip, finite, strips
from hilbench.report.contents import Cell, Contents, Group, compact, exact

_MANY_VALUES = 32
_MOST_NAMED = 6
_METRICS = {"latency_median": "median latency", "energy_uj": "energy"}


def distributions(contents: Contents, group: Group, most: int) -> str:
    """Return where sessions lie, of latency and of energy by a meter, on up to ``most`` boards.

    Boards with a verdict that asks for a look come first; only what differs is drawn.
    """
    if not most:
        return _without_sessions()
    parts = [_of_metric(contents, group, metric, most) for metric in _METRICS]
    drawn = "".join(part for part in parts if part)
    return f"<h3>Sessions</h3>\n{drawn}" if drawn else ""


def _without_sessions() -> str:
    """Say that they are left out."""
    words = "Sessions one by one are left out for size; sessions.csv of the run has all."
    return "<h3>Sessions</h3>\n" + paragraph(words)


def _sessions(contents: Contents, cell: Cell, metric: str) -> tuple[float, ...]:
    known = contents.medians if metric == "latency_median" else contents.energies
    return known.get((cell.board, cell.variant), ())


def _boards(contents: Contents, group: Group, metric: str, most: int) -> tuple[str, ...]:
    """Return boards with sessions of a metric, in the order of the run; the worst, if too many."""
    known = [c for c in group.cells if _sessions(contents, c, metric)]
    worst = {c.board: len(WORST_FIRST) for c in reversed(known)}
    for cell in known:
        if verdict := contents.verdict(cell, metric):
            worst[cell.board] = min(worst[cell.board], WORST_FIRST.index(verdict.verdict))
    chosen = sorted(worst, key=lambda board: (worst[board], group.boards.index(board)))[:most]
    return tuple(board for board in group.boards if board in chosen)


def _of_metric(contents: Contents, group: Group, metric: str, most: int) -> str:
    id_ = f"sessions-{group.key}" + ("" if metric == "latency_median" else "-energy")
    what = _METRICS[metric]
    unit = group.unit if metric == "latency_median" else "uJ"
    charts, rows = [], []
    boards = _boards(contents, group, metric, most)
    for board in boards:
        found = [
            (c, own, contents.sessions_before(c, metric))
            for c in group.of_board(board) if (own := _sessions(contents, c, metric))
        ]  # fmt: skip
        rows += [
            (board, c.variant, _values(metric, own), _values(metric, old)) for c, own, old in found
        ]
        drawn = [
            _strip(contents.marks[c.variant], c.variant, own, old)
            for c, own, old in found if finite(own)
        ]  # fmt: skip
        if not any(v != 1 for strip in drawn for v in (*strip.now, *strip.before)):
            continue
        gated = [strip for strip in drawn if strip.before]
        says = f"Each session's {what}, of {len(drawn)} variants, relative to {_median(gated)}"
        if 0 < len(gated) < len(drawn):
            says += f", of {len(drawn) - len(gated)} that have none to their own"
        synthetic = metric == "energy_uj" and any(c.synthetic for c, _, _ in found)
        lead = "SYNTHETIC " if synthetic else ""
        charts.append(
            strips(f"{lead}{what} of sessions on {board}", f"{says}.", id_, drawn,
                   reference=_median(gated), synthetic=synthetic)
        )  # fmt: skip
    if not rows:
        return ""
    gated_rows = any(before != "-" for *_, before in rows)
    heads = ("board", "variant", f"{what} of sessions, {unit}", "of the baseline's")
    twin = Table(
        id_, f"{what.capitalize()} of each session, in the order measured",
        heads if gated_rows else heads[:3], tuple(r if gated_rows else r[:3] for r in rows), 2,
    )  # fmt: skip
    summary, apart = f"{what} of sessions as a table", _apart(contents, group, metric)
    if len(boards) < len(_boards(contents, group, metric, len(group.boards))):
        apart += paragraph(
            f"Only {', '.join(boards)}, for size: boards with the worst verdicts, else the first. "
            "sessions.csv of the run has all."
        )
    if not charts:
        beside = ", the baseline's, too" if gated_rows else ""
        words = f"All sessions of a cell have the same {what}{beside}: nothing to draw."
        return paragraph(words) + folded(summary, twin.render()) + apart
    words = "Every mark is one session; many in one place look like one, the table counts them."
    if gated_rows:
        words += " Hollow, above: the baseline's. A board where nothing differs is not drawn."
    return figure(charts, words) + folded(summary, twin.render()) + apart


def _median(gated: Sequence[Strip]) -> str:
    return "the baseline's median" if gated else "the cell's median"


def _strip(mark: int, name: str, now: Sequence[float], before: Sequence[float]) -> Strip:
    old = tuple(before) if finite(before) else ()
    middle = statistics.median(old or now)
    return Strip(name, mark, tuple(v / middle for v in now), tuple(v / middle for v in old))


def _apart(contents: Contents, group: Group, metric: str) -> str:
    """Say which cells have no baseline beside them, and why."""
    if contents.gate is None:
        return ""
    why: dict[str, list[str]] = {}
    for cell in group.cells:
        verdict = contents.verdict(cell, metric)
        if verdict is None or not _sessions(contents, cell, metric):
            continue
        if not contents.sessions_before(cell, metric):
            why.setdefault(verdict.verdict, []).append(f"{cell.board}[{cell.variant}]")
    if not why:
        return ""
    said = "; ".join(f"{_some(cells)} ({verdict})" for verdict, cells in why.items())
    return paragraph(
        f"No baseline's {_METRICS[metric]} stands beside {said}: see the gate's table."
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _values(metric: str, values: Sequence[float]) -> str:
    words = [exact(metric, v) if metric == "latency_median" else compact(v) for v in values]
    if not words:
        return "-"
    if len(set(words)) == 1:
        return f"{len(words)} × {words[0]}"
    more = f", and {len(words) - _MANY_VALUES} more" if len(words) > _MANY_VALUES else ""
    return "; ".join(words[:_MANY_VALUES]) + more
