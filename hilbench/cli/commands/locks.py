"""``hilbench locks``: which boards of this computer are held, and by whom."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

HELP = "list the boards that processes of this computer hold"
EXAMPLES = """\
  hilbench locks
  hilbench locks --json"""

_COLUMNS = ("board", "pid", "user", "since", "command")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the format."""
    parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")


def run(args: argparse.Namespace) -> int:
    """Print one line per board that is held now; whoever let go is not shown."""
    from hilbench.board.locks import all_locks  # noqa: PLC0415

    rows = [
        asdict(lock.holder)
        if lock.holder
        else {"board": lock.path.stem, "pid": None, "user": None, "since": None, "command": None}
        for lock in all_locks()
        if lock.held
    ]
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    if not rows:
        print("no board is held")
        return 0
    from rich.markup import escape  # noqa: PLC0415

    from hilbench.cli.console import PipeConsole  # noqa: PLC0415
    from hilbench.report.tables import TextColumn, print_table  # noqa: PLC0415

    columns = [
        TextColumn(name, ["?" if row[name] is None else escape(str(row[name])) for row in rows])
        for name in _COLUMNS
    ]
    print_table(PipeConsole(), "boards that are held", columns[:1], columns[1:])
    return 0
