"""float32 models: the kernels for an FPU beside the portable ones, on the same image.

Instructions of one inference on emulated Cortex-M4, M7, M33 and M55 under icount, deterministic;
instructions are not cycles: a fused multiply-add is one instruction and up to three cycles. Outputs
must be within 1e-5 of the largest one of TensorFlow Lite, or there is no figure. A board that does not
hold a model says so.

    python benchmarks/bench_float.py [--board m33 ...]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hilbench.board.images import find_image
from hilbench.board.life import OpenBoard, open_board
from hilbench.config import load_boards
from hilbench.errors import EXIT_COULD_NOT_MEASURE, EXIT_PASS, HilbenchError
from hilbench.models.oracle import HostReference
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.records import Plan

ROOT = Path(__file__).parents[1]
MLPERF = ROOT.parent / "shared" / "data" / "mlperf_tiny" / "models"
MODELS = {
    "digits": ROOT / "hilbench" / "zoo" / "digits" / "cnn_fp32.tflite",
    "ic": MLPERF / "pretrainedResnet.tflite",
    "vww": MLPERF / "vww_96_float.tflite",
    "ad": MLPERF / "ad01_fp32.tflite",
}
RESULT = ROOT / "results" / "bench" / "float.json"
TOLERANCE = 1e-5
MILLION = 1e6


def instructions(board: OpenBoard, plan: Plan, x: np.ndarray, expected: np.ndarray) -> float:
    """Return what one inference of the plan takes.

    Raises:
        HilbenchError: the board does not hold the plan, or its outputs are wrong.
    """
    board.client.load(plan.data, bytes.fromhex(plan.sha256), board.emulated)
    result = board.client.run(x.reshape(1, -1).view(np.uint8))
    assert result.outputs is not None
    error = np.abs(result.outputs.view(np.float32).ravel() - expected.ravel()).max()
    if not error <= TOLERANCE * np.abs(expected).max():
        raise HilbenchError(f"{board.config.id}: outputs differ from TensorFlow Lite's by {error}")
    return result.ticks_min * board.clock.per_tick


def measure(board: OpenBoard, console: Console) -> list[dict[str, Any]]:
    """Return a row per model that the board holds."""
    rows = []
    for name, path in MODELS.items():
        if not path.is_file():
            console.print(f"{name}: left out, there is no {path}", highlight=False)
            continue
        model = read_model(path)
        plans = [plan_model(model, kernels) for kernels in ("portable", board.hello.kernels)]
        need = max(len(plan.data) + plan.arena_bytes for plan in plans)
        if need > board.hello.pool_bytes:
            console.print(
                f"{name} on {board.config.id}: needs {need:,} bytes, the pool has "
                f"{board.hello.pool_bytes:,}",
                highlight=False,
            )
            continue
        x = np.random.default_rng(1).normal(0, 1, plans[0].input.shape).astype(np.float32)
        expected = HostReference().run(path, x)
        portable, fpu = (instructions(board, plan, x, expected) for plan in plans)
        rows.append(
            {
                "board": board.config.id,
                "kernels": board.hello.kernels,
                "model": name,
                "macs": sum(operator.macs for operator in plans[1].operators),
                "portable": portable,
                "fpu": fpu,
                "arena_bytes": plans[1].arena_bytes,
            }
        )
    return rows


def print_rows(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print a table of instructions."""
    table = Table(title="float32, one inference")
    for title in ("board", "kernels", "model"):
        table.add_column(title)
    for title in ("portable, M instr", "per MAC", "fpu, M instr", "per MAC", "times", "arena B"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(
            row["board"], row["kernels"], row["model"],
            f"{row['portable'] / MILLION:.3f}", f"{row['portable'] / row['macs']:.2f}",
            f"{row['fpu'] / MILLION:.3f}", f"{row['fpu'] / row['macs']:.2f}",
            f"{row['portable'] / row['fpu']:.1f}", f"{row['arena_bytes']:,}",
        )  # fmt: skip
    console.print(table)


def main(argv: list[str] | None = None) -> int:
    """Measure, print, keep; 3 when something could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    boards = ("m4", "m7", "m33", "m55")
    parser.add_argument("--board", action="append", choices=boards, help="default: all four")
    args = parser.parse_args(argv)
    console = Console(width=120)
    known = load_boards(ROOT / "boards.toml")
    rows: list[dict[str, Any]] = []
    try:
        for name in args.board or boards:
            image = find_image(known[name].firmware)
            with open_board(known[name], image, lambda _: None, lambda _: None) as board:
                rows += measure(board, console)
    except HilbenchError as error:
        print(error, file=sys.stderr)
        return EXIT_COULD_NOT_MEASURE
    print_rows(console, rows)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    result = {"host": platform.platform(), "models": rows}
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"kept in {RESULT.relative_to(ROOT)}", highlight=False)
    return EXIT_PASS


if __name__ == "__main__":
    sys.exit(main())
