"""``hilbench plan``: what a board would execute, and where every byte of it would lie."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hilbench.cli.common import add_boards_argument, choose_boards, load_boards_file, print_json
from hilbench.cli.common import boards_file as boards_file_of
from hilbench.errors import EXIT_PASS, ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from hilbench.board.image_facts import ImageFacts
    from hilbench.records import Plan

HELP = "a model's operators, kernels, bytes and memory over time on a board, without the board"
EXAMPLES = """\
  hilbench plan model.tflite --board m4            as the board's image would execute it
  hilbench plan model.tflite --board m55 --svg memory.svg
  hilbench plan model.tflite --kernels portable    for any board
  hilbench plan model.tflite --board m4 --json"""
_CHART_COLUMNS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare model, board and forms of output."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .tflite file")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--board", metavar="ID", help="a board of the boards file")
    which.add_argument(
        "--kernels", metavar="SETS", help='kernel sets as HELLO states them, e.g. "portable dsp"'
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the memory chart there")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    add_boards_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the plan."""
    from hilbench.cli.console import PipeConsole  # noqa: PLC0415
    from hilbench.models.planner import plan_model  # noqa: PLC0415
    from hilbench.models.tflite_file import read_model  # noqa: PLC0415
    from hilbench.report.memory_chart import memory_svg  # noqa: PLC0415
    from hilbench.report.terminal import WIDE  # noqa: PLC0415

    facts = None if args.board is None else _facts(args)
    kernels = args.kernels if facts is None else facts.planned_kernels(args.board)
    plan = plan_model(read_model(args.model), kernels)
    title = f"{args.model.name} on {args.board or 'any board'}, kernels {kernels}"
    if args.svg is not None:
        try:
            args.svg.write_text(memory_svg(plan, title), encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"{args.svg} cannot be written ({error.strerror}); name another file with --svg"
            ) from error
    if args.json:
        print_json(_json(plan, kernels, facts))
        return EXIT_PASS
    console = PipeConsole()
    if not console.is_terminal:
        console.width = WIDE
    _print_operators(console, plan, title)
    _print_memory(console, plan)
    _print_sums(console, plan, facts)
    if args.svg is not None:
        console.print(f"memory chart: {args.svg}", highlight=False)
    return EXIT_PASS


def _facts(args: argparse.Namespace) -> ImageFacts:
    from hilbench.board.image_facts import image_facts  # noqa: PLC0415
    from hilbench.board.images import find_image  # noqa: PLC0415

    board = choose_boards(load_boards_file(args), [args.board], boards_file_of(args))[0]
    return image_facts(find_image(board.firmware))


def _json(plan: Plan, kernels: str, facts: ImageFacts | None) -> dict[str, object]:
    return {
        "kernels": kernels,
        "plan_bytes": len(plan.data),
        "arena_bytes": plan.arena_bytes,
        "arena_bound_bytes": plan.bound_bytes,
        "pool_bytes": None if facts is None else facts.pool_bytes,
        "operators": [
            asdict(operator) | {"constant_bytes": constant_bytes}
            for operator, constant_bytes in zip(plan.operators, plan.constant_bytes, strict=True)
        ],
        "placements": [asdict(placement) for placement in plan.placements],
    }


def _print_operators(console: Console, plan: Plan, title: str) -> None:
    from hilbench.report.memory_chart import live_bytes  # noqa: PLC0415
    from hilbench.report.tables import TextColumn, print_table  # noqa: PLC0415

    operators = plan.operators
    columns = [
        TextColumn("kernel", [o.kernel for o in operators]),
        TextColumn("output", ["x".join(map(str, o.output_shape)) for o in operators]),
        TextColumn("MACs", [f"{o.macs:,}" for o in operators], right=True),
        TextColumn("constants, B", [f"{b:,}" for b in plan.constant_bytes], right=True),
        TextColumn(
            "arena in use, B", [f"{live_bytes(plan, o.index):,}" for o in operators], right=True
        ),
    ]
    keys = [
        TextColumn("#", [str(o.index) for o in operators], right=True),
        TextColumn("operator", [o.name for o in operators]),
    ]
    print_table(console, title, keys, columns)


def _print_memory(console: Console, plan: Plan) -> None:
    from hilbench.report.memory_chart import letters, memory_rows  # noqa: PLC0415
    from hilbench.report.tables import TextColumn, print_table  # noqa: PLC0415

    numbers = TextColumn("#", [str(o.index) for o in plan.operators], right=True)
    chart = TextColumn(f"arena, byte 0 to {plan.arena_bytes:,}", memory_rows(plan, _CHART_COLUMNS))
    print_table(console, "memory over time", [numbers], [chart])
    console.print("# an output over what its operator has consumed already, . free", style="dim")
    spans = [
        f"{p.first if p.first >= 0 else 'start'} to {p.last if p.last < len(plan.operators) else 'end'}"
        for p in plan.placements
    ]
    columns = [
        TextColumn("bytes", [f"{p.bytes:,}" for p in plan.placements], right=True),
        TextColumn("from byte", [f"{p.offset:,}" for p in plan.placements], right=True),
        TextColumn("operators", spans),
    ]
    keys = [
        TextColumn("", letters(plan)),
        TextColumn("tensor or scratch", [p.name for p in plan.placements]),
    ]
    print_table(console, "", keys, columns)


def _print_sums(console: Console, plan: Plan, facts: ImageFacts | None) -> None:
    macs = sum(o.macs for o in plan.operators)
    over = plan.arena_bytes - plan.bound_bytes
    placed = "which is the lower bound" if over == 0 else f"{over:,} B above the lower bound"
    constants = sum(plan.constant_bytes)
    lines = [
        f"plan {len(plan.data):,} B: {len(plan.operators)} operators, constants {constants:,} B",
        f"{macs:,} multiply-accumulates an inference",
        f"arena {plan.arena_bytes:,} B with input, output and scratch, {placed}",
    ]
    if facts is not None and facts.pool_bytes is not None:
        resident = ":" in facts.kernels
        held = 0 if resident else -(-len(plan.data) // 16) * 16
        needed = held + plan.arena_bytes
        what = "arena needs" if resident else "plan and arena need"
        verdict = "fits" if needed <= facts.pool_bytes else "does NOT fit"
        lines.append(f"{what} {needed:,} B of the board's {facts.pool_bytes:,} B: {verdict}")
    for line in lines:
        console.print(line, highlight=False)
