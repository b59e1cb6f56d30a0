"""Models of one operator with random constants from a seed; tests sweep their parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from builders.tflite_builder import ModelBuilder


def out_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    reach = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == "SAME" else (size - reach) // stride + 1


def quantisation(dtype: str, scale: float, zero_point: int) -> dict[str, Any]:
    return {} if dtype == "float32" else {"scale": scale, "zero_point": zero_point}


def weights(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if dtype == "float32":
        return rng.normal(size=shape).astype(np.float32)
    return rng.integers(-127, 128, shape).astype(np.int8)


def _bias(
    model: ModelBuilder, rng: np.random.Generator, dtype: str, scales: np.ndarray, channels: int
) -> int:
    if dtype == "float32":
        data = rng.normal(size=channels).astype(np.float32)
        return model.tensor((channels,), "float32", data=data)
    data = rng.integers(-20_000, 20_000, channels).astype(np.int32)
    return model.tensor((channels,), "int32", scale=list(scales), data=data)


def convolution(
    seed: int,
    dtype: str = "int8",
    *,
    depthwise: bool = False,
    size: tuple[int, int] = (7, 6),
    in_c: int = 3,
    out_c: int = 4,
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    activation: str = "NONE",
    bias: bool = True,
    scales: list[float] | None = None,
    zero_points: tuple[int, int] = (3, -7),
    out_scale: float | None = None,
) -> bytes:
    """out_c of a depthwise operator is in_c * depth multiplier."""
    rng = np.random.default_rng(seed)
    model = ModelBuilder()
    height, width = (
        out_size(s, k, st, d, padding)
        for s, k, st, d in zip(size, kernel, stride, dilation, strict=True)
    )
    w_scales = np.array(scales or rng.uniform(0.001, 0.02, out_c), np.float32)
    in_scale = 0.05
    taps = kernel[0] * kernel[1] * (1 if depthwise else in_c)
    # outputs then fill the range and saturate now and then
    target = out_scale or in_scale * float(w_scales.max()) * 70 * np.sqrt(taps) * 70 / 100
    x = model.tensor((1, *size, in_c), dtype, **quantisation(dtype, in_scale, zero_points[0]))
    w_shape = (1, *kernel, out_c) if depthwise else (out_c, *kernel, in_c)
    quantised = {} if dtype == "float32" else {"scale": list(w_scales)}
    w = model.tensor(
        w_shape,
        dtype,
        data=weights(rng, dtype, w_shape),
        dimension=3 if depthwise else 0,
        **quantised,
    )
    inputs = [x, w]
    if bias:
        inputs.append(_bias(model, rng, dtype, w_scales * in_scale, out_c))
    y = model.tensor(
        (1, height, width, out_c), dtype, **quantisation(dtype, target, zero_points[1])
    )
    options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
    options |= {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}
    options["FusedActivationFunction"] = activation
    if depthwise:
        options["DepthMultiplier"] = out_c // in_c
        model.operator("DEPTHWISE_CONV_2D", inputs, [y], "DepthwiseConv2DOptions", **options)
    else:
        model.operator("CONV_2D", inputs, [y], "Conv2DOptions", **options)
    return model.build([x], [y])


def fully_connected(
    seed: int,
    dtype: str = "int8",
    *,
    in_shape: tuple[int, ...] = (1, 37),
    units: int = 9,
    per_channel: bool = False,
    bias: bool = True,
    activation: str = "NONE",
    zero_points: tuple[int, int] = (3, -7),
) -> bytes:
    rng = np.random.default_rng(seed)
    model = ModelBuilder()
    depth = in_shape[-1]
    rows = int(np.prod(in_shape)) // depth
    scales = rng.uniform(0.001, 0.02, units if per_channel else 1).astype(np.float32)
    in_scale = float(rng.uniform(0.01, 0.1))
    out_scale = in_scale * float(scales.max()) * 50 * np.sqrt(depth)
    x = model.tensor(in_shape, dtype, **quantisation(dtype, in_scale, zero_points[0]))
    quantised = {} if dtype == "float32" else {"scale": list(scales)}
    data = weights(rng, dtype, (units, depth))
    inputs = [x, model.tensor((units, depth), dtype, data=data, **quantised)]
    inputs.append(_bias(model, rng, dtype, scales * np.float32(in_scale), units) if bias else -1)
    y = model.tensor((rows, units), dtype, **quantisation(dtype, out_scale, zero_points[1]))
    table = "FullyConnectedOptions"
    model.operator("FULLY_CONNECTED", inputs, [y], table, FusedActivationFunction=activation)
    return model.build([x], [y])


def pool(
    dtype: str = "int8",
    *,
    kind: str = "AVERAGE_POOL_2D",
    size: tuple[int, int] = (7, 6),
    channels: int = 5,
    kernel: tuple[int, int] = (2, 2),
    stride: tuple[int, int] = (2, 2),
    padding: str = "SAME",
    activation: str = "NONE",
    zero_point: int = -11,
) -> bytes:
    model = ModelBuilder()
    height, width = (
        out_size(s, k, st, 1, padding) for s, k, st in zip(size, kernel, stride, strict=True)
    )
    quantised = quantisation(dtype, 0.05, zero_point)
    x = model.tensor((1, *size, channels), dtype, **quantised)
    y = model.tensor((1, height, width, channels), dtype, **quantised)
    options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
    options |= {"FilterHeight": kernel[0], "FilterWidth": kernel[1]}
    model.operator(kind, [x], [y], "Pool2DOptions", FusedActivationFunction=activation, **options)
    return model.build([x], [y])


def mean(
    dtype: str = "int8",
    *,
    shape: tuple[int, ...] = (1, 5, 7, 3),
    axes: tuple[int, ...] = (1, 2),
    keep: bool = False,
    scales: tuple[float, float] = (0.05, 0.03),
    zero_points: tuple[int, int] = (3, -7),
) -> bytes:
    model = ModelBuilder()
    reduced = {a % len(shape) for a in axes}
    kept = [1 if i in reduced else d for i, d in enumerate(shape) if keep or i not in reduced]
    x = model.tensor(shape, dtype, **quantisation(dtype, scales[0], zero_points[0]))
    a = model.tensor((len(axes),), "int32", data=np.array(axes, np.int32))
    y = model.tensor(tuple(kept), dtype, **quantisation(dtype, scales[1], zero_points[1]))
    model.operator("MEAN", [x, a], [y], "ReducerOptions", KeepDims=keep)
    return model.build([x], [y])


def softmax(
    dtype: str = "int8", *, shape: tuple[int, ...] = (1, 10), scale: float = 0.1, beta: float = 1.0
) -> bytes:
    model = ModelBuilder()
    x = model.tensor(shape, dtype, **quantisation(dtype, scale, 5))
    y = model.tensor(shape, dtype, **quantisation(dtype, 1 / 256, -128))
    model.operator("SOFTMAX", [x], [y], "SoftmaxOptions", Beta=beta)
    return model.build([x], [y])


def add_twice(
    dtype: str = "int8",
    *,
    scales: tuple[float, float, float] = (0.05, 0.02, 0.06),
    zero_points: tuple[int, int, int] = (3, -7, 11),
    activation: str = "NONE",
) -> bytes:
    """x + requantised(x): the planner takes models with one input."""
    model = ModelBuilder()
    shape = (1, 4, 5, 3)
    a, b, c = (
        model.tensor(shape, dtype, **quantisation(dtype, s, z))
        for s, z in zip(scales, zero_points, strict=True)
    )
    if dtype == "int8":
        model.operator("QUANTIZE", [a], [b], "QuantizeOptions")
    else:
        model.operator("RELU", [a], [b])
    model.operator("ADD", [a, b], [c], "AddOptions", FusedActivationFunction=activation)
    return model.build([a], [c])


def unary(
    name: str,
    dtypes: tuple[str, str] = ("int8", "int8"),
    *,
    scales: tuple[float, float] = (0.05, 0.05),
    zero_points: tuple[int, int] = (-7, -7),
    shape: tuple[int, ...] = (1, 256),
) -> bytes:
    model = ModelBuilder()
    x = model.tensor(shape, dtypes[0], **quantisation(dtypes[0], scales[0], zero_points[0]))
    y = model.tensor(shape, dtypes[1], **quantisation(dtypes[1], scales[1], zero_points[1]))
    model.operator(name, [x], [y])
    return model.build([x], [y])
