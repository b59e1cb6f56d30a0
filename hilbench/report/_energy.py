"""What the ± of an energy is made of, and the current that it was integrated from."""

from __future__ import annotations

from contextlib import closing
from pathlib import PurePosixPath

from hilbench.recordings.evidence import load_evidence
from hilbench.report._page import Table, figure, folded, paragraph
from hilbench.report.charts import Grid, HeatCell, heat_map
from hilbench.report.charts_waveform import Trace, trace_of, waveform
from hilbench.report.contents import Cell, Contents, Group, compact, kept_file
from hilbench.report.quantities import si
from hilbench.report.svg import ident
from hilbench.runs.energy_columns import ENERGY_COLUMNS
from hilbench.runs.schema import SessionRecord

COMPONENTS = tuple(
    column.name for column in ENERGY_COLUMNS
    if column.name.startswith("energy_u_") and column.name.endswith("_uj")
)  # fmt: skip
_WINDOWS_LISTED = 40
_MARKED = "-operators."  # in the name of a capture whose marker shows operators


def budget(group: Group) -> str:
    """Return each component's share of the variance of gross energy, cell by cell."""
    cells = [c for c in group.cells if any(c.number(name) is not None for name in COMPONENTS)]
    if not cells:
        return ""
    id_ = f"budget-{group.key}"
    names = [name.removeprefix("energy_u_").removesuffix("_uj") for name in COMPONENTS]
    charts = []
    for synthetic in (False, True):
        own = [c for c in cells if c.synthetic is synthetic]
        if own:
            title = f"share of the variance of {'SYNTHETIC ' if synthetic else ''}energy, %"
            charts.append(
                heat_map(
                    title, f"Components of the uncertainty of {len(own)} cells, darker is more.",
                    id_,
                    Grid(
                        [f"{c.board} {c.variant}" for c in own],
                        [(name.replace("_", " "),) for name in names],
                        [_shares(c) for c in own],
                    ),
                )
            )  # fmt: skip
    heads = ("board", "variant", "energy", "± 95 %", "k", *names)
    rows = tuple(
        (
            c.board, c.variant, compact(c.number("energy_uj")),
            compact(c.number("energy_absolute_uj")), compact(c.number("energy_coverage_k")),
            *(compact(c.number(name)) for name in COMPONENTS),
        )
        for c in cells
    )  # fmt: skip
    caption = "Standard uncertainties of gross energy in uJ, by source"
    twin = Table(id_, caption, heads, rows, 2, frozenset(range(2, len(heads))))
    words = "What the ± is made of. A component that was not told is a dash, and then no shares."
    return (
        "<h3>Uncertainty of energy</h3>\n"
        + figure(charts, words)
        + folded("the same in uJ", twin.render())
    )


def _shares(cell: Cell) -> list[HeatCell]:
    """Return shares of the variance; unknown where one of the components is."""
    known = [cell.number(name) for name in COMPONENTS]
    squares = [v * v for v in known if v is not None]
    if len(squares) < len(known) or not sum(squares):
        return [HeatCell("-" if v is None else compact(v), None) for v in known]
    return [HeatCell(_share(s / sum(squares)), s / sum(squares)) for s in squares]


def _share(part: float) -> str:
    tenth = 0.0005
    return "0" if part == 0 else "< 0.1" if part < tenth else f"{100 * part:.1f}"


def waveforms(contents: Contents, most: int) -> str:
    """Return the current of up to ``most`` sessions: of each board first one, then further ones.

    Raises:
        StoreError: evidence was changed after sealing or cannot be read.
    """
    files = [
        (record, file)
        for record in contents.records
        for file in record.files
        if file.startswith("energy/") and file.endswith(".npz")
    ]
    if not files:
        return ""
    firsts = {record.board: file for record, file in reversed(files)}
    heads = [f for f in files if f[1] in firsts.values()]
    first = min(record.session for record, _ in files)
    seconds = [f for f in files if f not in heads and f[0].session == first]
    chosen = [*heads, *seconds][:most]
    parts = []
    for record, file in chosen:
        drawn = _drawn(contents, record, file)
        what = f"{record.board} {record.variant}, session {record.session}"
        name = f"current of {what}{', operators marked' if _MARKED in file else ''}"
        parts.append(drawn if (record, file) in heads else folded(name, drawn))
    rest = len(files) - len(chosen)
    if rest:
        parts.append(
            paragraph(
                f"{rest} more captures are in energy/ of the run: "
                "`hilbench meter decode FILE.npz --plot FILE.svg` draws one."
            )
        )
    return "".join(parts)


def _drawn(contents: Contents, record: SessionRecord, file: str) -> str:
    cell = (record.board, record.variant, record.session)
    id_ = ident("windows", record.board, PurePosixPath(file).stem)
    with closing(load_evidence(kept_file(contents.folder, record, file))) as evidence:
        trace = trace_of(evidence, cell, file)
    if trace.samples == 0:
        return paragraph(f"{file} holds no sample.")
    chart = waveform(trace, id_).replace("<svg ", '<svg class="wide" ', 1)
    synthetic = "SYNTHETIC, not a current of a chip. " if trace.emulated else ""
    start_s, end_s = trace.shown
    length_s = trace.samples / trace.sample_hz
    part = "" if end_s - start_s == length_s else (
        f"{si(start_s, 's')} to {si(end_s, 's')} of {si(length_s, 's')}, where the windows are. "
    )  # fmt: skip
    caption = (
        f"{synthetic}{part}Line: mean; shade: least to largest. "
        f"{si(trace.sample_hz, 'Hz')}, {trace.samples:,} samples, {trace.lost:,} lost; {file}"
    )
    return figure([chart], caption) + folded("windows as a table", _windows(trace, id_).render())


def _windows(trace: Trace, id_: str) -> Table:
    rows = tuple(
        (
            str(k), w.marked.kind, si(w.start / trace.sample_hz, "s"),
            si((w.end - w.start) / trace.sample_hz, "s"), si(w.marked.duration_s, "s"),
            f"{w.marked.inferences}", w.tier,
        )
        for k, w in enumerate(trace.windows[:_WINDOWS_LISTED])
    )  # fmt: skip
    rest = len(trace.windows) - len(rows)
    caption = "Windows of the capture" + (f"; {rest} more are in the file" if rest else "")
    heads = ("window", "kind", "begins", "by the meter", "by the board", "inferences", "found by")
    return Table(id_, caption, heads, rows, 1, frozenset(range(2, 6)))
