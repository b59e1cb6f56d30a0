"""Golden outputs of the zoo: every int8 variant, every vector, through TensorFlow Lite Micro.

    python tools/make_golden.py            # write golden_tflm.npz and refresh SHA256SUMS
    python tools/make_golden.py --check    # compare instead; exit code 1 on the first difference

Needs the `tflite-micro` wheel at the version in TFLITE_MICRO_VERSION. Its nightlies vanish from the
registry, which is why the outputs are kept here.
"""

from __future__ import annotations

import argparse
import hashlib
import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

TFLITE_MICRO_VERSION = "0.dev20261023182759"
DIGITS = Path(__file__).resolve().parent.parent / "hilbench" / "zoo" / "digits"
GOLDEN = "golden_tflm.npz"
ARENA_BYTES = 256 * 1024


def quantise(x: npt.NDArray[np.float32], scale: float, zero_point: int) -> npt.NDArray[np.int8]:
    """float32 -> int8 with a model's own input scale; ties go to even. Exactly hilbench's rule."""
    steps = np.rint(x.astype(np.float32) / np.float32(scale)) + zero_point
    q: npt.NDArray[np.int8] = np.clip(steps, -128, 127).astype(np.int8)
    return q


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_sums(folder: Path) -> None:
    """SHA256SUMS over all binary files of `folder`, in the format that `sha256sum -c` reads."""
    files = sorted(p for p in folder.iterdir() if p.suffix in {".tflite", ".npz"})
    lines = [f"{sha256(p)}  {p.name}\n" for p in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def int8_variants(folder: Path) -> dict[str, Path]:
    """Variant name -> model file, for the variants of suite.toml that TFLM must match bit by bit."""
    suite = tomllib.loads((folder / "suite.toml").read_text())
    return {
        name: folder / entry["model"]
        for name, entry in suite["variant"].items()
        if entry["model"].endswith("_int8.tflite")
    }


def tflm_outputs(model: Path, x: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """int8 outputs [len(x), classes] of TFLM's reference kernels for float32 vectors [n, 8, 8, 1]."""
    # Here, because make_zoo.py imports this file where the wheel is not installed.
    from tflite_micro.python.tflite_micro import runtime  # noqa: PLC0415

    interpreter = runtime.Interpreter.from_file(str(model), arena_size=ARENA_BYTES)
    details = interpreter.get_input_details(0)
    if details["dtype"] is not np.int8:
        raise TypeError(f"{model.name}: input is {details['dtype']}, expected int8")
    quantisation = details["quantization_parameters"]
    q = quantise(x, quantisation["scales"][0], int(quantisation["zero_points"][0]))
    outputs = []
    for vector in q:
        # Always set again: TFLM may reuse the input's memory during an inference.
        interpreter.set_input(vector[np.newaxis], 0)
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_output(0)[0], dtype=np.int8))
    return np.stack(outputs)


def make(folder: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Run every int8 variant: `outputs.<variant>` int8 [n, 10], and what they were made from.

    That is `sha256.<variant>`, `vectors_sha256` and `tflite_micro_version`, all str.
    """
    installed = version("tflite-micro")
    if installed != TFLITE_MICRO_VERSION:
        raise SystemExit(f"tflite-micro is {installed}; golden outputs need {TFLITE_MICRO_VERSION}")
    vectors = np.load(folder / "vectors.npz")
    golden: dict[str, npt.NDArray[np.generic]] = {
        "tflite_micro_version": np.array(installed),
        "vectors_sha256": np.array(sha256(folder / "vectors.npz")),
    }
    for name, model in int8_variants(folder).items():
        y = tflm_outputs(model, vectors["x"])
        golden[f"outputs.{name}"] = y
        golden[f"sha256.{name}"] = np.array(sha256(model))
        correct = int((y.argmax(axis=1) == vectors["y"]).sum())
        print(f"{name:18s} TFLM top-1 {correct}/{len(y)} = {correct / len(y):.4f}")
    return golden


def check(folder: Path, made: dict[str, npt.NDArray[np.generic]]) -> None:
    kept = np.load(folder / GOLDEN)
    if set(kept.files) != set(made):
        raise SystemExit(f"{GOLDEN}: keys differ: {sorted(set(kept.files) ^ set(made))}")
    for key, value in made.items():
        if not np.array_equal(kept[key], value):
            raise SystemExit(f"{GOLDEN}: {key} differs from what TFLM {TFLITE_MICRO_VERSION} gives")
    print(f"{GOLDEN}: {len(made)} entries identical")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the kept file")
    parser.add_argument("--folder", type=Path, default=DIGITS, help="suite folder (%(default)s)")
    args = parser.parse_args()
    golden = make(args.folder)
    if args.check:
        check(args.folder, golden)
        return
    np.savez_compressed(args.folder / GOLDEN, **golden)
    write_sums(args.folder)
    print(f"wrote {args.folder / GOLDEN}")


if __name__ == "__main__":
    main()
