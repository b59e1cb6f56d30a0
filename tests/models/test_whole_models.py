"""Real models: the zoo over all its vectors, MLPerf Tiny where its files are."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model

pytestmark = pytest.mark.firmware

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "hilbench" / "zoo" / "digits"
VARIANTS = {
    name: DIGITS / entry["model"]
    for name, entry in tomllib.loads((DIGITS / "suite.toml").read_text())["variant"].items()
}
MLPERF = ROOT.parent / "shared" / "data" / "mlperf_tiny" / "models"
# What the plans cost: a change here is a change that users see.
ZOO_BYTES = {  # variant: (plan, arena)
    "fp32": (138_984, 8_384),
    "int8": (36_554, 2_096),
    "qat_int8": (36_212, 2_096),
    "pruned80_int8": (36_554, 2_096),
    "clustered16_int8": (36_554, 2_096),
    "student_int8": (6_186, 1_056),
    "mlp_int8": (1_626, 80),
}


def quantise(x: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    q = np.rint(x / np.float32(scale)) + zero_point
    return np.clip(q, -128, 127).astype(np.int8)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "fp32"])
def test_zoo_int8_equals_the_golden_outputs_of_tflm(variant, runtime):
    golden = np.load(DIGITS / "golden_tflm.npz")
    model = read_model(VARIANTS[variant])
    assert model.sha256 == str(golden[f"sha256.{variant}"])
    plan = plan_model(model)
    x = np.load(DIGITS / "vectors.npz")["x"]
    y = runtime.run(plan, quantise(x, plan.input.scale, plan.input.zero_point))
    expected = golden[f"outputs.{variant}"]
    np.testing.assert_array_equal(y.reshape(expected.shape), expected)


def test_zoo_fp32_is_close_to_the_reference(runtime, reference):
    plan = plan_model(read_model(VARIANTS["fp32"]))
    x = np.load(DIGITS / "vectors.npz")["x"]
    expected = reference.run(VARIANTS["fp32"], x)
    y = runtime.run(plan, x).reshape(expected.shape)
    assert np.abs(y - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("variant", VARIANTS)
def test_zoo_plan_and_arena_bytes(variant):
    plan = plan_model(read_model(VARIANTS[variant]))
    assert (len(plan.data), plan.arena_bytes) == ZOO_BYTES[variant]


def mlperf(name: str) -> Path:
    path = MLPERF / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the checkout (looked in {MLPERF})")
    return path


@pytest.mark.parametrize(
    "name",
    [
        "kws_ref_model.tflite",
        "pretrainedResnet_quant.tflite",
        "vww_96_int8.tflite",
        "ad01_int8.tflite",
    ],
)
def test_mlperf_tiny_int8_equals_tflm(name, runtime, tflm):
    path = mlperf(name)
    plan = plan_model(read_model(path))
    x = np.random.default_rng(2).integers(-128, 128, (4, *plan.input.shape)).astype(np.int8)
    y = runtime.run(plan, x)
    np.testing.assert_array_equal(y, tflm.run(path, x).reshape(y.shape))


@pytest.mark.parametrize(
    "name", ["ad01_fp32.tflite", "pretrainedResnet.tflite", "vww_96_float.tflite"]
)
def test_mlperf_tiny_float_is_close_to_the_reference(name, runtime, reference):
    path = mlperf(name)
    plan = plan_model(read_model(path))
    x = np.random.default_rng(3).uniform(0, 1, (1, *plan.input.shape)).astype(np.float32)
    y = runtime.run(plan, x)
    expected = reference.run(path, x).reshape(y.shape)
    assert np.abs(y - expected).max() <= 1e-5 * np.abs(expected).max()
