"""Kernels of the DSP extension against TensorFlow Lite Micro, bit by bit.

Grids run on the host, in C under the undefined-behaviour sanitizer; whole models there and on the
processors, where the inner loops are assembly.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from builders.host_runtime import HostRuntime, RuntimeFaultError
from builders.tflite_builder import ModelBuilder
from hilbench.board.images import find_image
from hilbench.board.life import open_board
from hilbench.config import load_boards
from hilbench.errors import ImageError
from hilbench.models.planner import layout, plan_model
from hilbench.models.planner.requantise import Reference, fit
from hilbench.models.planner.sets import dsp as kernel_set
from hilbench.models.planner.sets import records
from hilbench.models.tflite_file import parse_model, read_model
from hilbench.records import Plan

pytestmark = pytest.mark.firmware

ROOT = Path(__file__).resolve().parents[2]
MLPERF = ROOT.parent / "shared" / "data" / "mlperf_tiny" / "models"
KERNELS = "portable dsp"
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
ZERO_POINTS = ((-128, -128), (-128, 127), (0, 0), (127, -128), (127, 127))
WINDOWS = [
    dict(zip(("kernel", "stride", "dilation", "padding"), values, strict=True))
    for values in itertools.product(
        ((1, 1), (3, 3), (2, 5)),
        ((1, 1), (2, 2), (1, 3)),
        ((1, 1), (2, 1), (2, 2)),
        ("SAME", "VALID"),
    )
    if not (values[0] == (1, 1) and values[2] != (1, 1))
]


@pytest.fixture(scope="module")
def dsp(runtimes) -> HostRuntime:
    runtime = runtimes["dsp"]
    assert runtime.kernels == KERNELS
    return runtime


def planned(data: bytes) -> Plan:
    return plan_model(parse_model(data, Path("generated.tflite")), KERNELS)


def vectors(shape: tuple[int, ...], seed: int = 0, count: int = 5) -> np.ndarray:
    """Random vectors and the saturating ones: all -128, all 127, both in turns."""
    x = np.random.default_rng(seed).integers(-128, 128, (count, *shape)).astype(np.int8)
    x[-3], x[-2] = -128, 127
    x[-1] = np.where(x[-1] < 0, -128, 127)
    return x


def assert_bit_exact(data: bytes, dsp: HostRuntime, tflm, kernel: str | None) -> None:
    """``kernel``: of the first operator; None where scales leave the choice open."""
    plan = planned(data)
    assert kernel is None or plan.operators[0].kernel == kernel
    x = vectors(plan.input.shape)
    y = dsp.run(plan, x)
    np.testing.assert_array_equal(y, tflm.run(data, x).reshape(y.shape))


def name(value: object) -> str | None:
    if isinstance(value, dict):
        return "-".join(str(v).replace(" ", "") for v in value.values())
    return None


@pytest.mark.parametrize("in_c", [3, 4])
@pytest.mark.parametrize("window", WINDOWS, ids=name)
def test_conv(window, in_c, dsp, tflm):
    data = models.convolution(1, size=(11, 12), in_c=in_c, **window)
    assert_bit_exact(data, dsp, tflm, "conv_s8_dsp")


@pytest.mark.parametrize("in_c", [1, 2, 5, 8, 12, 16, 20])
@pytest.mark.parametrize("out_c", [2, 3, 5, 8])
def test_conv_of_any_channels(in_c, out_c, dsp, tflm):
    for kernel in ((1, 1), (3, 3)):
        data = models.convolution(2, in_c=in_c, out_c=out_c, kernel=kernel)
        assert_bit_exact(data, dsp, tflm, "conv_s8_dsp")


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 2), (1, 5), (2, 3), (3, 5)])
def test_conv_of_any_number_of_pixels(size, dsp, tflm):
    for kernel in ((1, 1), (3, 4), (5, 7)):
        for in_c in (1, 3, 4):
            data = models.convolution(3, size=size, in_c=in_c, kernel=kernel)
            assert_bit_exact(data, dsp, tflm, "conv_s8_dsp")


@pytest.mark.parametrize("channels", [4, 8])
@pytest.mark.parametrize("window", WINDOWS, ids=name)
def test_depthwise(window, channels, dsp, tflm):
    data = models.convolution(
        4, depthwise=True, size=(11, 12), in_c=channels, out_c=channels, **window
    )
    special = (window["kernel"], window["stride"], window["dilation"]) == ((3, 3), (1, 1), (1, 1))
    assert_bit_exact(data, dsp, tflm, f"depthwise{'3x3' if special else ''}_s8_dsp")


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    "size", [(1, 1), (1, 7), (7, 1), (2, 3), (3, 3), (3, 8), (8, 3), (4, 5), (5, 4), (25, 5)]
)
def test_depthwise_3x3_of_any_size(size, padding, dsp, tflm, monkeypatch):
    if padding == "VALID" and min(size) < 3:
        return
    data = models.convolution(
        5, depthwise=True, size=size, in_c=8, out_c=8, padding=padding, activation="RELU"
    )
    for pixels, kernel in ((10**9, "depthwise3x3_s8_dsp"), (0, "depthwise_s8_dsp")):
        monkeypatch.setattr(kernel_set, "_cost_of_pixels", lambda _, cost=pixels: cost)
        assert_bit_exact(data, dsp, tflm, kernel)


def test_depthwise_3x3_goes_by_pixels_where_lines_are_short():
    kernels = [
        planned(models.convolution(5, depthwise=True, size=(n, n), in_c=64, out_c=64))
        .operators[0]
        .kernel
        for n in (3, 24)
    ]
    assert kernels == ["depthwise_s8_dsp", "depthwise3x3_s8_dsp"]


@pytest.mark.parametrize("channels", [3, 6])
def test_depthwise_of_other_channels_is_portable(channels, dsp, tflm):
    data = models.convolution(6, depthwise=True, in_c=channels, out_c=channels)
    assert_bit_exact(data, dsp, tflm, "depthwise_s8")
    data = models.convolution(6, depthwise=True, in_c=4, out_c=8)
    assert_bit_exact(data, dsp, tflm, "depthwise_s8")


@pytest.mark.parametrize("kernel", ["conv", "depthwise3x3", "depthwise"])
@pytest.mark.parametrize("zero_points", ZERO_POINTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_ranges(kernel, zero_points, activation, dsp, tflm):
    for out_scale in (None, 0.1):
        data = models.convolution(
            7,
            depthwise=kernel != "conv",
            size=(11, 12),
            in_c=4,
            stride=(2, 2) if kernel == "depthwise" else (1, 1),
            zero_points=zero_points,
            activation=activation,
            out_scale=out_scale,
        )
        assert_bit_exact(data, dsp, tflm, f"{kernel}_s8_dsp" if out_scale is None else None)


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("out_scale", [1e-4, 1e-3, 0.02, 1.0, 40.0, 1e4])
def test_scales_over_20_octaves(depthwise, out_scale, dsp, tflm):
    for activation, stride in itertools.product(("NONE", "RELU"), ((1, 1), (2, 2))):
        data = models.convolution(
            8,
            depthwise=depthwise,
            in_c=20 if depthwise else 3,
            out_c=20,
            stride=stride,
            activation=activation,
            scales=[2.0**-i * 0.97 for i in range(20)],
            out_scale=out_scale,
        )
        assert_bit_exact(data, dsp, tflm, None)


@pytest.mark.parametrize("units", [4, 5, 6, 7, 12])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (1, 37), (1, 64), (1, 640), (1, 3, 8), (5, 18)])
def test_fully_connected(units, shape, dsp, tflm):
    for per_channel, activation in itertools.product((False, True), ("NONE", "RELU")):
        data = models.fully_connected(
            9, in_shape=shape, units=units, per_channel=per_channel, activation=activation
        )
        assert_bit_exact(data, dsp, tflm, "fc_s8_dsp")


@pytest.mark.parametrize("zero_points", ZERO_POINTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fully_connected_ranges(zero_points, activation, dsp, tflm):
    data = models.fully_connected(10, zero_points=zero_points, activation=activation)
    assert_bit_exact(data, dsp, tflm, "fc_s8_dsp")


def test_few_units_are_portable(dsp, tflm):
    assert_bit_exact(models.fully_connected(11, units=3), dsp, tflm, "fc_s8")
    assert_bit_exact(models.convolution(11, out_c=1), dsp, tflm, "conv_s8")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "scales", [(0.05, 0.02, 0.06), (0.02, 0.05, 0.06), (1.0, 0.001, 0.4), (0.05, 0.02, 1e-6)]
)
@pytest.mark.parametrize("zero_points", [(3, -7, 11), (-128, 127, 0), (127, -128, -128)])
def test_add(activation, scales, zero_points, dsp, tflm):
    data = models.add_twice(scales=scales, zero_points=zero_points, activation=activation)
    assert planned(data).operators[1].kernel == "add_s8_dsp"
    assert_bit_exact(data, dsp, tflm, None)


def test_add_of_equal_scales_is_portable(dsp, tflm):
    data = models.add_twice(scales=(0.05, 0.05, 0.05))
    assert planned(data).operators[1].kernel == "add_s8"
    assert_bit_exact(data, dsp, tflm, None)


def test_add_of_every_pair_of_values(dsp, tflm):
    """The second input is the first, requantised: over many scales every sum is met."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        a, b, c = (float(x) for x in rng.uniform(0.01, 0.1, 3))
        zero_points = tuple(int(z) for z in rng.integers(-128, 128, 3))
        data = models.add_twice(scales=(a, b, c), zero_points=zero_points)
        assert_bit_exact(data, dsp, tflm, None)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_average_pool(padding, activation, dsp, tflm):
    for kernel, stride in (((2, 2), (2, 2)), ((3, 2), (2, 3)), ((5, 5), (1, 2)), ((7, 6), (1, 1))):
        options = {"kernel": kernel, "stride": stride, "padding": padding}
        data = models.pool(channels=8, activation=activation, **options)
        assert_bit_exact(data, dsp, tflm, "average_pool_s8_dsp")


def test_average_pool_of_other_channels_or_too_many_values_is_portable(dsp, tflm):
    assert_bit_exact(models.pool(channels=6), dsp, tflm, "average_pool_s8")
    sizes = {"size": (16, 17), "kernel": (16, 16), "padding": "VALID"}
    assert_bit_exact(models.pool(channels=4, **sizes), dsp, tflm, "average_pool_s8")
    sizes["kernel"] = (15, 17)
    assert_bit_exact(models.pool(channels=4, **sizes), dsp, tflm, "average_pool_s8_dsp")


def convolution_of(weights: np.ndarray, bias: np.ndarray, scales: list[float]) -> bytes:
    """1 x 1, weights [out_c, in_c], one pixel row of 7, RELU, output scale 0.1."""
    model = ModelBuilder()
    out_c, in_c = weights.shape
    x = model.tensor((1, 1, 7, in_c), "int8", scale=0.05, zero_point=-128)
    w = model.tensor(
        (out_c, 1, 1, in_c), "int8", data=weights.reshape(out_c, 1, 1, in_c), scale=scales
    )
    b = model.tensor((out_c,), "int32", data=bias, scale=[0.05 * s for s in scales])
    y = model.tensor((1, 1, 7, out_c), "int8", scale=0.1, zero_point=-128)
    model.operator(
        "CONV_2D",
        [x, w, b],
        [y],
        "Conv2DOptions",
        Padding="SAME",
        StrideH=1,
        StrideW=1,
        DilationHFactor=1,
        DilationWFactor=1,
        FusedActivationFunction="RELU",
    )
    return model.build([x], [y])


def test_channels_that_training_has_switched_off(dsp, tflm):
    """Weights of zero or nearly, biases that fill 32 bits, shifts of 20 and more."""
    rng = np.random.default_rng(12)
    weights = rng.integers(-127, 128, (12, 8)).astype(np.int8)
    weights[:4] = 0
    bias = np.array([2**30, -(2**30), 0, 2**31 - 1, *rng.integers(2**22, 2**27, 8)], np.int32)
    scales = [1e-9, 1e-9, 1e-12, 1e-9, *(12.0 / bias[4:] * rng.uniform(0.1, 1.0, 8))]
    assert_bit_exact(convolution_of(weights, bias, scales), dsp, tflm, "conv_s8_dsp")


def test_pairs_of_weights_beyond_16_bits_are_portable(dsp, tflm):
    weights = np.full((2, 4), -128, np.int8)
    data = convolution_of(weights, np.zeros(2, np.int32), [0.01, 0.01])
    assert_bit_exact(data, dsp, tflm, "conv_s8")


def test_sums_beyond_24_bits_are_portable(dsp, tflm):
    weights = np.full((2, 600), 127, np.int8)
    data = convolution_of(weights, np.zeros(2, np.int32), [1e-4, 1e-4])
    assert_bit_exact(data, dsp, tflm, "conv_s8")


@pytest.mark.parametrize("seed", range(60))
def test_fitted_constants_equal_the_reference_at_every_sum(seed):
    rng = random.Random(seed)
    reference = Reference(rng.randrange(1 << 30, 1 << 31), -rng.randrange(27), rng.randint(-128, 0))
    low = rng.randrange(-(1 << 29), 1 << 29)
    high = low + rng.randrange(1, 20_000)
    linear = rng.random() < 0.5
    fitted = fit(reference, low, high, linear=linear)
    if fitted is not None:
        for total in range(low, high + 1):
            assert fitted.result(total, linear=linear) == reference(total)


CONV = planned(models.convolution(1, in_c=5, out_c=5))
DEPTHWISE = planned(models.convolution(1, depthwise=True, size=(11, 12), in_c=8, out_c=8))
STRIDED = planned(models.convolution(1, depthwise=True, in_c=8, out_c=8, stride=(2, 2)))
ADD = planned(models.add_twice())
POOL = planned(models.pool(channels=8))
# Whole groups of four taps do not fit the input.
TINY = planned(models.convolution(1, size=(1, 3), kernel=(1, 3), in_c=1, padding="VALID"))
DENSE = planned(models.fully_connected(1, units=7))


@pytest.mark.parametrize(
    ("plan", "values", "expected"),
    [
        (CONV, {"scratch": 0x7FFFFFF0}, "tensor"),
        (CONV, {"scratch": 8}, "tensor"),
        (CONV, {"filters": 0x7FFFFFF0}, "constant"),
        (CONV, {"out_c": 1}, "shape"),
        (CONV, {"out_c": 0xFFFF}, "tensor"),
        (CONV, {"kernel_h": 0}, "shape"),
        (DEPTHWISE, {"scratch": 0x7FFFFFF0}, "tensor"),
        (DEPTHWISE, {"filters": 0x7FFFFFF0}, "constant"),
        (DEPTHWISE, {"in_c": 6, "out_c": 6}, "shape"),
        (DEPTHWISE, {"stride_w": 2}, "shape"),
        (DEPTHWISE, {"pad_left": 2}, "shape"),
        (STRIDED, {"filters": 0x7FFFFFF0}, "constant"),
        (STRIDED, {"in_c": 4}, "shape"),
        (ADD, {"input_2": 0x7FFFFFF0}, "tensor"),
        (ADD, {"count": 0x7FFFFFFF}, "tensor"),
        (ADD, {"shift": 24}, "parameter"),
        (ADD, {"other_shift": 0}, "parameter"),
        (ADD, {"halved": 0}, "parameter"),
        (POOL, {"in_c": 6, "out_c": 6}, "shape"),
        (POOL, {"kernel_h": 100, "kernel_w": 100}, "shape"),
        (POOL, {"in_h": 0x7FFF}, "tensor"),
        (DENSE, {"units": 3}, "shape"),
        (DENSE, {"depth": 0xFFFFFFFF}, "shape"),
        (DENSE, {"depth": 0x7FFFFFFC}, "tensor"),
        (DENSE, {"filters": 0x7FFFFFF0}, "constant"),
    ],
)
def test_hostile_records(plan, values, expected, dsp):
    *before, kernel = [op.kernel for op in plan.operators]
    record = records()[kernel]
    at = layout.packer(layout.HEADER.fields).size + sum(records()[k].bytes for k in before)
    known = layout.unpack(record.flat, plan.data, at)
    assert set(values) <= set(known)
    changed = layout.pack(record.flat, known | values)
    data = plan.data[:at] + changed + plan.data[at + len(changed) :]
    with pytest.raises(RuntimeFaultError) as caught:
        dsp.load(data, plan.arena_bytes)
    assert caught.value.reason == layout.FAULTS[expected][0]


def mlperf(model: str) -> Path:
    path = MLPERF / f"{model}.tflite"
    if not path.is_file():
        pytest.skip(f"{model} is not beside the checkout (looked in {MLPERF})")
    return path


MODELS = ("kws_ref_model", "pretrainedResnet_quant", "vww_96_int8", "ad01_int8")


@pytest.mark.parametrize("model", MODELS)
def test_mlperf_tiny_equals_tflm(model, dsp, tflm):
    path = mlperf(model)
    plan = plan_model(read_model(path), KERNELS)
    slow = {"conv_s8", "depthwise_s8"} & {op.kernel for op in plan.operators}
    assert not slow
    x = vectors(plan.input.shape, count=8)
    y = dsp.run(plan, x)
    np.testing.assert_array_equal(y, tflm.run(path, x).reshape(y.shape))


def operators_for_the_processor() -> list[bytes]:
    """Every path of the assembly: both roundings, remainders, borders, odd and even lines."""
    # A range that ends on both sides within int8, 45 values: words and a remainder.
    made = [
        models.convolution(24, in_c=4, size=(3, 5), out_c=3, activation="RELU6", out_scale=0.06)
    ]
    for activation, padding in (("NONE", "SAME"), ("RELU", "VALID")):
        options = {"activation": activation, "padding": padding}
        for in_c, out_c, size in ((1, 2, (5, 7)), (3, 5, (4, 5)), (4, 3, (3, 5)), (20, 6, (4, 7))):
            for kernel, stride in (((1, 1), (1, 1)), ((3, 3), (1, 1)), ((2, 3), (2, 1))):
                made.append(
                    models.convolution(
                        20,
                        in_c=in_c,
                        out_c=out_c,
                        size=size,
                        kernel=kernel,
                        stride=stride,
                        **options,
                    )
                )
        made.extend(
            models.convolution(21, depthwise=True, in_c=8, out_c=8, size=size, **options)
            for size in ((11, 12), (12, 11), (25, 5), (3, 40), (16, 16))
        )
        for kernel, stride, dilation in (
            ((3, 3), (2, 2), (1, 1)),
            ((2, 5), (1, 2), (1, 1)),
            ((3, 4), (1, 1), (5, 2)),
            ((1, 3), (2, 1), (1, 3)),
        ):
            window = {"kernel": kernel, "stride": stride, "dilation": dilation}
            made.append(
                models.convolution(
                    22, depthwise=True, in_c=12, out_c=12, size=(11, 12), **window, **options
                )
            )
        made.append(models.pool(channels=8, kernel=(3, 2), stride=(1, 2), **options))
        for shape, units in (((1, 37), 4), ((3, 18), 7), ((1, 1), 5), ((1, 64), 12)):
            made.append(
                models.fully_connected(23, in_shape=shape, units=units, activation=activation)
            )
        made.append(models.add_twice(activation=activation))
        made.append(models.add_twice(scales=(0.02, 0.05, 0.06), activation=activation))
    return made


@pytest.mark.qemu
def test_operators_equal_tflm_on_the_processor(tflm):
    """The loops of the assembly, which the host does not have."""
    config = load_boards(ROOT / "boards.toml")["m4"]
    try:
        image = find_image(config.firmware)
    except ImageError as error:
        pytest.skip(str(error))
    kernels = set()
    with open_board(config, image, lambda _: None, lambda _: None) as board:
        for data in operators_for_the_processor():
            plan = planned(data)
            kernels |= {op.kernel for op in plan.operators}
            board.client.load(plan.data, bytes.fromhex(plan.sha256), board.emulated)
            x = vectors(plan.input.shape)
            result = board.client.run(x.reshape(len(x), -1).view(np.uint8))
            assert result.outputs is not None
            y = result.outputs.view(np.int8).reshape(len(x), *plan.output.shape)
            np.testing.assert_array_equal(y, tflm.run(data, x).reshape(y.shape))
    assert kernels >= {record.name for record in kernel_set.RECORDS}


@pytest.mark.qemu
@pytest.mark.parametrize("board_id", ["m33"])  # tests/end_to_end has the M4
def test_mlperf_tiny_equals_tflm_on_the_processor(board_id, tflm):
    config = load_boards(ROOT / "boards.toml")[board_id]
    try:
        image = find_image(config.firmware)
    except ImageError as error:
        pytest.skip(str(error))
    done = []
    with open_board(config, image, lambda _: None, lambda _: None) as board:
        assert board.hello.kernels.startswith(KERNELS)
        for model in MODELS:
            path = mlperf(model)
            plan = plan_model(read_model(path), KERNELS)
            if len(plan.data) + plan.arena_bytes > board.hello.pool_bytes - (64 << 10):
                continue  # the board's memory does not hold it
            board.client.load(plan.data, bytes.fromhex(plan.sha256), board.emulated)
            x = vectors(plan.input.shape, count=8)
            result = board.client.run(x.reshape(8, -1).view(np.uint8))
            assert result.outputs is not None
            y = result.outputs.view(np.int8).reshape(8, *plan.output.shape)
            np.testing.assert_array_equal(y, tflm.run(path, x).reshape(y.shape))
            done.append(model)
    assert done == list(MODELS[:2] if board_id == "m4" else MODELS)
