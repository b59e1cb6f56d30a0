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
    hybrid: bool = False,
) -> bytes:
    """out_c of a depthwise operator is in_c * depth multiplier; hybrid: weights are int8 anyway."""
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
    w_dtype = "int8" if hybrid else dtype
    quantised = {} if w_dtype == "float32" else {"scale": list(w_scales)}
    w = model.tensor(
        w_shape,
        w_dtype,
        data=weights(rng, w_dtype, w_shape),
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
    hybrid: bool = False,
    asymmetric: bool = False,
    scales: list[float] | None = None,
    in_scale: float | None = None,
    out_scale: float | None = None,
) -> bytes:
    """``scales`` are the units', instead of random ones."""
    rng = np.random.default_rng(seed)
    model = ModelBuilder()
    depth = in_shape[-1]
    rows = int(np.prod(in_shape)) // depth
    drawn = rng.uniform(0.001, 0.02, units if per_channel else 1).astype(np.float32)
    scales = drawn if scales is None else np.array(scales, np.float32)
    random_scale = float(rng.uniform(0.01, 0.1))
    in_scale = in_scale or random_scale
    out_scale = out_scale or in_scale * float(scales.max()) * 50 * np.sqrt(depth)
    x = model.tensor(in_shape, dtype, **quantisation(dtype, in_scale, zero_points[0]))
    w_dtype = "int8" if hybrid else dtype
    quantised = {} if w_dtype == "float32" else {"scale": list(scales)}
    data = weights(rng, w_dtype, (units, depth))
    inputs = [x, model.tensor((units, depth), w_dtype, data=data, **quantised)]
    inputs.append(_bias(model, rng, dtype, scales * np.float32(in_scale), units) if bias else -1)
    y = model.tensor((rows, units), dtype, **quantisation(dtype, out_scale, zero_points[1]))
    table = "FullyConnectedOptions"
    options = {"AsymmetricQuantizeInputs": True} if asymmetric else {}
    model.operator(
        "FULLY_CONNECTED", inputs, [y], table, FusedActivationFunction=activation, **options
    )
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
    alpha: float | None = None,
) -> bytes:
    model = ModelBuilder()
    x = model.tensor(shape, dtypes[0], **quantisation(dtypes[0], scales[0], zero_points[0]))
    y = model.tensor(shape, dtypes[1], **quantisation(dtypes[1], scales[1], zero_points[1]))
    if alpha is None:
        model.operator(name, [x], [y])
    else:
        model.operator(name, [x], [y], "LeakyReluOptions", Alpha=alpha)
    return model.build([x], [y])


def binary(
    name: str,
    dtype: str = "int8",
    *,
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = ((1, 4, 5, 3), (1, 4, 5, 3)),
    constant: int | None = None,
    scales: tuple[float, float, float] = (0.05, 0.02, 0.06),
    zero_points: tuple[int, int, int] = (3, -7, 11),
    activation: str | None = "NONE",
) -> bytes:
    """Two inputs, or one and a constant in place ``constant``."""
    rng = np.random.default_rng(7)
    model = ModelBuilder()
    operands = []
    for i, shape in enumerate(shapes):
        data = weights(rng, dtype, shape) if i == constant else None
        quantised = quantisation(dtype, scales[i], zero_points[i])
        operands.append(model.tensor(shape, dtype, data=data, **quantised))
    y = model.tensor(
        np.broadcast_shapes(*shapes), dtype, **quantisation(dtype, scales[2], zero_points[2])
    )
    if name in {"MAXIMUM", "MINIMUM"}:
        model.operator(name, operands, [y], "MaximumMinimumOptions")
    else:
        table = f"{name.title()}Options"
        model.operator(name, operands, [y], table, FusedActivationFunction=activation)
    return model.build([i for k, i in enumerate(operands) if k != constant], [y])


def moving(
    name: str,
    dtype: str,
    shapes: tuple[tuple[int, ...], ...],
    out_shapes: tuple[tuple[int, ...], ...],
    *,
    constants: tuple[tuple[int, list[int]], ...] = (),
    table: str | None = None,
    value: float | None = None,
    zero_point: int = -9,
    **options: Any,
) -> bytes:
    """An operator that moves data; ``constants`` are (position among the inputs, integers)."""
    model = ModelBuilder()
    quantised = quantisation(dtype, 0.05, zero_point)
    activations = [model.tensor(shape, dtype, **quantised) for shape in shapes]
    inputs = list(activations)
    for position, numbers in constants:
        data = np.array(numbers, np.int32)
        shape: tuple[int, ...] = (len(numbers) // 2, 2) if name.startswith("PAD") else data.shape
        inputs.insert(position, model.tensor(shape, "int32", data=data.reshape(shape)))
    if value is not None:
        inputs.append(model.tensor((1,), dtype, data=np.array([value], dtype), **quantised))
    outputs = [model.tensor(shape, dtype, **quantised) for shape in out_shapes]
    model.operator(name, inputs, outputs, table, **options)
    return model.build(activations, outputs)


def concatenation(shapes: tuple[tuple[int, ...], ...], axis: int, dtype: str = "int8") -> bytes:
    total = list(shapes[0])
    total[axis] = sum(shape[axis] for shape in shapes)
    return moving(
        "CONCATENATION", dtype, shapes, (tuple(total),), table="ConcatenationOptions", Axis=axis
    )


def split(shape: tuple[int, ...], axis: int, parts: int, dtype: str = "int8") -> bytes:
    part = list(shape)
    part[axis] //= parts
    constants = ((0, [axis]),)
    return moving("SPLIT", dtype, (shape,), (tuple(part),) * parts, constants=constants,
                  table="SplitOptions", NumSplits=parts)  # fmt: skip


def split_v(shape: tuple[int, ...], axis: int, sizes: list[int], dtype: str = "int8") -> bytes:
    outputs = [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]
    constants = ((1, sizes), (2, [axis]))
    return moving("SPLIT_V", dtype, (shape,), tuple(outputs), constants=constants,
                  table="SplitVOptions", NumSplits=len(sizes))  # fmt: skip


def strided_slice(
    shape: tuple[int, ...],
    cut: tuple[list[int], list[int], list[int]],
    out_shape: tuple[int, ...],
    dtype: str = "int8",
    **masks: int,
) -> bytes:
    """``cut`` is begin, end and strides."""
    constants = tuple(enumerate(cut, start=1))
    return moving("STRIDED_SLICE", dtype, (shape,), (out_shape,), constants=constants,
                  table="StridedSliceOptions", **masks)  # fmt: skip


def transpose(shape: tuple[int, ...], order: list[int], dtype: str = "int8") -> bytes:
    out_shape = tuple(shape[i] for i in order)
    return moving("TRANSPOSE", dtype, (shape,), (out_shape,), constants=((1, order),))


def pad(
    shape: tuple[int, ...],
    amounts: list[int],
    dtype: str = "int8",
    *,
    value: float | None = None,
    zero_point: int = -9,
) -> bytes:
    out_shape = tuple(d + b + a for d, b, a in zip(shape, amounts[::2], amounts[1::2], strict=True))
    name = "PAD" if value is None else "PADV2"
    return moving(name, dtype, (shape,), (out_shape,), constants=((1, amounts),), value=value,
                  zero_point=zero_point)  # fmt: skip


def padded_convolution(
    amounts: list[int],
    *,
    depthwise: bool = False,
    size: tuple[int, int] = (7, 6),
    stride: int = 2,
    zero_point: int = -9,
) -> bytes:
    """PAD, then a convolution without padding: how a framework says "one row above"."""
    rng = np.random.default_rng(5)
    model = ModelBuilder()
    padded = (1, size[0] + sum(amounts[2:4]), size[1] + sum(amounts[4:6]), 3)
    out = tuple(out_size(s, 3, stride, 1, "VALID") for s in padded[1:3])
    quantised = quantisation("int8", 0.05, zero_point)
    x, p = (
        model.tensor((1, *size, 3), "int8", **quantised),
        model.tensor(padded, "int8", **quantised),
    )
    a = model.tensor((4, 2), "int32", data=np.array(amounts, np.int32).reshape(4, 2))
    shape = (1, 3, 3, 3) if depthwise else (4, 3, 3, 3)
    channels = 3 if depthwise else 4
    w = model.tensor(shape, "int8", data=weights(rng, "int8", shape), scale=[0.01] * channels,
                     dimension=3 if depthwise else 0)  # fmt: skip
    b = _bias(model, rng, "int8", np.full(channels, 0.0005), channels)
    y = model.tensor((1, *out, channels), "int8", scale=0.2, zero_point=4)
    model.operator("PAD", [x, a], [p])
    options = {"Padding": "VALID", "StrideH": stride, "StrideW": stride}
    if depthwise:
        model.operator("DEPTHWISE_CONV_2D", [p, w, b], [y], "DepthwiseConv2DOptions",
                       DepthMultiplier=1, **options)  # fmt: skip
    else:
        model.operator("CONV_2D", [p, w, b], [y], "Conv2DOptions", **options)
    return model.build([x], [y])
