"""The planner: what it fuses, where it puts things, what it refuses and in which words."""

from __future__ import annotations

import itertools
import random
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from builders.tflite_builder import ModelBuilder
from hilbench.errors import ModelError, UnsupportedOperatorError
from hilbench.models import planner
from hilbench.models.planner import describe_fault, generate_c, layout, plan_model
from hilbench.models.planner.memory import (
    Buffer,
    Problem,
    align,
    arena_bytes,
    best_fit,
    lower_bound,
)
from hilbench.models.planner.quantise import quantise_multiplier
from hilbench.models.planner.sets import records
from hilbench.models.tflite_file import parse_model
from hilbench.records import Plan

NAME = Path("some.tflite")
SUPPORTED = (
    "the built-in runtime has ADD, AVERAGE_POOL_2D, CONCATENATION, CONV_2D, DEPTHWISE_CONV_2D, "
    "DEQUANTIZE, EXPAND_DIMS, FULLY_CONNECTED, HARD_SWISH, LEAKY_RELU, LOGISTIC, MAXIMUM, "
    "MAX_POOL_2D, MEAN, MINIMUM, MUL, PAD, PADV2, QUANTIZE, RELU, RELU6, RELU_N1_TO_1, RESHAPE, "
    "SLICE, SOFTMAX, SPLIT, SPLIT_V, SQUEEZE, STRIDED_SLICE, SUB, TANH, TRANSPOSE in int8 and "
    "float32: convert the model to full int8 or float32 with these operators, or use another runtime"
)


def plan(data: bytes) -> Plan:
    return plan_model(parse_model(data, NAME))


def labels(data: bytes) -> list[str]:
    return [operator.name for operator in plan(data).operators]


def relu_after(name: str, *, scale: float = 0.05, read_twice: bool = False) -> bytes:
    """name → RELU, optionally with a second reader in between."""
    model = ModelBuilder()
    x, y, z, out = (
        model.tensor((1, 2, 2, 1), "int8", scale=s, zero_point=-7)
        for s in (0.05, 0.05, scale, 0.05)
    )
    options = {"Padding": "SAME", "StrideH": 1, "StrideW": 1, "FilterHeight": 1, "FilterWidth": 1}
    model.operator(name, [x], [y], "Pool2DOptions", **options)
    model.operator("RELU", [y], [z])
    if not read_twice:
        return model.build([x], [z])
    model.operator("ADD", [y, z], [out], "AddOptions")
    return model.build([x], [out])


def test_relu_joins_its_producer():
    assert labels(relu_after("MAX_POOL_2D")) == ["MAX_POOL_2D+RELU"]


def test_relu_stays_where_another_operator_reads_its_input():
    assert labels(relu_after("MAX_POOL_2D", read_twice=True)) == ["MAX_POOL_2D", "RELU", "ADD"]


def test_relu_stays_where_it_changes_the_scale():
    assert labels(relu_after("MAX_POOL_2D", scale=0.04)) == ["MAX_POOL_2D", "RELU"]


@pytest.mark.firmware
@pytest.mark.parametrize("kwargs", [{}, {"read_twice": True}, {"scale": 0.04}])
def test_fused_and_unfused_compute_the_same_as_tflm(kwargs, runtime, tflm):
    data = relu_after("AVERAGE_POOL_2D", **kwargs)
    x = np.random.default_rng(5).integers(-128, 128, (20, 1, 2, 2, 1)).astype(np.int8)
    y = runtime.run(plan(data), x)
    np.testing.assert_array_equal(y, tflm.run(data, x).reshape(y.shape))


def reshapes() -> bytes:
    model = ModelBuilder()
    quantised = {"scale": 0.1, "zero_point": 2}
    x = model.tensor((1, 2, 3), "int8", **quantised)
    a = model.tensor((1, 6), "int8", **quantised)
    b = model.tensor((6, 1), "int8", **quantised)
    shape = model.tensor((2,), "int32", data=np.array([1, 6], np.int32))
    model.operator("RESHAPE", [x, shape], [a])
    model.operator("RESHAPE", [a], [b])
    return model.build([x], [b])


@pytest.mark.firmware
def test_reshape_runs_nothing(runtime):
    planned = plan(reshapes())
    assert planned.operators == ()
    assert planned.arena_bytes == 16
    x = np.arange(6, dtype=np.int8).reshape(1, 1, 2, 3)
    assert runtime.run(planned, x).tolist() == [[[i] for i in range(6)]]


def test_tensor_infos_and_operators():
    planned = plan(models.convolution(1, zero_points=(3, -7)))
    assert (planned.input.shape, planned.input.dtype, planned.input.zero_point) == (
        (1, 7, 6, 3), "int8", 3,
    )  # fmt: skip
    assert planned.input.scale == float(np.float32(0.05))
    (operator,) = planned.operators
    assert (operator.index, operator.kernel, operator.output_shape) == (0, "conv_s8", (1, 7, 6, 4))
    assert operator.macs == 7 * 6 * 4 * 3 * 3 * 3


def test_the_same_model_gives_the_same_bytes():
    data = models.convolution(1)
    assert plan(data).data == plan(data).data


def test_header_and_records():
    planned = plan(models.add_twice())
    header = layout.unpack(layout.HEADER.fields, planned.data, 0)
    assert header["magic"] == struct.unpack("<I", b"HBNP")[0]
    assert header["length"] == len(planned.data)
    assert header["arena_bytes"] == planned.arena_bytes
    table = records()["lut_s8"]
    first = layout.unpack(table.flat, planned.data, int(header["operators_offset"]))
    assert (first["kind"], first["bytes"]) == (table.kind, table.bytes)
    add = records()["add_s8"]
    position = int(header["operators_offset"]) + table.bytes
    second = layout.unpack(add.flat, planned.data, position)
    assert second["kind"] == add.kind
    assert second["input"] == first["input"]
    assert second["input_2"] == first["output"]


def test_generated_files_are_current(capsys):
    assert generate_c.main(["--check"]) == 0, capsys.readouterr().err


def test_stale_header(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate_c, "HEADER_FILE", tmp_path / "hb_plan.h")
    assert generate_c.main(["--check"]) == 1
    assert capsys.readouterr().err == (
        f"{tmp_path}/hb_plan.h is stale; run: python -m hilbench.models.planner.generate_c\n"
    )
    assert generate_c.main([]) == 0
    assert generate_c.main(["--check"]) == 0


def test_fault_sentences():
    assert describe_fault(2, 0) == "these bytes are not a plan (plan byte 0)"
    assert describe_fault(99, 7) == "unknown fault 99 (plan byte 7)"


def test_every_operator_is_in_the_documentation():
    page = (Path(__file__).resolve().parents[2] / "docs" / "operators.md").read_text()
    listed = [
        name
        for row in page.splitlines()
        if row.startswith("| ")
        for name in row[2:].split(" |")[0].split(", ")
    ]
    assert sorted(listed[1:]) == sorted(planner.SUPPORTED)
    assert (
        f"of {len(planner.SUPPORTED)} operators"
        in (Path(__file__).resolve().parents[2] / "README.md").read_text()
    )


# --- memory -----------------------------------------------------------------------------------


def random_buffers(seed: int) -> list[Buffer]:
    rng = random.Random(seed)
    buffers = []
    for _ in range(rng.randint(1, 12)):
        first = rng.randint(0, 10)
        buffers.append(Buffer(rng.randint(1, 500), first, first + rng.randint(0, 4)))
    return buffers


@pytest.mark.parametrize("seed", range(50))
def test_living_buffers_never_share_memory(seed):
    buffers = random_buffers(seed)
    problem = Problem(buffers)
    offsets = best_fit(problem)
    spans = list(zip(buffers, offsets, strict=True))
    for (a, at_a), (b, at_b) in itertools.combinations(spans, 2):
        if a.overlaps(b):
            assert at_a + a.size <= at_b or at_b + b.size <= at_a
    assert all(offset % layout.ALIGNMENT == 0 for offset in offsets)
    total = arena_bytes(problem, offsets)
    assert total == max(offset + align(b.size) for b, offset in spans)
    assert lower_bound(problem) <= total <= sum(align(b.size) for b in buffers)


def chain(*sizes: int) -> list[Buffer]:
    """Layers one after the other: each reads what the one before wrote."""
    return [Buffer(size, step, step + 1) for step, size in enumerate(sizes)]


@pytest.mark.parametrize(
    "sizes", [(64,) * 6, (27648, 18432, 18432, 36864, 9216, 18432), (16, 32, 64, 128, 64, 32, 16)]
)
def test_a_chain_reaches_the_bound(sizes):
    buffers = chain(*sizes)
    problem = Problem(buffers)
    assert arena_bytes(problem, best_fit(problem)) == lower_bound(problem)


def test_a_residual_reaches_the_bound():
    # What a skip connection reads lives on beside the layers it skips.
    sizes = ((64, -1, 0), (1024, 0, 3), (1024, 1, 2), (1024, 2, 3), (1024, 3, 4), (2048, 4, 5))
    problem = Problem([Buffer(*size) for size in sizes])
    assert arena_bytes(problem, best_fit(problem)) == lower_bound(problem) == 3072


def test_nothing_to_place():
    assert best_fit(Problem([])) == []
    assert arena_bytes(Problem([]), []) == lower_bound(Problem([])) == 0


# --- requantisation constants -----------------------------------------------------------------


@pytest.mark.parametrize("real", [1.0, 0.5, 0.75, 1 / 3, 2.0**-31, 1.999999, 7.3e-6, 12345.6])
def test_multiplier_is_the_nearest_of_31_bits(real):
    multiplier, shift = quantise_multiplier(real)
    assert 1 << 30 <= multiplier < 1 << 31
    unit = Fraction(2) ** (shift - 31)
    assert abs(multiplier * unit - Fraction(real)) <= unit / 2


def test_multiplier_that_rounds_up_to_the_next_power():
    assert quantise_multiplier(1 - 2.0**-40) == (1 << 30, 1)


def test_multiplier_out_of_range():
    assert quantise_multiplier(2.0**-40) == (0, 0)
    with pytest.raises(ValueError, match=r"requantisation factor 4\.29497e\+09 is above the limit"):
        quantise_multiplier(2.0**32)
    with pytest.raises(ValueError, match="requantisation factor nan is not a non-negative number"):
        quantise_multiplier(float("nan"))


# --- refusals ---------------------------------------------------------------------------------


def refused(data: bytes, error: type[ModelError] = UnsupportedOperatorError) -> str:
    with pytest.raises(error) as caught:
        plan(data)
    assert type(caught.value) is error
    return str(caught.value)


def test_operator_without_a_kernel():
    message = refused(models.unary("EXP", shape=(1, 4)))
    assert message == (
        f"some.tflite: operator 0 EXP(int8[1,4]) -> int8[1,4]: no kernel; {SUPPORTED}"
    )


def test_type_without_a_kernel():
    message = refused(models.unary("RELU", ("int16", "int16"), shape=(1, 4)))
    assert message == (
        "some.tflite: operator 0 RELU(int16[1,4]) -> int16[1,4]: no kernel for these types; "
        + SUPPORTED
    )


def test_batch():
    model = ModelBuilder()
    x, y = (model.tensor((2, 4, 4, 1), "float32") for _ in range(2))
    options = {"Padding": "SAME", "StrideH": 1, "StrideW": 1, "FilterHeight": 2, "FilterWidth": 2}
    model.operator("MAX_POOL_2D", [x], [y], "Pool2DOptions", **options)
    assert ": no kernel for a batch above 1; " in refused(model.build([x], [y]))


def test_activation_without_a_kernel():
    message = refused(models.convolution(1, activation="TANH"))
    assert ": no kernel for its fused activation TANH; " in message


def test_output_shape_that_does_not_follow():
    model = ModelBuilder()
    x = model.tensor((1, 4, 4, 1), "float32")
    y = model.tensor((1, 4, 4, 1), "float32")
    options = {"Padding": "VALID", "StrideH": 1, "StrideW": 1, "FilterHeight": 2, "FilterWidth": 2}
    model.operator("MAX_POOL_2D", [x], [y], "Pool2DOptions", **options)
    assert refused(model.build([x], [y]), ModelError) == (
        "some.tflite: operator 0 MAX_POOL_2D(float32[1,4,4,1]) -> float32[1,4,4,1]: "
        "the output's shape does not follow from the options; export the model again"
    )


def test_input_type():
    model = ModelBuilder()
    x = model.tensor((1, 2), "int32")
    assert refused(model.build([x], [x]), ModelError) == (
        "some.tflite: input or output 't0' is int32, the built-in runtime has int8 and float32; "
        "convert the model with int8 or float32 inputs and outputs"
    )


def test_requantisation_factor_too_large():
    message = refused(models.unary("QUANTIZE", scales=(1e9, 1e-9)), ModelError)
    assert ": requantisation factor 1e+18 is above the limit of 2^30; quantise the model again" in (
        message
    )


def test_unknown_kernel_set():
    with pytest.raises(ModelError) as caught:
        plan_model(parse_model(models.softmax(), NAME), kernels="abacus")
    assert str(caught.value) == (
        "some.tflite: no plans for kernels 'abacus'; known sets: mve, dsp, fpu, portable; build the "
        "firmware from this version: make firmware"
    )
