"""``hilbench gate``: a run against a baseline."""

from __future__ import annotations

import argparse
from pathlib import Path

from hilbench.cli.common import (
    add_boards_argument,
    add_results_argument,
    baseline_file,
    gate_config,
    load_boards_file,
    run_folder,
)
from hilbench.errors import EXIT_PASS

HELP = "compare a run with a baseline: a verdict per board, variant and metric"
EXAMPLES = """\
  hilbench gate                                        the newest run, baselines/<suite>.toml
  hilbench gate RUN --baseline baselines/digits.toml --config gate.toml
  hilbench gate RUN --board m4 --all                   one board, and what passed, too
  hilbench gate RUN --confirm                          measure what failed again before saying so
  hilbench gate --annotate github                      in GitHub Actions: beside the accepted number"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare both sides and what happens in between."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="name in --results, or a path")
    parser.add_argument(
        "--baseline", type=Path, metavar="FILE", help="default: baselines/<suite>.toml"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="default: ./gate.toml, else built-in margins"
    )
    parser.add_argument(
        "--board", action="append", default=[], metavar="ID", help="gate this one; may be repeated"
    )
    parser.add_argument("--all", action="store_true", help="also show what passed")
    parser.add_argument(
        "--allow-inconclusive",
        action="store_true",
        help="exit 0 where INCONCLUSIVE cells are all that is wrong",
    )
    parser.add_argument(
        "--annotate", choices=("github",), help="also print annotations of what did not pass"
    )
    confirm = parser.add_argument_group("measure flagged cells again")
    confirm.add_argument("--confirm", action="store_true", help="judge fresh sessions of them")
    confirm.add_argument(
        "--suite", type=Path, metavar="FILE", help="default: the suite that the run names"
    )
    add_boards_argument(parser)
    add_results_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Gate, print, and return the exit code."""
    from datetime import date  # noqa: PLC0415

    from hilbench.cli.console import PipeConsole  # noqa: PLC0415
    from hilbench.cli.gating import print_gate  # noqa: PLC0415
    from hilbench.gate.baseline import load_baseline  # noqa: PLC0415
    from hilbench.gate.judge import judge  # noqa: PLC0415
    from hilbench.gate.snapshot import snapshot  # noqa: PLC0415

    folder = run_folder(args)
    measured = snapshot(folder)
    accepted = baseline_file(args, measured.suite)
    baseline = load_baseline(accepted)
    config = gate_config(args.config)
    today = date.today()  # noqa: DTZ011 - waivers end on a local day
    console = PipeConsole()
    if args.confirm:
        from hilbench.cli.confirming import confirmed  # noqa: PLC0415

        result = confirmed(
            folder,
            measured,
            baseline,
            config,
            today=today,
            boards=args.board,
            known=load_boards_file(args),
            suite_file=args.suite,
            results=args.results,
            console=console,
        )
    else:
        result = judge(measured, baseline, config, today=today, boards=args.board)
    allowed = args.allow_inconclusive and result.only_inconclusive
    code = EXIT_PASS if allowed else result.exit_code
    try:
        print_gate(result, console, everything=args.all)
        if allowed:
            n = result.counts["INCONCLUSIVE"]
            print(f"{n} INCONCLUSIVE, allowed: exit code 0, and no PASS", flush=True)
        if args.annotate:
            from hilbench.report.annotations import github_annotations  # noqa: PLC0415

            for line in github_annotations(result, accepted, accepted.read_text()):
                print(line, flush=True)
    except BrokenPipeError:  # the verdict decides the exit code, not who reads it
        return code
    return code
