"""The sections of the page: each takes a run and returns markup, charts with their tables."""

from __future__ import annotations

from hilbench.metrics import BY_NAME, show
from hilbench.report._accuracy import classes, lsb
from hilbench.report._changes import alike, changes, grid
from hilbench.report._detail import Detail
from hilbench.report._energy import budget, waveforms
from hilbench.report._operators import operators
from hilbench.report._page import Markup, Table, figure, lines, paragraph
from hilbench.report._sessions import distributions
from hilbench.report.charts import HeatCell, heat_map, shades
from hilbench.report.charts_pareto import pareto_panels, session_range
from hilbench.report.contents import Cell, Contents, Group, compact, exact, interval, short, unit_of
from hilbench.report.quantities import si
from hilbench.report.svg import Mark, element, legend_mark, text

__all__ = ["comparisons", "failed", "of_group", "provenance", "waveforms"]

HEAT = (
    "accuracy", "latency_median", "energy_uj", "plan_bytes", "arena_bytes", "stack_used_bytes",
)  # fmt: skip


def failed(contents: Contents) -> str:
    """Return what is missing and why."""
    rows = tuple(
        (
            c.board, c.variant, f"{c.row['sessions']} of {contents.provenance.sessions}",
            c.text("error"),
        )
        for c in contents.failed
    )  # fmt: skip
    heads = ("board", "variant", "sessions", "what happened")
    return Table("failures", "Cells with an error", heads, rows, 2, wide=frozenset({3})).render()


def of_group(contents: Contents, group: Group, detail: Detail) -> list[tuple[str, str, str]]:
    """Return the sections of the cells that may share charts."""
    results = f"results-{group.key}"
    parts = [paragraph(group.says), _energy_note(group), _legend(contents, group)]
    panels = pareto_panels(contents, group, results, detail)
    if panels:
        caption = (
            "Accuracy against cost. The dashed line joins variants that no other one beats in both. "
            "Whiskers: 95 % interval of accuracy and energy, least to largest session median of "
            "latency. Panels of a cost have the same axes; boards with the same numbers share one."
        )
        if contents.gate and detail.changes:
            caption += " Hollow: where the baseline was, if it may stand beside."
        several = any(len(row) > 1 for row in panels)
        rows = ["\n".join(row) for row in panels]
        parts.append(figure(["<br>\n".join(rows) if several else "\n".join(rows)], caption))
    parts += [
        _results(contents, group, results, marks=detail.hover),
        changes(contents, group, HEAT) if detail.changes else "",
        _heat(group),
        distributions(contents, group, detail.sessions),
        operators(contents, group, detail.operators),
        budget(group),
        classes(contents, group),
        lsb(group),
    ]
    return [(group.key, group.title, "".join(parts))]


def _energy_note(group: Group) -> str:
    """Say where energies come from before anybody quotes one."""
    said = []
    for synthetic in (True, False):
        own = [
            c for c in group.cells if c.synthetic is synthetic and c.number("energy_uj") is not None
        ]
        if not own:
            continue
        meters = ", ".join(
            dict.fromkeys(c.text("energy_meter") for c in own if c.text("energy_meter"))
        )
        by = meters or "a constant current of boards.toml times the board's own clock"
        lead = (
            "SYNTHETIC energy, nothing was measured on a chip" if synthetic else "Energy measured"
        )
        said.append(f"{lead}: by {by}.")
    if not said:
        said = ["No energy: no board of this group has a meter."]
    for warning in dict.fromkeys(c.text("energy_warnings") for c in group.cells):
        if warning:
            own = [c for c in group.cells if c.text("energy_warnings") == warning]
            names = ", ".join(f"{c.board}[{c.variant}]" for c in own)
            said.append(f"Energy of {names}: {warning}.")
    return "".join(paragraph(sentence) for sentence in said)


def _legend(contents: Contents, group: Group) -> str:
    items = "".join(
        element("li", f"{_mark(contents, variant)} {text(variant)}") for variant in group.variants
    )
    return f'<ul class="legend" aria-label="variants and their marks">{items}</ul>\n'


def _mark(contents: Contents, variant: str) -> str:
    return legend_mark(Mark.number(contents.marks[variant]))


def _results(contents: Contents, group: Group, id_: str, *, marks: bool) -> str:
    unit = group.unit
    sources = {c.synthetic for c in group.cells if c.number("energy_uj") is not None}
    lead = "SYNTHETIC " if sources == {True} else ""
    heads = (
        "board", "variant", "accuracy, 95 % interval", f"latency, {unit}, session medians",
        "first inference", f"{lead}energy, uJ, ±\u00a095\u00a0%", "plan, B", "arena, B", "stack used, B",
        "=\u00a0TFLM", "sessions",
    )  # fmt: skip
    rows = tuple(
        _result(contents, cell, marks=marks, mixed=len(sources) > 1) for cell in group.cells
    )
    caption = "Every cell: one inference of each variant on each board"
    numbers = frozenset(range(2, len(heads)))
    return Table(id_, caption, heads, rows, 2, numbers=numbers).render()


def _result(contents: Contents, cell: Cell, *, marks: bool, mixed: bool) -> tuple[str, ...]:
    around, spread = interval(cell, "accuracy"), session_range(contents, cell)
    metric = cell.text("accuracy_metric")
    accuracy = show("accuracy", cell.number("accuracy"))
    agreement = cell.number("agreement_tflm")
    energy, half = compact(cell.number("energy_uj")), cell.number("energy_absolute_uj")
    latency = exact("latency_median", cell.number("latency_median"))
    synthetic = mixed and cell.synthetic and energy != "-"
    return (
        cell.board,
        Markup(f"{_mark(contents, cell.variant)} {text(cell.variant)}") if marks else cell.variant,
        lines(f"{metric} {accuracy}" if metric else accuracy,
              "" if around is None else f"{around[0]:.4f} to {around[1]:.4f}"),
        lines("failed" if cell.text("error") and latency == "-" else latency,
              "" if spread is None else _spread(*spread)),
        exact("latency_cold", cell.number("latency_cold")),
        lines(energy, "" if half is None else f"± {compact(half)}", "SYNTHETIC" if synthetic else ""),
        show("plan_bytes", cell.number("plan_bytes")),
        show("arena_bytes", cell.number("arena_bytes")),
        show("stack_used_bytes", cell.number("stack_used_bytes")),
        "-" if agreement is None else f"{100 * agreement:.4g} %",
        str(cell.row["sessions"]),
    )  # fmt: skip


def _spread(least: float, largest: float) -> str:
    if least == largest:
        return "all alike"
    return f"{exact('latency_median', least)} to {exact('latency_median', largest)}"


def _heat(group: Group) -> str:
    charts, absent = [], []
    for metric in HEAT:
        for synthetic in (False, True) if metric == "energy_uj" else (None,):
            own = {
                (c.board, c.variant): c for c in group.cells
                if synthetic is None or c.synthetic is synthetic
            }  # fmt: skip
            known = [c for c in own.values() if c.number(metric) is not None]
            if not known:
                if synthetic is not True:
                    absent.append(metric)
                continue
            for kind in dict.fromkeys(unit_of(metric, c) for c in known):
                chosen = {key: c for key, c in own.items() if unit_of(metric, c) in {kind, ""}}
                charts.append(_heat_of(group, metric, kind, chosen, synthetic=bool(synthetic)))
    if not charts:
        return ""
    caption = (
        "Board × variant, the value in each cell: the darker, the worse within the metric; darkest "
        "from a tenth above the best. Boards with the same numbers share a column."
    )
    lacking = [m for m in absent if m != "energy_uj" or not any(c.synthetic for c in group.cells)]
    if lacking:
        caption += f" Not measured in this group: {', '.join(BY_NAME[m].label for m in lacking)}."
    return "<h3>Board × variant</h3>\n" + figure(charts, caption)


def _heat_of(
    group: Group, metric: str, unit: str, own: dict[tuple[str, str], Cell], *, synthetic: bool
) -> str:
    keys = [(board, variant) for board in group.boards for variant in group.variants]
    values = [own[key].number(metric) if key in own else None for key in keys]
    lower = metric != "accuracy" or unit == "mse"
    cells = [
        HeatCell(short(metric, value) if value is not None else _why(own.get(key)), shade)
        for key, value, shade in zip(
            keys, values, shades(values, lower_is_better=lower), strict=True
        )
    ]
    n = len(group.variants)
    of_board = {b: tuple(cells[k * n : k * n + n]) for k, b in enumerate(group.boards)}
    columns = alike(of_board)
    lead = "SYNTHETIC " if synthetic else ""
    title = f"{lead}{BY_NAME[metric].label}{f', {unit}' if unit else ''}"
    return heat_map(
        title, f"{title} of {n} variants on {len(group.boards)} boards.", f"results-{group.key}",
        grid(group, columns),
    )  # fmt: skip


def _why(cell: Cell | None) -> str:
    return "failed" if cell is not None and cell.text("error") else "-"


def comparisons(contents: Contents) -> str:
    """Return what paired energy comparisons said."""
    rows = tuple(
        (
            c.board, f"{c.a} / {c.b}", f"{c.ratio:.4f}", f"± {100 * c.expanded:.3g} %",
            str(c.sessions), c.says,
        )
        for c in contents.comparisons
    )  # fmt: skip
    heads = ("board", "energy of", "ratio", "95 %", "sessions of each", "in words")
    caption = "Two variants whose sessions alternated (A B B A): a drift hits both alike"
    numbers = frozenset({2, 3, 4})
    return Table("comparison", caption, heads, rows, 2, numbers, frozenset({5})).render()


def provenance(contents: Contents) -> str:
    """Return what ran where: boards, images, models, files, packages."""
    p = contents.provenance
    commit = p.git_commit or "not in a checkout"
    dirty = {True: ", with local changes", False: "", None: ""}[p.git_dirty]
    facts = {
        "run": f"{p.run_id}, {contents.state}",
        "started": p.started_utc,
        "command": " ".join(p.argv),
        "hilbench": f"{p.hilbench}, {commit}{dirty}",
        "host": f"{p.platform}, Python {p.python}",
        "packages": ", ".join(f"{name} {version}" for name, version in sorted(p.packages.items())),
        **{f"file {name}": f"sha256 {digest}" for name, digest in sorted(p.files.items())},
    }
    if contents.gate:
        facts["baseline"] = contents.gate.baseline_id
    listed = "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in facts.items())
    return f"<dl>{listed}</dl>\n{_boards(contents)}{_models(contents)}"


def _boards(contents: Contents) -> str:
    rows = tuple(
        (
            b.board, f"emulated: {b.emulator}" if b.emulated else "hardware", b.port, b.chip,
            b.unique_id or "-", b.kernels, f"{b.image.text_bytes + b.image.rodata_bytes + b.image.data_bytes:,}",
            f"{b.image.bss_bytes + b.image.data_bytes:,}", si(b.supply_v, "V"),
            b.image_build_id[:12], b.compiler, "nobody ran this port on a real board yet" if b.port_untested else "",
        )
        for b in contents.boards
    )  # fmt: skip
    heads = (
        "board", "is", "port", "chip", "unique id", "kernels", "image flash, B", "image RAM, B",
        "supply", "build id", "compiler", "note",
    )  # fmt: skip
    return Table(
        "boards", "Boards and the image on them", heads, rows, 1, frozenset({6, 7})
    ).render()


def _models(contents: Contents) -> str:
    rows: dict[tuple[str, ...], list[str]] = {}
    for cell in (c for group in contents.groups for c in group.cells):
        if cell.text("plan_sha256"):
            vectors = f"{cell.text('vectors_name')} ({cell.number('vectors_n') or 0:.0f})"
            key = (
                cell.variant, cell.text("technique"),
                lines(cell.text("model"), cell.text("model_sha256")[:16]),
                show("tflite_bytes", cell.number("tflite_bytes")), cell.text("plan_sha256")[:16],
                lines(vectors, cell.text("vectors_sha256")[:16], cell.text("quantise")),
                cell.text("tflm") or "-",
            )  # fmt: skip
            rows.setdefault(key, []).append(cell.board)
    heads = (
        "variant", "technique", "model, sha256", ".tflite, B", "plan sha256", "vectors (n), sha256, quantise",
        "compared with TFLM", "boards",
    )  # fmt: skip
    return Table(
        "models", "Models, plans and vectors (first 16 digits of each hash)", heads,
        tuple((*key, ", ".join(boards)) for key, boards in rows.items()), 1, frozenset({3}),
    ).render()  # fmt: skip
