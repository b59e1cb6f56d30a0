"""What variants get right class by class, and how far outputs are from the host interpreter's."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import StoreError
from hilbench.report._page import Table, figure, folded, paragraph
from hilbench.report.charts import Bar, Grid, HeatCell, bars, heat_map, shades
from hilbench.report.contents import Cell, Contents, Group, kept_file
from hilbench.runs.schema import SessionRecord

LABELS = "labels"  # array of outputs/*.npz


def classes(contents: Contents, group: Group) -> str:
    """Return accuracy per class from the outputs that the run keeps, where it keeps labels, too."""
    top1 = {(c.board, c.variant) for c in group.cells if c.text("accuracy_metric") == "top1"}
    if not top1:
        return ""
    found: dict[tuple[str, tuple[tuple[int, int], ...]], list[str]] = {}
    moved: list[tuple[str, ...]] = []
    first = {(r.board, r.variant): r for r in reversed(contents.records)}
    for cell in group.cells:
        key = (cell.board, cell.variant)
        record = first.get(key)
        known = None if record is None or key not in top1 else _labelled(contents, record)
        if known is not None:
            found.setdefault((cell.variant, _by_class(*known)), []).append(cell.board)
            before = contents.before.right.get(key)
            if before is not None and contents.baseline(cell, "accuracy") is not None:
                moved += _moved(cell, *known, before)
    title = "<h3>Accuracy per class</h3>\n"
    if not found:
        return title + paragraph("Left out: this run keeps outputs without labels.")
    return title + _class_map(group, found) + _moved_table(contents, group, moved)


_Bools = NDArray[np.bool_]
_Labels = NDArray[np.int64]


def _labelled(contents: Contents, record: SessionRecord) -> tuple[_Bools, _Labels, int] | None:
    """Return which vectors are right, their labels and the number of classes; None without labels."""
    file = next((f for f in record.files if f.startswith("outputs/")), None)
    if file is None:
        return None
    path = kept_file(contents.folder, record, file)
    try:
        with np.load(path) as arrays:
            if LABELS not in arrays:
                return None
            outputs, labels = arrays["outputs"], arrays[LABELS].reshape(-1).astype(np.int64)
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"{path}: cannot be read ({error})") from error
    scores = outputs.reshape(len(outputs), -1)
    return scores.argmax(axis=1) == labels, labels, scores.shape[1]


def _by_class(right: _Bools, labels: _Labels, classes: int) -> tuple[tuple[int, int], ...]:
    """Return (right, n) of each class."""
    n = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[right], minlength=classes)
    return tuple((int(h), int(total)) for h, total in zip(hits, n, strict=True))


def _moved(
    cell: Cell, right: _Bools, labels: _Labels, classes: int, before: Sequence[bool]
) -> list[tuple[str, ...]]:
    """Return a row per class of which vectors were lost or won; none where none was."""
    was = np.array(before, dtype=bool)
    if len(was) != len(right):
        return []
    lost = np.bincount(labels[was & ~right], minlength=classes)
    won = np.bincount(labels[~was & right], minlength=classes)
    n = np.bincount(labels, minlength=classes)
    return [
        (cell.board, cell.variant, str(k), str(lost[k]), str(won[k]), str(n[k]))
        for k in np.flatnonzero(lost + won)
    ]


def _moved_table(contents: Contents, group: Group, moved: Sequence[tuple[str, ...]]) -> str:
    if not contents.before.right:
        return ""
    if not moved:
        return paragraph("Every vector that was right or wrong in the baseline is so now.")
    heads = ("board", "variant", "class", "lost", "won", "vectors")
    caption = (
        "Vectors that were right in the baseline and are wrong now (lost), or the other way round"
    )
    return Table(
        f"moved-{group.key}", caption, heads, tuple(moved), 3, frozenset({3, 4, 5})
    ).render()


def _class_map(
    group: Group, found: dict[tuple[str, tuple[tuple[int, int], ...]], list[str]]
) -> str:
    id_ = f"classes-{group.key}"
    keys = list(found)
    names = [f"{variant} on {group.named(found[variant, counted])}" for variant, counted in keys]
    most = max(len(counted) for _, counted in keys)
    shares = [
        [hits / n if n else None for hits, n in counted] + [None] * (most - len(counted))
        for _, counted in keys
    ]
    shade = iter(shades([v for line in shares for v in line], lower_is_better=False))
    cells = [
        [HeatCell("-" if v is None else f"{100 * v:.3g}", next(shade)) for v in line]
        for line in shares
    ]
    chart = heat_map(
        "right answers by class, %", f"{len(names)} rows, {most} classes; darker is worse.", id_,
        Grid(names, [(str(k),) for k in range(most)], cells),
    )  # fmt: skip
    rows = tuple(
        (
            f"{variant} on {', '.join(found[variant, counted])}",
            *(f"{hits} of {n}" for hits, n in counted),
            *["-"] * (most - len(counted)),
        )
        for variant, counted in keys
    )
    heads = ("variant", *(f"class {k}" for k in range(most)))
    twin = Table(
        id_, "Right answers of vectors of a class", heads, rows, 1, frozenset(range(1, most + 1))
    )
    words = "A good average can hide a lost class. A class without vectors is a dash."
    return figure([chart], words) + folded("the same as counts", twin.render())


def lsb(group: Group) -> str:
    """Return how far int8 outputs are from the host interpreter's, where any of them differs."""
    alike: dict[tuple[str, str], list[str]] = {}
    for cell in group.cells:
        if text := cell.text("lsb_histogram"):
            alike.setdefault((cell.variant, text), []).append(cell.board)
    if not alike:
        return ""
    id_ = f"lsb-{group.key}"
    title = "<h3>Difference to the host interpreter</h3>\n"
    charts, rows = [], []
    for (variant, histogram), boards in alike.items():
        counts = sorted((int(k), int(n)) for k, n in json.loads(histogram).items())
        name = f"{variant} on {', '.join(boards)}"
        rows.append(
            (name, ", ".join(f"{k:+d} LSB: {n:,}" if k else f"0: {n:,}" for k, n in counts))
        )
        if any(k for k, _ in counts):
            charts.append(_histogram(f"{variant} on {group.named(boards)}", counts, id_))
    twin = Table(
        id_, "Output elements by their difference in LSB", ("variant", "elements"), tuple(rows)
    )
    if not charts:
        words = "Every int8 output element of every cell equals the host interpreter's."
        return title + paragraph(words) + folded("counts", twin.render())
    words = (
        "Output elements by their difference in LSB; bars are as long as the logarithm of the count. "
        "Cells without a chart have no difference."
    )
    return title + figure(charts, words) + folded("counts", twin.render())


def _histogram(name: str, counts: list[tuple[int, int]], id_: str) -> str:
    rows = [
        Bar(f"{k:+d}" if k else "0", ((0, float(np.log10(n) + 0.3)),), f"{n:,}") for k, n in counts
    ]
    says = f"{sum(n for _, n in counts):,} elements, {len(counts)} different differences."
    return bars(f"{name}: LSB", says, id_, rows, width=300)
