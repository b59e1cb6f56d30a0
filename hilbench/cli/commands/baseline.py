"""``hilbench baseline``: accept a run's numbers into a reviewable file, or see what would change."""

from __future__ import annotations

import argparse
from pathlib import Path

from hilbench.cli.common import add_results_argument, baseline_file, run_folder

HELP = "accept a run as the baseline that gates compare with, or show what that would change"
EXAMPLES = """\
  hilbench baseline diff                               the newest run against baselines/<suite>.toml
  hilbench baseline accept --run RUN --reason "first release of the planner"
  hilbench baseline accept --run RUN --cells "m4[*]" --reason "m4 runs at 168 MHz now" """


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    accept = actions.add_parser("accept", help="put a run's cells into the baseline")
    accept.add_argument("--reason", required=True, metavar="TEXT", help="why these are right")
    accept.add_argument(
        "--cells", action="append", metavar="GLOB", help='of "board[variant]"; may be repeated'
    )
    diff = actions.add_parser("diff", help="what accept would change; exit 0, and 1 where it would")
    for action in (accept, diff):
        action.add_argument("--run", metavar="RUN", help="name in --results, or a path; the newest")
        action.add_argument(
            "--baseline", type=Path, metavar="FILE", help="default: baselines/<suite>.toml"
        )
        add_results_argument(action)


def run(args: argparse.Namespace) -> int:
    """Do the action."""
    from hilbench.gate.snapshot import snapshot  # noqa: PLC0415

    measured = snapshot(run_folder(args))
    path = baseline_file(args, measured.suite)
    if args.action == "diff":
        from hilbench.gate.baseline import changes, load_baseline  # noqa: PLC0415

        found = changes(load_baseline(path), measured)
        for change in found:
            print(f"{change.cell} {change.what}: {_text(change.accepted)} -> {_text(change.now)}")
        if not found:
            print(f"{path}: run {measured.run_id} has the same numbers")
        return int(bool(found))
    from datetime import date  # noqa: PLC0415

    from hilbench.gate.baseline import accept, load_baseline, save_baseline  # noqa: PLC0415

    before = load_baseline(path) if path.exists() else None
    after = accept(
        before,
        measured,
        reason=args.reason,
        today=date.today(),  # noqa: DTZ011 - the reviewer's day
        cells=args.cells or ["*"],
    )
    save_baseline(path, after)
    print(f"{path}: {len(after.cells)} cells, from run {measured.run_id}; review and commit it")
    return 0


def _text(value: float | str | None) -> str:
    if value is None:
        return "none"
    return f"{value:.12g}" if not isinstance(value, str) else value
