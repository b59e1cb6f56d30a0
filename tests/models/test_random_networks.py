"""Random networks on every kernel set: what TensorFlow Lite Micro computes, bit by bit.

A longer run: PYTHONPATH=.:tests python -m tests.models.test_random_networks GRAPHS [FIRST SEED]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from builders.host_runtime import SET_FLAGS, HostRuntime, build
from builders.random_networks import RandomNetwork
from hilbench.models.oracle import TflmOracle
from hilbench.models.planner import kernel_sets, plan_model
from hilbench.models.tflite_file import TfliteModel, parse_model

pytestmark = pytest.mark.firmware

TEXTS = {name: "portable" if name == "portable" else f"portable {name}" for name in SET_FLAGS}
FLOAT_TOLERANCE = 1e-4  # of the largest output; an overlap is off by more


def vectors(model: TfliteModel, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    found = []
    for tensor in (model.tensors[i] for i in model.inputs):
        x = rng.integers(-128, 128, (3, *tensor.shape))
        x = x.astype(np.int8) if tensor.dtype == "int8" else (x / 50).astype(np.float32)
        found.append(x)
    return found


def network(seed: int, dtype: str) -> bytes:
    return RandomNetwork(seed, dtype).build(2 + seed % 11)


def differences(
    seed: int, runtimes: Mapping[str, HostRuntime], tflm: TflmOracle, dtype: str = "int8"
) -> Iterator[str]:
    data = network(seed, dtype)
    model = parse_model(data, Path(f"{dtype} network {seed}"))
    inputs = vectors(model, seed)
    expected = tflm.run_many(data, inputs)
    for name, text in TEXTS.items():
        outputs = runtimes[name].run_many(plan_model(model, text), inputs)
        for i, (y, want) in enumerate(zip(outputs, expected, strict=True)):
            near = FLOAT_TOLERANCE * max(1.0, float(np.abs(want).max())) * (dtype == "float32")
            if not np.allclose(y.reshape(want.shape), want, rtol=0, atol=near, equal_nan=True):
                yield f"{dtype} seed {seed}, set {name}, output {i}"


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_networks_equal_tflm(first, runtimes, tflm):
    for seed in range(first, first + 10):
        assert list(differences(seed, runtimes, tflm)) == []


def test_float_networks_are_near_tflm(runtimes, tflm):
    for seed in range(20):
        assert list(differences(seed, runtimes, tflm, "float32")) == []


def test_every_set_has_flags_for_the_host():
    assert set(SET_FLAGS) == set(kernel_sets())


def test_networks_are_no_toys():
    """Seeds of the suite have every operator, every set's kernels, several inputs and outputs."""
    kernels, sizes = set(), set()
    for seed in range(40):
        model = parse_model(network(seed, "int8"), Path("network"))
        sizes.add((min(len(model.inputs), 2), min(len(model.outputs), 2)))
        for text in TEXTS.values():
            kernels |= {o.kernel for o in plan_model(model, text).operators}
    assert sizes == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert {"conv_s8", "depthwise_s8", "fc_s8", "add_s8", "binary_s8", "copy", "lut_s8"} <= kernels
    assert {"conv_s8_dsp", "fc_s8_dsp", "depthwise_s8_dsp"} <= kernels
    assert {"conv_s8_mve", "depthwise_s8_mve", "add_s8_mve"} <= kernels


def main(graphs: int, first: int = 0) -> int:
    oracle = TflmOracle()
    with tempfile.TemporaryDirectory() as folder:
        runtimes = {}
        for name, flags in SET_FLAGS.items():
            (Path(folder) / name).mkdir()
            runtimes[name] = build(Path(folder) / name, *flags)
        failed = 0
        for seed in range(first, first + graphs):
            for dtype in ("int8", "float32") if seed % 4 == 0 else ("int8",):
                for line in differences(seed, runtimes, oracle, dtype):
                    failed += 1
                    print(line, flush=True)
    print(f"{graphs} networks on {', '.join(TEXTS.values())}: {failed} outputs differ")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
