"""``hilbench runs``: what is in the results folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hilbench.cli.common import add_results_argument, print_json
from hilbench.errors import EXIT_PASS

HELP = "list the runs in results/, oldest first"
EXAMPLES = """\
  hilbench runs
  hilbench runs --results /srv/results --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare folder and form."""
    parser.add_argument("--json", action="store_true", help="for programs")
    add_results_argument(parser)


def run(args: argparse.Namespace) -> int:
    """List; a folder that cannot be read is listed with the reason."""
    rows = [_row(path.parent) for path in sorted(args.results.glob("*/journal.jsonl"))]
    if args.json:
        print_json(rows)
    else:
        _print(rows, args.results)
    return EXIT_PASS


def _row(folder: Path) -> dict[str, Any]:
    from hilbench.errors import StoreError  # noqa: PLC0415
    from hilbench.runs import read_run  # noqa: PLC0415
    from hilbench.runs.journal import SUMS, goes_on  # noqa: PLC0415
    from hilbench.runs.rows import cells, run_state  # noqa: PLC0415

    try:
        running = goes_on(folder)
        contents = read_run(folder)
    except StoreError as error:
        return {"run": folder.name, "state": "unreadable", "error": str(error)}
    provenance, found = contents.provenance, cells(contents)
    return {
        "run": folder.name,
        "state": "running" if running else run_state(contents),
        "sealed": (folder / SUMS).exists(),
        "cells_done": sum(not cell.error for cell in found),
        "cells_planned": len(found),
        "sessions_done": sum(len(cell.sessions) for cell in found),
        "sessions_planned": len(found) * provenance.sessions,
        "started_utc": provenance.started_utc,
        "boards": list(dict.fromkeys(cell.board_id for cell in found)),
    }


def _print(rows: list[dict[str, Any]], results: Path) -> None:
    if not rows:
        print(f"no run in {results}; make one with: hilbench demo")
        return
    width = max(len(row["run"]) for row in rows)
    for row in rows:
        if row["state"] == "unreadable":
            print(f"{row['run']:{width}}  unreadable   {row['error']}")
            continue
        state = "not sealed" if _only_sealing_is_left(row) else row["state"]
        done = f"{row['cells_done']}/{row['cells_planned']} cells"
        print(
            f"{row['run']:{width}}  {state:11}  {done:>12}  {row['started_utc'][:16]}  "
            f"{', '.join(row['boards'])}"
        )
    if any(row["state"] == "interrupted" or _only_sealing_is_left(row) for row in rows):
        print("hilbench run --resume RUN goes on with one that is interrupted or not sealed")


def _only_sealing_is_left(row: dict[str, Any]) -> bool:
    return row["state"] == "complete" and not row["sealed"]
