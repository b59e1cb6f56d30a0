"""``hilbench demo``: the compression story of one model, on emulated boards."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hilbench.cli.common import (
    add_boards_argument,
    add_results_argument,
    choose_boards,
    parse_limit,
)

if TYPE_CHECKING:
    from hilbench.records import BoardConfig

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
    from hilbench.config import load_boards, load_suite  # noqa: PLC0415
    from hilbench.config.defaults import ZOO_SUITE, carried_boards_path  # noqa: PLC0415

    file = args.boards or carried_boards_path()
    boards = choose_boards(load_boards(file), args.board or list(BOARDS), file)
    if not args.board:
        boards = _runnable(boards)
    return bench_and_print(
        load_suite(ZOO_SUITE), boards, limit=args.vectors, results=args.results, files=[ZOO_SUITE]
    )


def _runnable(boards: list[BoardConfig]) -> list[BoardConfig]:
    """Leave out boards whose emulator is not installed, and say which line adds it."""
    from hilbench import plugins  # noqa: PLC0415

    missing: dict[str, list[str]] = {}
    for board in boards:
        if board.emulator and (line := plugins.load("emulators", board.emulator).missing_tool()):
            missing.setdefault(line, []).append(board.id)
    for line, names in missing.items():
        print(f"not benched: {', '.join(names)}; {line}")
    absent = {name for names in missing.values() for name in names}
    return [b for b in boards if b.id not in absent]
