"""MLPerf Tiny's int8 models on every board that holds them, against TensorFlow Lite Micro.

python -m tests.end_to_end.mlperf [VECTORS [BOARD ...]]

Random vectors, and all the real inputs that there are (one recording for ad); a table says, board by
board, how many outputs are TFLM's bit by bit, or why there are none. Exit code 1 when one is not.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import hilbench
from hilbench.bench import run_suite
from hilbench.config import load_boards
from hilbench.errors import ModelTooLargeError, UnsupportedOperatorError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.records import SuiteConfig, VariantConfig, VectorsConfig

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "mlperf_tiny"
MODELS = {
    "kws": "kws_ref_model.tflite",
    "ic": "pretrainedResnet_quant.tflite",
    "vww": "vww_96_int8.tflite",
    "ad": "ad01_int8.tflite",
}
FRAMES, BINS = 5, 128  # of one window of ad


def random_inputs(name: str, count: int, seed: int) -> np.ndarray:
    """Return int8 vectors; every fourth one is as extreme as int8 gets."""
    rng = np.random.default_rng(seed)
    shape = plan_model(read_model(DATA / "models" / MODELS[name])).input.shape[1:]
    x = rng.integers(-128, 128, (count, *shape)).astype(np.int8)
    x[3::4] = np.where(x[3::4] < 0, -128, 127)
    return x


def real_inputs() -> dict[str, np.ndarray]:
    """Return what there is of real inputs: windows of recordings for ad, float32."""
    windows = [
        np.lib.stride_tricks.sliding_window_view(
            np.fromfile(path, "<f4").reshape(-1, BINS), (FRAMES, BINS)
        ).reshape(-1, FRAMES * BINS)
        for path in sorted((DATA / "ad01").glob("*.bin"))
    ]
    return {"ad": np.concatenate(windows)} if windows else {}


def suite(folder: Path, inputs: dict[str, tuple[str, np.ndarray]]) -> SuiteConfig:
    """``inputs``: variant to (model, vectors)."""
    tables, variants = [], []
    for name, (model, x) in inputs.items():
        np.savez(file := folder / f"{name}.npz", x=x)
        tables.append(VectorsConfig(name=name, file=file, metric="none"))
        variants.append(VariantConfig(name, DATA / "models" / MODELS[model], name))
    return SuiteConfig(
        "mlperf", tuple(variants), tuple(tables), sessions=1, warm_up=0, iterations=1
    )


def main(arguments: list[str]) -> int:
    count = int(arguments[0]) if arguments else 200
    boards = load_boards(ROOT / "boards.toml")
    wanted = arguments[1:] or [i for i, b in boards.items() if b.meter.driver == "synthetic"]
    inputs = {f"{name} random": (name, random_inputs(name, count, 2)) for name in MODELS}
    inputs |= {f"{name} real": (name, x) for name, x in real_inputs().items()}
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="hilbench-") as scratch:
        chosen = suite(Path(scratch), inputs)
        for board in wanted:
            config = boards[board]
            config = replace(config, timeouts=replace(config.timeouts, run_s=3600.0))
            for variant in chosen.variants:
                one = replace(chosen, variants=(variant,))
                outcome = run_suite(one, [config], results=Path(scratch) / "results")
                if outcome.interrupted:
                    return 130
                told = [e for e in outcome.errors if not isinstance(e, _DOES_NOT_HOLD)]
                if outcome.errors and not told:
                    print(f"{board:10} {variant.name:12} does not hold it: {outcome.errors[0]}")
                    continue
                if told:
                    wrong += 1
                    print(f"{board:10} {variant.name:12} FAILED: {told[0]}")
                    continue
                row = hilbench.load(outcome.folder).iloc[0]
                equal = round(row.agreement_tflm * row.vectors_n)
                wrong += equal != row.vectors_n
                print(f"{board:10} {variant.name:12} {equal} of {row.vectors_n:.0f} equal TFLM's")
                sys.stdout.flush()
    return 1 if wrong else 0


_DOES_NOT_HOLD = (ModelTooLargeError, UnsupportedOperatorError)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
