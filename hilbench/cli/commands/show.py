"""``hilbench show``: the table of a run again."""

from __future__ import annotations

import argparse

from hilbench.cli.common import add_results_argument, run_folder

HELP = "print the tables of a run"
EXAMPLES = """\
  hilbench show                                  the newest run
  hilbench show 20260101-120000-digits           a run in ./results
  hilbench show path/to/run --operators          with each operator's share"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the run."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="name in --results, or a path")
    parser.add_argument("--operators", action="store_true", help="every operator, not the largest")
    add_results_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the run."""
    from rich.console import Console  # noqa: PLC0415

    from hilbench.report.terminal import print_run  # noqa: PLC0415

    print_run(run_folder(args), Console(), operators=args.operators)
    return 0
