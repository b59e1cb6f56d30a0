"""Operators of one element: a table for int8, arithmetic for float32."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import ModelError
from hilbench.models.planner import tables
from hilbench.models.planner.fuse import same_quantisation
from hilbench.models.planner.graph import contradiction
from hilbench.models.planner.lower import Context, Lowered, scale_of
from hilbench.models.planner.overlap import element_distance
from hilbench.models.planner.support import unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    from hilbench.models.planner.layout import Number
    from hilbench.models.tflite_file import TfliteTensor


class Mode(IntEnum):
    """enum unary_mode of the kernel unary_f32."""

    LEAKY_RELU = 0
    HARD_SWISH = 1
    LOGISTIC = 2
    TANH = 3


def leaky_relu(context: Context) -> Lowered:
    """LEAKY_RELU."""
    alpha = float(context.option("Alpha"))
    if context.is_float:
        return _unary_f32(context, Mode.LEAKY_RELU, alpha)
    return _table(context, lambda x, y: tables.leaky_relu(alpha, x, y))


def hard_swish(context: Context) -> Lowered:
    """HARD_SWISH."""
    if context.is_float:
        return _unary_f32(context, Mode.HARD_SWISH)
    return _table(context, tables.hard_swish)


def logistic(context: Context) -> Lowered:
    """LOGISTIC."""
    if context.is_float:
        return _unary_f32(context, Mode.LOGISTIC)
    _require_output(context, 1 / 256, -128, "1/256 * (q + 128)")
    return _table(context, lambda x, _: tables.logistic(x))


def tanh(context: Context) -> Lowered:
    """TANH."""
    if context.is_float:
        return _unary_f32(context, Mode.TANH)
    _require_output(context, 1 / 128, 0, "1/128 * q")
    return _table(context, lambda x, _: tables.tanh(x))


def relu(context: Context) -> Lowered:
    """RELU that nothing could take in."""
    return _clamp(context, "RELU")


def relu_n1_to_1(context: Context) -> Lowered:
    """RELU_N1_TO_1 that nothing could take in."""
    return _clamp(context, "RELU_N1_TO_1")


def relu6(context: Context) -> Lowered:
    """RELU6 that nothing could take in."""
    if not same_quantisation(context.input, context.output):
        raise unsupported(
            context.graph.model,
            context.node.operator,
            "no kernel for a RELU6 that changes the scale",
        )
    return _clamp(context, "RELU6")


def quantize(context: Context) -> Lowered:
    """QUANTIZE: float32 to int8, or int8 to int8 of another scale."""
    if context.is_float:
        values = _count(context) | context.quantised() | {"scale": scale_of(context.output)}
        return Lowered("quantize_f32_s8", values, distances=(0,))
    return _rescaled(context)


def dequantize(context: Context) -> Lowered:
    """DEQUANTIZE: int8 to float32."""
    values = _count(context) | context.quantised() | {"scale": scale_of(context.input)}
    distance = element_distance(context.input.elements, 1, 4)
    return Lowered("dequantize_s8_f32", values, distances=(distance,))


def _clamp(context: Context, name: str) -> Lowered:
    fused = context.with_activation(name)
    if fused.is_float:
        return Lowered("clamp_f32", _count(fused) | fused.range(), distances=(0,))
    return _rescaled(fused)


def _rescaled(context: Context) -> Lowered:
    q = context.quantised()
    limits = int(q["minimum"]), int(q["maximum"])
    return _table(context, lambda x, y: tables.rescaled(*limits, x, y))


def _unary_f32(context: Context, mode: Mode, alpha: float = 0.0) -> Lowered:
    values = _count(context) | {"mode": int(mode), "alpha": alpha}
    return Lowered("unary_f32", values, distances=(0,))


def _table(
    context: Context,
    table: Callable[[tables.Quantisation, tables.Quantisation], NDArray[np.int8]],
) -> Lowered:
    try:
        entries = table(_quantisation(context.input), _quantisation(context.output))
    except ValueError as error:
        raise ModelError(f"{context.where}: {error}; quantise the model again") from error
    values = _count(context) | {"table": context.constants.add(entries)}
    return Lowered("lut_s8", values, distances=(0,))


def _quantisation(tensor: TfliteTensor) -> tables.Quantisation:
    return np.float32(tensor.scales[0]), int(tensor.zero_points[0])


def _require_output(context: Context, scale: float, zero_point: int, formula: str) -> None:
    if scale_of(context.output) != scale or context.output.zero_points[0] != zero_point:
        raise unsupported(
            context.graph.model,
            context.node.operator,
            f"no kernel for an output other than {formula}",
        )


def _count(context: Context) -> dict[str, Number]:
    if context.input.elements != context.output.elements:
        raise contradiction(context.graph.model, context.node.operator, "sizes differ")
    return {"count": context.input.elements}
