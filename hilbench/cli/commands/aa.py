"""``hilbench aa``: how much a bench scatters, and how often the gate cries wolf on it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hilbench.cli.common import (
    add_boards_argument,
    add_results_argument,
    gate_config,
    parse_share,
    run_folder,
)

if TYPE_CHECKING:
    from hilbench.gate.aa import Floor, Rates
    from hilbench.gate.config import GateConfig

HELP = "noise floors of the bench from repeated sessions, and the gate's own false-alarm rate"
EXAMPLES = """\
  hilbench run suite.toml --board lab --sessions 12 && hilbench aa
  hilbench aa RUN --config gate.toml
  hilbench aa --simulate --cells 120 --sessions 6 --sd 0.2%
  hilbench aa --simulate --sd 0.2% --change 1%         how often a change of 1 % is found
  hilbench aa --layout --board riscv --variant student_int8   what linking in another order does"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare a run, or a simulated bench."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="name in --results, or a path")
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: ./gate.toml")
    parser.add_argument("--seed", type=int, default=1, help="of splits and noise (default: 1)")
    parser.add_argument(
        "--families", type=int, default=200, metavar="N", help="gates to try (default: 200)"
    )
    bench = parser.add_argument_group("a simulated bench")
    bench.add_argument("--simulate", action="store_true", help="no run: log-normal sessions")
    bench.add_argument("--cells", type=int, default=120, metavar="N", help="of a gate (120)")
    bench.add_argument("--sessions", type=int, metavar="N", help="on each side (6)")
    bench.add_argument("--sd", type=parse_share, default=0.002, help="session to session (0.2%%)")
    bench.add_argument("--change", type=parse_share, default=0.0, help="a true one (default: none)")
    layout = parser.add_argument_group(
        "code layout: one board, its firmware linked in random orders, flashed and timed"
    )
    layout.add_argument("--layout", action="store_true", help="measure it; --sessions default: 2")
    layout.add_argument("--board", metavar="ID", help="flashed once for each link")
    layout.add_argument("--suite", type=Path, metavar="FILE", help="default: the zoo's digits")
    layout.add_argument(
        "--variant", action="append", default=[], metavar="NAME", help="default: all of the suite"
    )
    layout.add_argument("--builds", type=int, default=8, metavar="N", help="links (8)")
    add_boards_argument(parser)
    add_results_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print floors and rates; 4 where the gate cries wolf more often than alpha."""
    from hilbench.errors import EXIT_INCONCLUSIVE, EXIT_PASS, UsageError  # noqa: PLC0415
    from hilbench.gate.config import DEFAULT_MARGINS  # noqa: PLC0415

    for name in ("families", "cells"):
        if getattr(args, name) < 1:
            raise UsageError(f"--{name} is {getattr(args, name)}, must be at least 1")
    ways = [w for w, given in (("RUN", args.run), ("--simulate", args.simulate), ("--layout", args.layout)) if given]  # fmt: skip
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)} are two things; ask for one")
    if not args.layout and (
        stray := [n for n in ("board", "suite", "variant") if getattr(args, n)]
    ):
        raise UsageError(f"--{stray[0]} belongs to --layout; add that, or leave it out")
    if args.layout:
        from hilbench.cli.layouts import layout_floors  # noqa: PLC0415

        return layout_floors(args)
    config = gate_config(args.config)
    change = args.change if args.simulate else 0.0
    margin = DEFAULT_MARGINS["cycles"]  # simulated cells have no name that gate.toml could mean
    tried = _simulated(args, config, margin) if args.simulate else _replayed(args, config)
    what = f"a true change of {100 * change:g} %" if change else "nothing changed"
    level = f"alpha {100 * config.alpha:g} %"
    level += f", margin {100 * margin:g} %" if args.simulate else ""
    print(f"\n{args.families} gates, {what}, {level}:")
    for found in tried:
        _print_rates(found)
    wolf = not change and any(found.interval[0] > config.alpha for found in tried)
    return EXIT_INCONCLUSIVE if wolf else EXIT_PASS


def _simulated(args: argparse.Namespace, config: GateConfig, margin: float) -> list[Rates]:
    from hilbench.gate.aa import Bench, rates  # noqa: PLC0415

    sessions = 6 if args.sessions is None else args.sessions
    bench = Bench(args.cells, sessions, args.sd, args.change)
    sides = bench.sides(config, args.families, args.seed)
    again = config.confirm_inconclusive
    return [
        rates(chosen, 1.0, margin, config.alpha, inconclusive=again)
        for chosen in (sides[:2], sides)
    ]


def _replayed(args: argparse.Namespace, config: GateConfig) -> list[Rates]:
    from hilbench.errors import UsageError  # noqa: PLC0415
    from hilbench.gate.aa import floors, replay, unreplayed  # noqa: PLC0415
    from hilbench.gate.snapshot import snapshot  # noqa: PLC0415

    measured = snapshot(run_folder(args))
    _print_floors(floors(measured, config))
    for cell in unreplayed(measured, config):
        print(f"not tried: {cell}, whose sessions take turns with those of its pair")
    tried = [replay(measured, config, args.families, args.seed)]
    try:
        tried.append(replay(measured, config, args.families, args.seed, confirm=True))
    except UsageError as error:
        print(f"gate --confirm is not tried: {error}")
    return tried


def _print_floors(found: list[Floor]) -> None:
    print("noise between sessions, and sessions on each side that see a change of the margin:")
    width = max((len(f"{f.board}[{f.variant}]::{f.metric}") for f in found), default=0)
    for floor in found:
        name = f"{floor.board}[{floor.variant}]::{floor.metric}"
        needed = "> 1000" if floor.sessions_needed is None else str(floor.sessions_needed)
        print(
            f"  {name:<{width}}  sd {100 * floor.sd:.3f} %  n {floor.sessions}  "
            f"margin {100 * floor.margin:g} %  needs {needed}"
        )


def _print_rates(found: Rates) -> None:
    low, high = found.interval
    baseline, now, *fresh = found.sessions
    how = f"gate --confirm, {fresh[0]} fresh" if fresh else "gate"
    print(
        f"  {how}, {baseline} against {now} sessions: "
        f"{100 * found.any_fail / found.families:.1f} % have a FAIL "
        f"({100 * low:.1f} to {100 * high:.1f} %); cells: {100 * found.passes:.1f} % PASS, "
        f"{100 * found.fails:.1f} % FAIL, {100 * found.inconclusive:.1f} % INCONCLUSIVE"
    )
