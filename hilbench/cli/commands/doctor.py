"""``hilbench doctor``: is this computer, and with ``--board`` this board, fit to measure?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from hilbench.cli.common import (
    add_boards_argument,
    boards_file,
    choose_boards,
    load_boards_file,
)
from hilbench.errors import EXIT_COULD_NOT_MEASURE, EXIT_PASS, HilbenchError

if TYPE_CHECKING:
    from hilbench.doctor.check import Check
    from hilbench.records import BoardConfig

HELP = "check tools, permissions, ports, and with --board a board itself"
EXAMPLES = """\
  hilbench doctor                    this computer, for all boards of boards.toml
  hilbench doctor --board native     and flash that board, talk to it, time its clock
  hilbench doctor --json             for scripts; exit code 3 when a check failed"""
_COLOUR = {"ok": "green", "warn": "yellow", "failed": "red", "skipped": "dim"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare boards and form."""
    parser.add_argument(
        "--board",
        action="append",
        metavar="ID",
        default=[],
        help="may be repeated; the board is flashed as its table says, and its memory overwritten",
    )
    parser.add_argument("--json", action="store_true", help="a list of records instead of a table")
    add_boards_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print what was found; 3 when something failed."""
    known = load_boards_file(args)
    chosen = choose_boards(known, args.board, boards_file(args))
    checks = list(_computer(chosen or list(known.values())))
    for board in chosen:
        checks += [replace(check, board=board.id) for check in _board(board)]
    if args.json:
        print(json.dumps([asdict(check) for check in checks], indent=1))
    else:
        _print(checks)
    failed = any(check.state == "failed" for check in checks)
    return EXIT_COULD_NOT_MEASURE if failed else EXIT_PASS


def _computer(boards: Sequence[BoardConfig]) -> Iterator[Check]:
    from hilbench.doctor import computer  # noqa: PLC0415
    from hilbench.doctor.tools import check_images, check_tools  # noqa: PLC0415

    yield from check_tools(boards)
    yield from check_images(boards)
    yield computer.check_modem_manager()
    yield from computer.check_probes()
    for board in boards:
        if board.emulator is None:
            for check in _port(board):
                yield replace(check, board=board.id)


def _port(board: BoardConfig) -> Iterator[Check]:
    from hilbench.board.access import resolve_port  # noqa: PLC0415
    from hilbench.doctor.check import Check  # noqa: PLC0415
    from hilbench.doctor.computer import check_port  # noqa: PLC0415

    try:
        port = resolve_port(board.serial or "", board.id)
    except HilbenchError as error:
        fact, _, step = str(error).partition("; ")
        yield Check("port", "failed", fact, step)
        return
    if "://" in port:
        yield Check("port", "skipped", f"{port} is on another computer")
    else:
        yield from check_port(port, board.timeouts.hello_s)


def _board(board: BoardConfig) -> Iterator[Check]:
    from hilbench.board.images import find_image  # noqa: PLC0415
    from hilbench.doctor.board import examine_board  # noqa: PLC0415
    from hilbench.doctor.check import Check  # noqa: PLC0415

    try:
        image = find_image(board.firmware)
    except HilbenchError:
        yield Check("HELLO", "skipped", f"there is no image of {board.firmware}, see above")
        return
    yield from examine_board(board, image)


def _print(checks: Sequence[Check]) -> None:
    from rich import box  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from hilbench.cli.console import PipeConsole  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("board", "check", "state", "found, and what to do next"):
        table.add_column(title, overflow="fold")
    for check in checks:
        colour = _COLOUR[check.state]
        found = f"{check.fact}\n→ {check.next_step}" if check.next_step else check.fact
        table.add_row(
            check.board or "-",
            escape(check.name),
            f"[{colour}]{check.state}[/{colour}]",
            escape(found),
        )
    PipeConsole().print(table)
