"""``hilbench diff``: the first operator whose output on a board is not the oracle's."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hilbench.cli.common import add_boards_argument, choose_boards, load_boards_file, print_json
from hilbench.cli.common import boards_file as boards_file_of
from hilbench.errors import EXIT_PASS, EXIT_REGRESSION, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from hilbench.bench.diff import Compared, Difference
    from hilbench.models.tflite_file import TfliteModel

HELP = "the first operator whose output on a board differs from TensorFlow Lite's, and by how much"
EXAMPLES = """\
  hilbench diff model.tflite --board m4                       4 random vectors
  hilbench diff model.tflite --board m4 --vectors test.npz --count 8
  hilbench diff model.tflite --board m4 --every               every operator, also when all agree
  hilbench diff model.tflite --board m4 --json
int8 models are compared with TensorFlow Lite Micro, bit by bit; others with TensorFlow Lite."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare model, board and vectors."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .tflite file")
    parser.add_argument("--board", required=True, metavar="ID", help="a board of the boards file")
    parser.add_argument(
        "--vectors", type=Path, metavar="FILE", help=".npz with x, .npy (default: random)"
    )
    parser.add_argument(
        "--count", type=int, default=4, metavar="N", help="how many vectors (default: 4)"
    )
    parser.add_argument(
        "--every", action="store_true", help="all operators, not only to the first that differs"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    add_boards_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print it; 0 when all agrees, 1 when something differs."""
    from hilbench.bench.diff import diff_model  # noqa: PLC0415
    from hilbench.cli.console import PipeConsole  # noqa: PLC0415
    from hilbench.models.tflite_file import read_model  # noqa: PLC0415
    from hilbench.report.terminal import WIDE  # noqa: PLC0415

    if args.count < 1:
        raise UsageError(f"--count {args.count}: give at least 1")
    board = choose_boards(load_boards_file(args), [args.board], boards_file_of(args))[0]
    model = read_model(args.model)
    found = diff_model(board, model, _vectors(args, model), every=args.every, on_state=_tell)
    if args.json:
        print_json(_json(found))
    else:
        console = PipeConsole()
        if not console.is_terminal:
            console.width = WIDE
        _print(console, found, args.model.name)
    agrees = found.whole.agrees and found.first is None
    return EXIT_PASS if agrees else EXIT_REGRESSION


def _tell(state: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{state}", end="", file=sys.stderr, flush=True)


def _vectors(args: argparse.Namespace, model: TfliteModel) -> Sequence[NDArray[np.generic]]:
    from hilbench.bench.diff import random_vectors  # noqa: PLC0415
    from hilbench.models.planner import plan_model  # noqa: PLC0415
    from hilbench.models.vectors import load_vectors, prepare_inputs, subset  # noqa: PLC0415
    from hilbench.records import VectorsConfig  # noqa: PLC0415

    tensors = plan_model(model).inputs
    if args.vectors is None:
        shapes = [t.shape[1:] if len(t.shape) > 1 and t.shape[0] == 1 else t.shape for t in tensors]
        return [
            random_vectors(shape, tensor.dtype, args.count)
            for shape, tensor in zip(shapes, tensors, strict=True)
        ]
    raw = load_vectors(VectorsConfig(name=args.vectors.stem, file=args.vectors, metric="none"))
    ready, _ = prepare_inputs(raw, tensors, "host")
    return subset(ready, args.count).inputs


def _json(found: Difference) -> dict[str, object]:
    first = found.first
    return {
        "board": found.board,
        "kernels": found.kernels,
        "oracle": found.oracle,
        "vectors": found.vectors,
        "agrees": found.whole.agrees and first is None,
        "whole": asdict(found.whole),
        "operators": [asdict(c) for c in found.operators],
        "first": None if first is None else first.operator.index,
    }


def _print(console: Console, found: Difference, model: str) -> None:
    from hilbench.report.tables import TextColumn, print_table  # noqa: PLC0415

    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    rows = found.operators
    if rows:
        columns = [
            TextColumn("kernel", [c.operator.kernel for c in rows]),
            TextColumn("output", ["x".join(map(str, c.operator.output_shape)) for c in rows]),
            TextColumn("values", [f"{c.elements:,}" for c in rows], right=True),
            TextColumn("differ", [f"{c.differing:,}" for c in rows], right=True),
            TextColumn("by at most", [_largest(c) for c in rows], right=True),
        ]
        keys = [
            TextColumn("#", [str(c.operator.index) for c in rows], right=True),
            TextColumn("operator", [c.operator.name for c in rows]),
        ]
        print_table(console, f"{model} on {found.board}, operator by operator", keys, columns)
    for line in story(found, model):
        console.print(line, highlight=False, soft_wrap=True)


def story(found: Difference, model: str) -> list[str]:
    """Return what was found, in sentences."""
    what = f"{model} on {found.board} ({found.kernels}) against {found.oracle}, "
    what += f"{found.vectors} vector{'s' if found.vectors > 1 else ''}"
    first = found.first
    if first is None and found.whole.agrees:
        return [f"{what}: every output agrees"]
    if first is None:
        return [
            f"{what}: the whole model differs ({_how(found.whole)}), each operator by itself agrees",
            "a kernel or the planner overwrites memory that is still needed: see hilbench plan",
        ]
    operator = first.operator
    where = f"operator {operator.index} {operator.name}, kernel {operator.kernel}"
    lines = [
        f"{what}: first difference at {where}: {_how(first)}",
        "its parameters: " + ", ".join(f"{k} {v:g}" for k, v in first.parameters.items()),
    ]
    if found.whole.agrees:
        lines.append("the whole model's output agrees all the same")
    return lines


def _how(c: Compared) -> str:
    assert c.first is not None
    vector, *place = c.first
    return (
        f"{c.differing:,} of {c.elements:,} values differ by up to {_largest(c)}; the first is vector "
        f"{vector} at [{', '.join(map(str, place))}]: {c.got:g}, expected {c.expected:g}"
    )


def _largest(c: Compared) -> str:
    if c.lsb_max is not None:
        return f"{c.lsb_max} LSB"
    return f"{c.relative_max:.2g} of the largest"
