"""What variants get right class by class, and how far outputs are from the host interpreter's."""

from __future__ import annotations

import json

import numpy as np

from hilbench.errors import StoreError
from hilbench.report._page import Table, figure, folded, paragraph
from hilbench.report.charts import Bar, Grid, HeatCell, bars, heat_map, shades
from hilbench.report.contents import Contents, Group, kept_file
from hilbench.runs.schema import SessionRecord

LABELS = "labels"  # array of outputs/*.npz


def classes(contents: Contents, group: Group) -> str:
    """Return accuracy per class from the outputs that the run keeps, where it keeps labels, too."""
    top1 = {(c.board, c.variant) for c in group.cells if c.text("accuracy_metric") == "top1"}
    if not top1:
        return ""
    found: dict[tuple[str, tuple[tuple[int, int], ...]], list[str]] = {}
    first = {(r.board, r.variant): r for r in reversed(contents.records)}
    for cell in group.cells:
        record = first.get((cell.board, cell.variant))
        if record is not None and (cell.board, cell.variant) in top1:
            counted = _by_class(contents, record)
            if counted is not None:
                found.setdefault((cell.variant, counted), []).append(cell.board)
    title = "<h3>Accuracy per class</h3>\n"
    if not found:
        return title + paragraph("Left out: this run keeps outputs without labels.")
    return title + _class_map(group, found)


def _by_class(contents: Contents, record: SessionRecord) -> tuple[tuple[int, int], ...] | None:
    """Return (right, n) of each class; None without labels."""
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
    right = scores.argmax(axis=1) == labels
    n = np.bincount(labels, minlength=scores.shape[1])
    hits = np.bincount(labels[right], minlength=scores.shape[1])
    return tuple((int(h), int(total)) for h, total in zip(hits, n, strict=True))


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
