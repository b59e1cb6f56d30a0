"""float32 kernels against TensorFlow Lite on the host, within 1e-5 of the largest output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model

pytestmark = pytest.mark.firmware

TOLERANCE = 1e-5


def assert_close(data: bytes, runtime, reference, spread: float = 1.0) -> None:
    plan = plan_model(parse_model(data, Path("generated.tflite")))
    x = np.random.default_rng(1).normal(0, spread, (3, *plan.input.shape)).astype(np.float32)
    y = runtime.run(plan, x)
    expected = reference.run(data, x).reshape(y.shape)
    assert np.abs(y - expected).max() <= TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize("multiplier", [None, 1, 2])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("steps", [{}, {"stride": (2, 2)}, {"dilation": (2, 2)}])
def test_convolutions(multiplier, padding, steps, runtime, reference):
    for activation in ("NONE", "RELU6"):
        data = models.convolution(
            1,
            "float32",
            depthwise=multiplier is not None,
            size=(9, 8),
            out_c=3 * (multiplier or 2),
            padding=padding,
            activation=activation,
            **steps,
        )
        assert_close(data, runtime, reference)


@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 640), (3, 17)])
def test_fully_connected(activation, shape, runtime, reference):
    data = models.fully_connected(1, "float32", in_shape=shape, activation=activation)
    assert_close(data, runtime, reference)


@pytest.mark.parametrize("kind", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize(("kernel", "stride"), [((2, 2), (2, 2)), ((3, 2), (1, 3))])
def test_pool(kind, kernel, stride, runtime, reference):
    for padding in ("SAME", "VALID"):
        data = models.pool("float32", kind=kind, kernel=kernel, stride=stride, padding=padding)
        assert_close(data, runtime, reference)


@pytest.mark.parametrize("keep", [False, True])
def test_mean(keep, runtime, reference):
    assert_close(models.mean("float32", keep=keep), runtime, reference)


@pytest.mark.parametrize("spread", [1e-3, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_softmax(spread, beta, runtime, reference):
    for shape in ((1, 10), (4, 3), (1, 500)):
        data = models.softmax("float32", shape=shape, beta=beta)
        assert_close(data, runtime, reference, spread)


@pytest.mark.parametrize("activation", ["NONE", "RELU"])
def test_add_and_relu(activation, runtime, reference):
    assert_close(models.add_twice("float32", activation=activation), runtime, reference)


@pytest.mark.parametrize("name", ["RELU", "RELU6"])
def test_activation_alone(name, runtime, reference):
    data = models.unary(name, ("float32", "float32"))
    assert_close(data, runtime, reference, spread=5.0)
