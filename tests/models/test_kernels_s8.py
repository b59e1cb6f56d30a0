"""int8 kernels against TensorFlow Lite Micro, bit by bit, over parameter grids."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from builders.host_runtime import HostRuntime
from hilbench.models.oracle import TflmOracle
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model

pytestmark = pytest.mark.firmware

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
ZERO_POINTS = ((-128, -128), (-128, 127), (0, 0), (127, -128), (127, 127))


def vectors(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Two random vectors and the saturating ones: all -128, all 127, both in turns."""
    x = np.random.default_rng(seed).integers(-128, 128, (5, *shape)).astype(np.int8)
    x[2], x[3] = -128, 127
    x[4] = np.where(x[4] < 0, -128, 127)
    return x


def assert_bit_exact(data: bytes, runtime: HostRuntime, tflm: TflmOracle, seed: int = 0) -> None:
    plan = plan_model(parse_model(data, Path("generated.tflite")), kernels=runtime.kernels)
    x = vectors(plan.input.shape, seed)
    y = runtime.run(plan, x)
    np.testing.assert_array_equal(y, tflm.run(data, x).reshape(y.shape))


GEOMETRIES = [
    dict(zip(("kernel", "stride", "dilation", "padding"), values, strict=True))
    for values in itertools.product(
        ((1, 1), (3, 3), (2, 5)),
        ((1, 1), (2, 2), (1, 3)),
        ((1, 1), (2, 1), (2, 2)),
        ("SAME", "VALID"),
    )
    # The input is 11 x 12: a 5-tap row at dilation 2 still fits.
    if not (values[0] == (1, 1) and values[2] != (1, 1))
]


def name(value: object) -> str | None:
    if isinstance(value, dict):
        return "-".join(
            "x".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in value.values()
        )
    return None


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=name)
def test_conv(geometry, runtime, tflm):
    assert_bit_exact(models.convolution(1, size=(11, 12), **geometry), runtime, tflm)


@pytest.mark.parametrize("multiplier", [1, 2, 3])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=name)
def test_depthwise(geometry, multiplier, runtime, tflm):
    data = models.convolution(
        2, depthwise=True, size=(11, 12), in_c=3, out_c=3 * multiplier, **geometry
    )
    assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("zero_points", ZERO_POINTS)
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_zero_points_at_the_extremes(depthwise, zero_points, padding, runtime, tflm):
    data = models.convolution(
        3, depthwise=depthwise, in_c=4, zero_points=zero_points, padding=padding, bias=False
    )
    assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("depthwise", [False, True])
def test_scales_over_20_octaves(depthwise, runtime, tflm):
    scales = [2.0**-i * 0.97 for i in range(21)]
    data = models.convolution(
        4, depthwise=depthwise, in_c=3, out_c=21, scales=scales, out_scale=0.02
    )
    assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("out_scale", [1e-4, 1e-3, 40.0])
def test_saturating_outputs(depthwise, out_scale, runtime, tflm):
    data = models.convolution(5, depthwise=depthwise, in_c=4, out_scale=out_scale)
    assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fused_activation(depthwise, activation, runtime, tflm):
    data = models.convolution(6, depthwise=depthwise, in_c=4, activation=activation, out_scale=0.1)
    assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 8, 13, 16])
def test_every_channel_remainder(channels, runtime, tflm):
    assert_bit_exact(models.convolution(7, in_c=channels, kernel=(1, 1)), runtime, tflm)
    assert_bit_exact(models.convolution(8, in_c=channels), runtime, tflm)


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 8, 9])
def test_every_output_channel_remainder(channels, runtime, tflm):
    assert_bit_exact(models.convolution(7, out_c=channels), runtime, tflm)
    assert_bit_exact(models.fully_connected(8, units=channels), runtime, tflm)


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 2), (4, 5)])
def test_dilated_kernels_that_step_over_the_input(depthwise, size, runtime, tflm):
    for dilation in ((2, 3), (4, 4), (5, 2)):
        data = models.convolution(
            9, depthwise=depthwise, in_c=4, size=size, kernel=(3, 4), dilation=dilation
        )
        assert_bit_exact(data, runtime, tflm)


def test_kernel_larger_than_the_input(runtime, tflm):
    assert_bit_exact(models.convolution(9, size=(2, 3), kernel=(5, 7)), runtime, tflm)
    assert_bit_exact(models.convolution(9, size=(1, 1), kernel=(3, 3)), runtime, tflm)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 37), (1, 640), (1, 3, 8), (4, 16)])
def test_fully_connected(per_channel, bias, shape, runtime, tflm):
    for seed in range(4):
        data = models.fully_connected(seed, in_shape=shape, per_channel=per_channel, bias=bias)
        assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("zero_points", ZERO_POINTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fully_connected_ranges(zero_points, activation, runtime, tflm):
    data = models.fully_connected(11, zero_points=zero_points, activation=activation)
    assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("out_scale", [1e-5, 0.02, 50.0])
def test_fully_connected_scales_over_20_octaves(out_scale, runtime, tflm):
    scales = [2.0**-i * 0.97 for i in range(21)]
    data = models.fully_connected(12, units=21, scales=scales, out_scale=out_scale)
    assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("kind", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize("zero_point", [-128, 0, 127])
def test_pool_of_zero_points_at_the_extremes(kind, zero_point, runtime, tflm):
    for activation in ACTIVATIONS:
        data = models.pool(kind=kind, zero_point=zero_point, activation=activation, kernel=(3, 3))
        assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize(
    ("in_scale", "scale", "out_scale"),
    [(1 / 3, 3 / 256, 1 / 16), (0.3, 0.02, 0.024), (0.02, 0.3, 0.192)],
)
def test_fully_connected_where_float32_would_round(in_scale, scale, out_scale, runtime, tflm):
    """TensorFlow Lite multiplies the two scales in float32, its Micro in float64: ties differ."""
    values = {"in_scale": in_scale, "scales": [scale], "out_scale": out_scale}
    for seed in range(4):
        data = models.fully_connected(
            seed, in_shape=(200, 2), bias=False, zero_points=(0, 0), **values
        )
        assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("kind", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize(
    ("kernel", "stride"), [((2, 2), (2, 2)), ((3, 3), (1, 1)), ((3, 2), (2, 3)), ((5, 5), (1, 2))]
)
def test_pool(kind, kernel, stride, runtime, tflm):
    for padding, activation in itertools.product(("SAME", "VALID"), ACTIVATIONS):
        data = models.pool(
            kind=kind, kernel=kernel, stride=stride, padding=padding, activation=activation
        )
        assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("zero_points", ZERO_POINTS)
@pytest.mark.parametrize("scales", [(0.05, 0.05), (0.05, 0.03), (0.01, 0.9), (1.3, 0.002)])
def test_mean(keep, zero_points, scales, runtime, tflm):
    for shape in ((1, 5, 7, 3), (1, 4, 4, 8), (1, 1, 1, 5), (1, 25, 5, 2)):
        data = models.mean(shape=shape, keep=keep, scales=scales, zero_points=zero_points)
        assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize(("shape", "axes"), [((1, 9, 4), (1,)), ((1, 5, 7, 3), (-3, -2))])
def test_mean_over_other_axes(shape, axes, runtime, tflm):
    assert_bit_exact(models.mean(shape=shape, axes=axes), runtime, tflm)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 0.03, 0.1, 0.5, 3.0, 40.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 10), (3, 7), (1, 300)])
@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_softmax(scale, shape, beta, runtime, tflm):
    assert_bit_exact(models.softmax(shape=shape, scale=scale, beta=beta), runtime, tflm)


def test_softmax_of_every_difference(runtime, tflm):
    """All 256 differences to the largest logit, at scales where exp needs all its bits."""
    for scale in np.geomspace(0.01, 1.0, 25):
        data = models.softmax(shape=(1, 2), scale=float(np.float32(scale)))
        plan = plan_model(parse_model(data, Path("generated.tflite")))
        x = np.stack([np.full(256, 127), np.arange(-128, 128)], axis=1).astype(np.int8)[:, None, :]
        y = runtime.run(plan, x)
        np.testing.assert_array_equal(y, tflm.run(data, x).reshape(y.shape))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "scales", [(0.05, 0.02, 0.06), (0.02, 0.05, 0.06), (0.05, 0.05, 0.05), (1.0, 0.001, 0.4)]
)
@pytest.mark.parametrize("zero_points", [(3, -7, 11), (-128, 127, 0), (127, -128, -128)])
def test_add(activation, scales, zero_points, runtime, tflm):
    data = models.add_twice(scales=scales, zero_points=zero_points, activation=activation)
    assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("scales", [(0.05, 0.05), (0.05, 0.0123), (0.01, 0.9), (3.0, 0.001)])
@pytest.mark.parametrize("zero_points", ZERO_POINTS)
def test_requantize(scales, zero_points, runtime, tflm):
    for name_ in ("QUANTIZE", "RELU"):
        assert_bit_exact(models.unary(name_, scales=scales, zero_points=zero_points), runtime, tflm)


@pytest.mark.parametrize("zero_point", [-128, -7, 0, 127])
def test_relu6_alone(zero_point, runtime, tflm):
    data = models.unary("RELU6", zero_points=(zero_point, zero_point))
    assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("scale", [0.05, 1e-3, 7.0])
@pytest.mark.parametrize("zero_point", [-128, -7, 127])
def test_quantize_and_dequantize(scale, zero_point, runtime, tflm):
    ties = (np.arange(-128, 128, dtype=np.float32) + np.float32(0.5)) * np.float32(scale)
    near = np.nextafter(ties, np.float32(0))
    rng = np.random.default_rng(12)
    x = np.stack([ties, near, -ties, rng.normal(0, 60 * scale, 256).astype(np.float32), ties * 100])
    kinds = ("float32", "int8")
    data = models.unary("QUANTIZE", kinds, scales=(0, scale), zero_points=(0, zero_point))
    plan = plan_model(parse_model(data, Path("generated.tflite")))
    np.testing.assert_array_equal(runtime.run(plan, x)[:, 0], tflm.run(data, x))
    data = models.unary("DEQUANTIZE", kinds[::-1], scales=(scale, 0), zero_points=(zero_point, 0))
    assert_bit_exact(data, runtime, tflm)


def test_quantize_saturates_what_int8_cannot_hold(runtime):
    data = models.unary("QUANTIZE", ("float32", "int8"), shape=(1, 5), zero_points=(0, 3))
    plan = plan_model(parse_model(data, Path("generated.tflite")))
    x = np.array([[np.inf, -np.inf, np.nan, 3e38, -3e38]], np.float32)
    assert runtime.run(plan, x).tolist() == [[[127, -128, -128, 127, -128]]]
