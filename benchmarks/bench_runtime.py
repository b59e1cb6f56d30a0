"""The built-in runtime on MLPerf Tiny's int8 models, beside the figures to beat.

Every model on emulated Cortex-M3, M4, M7, M33 and M55 under icount: instructions of one inference that
may destroy its input, deterministic; instructions are not cycles. Outputs must equal TensorFlow Lite
Micro's bit by bit, or there is no figure. Arena: input, output and scratch included. Flash: of the
objects as compiled for the Cortex-M4F and M55. TensorFlow Lite Micro itself is measured in the same
run on the boards for which an image with it is built (docs/runtimes.md: hilbench build --port
mps2-an386-flash --runtime tflm ...), otherwise its figures are the published ones of the data folder
(TFLM 2026-08-20 with CMSIS-NN 2026-07-15, GCC 12.2 -O3, the same emulators).

    python benchmarks/bench_runtime.py [--board m4 ...] [--operators]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import hilbench
from hilbench.bench import run_suite
from hilbench.board.images import find_image
from hilbench.config import load_boards
from hilbench.errors import (
    EXIT_COULD_NOT_MEASURE,
    EXIT_PASS,
    EXIT_REGRESSION,
    HilbenchError,
    ImageError,
)
from hilbench.measurement.memory import image_memory
from hilbench.models.payload import takes_tflite
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.records import BoardConfig, SuiteConfig, VariantConfig, VectorsConfig
from hilbench.runs import operators_frame

ROOT = Path(__file__).parents[1]
MODELS = ROOT.parent / "shared" / "data" / "mlperf_tiny" / "models"
RESULT = ROOT / "results" / "bench" / "runtime.json"
# The M4 with its plan in flash: two of the models are larger than the RAM of its namesake.
BOARDS = {"m3": "m3", "m4": "m4-flash", "m7": "m7", "m33": "m33", "m55": "m55"}
# What TFLM + CMSIS-NN takes there, and the goals.
MILLION = 1e6


@dataclass(frozen=True)
class Figures:
    """Of one model: instructions in millions, arena in bytes."""

    file: str
    tflm: dict[str, tuple[float, int]]  # board -> instructions, arena
    goal: dict[str, float]  # board -> instructions
    stretch_m4: float | None
    arena_goal: int


FIGURES = {
    "kws": Figures(
        "kws_ref_model.tflite", {"m4": (7.845, 22_820), "m55": (1.786, 27_300)},
        {"m4": 4.7, "m55": 0.98}, 4.0, 10_240,
    ),
    "ic": Figures(
        "pretrainedResnet_quant.tflite", {"m4": (29.872, 54_996), "m55": (4.810, 54_996)},
        {"m4": 17.9, "m55": 0.6 * 4.810}, 15.5, 36_864,
    ),
    "vww": Figures(
        "vww_96_int8.tflite", {"m4": (24.720, 100_708), "m55": (6.434, 100_756)},
        {"m4": 14.8, "m55": 0.6 * 6.434}, 12.5, 40_960,
    ),
    "ad": Figures(
        "ad01_int8.tflite", {"m4": (0.582, 2_580), "m55": (0.286, 5_172)},
        {"m4": 0.40, "m55": 0.6 * 0.286}, None, 1_536,
    ),
}  # fmt: skip
STACK_GOAL, FLASH_GOAL = 2_048, 20 * 1024
# Kernels that these models need beside those of the processor's own set.
PORTABLE = ("add_s8", "conv_s8", "depthwise_s8", "fc_s8", "mean_s8", "pool_s8", "softmax_s8")


def flash_by_object(port: str, kernel_set: str) -> dict[str, int]:
    """Return bytes of code and constants of the executor and the int8 kernels, object by object.

    Raises:
        HilbenchError: not built.
    """
    folder = ROOT / "device_firmware" / "build" / port / "obj" / "runtimes" / "plan"
    objects = [folder / "plan.o", folder / "kernels" / "kernels.o"]
    objects += [folder / "kernels" / "portable" / f"{name}.o" for name in PORTABLE]
    objects += sorted((folder / "kernels" / kernel_set).glob("*.o"))
    missing = [path for path in objects if not path.is_file()]
    if missing:
        raise HilbenchError(f"{missing[0]} is not built; build it with: make firmware")
    sizes = {
        path.relative_to(folder).with_suffix("").as_posix(): image_memory(
            path.read_bytes(), str(path)
        ).flash_bytes
        for path in objects
    }
    return {name: size for name, size in sizes.items() if size}


def suite(folder: Path) -> SuiteConfig:
    """Return the four models with a random vector each."""
    variants, tables = [], []
    for name, figures in FIGURES.items():
        model = MODELS / figures.file
        shape = plan_model(read_model(model)).input.shape[1:]
        file = folder / f"{name}.npz"
        chance = np.random.default_rng(1)
        np.savez(file, x=chance.integers(-128, 128, (1, *shape)).astype(np.int8))
        tables.append(VectorsConfig(name=name, file=file, metric="none"))
        variants.append(VariantConfig(name=name, model=model, vectors=name))
    return SuiteConfig(
        name="runtime",
        variants=tuple(variants),
        vectors=tuple(tables),
        sessions=1,
        warm_up=1,
        iterations=1,
        source="",
    )


def with_tflm(boards: list[BoardConfig]) -> tuple[list[BoardConfig], list[str]]:
    """Return the same boards with TensorFlow Lite Micro, as far as images are built, and why not."""
    found, absent = [], []
    for board in boards:
        machine = (("machine", board.firmware.removesuffix("-flash")),)
        firmware = f"{board.firmware}-tflm"
        try:
            find_image(firmware)
        except ImageError as error:
            absent.append(str(error))
            continue
        found.append(
            replace(
                board,
                id=f"{board.id}-tflm",
                firmware=firmware,
                emulator_args=board.emulator_args or machine,
            )
        )
    return found, absent


def measure(boards: list[BoardConfig]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a row per board and model, and a row per operator.

    Raises:
        HilbenchError: the first thing that went wrong, outputs that are not TFLM's included.
    """
    with tempfile.TemporaryDirectory(prefix="hilbench-") as folder:
        outcome = run_suite(suite(Path(folder)), boards, results=Path(folder) / "results")
        if outcome.interrupted:
            raise KeyboardInterrupt
        if outcome.errors:
            raise outcome.errors[0]
        frame, operators = hilbench.load(outcome.folder), operators_frame(outcome.folder)
    for row in frame.itertuples():
        if row.agreement_tflm != 1.0:
            raise HilbenchError(
                f"{row.variant} on {row.board}: outputs are not TensorFlow Lite Micro's; find the "
                f"operator with: hilbench diff MODEL --board {row.board}"
            )
    columns = ["board", "variant", "runtime", "kernels", "latency_min", "latency_resolution"]
    columns += ["arena_bytes", "plan_bytes", "stack_used_bytes", "vector_bytes", "flash_bytes"]
    names = {board: name for name, board in BOARDS.items()}
    names |= {f"{board}-tflm": name for board, name in names.items()}
    frame["runtime"] = frame["runtime"].astype(str)
    operators = operators.assign(
        runtime=operators["board"].map(dict(zip(frame["board"], frame["runtime"], strict=True)))
    )
    rows = frame[columns].replace({"board": names}).to_dict("records")
    return rows, operators.replace({"board": names}).to_dict("records")


def tflm_figures(rows: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[float, int]]:
    """Return (board, model) -> millions of instructions, arena: measured, else published."""
    known = {(b, name): of for name, f in FIGURES.items() for b, of in f.tflm.items()}
    return known | {
        (row["board"], row["variant"]): (row["latency_min"] / MILLION, int(row["arena_bytes"]))
        for row in rows
        if takes_tflite(row["runtime"])
    }


def print_models(console: Console, rows: list[dict[str, Any]]) -> bool:
    """Print instructions and arena beside figures and goals; True when every goal is met."""
    theirs = tflm_figures(rows)
    measured = [row for row in rows if takes_tflite(row["runtime"])]
    rows = [row for row in rows if not takes_tflite(row["runtime"])]
    macs = {
        name: sum(o.macs for o in plan_model(read_model(MODELS / f.file)).operators)
        for name, f in FIGURES.items()
    }
    table = Table(title="one inference that may destroy its input")
    for title in (
        "board", "model", "kernels", "M instr", "instr/MAC", "goal", "TFLM+CMSIS-NN", "of it",
        "arena B", "goal", "TFLM", "stack B",
    ):  # fmt: skip
        table.add_column(
            title, justify="left" if title in {"board", "model", "kernels"} else "right"
        )
    met = True
    for row in rows:
        figures, board = FIGURES[row["variant"]], row["board"]
        spent = row["latency_min"] / MILLION
        goal, tflm = figures.goal.get(board), theirs.get((board, row["variant"]))
        within = goal is None or spent <= goal
        small = row["arena_bytes"] <= figures.arena_goal and row["stack_used_bytes"] <= STACK_GOAL
        met &= within and small
        table.add_row(
            board, row["variant"], row["kernels"], f"{spent:.3f}",
            f"{row['latency_min'] / macs[row['variant']]:.2f}",
            "" if goal is None else f"{goal:.3f}{'' if within else ' MISSED'}",
            "" if tflm is None else f"{tflm[0]:.3f}",
            "" if tflm is None else f"{spent / tflm[0]:.2f}",
            f"{row['arena_bytes']:,.0f}",
            f"{figures.arena_goal:,}{'' if small else ' MISSED'}",
            "" if tflm is None else f"{tflm[1]:,}", f"{row['stack_used_bytes']:,.0f}",
        )  # fmt: skip
    console.print(table)
    spent_on = {(row["board"], row["variant"]): row["latency_min"] for row in rows}
    for name in FIGURES:
        if {("m4", name), ("m55", name)} <= spent_on.keys():
            ours = spent_on["m4", name] / spent_on["m55", name]
            ratio = theirs["m4", name][0] / theirs["m55", name][0]
            console.print(f"{name}: M4 / M55 {ours:.2f}, with TFLM {ratio:.2f}", highlight=False)
    for board in dict.fromkeys(row["board"] for row in measured):
        one = next(row for row in measured if row["board"] == board)
        console.print(
            f"{board}: {one['runtime']}, kernels {one['kernels']}, measured in this run; its image "
            f"takes {one['flash_bytes']:,.0f} bytes of flash",
            highlight=False,
        )
    if not measured:
        console.print(
            "TFLM: published figures, no image with it is built (docs/runtimes.md)", highlight=False
        )
    return met


def print_flash(console: Console, sizes: dict[str, dict[str, int]]) -> bool:
    """Print flash by object; True when the Cortex-M4F's is within the goal."""
    table = Table(title="flash of executor and int8 kernels, bytes")
    table.add_column("object")
    for board in sizes:
        table.add_column(board, justify="right")
    for name in dict.fromkeys(n for of in sizes.values() for n in of):
        table.add_row(name, *(f"{of[name]:,}" if name in of else "" for of in sizes.values()))
    totals = {board: sum(of.values()) for board, of in sizes.items()}
    table.add_section()
    table.add_row("sum", *(f"{total:,}" for total in totals.values()))
    console.print(table)
    console.print(
        f"goal on the Cortex-M4F: {FLASH_GOAL:,}; TFLM + CMSIS-NN adds 51.4 KB, with reference "
        "kernels 42.4 KB",
        highlight=False,
    )
    return totals["m4"] <= FLASH_GOAL


def print_operators(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print instructions per operator, profiling included."""
    table = Table(title="operators")
    for title in (
        "board", "runtime", "model", "#", "operator", "kernel", "MACs", "instr", "instr/MAC",
    ):  # fmt: skip
        table.add_column(title, justify="right" if title in {"#", "MACs", "instr"} else "left")
    for row in rows:
        macs, spent = row["macs"], row["latency"]
        table.add_row(
            row["board"], row["runtime"], row["variant"], str(row["operator"]), row["name"],
            row["kernel"],
            f"{macs:,.0f}", f"{spent:,.0f}", f"{spent / macs:.2f}" if macs else "",
        )  # fmt: skip
    console.print(table)


def main(argv: list[str] | None = None) -> int:
    """Measure, print, keep; 1 when a goal is missed, 3 when nothing could be measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", action="append", choices=BOARDS, help="default: all five")
    parser.add_argument("--operators", action="store_true", help="a table of every operator")
    args = parser.parse_args(argv)
    console = Console(width=150)
    if not MODELS.is_dir():
        print(f"no models in {MODELS}; put MLPerf Tiny's data there", file=sys.stderr)
        return EXIT_COULD_NOT_MEASURE
    known = load_boards(ROOT / "boards.toml")
    try:
        boards = [known[BOARDS[name]] for name in args.board or BOARDS]
        tflm, absent = with_tflm(boards)
        rows, operators = measure(boards + tflm)
        flash = {
            "m4": flash_by_object("mps2-an386", "dsp"),
            "m55": flash_by_object("mps3-an547", "mve"),
        }
    except HilbenchError as error:
        print(error, file=sys.stderr)
        return EXIT_COULD_NOT_MEASURE
    met = print_models(console, rows)
    for reason in absent if tflm else ():
        console.print(f"TFLM left out: {reason}", highlight=False, soft_wrap=True)
    if args.operators:
        print_operators(console, operators)
    met &= print_flash(console, flash)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "host": platform.platform(),
        "models": rows,
        "operators": operators,
        "flash": flash,
        "goals_met": met,
    }
    RESULT.write_text(json.dumps(result, indent=2, default=float) + "\n")
    console.print(f"kept in {RESULT.relative_to(ROOT)}", highlight=False)
    return EXIT_PASS if met else EXIT_REGRESSION


if __name__ == "__main__":
    sys.exit(main())
