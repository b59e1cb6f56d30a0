"""float32 operators beyond convolutions against TensorFlow Lite, within 1e-5 of the largest output."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model
from hilbench.records import Plan

pytestmark = pytest.mark.firmware

TOLERANCE = 1e-5


def plan(data: bytes) -> Plan:
    return plan_model(parse_model(data, Path("generated.tflite")))


def assert_close(data: bytes, runtime, reference, spread: float = 1.0, shift: float = 0.0) -> None:
    planned = plan(data)
    rng = np.random.default_rng(1)
    inputs = [rng.normal(shift, spread, (3, *t.shape)).astype(np.float32) for t in planned.inputs]
    outputs = runtime.run_many(planned, inputs)
    for y, expected in zip(outputs, reference.run_many(data, inputs), strict=True):
        largest = np.abs(expected).max()
        assert np.abs(y - expected.reshape(y.shape)).max() <= TOLERANCE * largest


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"])
@pytest.mark.parametrize("constant", [None, 0, 1])
def test_two_operands(name, constant, runtime, reference):
    shapes = [(1, 4, 5, 3), (3,), (1, 1, 1, 1), (4, 1, 3)]
    for second, activation in itertools.product(shapes, ("NONE", "RELU")):
        pair = (second, shapes[0]) if constant == 0 else (shapes[0], second)
        data = models.binary(name, "float32", shapes=pair, constant=constant, activation=activation)
        assert_close(data, runtime, reference)


@pytest.mark.parametrize("name", ["LOGISTIC", "TANH", "HARD_SWISH"])
@pytest.mark.parametrize("spread", [1e-6, 1e-3, 0.1, 1.0, 30.0, 1000.0])
def test_one_operand(name, spread, runtime, reference):
    data = models.unary(name, ("float32", "float32"), shape=(1, 2000))
    assert_close(data, runtime, reference, spread)


@pytest.mark.parametrize("name", ["LOGISTIC", "TANH"])
def test_every_magnitude(name, runtime):
    """Against numpy in double precision: the error is relative to each result."""
    data = models.unary(name, ("float32", "float32"), shape=(1, 20_000))
    x = np.geomspace(1e-8, 80, 10_000).astype(np.float32)
    x = np.concatenate([x, -x])[None]
    wide = x.astype(np.float64)
    expected = np.tanh(wide) if name == "TANH" else 1 / (1 + np.exp(-wide))
    y = runtime.run(plan(data), x)[0]
    assert np.max(np.abs(y - expected) / np.abs(expected)) < 1e-6


@pytest.mark.parametrize("name", ["LOGISTIC", "TANH", "HARD_SWISH"])
def test_not_a_number_stays_so(name, runtime):
    data = models.unary(name, ("float32", "float32"), shape=(1, 2))
    y = runtime.run(plan(data), np.array([[np.nan, 0.0]], np.float32))
    assert np.isnan(y[0, 0, 0])
    assert not np.isnan(y[0, 0, 1])


@pytest.mark.parametrize("alpha", [0.1, 1.7, -0.3])
def test_leaky_relu(alpha, runtime, reference):
    data = models.unary("LEAKY_RELU", ("float32", "float32"), alpha=alpha)
    assert_close(data, runtime, reference)


def test_relu_n1_to_1(runtime, reference):
    assert_close(models.unary("RELU_N1_TO_1", ("float32", "float32")), runtime, reference)


MOVES = [
    models.concatenation(((1, 4, 3), (1, 4, 5)), 2, "float32"),
    models.concatenation(((1, 4, 4), (1, 8, 4)), 1, "float32"),
    models.split((1, 4, 6, 8), 2, 3, "float32"),
    models.split((1, 4, 6, 8), 1, 2, "float32"),
    models.transpose((2, 3, 5, 4), [3, 0, 2, 1], "float32"),
    models.strided_slice((1, 6, 6), ([0, 5, 0], [1, 0, 6], [1, -2, 3]), (1, 3, 2), "float32"),
    models.pad((1, 4, 5, 3), [0, 0, 1, 1, 2, 0, 0, 0], "float32"),
    models.pad((1, 4, 5, 3), [0, 0, 1, 1, 2, 0, 0, 3], "float32", value=-1.25),
]


@pytest.mark.parametrize("data", MOVES, ids=range(len(MOVES)))
def test_moving(data, runtime, reference):
    assert_close(data, runtime, reference)


@pytest.mark.parametrize("axes", [(0,), (3,), (1, 3), (0, 2), (0, 1, 2, 3)])
def test_mean_over_any_axes(axes, runtime, reference):
    assert_close(models.mean("float32", shape=(2, 5, 3, 4), axes=axes), runtime, reference)


# --- dynamic range: float activations, int8 weights ----------------------------------------------


@pytest.mark.parametrize("asymmetric", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 37), (4, 16)])
@pytest.mark.parametrize("distribution", [(1.0, 0.0), (0.01, 5.0), (3.0, -40.0), (0.0, 0.0)])
def test_dynamic_range_fully_connected(asymmetric, shape, distribution, runtime, reference):
    for activation, bias in (("NONE", True), ("RELU", False)):
        data = models.fully_connected(
            1, "float32", in_shape=shape, hybrid=True, asymmetric=asymmetric,
            activation=activation, bias=bias,
        )  # fmt: skip
        assert_close(data, runtime, reference, *distribution)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_dynamic_range_of_what_is_no_number(value, runtime):
    x = np.ones((1, 1, 37), np.float32)
    x[0, 0, 5] = value
    for asymmetric in (False, True):
        data = models.fully_connected(1, "float32", hybrid=True, asymmetric=asymmetric)
        assert np.isnan(runtime.run(plan(data), x)).all()


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("distribution", [(1.0, 0.0), (0.01, 5.0), (3.0, -40.0), (0.0, 0.0)])
def test_dynamic_range_convolution(per_channel, padding, distribution, runtime, reference):
    scales = None if per_channel else [0.01]
    for steps in ({}, {"stride": (2, 2)}, {"kernel": (1, 1)}):
        data = models.convolution(
            1, "float32", size=(9, 8), out_c=6, hybrid=True, padding=padding, scales=scales, **steps
        )
        assert_close(data, runtime, reference, *distribution)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("distribution", [(1.0, 0.0), (0.01, 5.0), (3.0, -40.0)])
def test_dynamic_range_depthwise(padding, distribution, runtime, reference):
    for steps in ({}, {"stride": (2, 2)}, {"dilation": (2, 2)}):
        data = models.convolution(
            1, "float32", depthwise=True, size=(9, 8), out_c=6, hybrid=True, padding=padding,
            **steps,
        )  # fmt: skip
        assert_close(data, runtime, reference, *distribution)
