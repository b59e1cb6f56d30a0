"""Operators with weights: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hilbench.models.planner.geometry import crosses_border, window
from hilbench.models.planner.graph import contradiction
from hilbench.models.planner.lower import Context, Lowered, scale_of
from hilbench.models.planner.overlap import row_distance, window_distance
from hilbench.models.planner.support import unsupported

if TYPE_CHECKING:
    from hilbench.models.planner.layout import Number


def conv_2d(context: Context) -> Lowered:
    """CONV_2D, weights [out_c, kernel_h, kernel_w, in_c]."""
    weights = _weights(context, rank=4)
    out_c, kernel_h, kernel_w, in_c = weights.shape
    geometry = window(context, kernel_h, kernel_w)
    if geometry["in_c"] != in_c:
        raise unsupported(
            context.graph.model, context.node.operator, "no kernel for grouped convolution"
        )
    _require_channels(context, out_c)
    macs = int(geometry["out_h"] * geometry["out_w"]) * weights.size
    return _convolution(context, "conv", geometry, weights, macs)


def depthwise_conv_2d(context: Context) -> Lowered:
    """DEPTHWISE_CONV_2D, weights [1, kernel_h, kernel_w, out_c], packed channel by channel."""
    weights = _weights(context, rank=4)
    one, kernel_h, kernel_w, out_c = weights.shape
    geometry = window(context, kernel_h, kernel_w)
    if one != 1 or out_c % int(geometry["in_c"]) != 0:
        raise contradiction(context.graph.model, context.node.operator, "weights do not fit")
    _require_channels(context, out_c)
    macs = int(geometry["out_h"] * geometry["out_w"]) * weights.size
    packed = np.ascontiguousarray(weights[0].transpose(2, 0, 1))
    return _convolution(context, "depthwise", geometry, packed, macs)


def fully_connected(context: Context) -> Lowered:
    """FULLY_CONNECTED, weights [units, depth]."""
    if context.option("WeightsFormat") != "DEFAULT":
        raise unsupported(
            context.graph.model, context.node.operator, "no kernel for shuffled weights"
        )
    weights = _weights(context, rank=2)
    units, depth = weights.shape
    rows, rest = divmod(context.input.elements, depth)
    if rest or context.output.elements != rows * units:
        raise contradiction(context.graph.model, context.node.operator, "weights do not fit")
    values: dict[str, Number] = {"rows": rows, "depth": depth, "units": units, **context.clamp()}
    size = context.element_bytes
    distances = (row_distance(rows, depth * size, units * size),)
    if _is_hybrid(context):
        scales = _filter_scales(context, units)
        if scales.size > 1:
            raise unsupported(
                context.graph.model,
                context.node.operator,
                "no kernel for float activations and int8 weights of several scales",
            )
        values |= _hybrid_constants(
            context, weights, scales, units, asymmetric=context.option("AsymmetricQuantizeInputs")
        )
        if rows == 1:
            distances = (-context.input.bytes,)  # it is read before the first result is written
        return Lowered("fc_hybrid", values, rows * weights.size, depth, distances)
    if context.is_float:
        return Lowered(
            "fc_f32",
            values | _float_constants(context, weights),
            rows * weights.size,
            distances=distances,
        )
    scales = _filter_scales(context, units)
    reals = _real_multipliers(context, scales)
    values["scales"] = len(reals)
    constants = _int8_constants(context, weights, weights, reals)
    return Lowered("fc_s8", values | constants, rows * weights.size, distances=distances)


def _convolution(
    context: Context,
    name: str,
    geometry: dict[str, Number],
    weights: NDArray[Any],
    macs: int,
) -> Lowered:
    """``weights`` has the output channel first."""
    values = {**geometry, **context.clamp()}
    distances = (window_distance(geometry, context.element_bytes),)
    if _is_hybrid(context):
        return _hybrid_convolution(context, name, values, weights, macs)
    if context.is_float:
        constants = _float_constants(context, weights)
        return Lowered(f"{name}_f32", values | constants, macs, distances=distances)
    out_c = weights.shape[0]
    scales = np.broadcast_to(_filter_scales(context, out_c), (out_c,))
    reals = _real_multipliers(context, scales)
    constants = _int8_constants(context, weights, weights.reshape(out_c, -1), reals)
    padded = crosses_border(geometry)
    constants["border_bias"] = (
        context.constants.add(_bias(context, out_c)) if padded else constants["bias"]
    )
    return Lowered(f"{name}_s8", values | constants, macs, distances=distances)


def _is_hybrid(context: Context) -> bool:
    """Say whether float activations meet int8 weights ("dynamic range")."""
    return context.is_float and context.graph.tensor(context.node.inputs[1]).dtype == "int8"


def _hybrid_convolution(
    context: Context, name: str, values: dict[str, Number], weights: NDArray[Any], macs: int
) -> Lowered:
    """The reference gives the input a zero point where each channel has its own scale."""
    out_c = weights.shape[0]
    scales = _filter_scales(context, out_c)
    asymmetric = name == "depthwise" or scales.size > 1
    scales = np.broadcast_to(scales, (out_c,))
    constants = _hybrid_constants(context, weights, scales, out_c, asymmetric=asymmetric)
    return Lowered(
        f"{name}_hybrid",
        values | constants,
        macs,
        scratch_bytes=context.input.elements,
        distances=(-context.input.bytes,),  # it is read before the first result is written
    )


def _hybrid_constants(
    context: Context,
    weights: NDArray[Any],
    scales: NDArray[np.float32],
    channels: int,
    *,
    asymmetric: bool,
) -> dict[str, Number]:
    return {
        "asymmetric": int(asymmetric),
        "weights": context.constants.add(weights),
        "bias": context.constants.add(_bias(context, channels)),
        "weight_scales": context.constants.add(np.ascontiguousarray(scales, np.float32)),
    }


def _weights(context: Context, rank: int) -> NDArray[Any]:
    data = context.graph.tensor(context.node.inputs[1]).data
    if data is None or data.ndim != rank:
        raise contradiction(context.graph.model, context.node.operator, f"weights need rank {rank}")
    return data


def _require_channels(context: Context, out_c: int) -> None:
    if context.output.shape[-1] != out_c:
        raise contradiction(context.graph.model, context.node.operator, "output channels differ")


def _bias(context: Context, channels: int) -> NDArray[Any]:
    bias = context.optional_input(2)
    if bias is None or bias.data is None:
        return np.zeros(channels, np.float32 if context.is_float else np.int32)
    if bias.elements != channels:
        raise contradiction(context.graph.model, context.node.operator, "bias does not fit")
    return bias.data.reshape(channels)


def _filter_scales(context: Context, channels: int) -> NDArray[np.float32]:
    scales = context.graph.tensor(context.node.inputs[1]).scales
    if scales.size not in {1, channels}:
        raise contradiction(
            context.graph.model,
            context.node.operator,
            f"{scales.size} weight scales for {channels} channels",
        )
    return scales


def _real_multipliers(context: Context, scales: NDArray[np.float32]) -> list[float]:
    source, target = scale_of(context.input), scale_of(context.output)
    return [source * float(scale) / target for scale in scales]


def _int8_constants(
    context: Context, weights: NDArray[Any], rows: NDArray[Any], reals: list[float]
) -> dict[str, Number]:
    """``rows`` are the weights as [channels, all weights of a channel]."""
    zero_point = int(context.input.zero_points[0])
    folded = _bias(context, rows.shape[0]).astype(np.int64)
    folded -= zero_point * rows.sum(axis=1, dtype=np.int64)
    fixed = [context.multiplier(real) for real in reals]
    return {
        "weights": context.constants.add(weights),
        # int32 accumulators wrap on the device as in the reference
        "bias": context.constants.add(folded.astype(np.int32)),
        "multipliers": context.constants.add(np.array([m for m, _ in fixed], np.int32)),
        "shifts": context.constants.add(np.array([s for _, s in fixed], np.int8)),
    }


def _float_constants(context: Context, weights: NDArray[Any]) -> dict[str, Number]:
    return {
        "weights": context.constants.add(weights),
        "bias": context.constants.add(_bias(context, weights.shape[0])),
    }
