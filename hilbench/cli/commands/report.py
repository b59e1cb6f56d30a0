"""``hilbench report``: a run as one file for people, for CI, for a spreadsheet."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hilbench.cli.common import add_results_argument, gate_config, run_folder
from hilbench.errors import EXIT_PASS

if TYPE_CHECKING:
    from hilbench.gate.baseline import Baseline
    from hilbench.report.contents import Contents
    from hilbench.runs.journal import JournalContents

HELP = "one HTML file of a run (or Markdown, JUnit, CSV), with the gate's verdict"
EXAMPLES = """\
  hilbench report                                      the newest run, as report.html
  hilbench report RUN --gate baselines/digits.toml     with verdict, changes and what to do
  hilbench report RUN --format md -o "$GITHUB_STEP_SUMMARY"
  hilbench report RUN --gate baselines/digits.toml --format junit -o junit.xml"""
ENDINGS = {"html": "html", "md": "md", "junit": "xml", "csv": "csv"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare run, gate and output."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="name in --results, or a path")
    parser.add_argument(
        "--gate", type=Path, metavar="BASELINE", help="compare with this baseline (TOML)"
    )
    parser.add_argument(
        "--gate-config",
        type=Path,
        metavar="FILE",
        help="margins and waivers (default: ./gate.toml, else built-in margins)",
    )
    parser.add_argument("--format", choices=tuple(ENDINGS), default="html", help="default: html")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: report.<ending>; - is stdout"
    )
    add_results_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write the report; 0 whatever the verdict, which is ``hilbench gate``'s to return."""
    from hilbench.report.html import MAX_BYTES  # noqa: PLC0415
    from hilbench.runs import read_run  # noqa: PLC0415
    from hilbench.runs.journal import write_atomically  # noqa: PLC0415

    journal = read_run(run_folder(args))
    contents = _contents(args, journal)
    document = _render(args.format, contents)
    path = args.output or Path(f"report.{ENDINGS[args.format]}")
    if str(path) == "-":
        sys.stdout.write(document)
        return EXIT_PASS
    data = document.encode()
    write_atomically(path, data)
    size = f"{len(data) / 1000:,.0f} kB"
    if args.format == "html" and len(data) > MAX_BYTES:
        size += f", above {MAX_BYTES / 1000:,.0f} kB: more cells than one page bears"
    print(f"{path}: {size}")
    return EXIT_PASS


def _render(form: str, contents: Contents) -> str:
    if form == "html":
        from hilbench.report.html import html_report  # noqa: PLC0415

        return html_report(contents)
    if form == "md":
        from hilbench.report.markdown import markdown_report  # noqa: PLC0415

        return markdown_report(contents)
    if form == "junit":
        from hilbench.report.junit import junit_report  # noqa: PLC0415

        return junit_report(contents)
    from hilbench.report.csv import csv_report  # noqa: PLC0415

    return csv_report(contents)


def _contents(args: argparse.Namespace, journal: JournalContents) -> Contents:
    """Read the run, and judge it as ``hilbench gate`` does."""
    from hilbench.report.contents import Before, read_contents  # noqa: PLC0415

    folder = journal.folder
    run = folder.name if folder.parent == Path("results") else str(folder)
    if args.gate is None:
        return read_contents(journal, before=Before(run=run))
    from datetime import date  # noqa: PLC0415

    from hilbench.gate.baseline import load_baseline  # noqa: PLC0415
    from hilbench.gate.judge import judge  # noqa: PLC0415
    from hilbench.gate.snapshot import snapshot  # noqa: PLC0415

    config = gate_config(args.gate_config)
    baseline = load_baseline(args.gate)
    today = date.today()  # noqa: DTZ011 - waivers end on a local day
    gate = judge(snapshot(journal), baseline, config, today=today)
    before = Before(
        sessions=_sessions(baseline),
        right=_right(baseline),
        alpha=config.alpha,
        run=run,
        baseline=str(args.gate),
        config=str(args.gate_config or ""),
    )
    return read_contents(journal, gate, before)


def _sessions(baseline: Baseline) -> dict[tuple[str, str, str], tuple[float, ...]]:
    """Return what the report draws of a baseline session by session."""
    found = {}
    for (board, variant), cell in baseline.cells.items():
        if median := cell.numbers.cycles.get("latency_median"):
            found[board, variant, "latency_median"] = median
        if cell.numbers.energy is not None:
            found[board, variant, "energy_uj"] = cell.numbers.energy.uj
    return found


def _right(baseline: Baseline) -> dict[tuple[str, str], list[bool]]:
    """Return which vectors a baseline has right, where it knows."""
    return {
        key: cell.numbers.accuracy.bits("correct").tolist()
        for key, cell in baseline.cells.items()
        if cell.numbers.accuracy is not None and cell.numbers.accuracy.correct
    }
