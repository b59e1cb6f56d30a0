"""The report's charts by matplotlib and by hilbench/report/svg.py: bytes, time, and who survives a CSP.

    python benchmarks/report_charts.py RUN

RUN has energy evidence (a board with a meter). Needs matplotlib, and Chromium for the last column.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from hilbench.recordings.evidence import load_evidence
from hilbench.report.charts import Grid, HeatCell, heat_map, shades
from hilbench.report.charts_pareto import pareto_panels
from hilbench.report.charts_waveform import Trace, merged, trace_of, waveform
from hilbench.report.contents import Contents, read_contents
from hilbench.report.html import DETAILS
from hilbench.report.svg import definitions
from tests.report.chromium import Chromium, Server, find

STYLE = {"svg.fonttype": "none", "svg.hashsalt": "hilbench", "font.size": 8}
POLICY = "sandbox; default-src 'none'; img-src 'self'; style-src 'self'"
REPEATS = 5


def saved(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    markup = buffer.getvalue().decode()
    return markup[markup.index("<svg") :]


def mpl_pareto(contents: Contents) -> str:
    figure = Figure(figsize=(5.4, 2.8), layout="constrained")
    axes = figure.add_subplot(xscale="log", xlabel="latency", ylabel="top1")
    for k, cell in enumerate(contents.groups[0].cells):
        low, high = cell.number("accuracy_low"), cell.number("accuracy_high")
        x, y = cell.number("latency_median"), cell.number("accuracy")
        axes.errorbar(x, y, yerr=[[y - low], [high - y]], marker="os^Dv*XP"[k % 8])
        axes.annotate(cell.variant, (x, y), xytext=(5, 5), textcoords="offset points")
    axes.grid()
    return saved(figure)


def own_pareto(contents: Contents) -> str:
    return pareto_panels(contents, contents.groups[0], "t", DETAILS[0])[0][0]


def mpl_heat(contents: Contents) -> str:
    cells = contents.groups[0].cells
    values = np.array([[c.number("latency_median")] for c in cells])
    figure = Figure(figsize=(2.5, 2.5), layout="constrained")
    axes = figure.add_subplot()
    axes.pcolormesh(np.log(values[::-1]), cmap="Blues", edgecolors="white")
    for k, value in enumerate(values[::-1, 0]):
        axes.text(0.5, k + 0.5, f"{value:.0f}", ha="center", va="center")
    axes.set_yticks(np.arange(len(cells)) + 0.5, [c.variant for c in cells[::-1]])
    return saved(figure)


def own_heat(contents: Contents) -> str:
    cells = contents.groups[0].cells
    values = [c.number("latency_median") for c in cells]
    words = [HeatCell(f"{v:.0f}", s) for v, s in zip(values, shades(values), strict=True)]
    grid = Grid([c.variant for c in cells], [("m4",)], [[w] for w in words])
    return heat_map("latency", "of every variant", "t", grid)


def mpl_waveform(trace: Trace) -> str:
    data = merged(trace.waveform, 800)
    at = np.arange(len(data.mean_a)) * data.width / trace.sample_hz
    figure = Figure(figsize=(10.8, 2.6), layout="constrained")
    axes = figure.add_subplot(xlabel="s", ylabel="A")
    axes.fill_between(at, data.low_a, data.high_a, alpha=0.3, linewidth=0)
    axes.plot(at, data.mean_a, linewidth=1)
    for window in trace.windows:
        axes.axvspan(window.start / trace.sample_hz, window.end / trace.sample_hz, alpha=0.3)
    return saved(figure)


def as_attributes(markup: str) -> str:
    """style="fill: #fff" to fill="#fff": what a policy against styles leaves alone."""

    def attributes(found: re.Match[str]) -> str:
        pairs = [p.split(":", 1) for p in found[1].split(";") if ":" in p]
        font = dict(zip(("font-size", "font-family"), ("8px", "sans-serif"), strict=True))
        known = {k.strip(): v.strip().replace('"', "'") for k, v in pairs}
        known |= font if known.pop("font", None) else {}
        return "".join(f' {name}="{value}"' for name, value in known.items())

    without = re.sub(r"<style.*?</style>", "", markup, flags=re.DOTALL)
    without = re.sub(r' style="([^"]*)"', attributes, without)
    return re.sub(r"<svg ", '<svg stroke-linejoin="round" ', without, count=1)


def timed(draw: Callable[[], str]) -> tuple[str, float]:
    markup, best_s = draw(), float("inf")
    for _ in range(REPEATS):
        begin_s = time.perf_counter()
        draw()
        best_s = min(best_s, time.perf_counter() - begin_s)
    return markup, best_s


def black(browser: Chromium, markup: str) -> float:
    """Share of the chart's pixels that are black under a policy that forbids styles."""
    page = f'<!DOCTYPE html><meta charset="utf-8"><title>t</title>{definitions()}{markup}'
    with Server(page.encode(), POLICY) as server:
        browser.open(server.url, script=False)
        find_box = "(b => [b.left, b.top, b.right, b.bottom])([...document.querySelectorAll('svg')].at(-1).getBoundingClientRect())"
        left, top, right, bottom = (int(v) for v in browser.evaluate(find_box))
        part = browser.picture()[top:bottom, left:right, :3]
    return float((part.max(axis=-1) < 0.1).mean())  # noqa: PLR2004 - black


def main(run: Path) -> None:
    contents = read_contents(run)
    record = next(r for r in contents.records if r.energy)
    file = next(f for f in record.files if f.startswith("energy/"))
    with closing(load_evidence(run / file)) as evidence:
        trace = trace_of(evidence, (record.board, record.variant, record.session), file)
    charts = {
        "Pareto": (lambda: mpl_pareto(contents), lambda: own_pareto(contents)),
        "heat map": (lambda: mpl_heat(contents), lambda: own_heat(contents)),
        "waveform": (lambda: mpl_waveform(trace), lambda: waveform(trace, "t")),
    }
    table = Table("chart", "by", "bytes", "ms", "style=", "black under the policy, %")
    browser = Chromium(find(), tempfile.mkdtemp()) if find() else None
    with mpl.rc_context(STYLE):
        for name, (library, own) in charts.items():
            rows = {"matplotlib": library, "the same, styles as attributes": lambda d=library: as_attributes(d()),
                    "hilbench": own}  # fmt: skip
            for by, draw in rows.items():
                markup, best_s = timed(draw)
                share = f"{100 * black(browser, markup):.1f}" if browser else "-"
                table.add_row(
                    name, by, f"{len(markup.encode()):,}", f"{1000 * best_s:.1f}",
                    str(markup.count("style=")), share,
                )  # fmt: skip
    if browser:
        browser.close()
    Console(width=110).print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
