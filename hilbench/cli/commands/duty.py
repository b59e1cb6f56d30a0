"""``hilbench duty``: average power and battery life from a run's energy. docs/energy.md explains."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from hilbench.cli.common import add_results_argument, print_json, run_folder
from hilbench.errors import EXIT_PASS, MeasurementError, UsageError

HELP = "average power at r inferences a second, and how long batteries last"
EXAMPLES = """\
  hilbench duty                                  the newest run, at 0.01, 0.1, 1 and 10 a second
  hilbench duty 20260101-120000-digits --rate 0.5 --rate 2
  hilbench duty path/to/run --sleep-ma 0.0021    a board that sleeps deeper than it was measured
  hilbench duty --board m4 --variant pruned --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare run, rates and sleep."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="name in --results, or a path")
    parser.add_argument(
        "--rate",
        type=float,
        action="append",
        metavar="HZ",
        help="inferences a second; may be repeated (default: 0.01 0.1 1 10, as far as possible)",
    )
    parser.add_argument(
        "--sleep-ma",
        type=float,
        metavar="MA",
        help="current between inferences (default: as measured in the run's idle windows)",
    )
    parser.add_argument("--board", metavar="ID", help="only this board")
    parser.add_argument("--variant", metavar="NAME", help="only this variant")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    add_results_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print it; 3 when no cell of the run has what it takes."""
    from hilbench.cli.console import PipeConsole  # noqa: PLC0415
    from hilbench.report.duty import duty_cells, print_duty  # noqa: PLC0415
    from hilbench.report.terminal import WIDE  # noqa: PLC0415
    from hilbench.runs import load  # noqa: PLC0415

    folder = run_folder(args)
    frame = load(folder)
    for column, wanted in (("board", args.board), ("variant", args.variant)):
        known = list(dict.fromkeys(frame[column]))
        if wanted is not None and wanted not in known:
            raise UsageError(f"no {column} {wanted!r} in {folder}; it has: {', '.join(known)}")
        frame = frame if wanted is None else frame[frame[column] == wanted]
    cells, refused = duty_cells(frame, args.rate, args.sleep_ma)
    if not cells:
        first = refused[0]
        more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
        raise MeasurementError(
            f"{folder} has nothing for a duty cycle: {first.board} {first.variant}: "
            f"{first.reason}{more}"
        )
    if args.json:
        print_json({"cells": [asdict(c) for c in cells], "refused": [asdict(r) for r in refused]})
        return EXIT_PASS
    console = PipeConsole()
    if not console.is_terminal:
        console.width = WIDE
    print_duty(cells, refused, console)
    return EXIT_PASS
