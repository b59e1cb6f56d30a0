"""``hilbench demo``: the compression story of one model, on emulated boards."""

from __future__ import annotations

import argparse
import shutil

from hilbench.cli.common import (
    add_boards_argument,
    add_results_argument,
    choose_boards,
    load_boards_file,
    parse_limit,
)

HELP = "bench the zoo's digits model, its compressed variants × five emulated boards"
EXAMPLES = """\
  hilbench demo                          a subset of the vectors, under 2 minutes
  hilbench demo --vectors all            all 450 held-out vectors
  hilbench demo --board native           in seconds, needs no emulator"""

BOARDS = ("native", "m3", "m4", "m33", "m55")
DEFAULT_VECTORS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare boards and vectors."""
    parser.add_argument(
        "--board", action="append", metavar="ID", help=f"default: {', '.join(BOARDS)}"
    )
    parser.add_argument(
        "--vectors",
        type=parse_limit,
        default=DEFAULT_VECTORS,
        metavar="N|all",
        help=f"how many of the 450 vectors (default: the first {DEFAULT_VECTORS})",
    )
    add_boards_argument(parser)
    add_results_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Bench the zoo and print its table."""
    from hilbench.cli.benching import bench_and_print  # noqa: PLC0415
    from hilbench.config import load_suite  # noqa: PLC0415
    from hilbench.config.defaults import ZOO_SUITE  # noqa: PLC0415

    boards = choose_boards(load_boards_file(args), args.board or list(BOARDS))
    if not args.board and shutil.which("qemu-system-arm") is None:
        boards = [b for b in boards if b.emulator != "qemu"]
        print(
            "qemu-system-arm is not installed: benching the native board only; "
            "for Cortex-M boards: apt-get install qemu-system-arm"
        )
    return bench_and_print(
        load_suite(ZOO_SUITE), boards, limit=args.vectors, results=args.results, files=[ZOO_SUITE]
    )
