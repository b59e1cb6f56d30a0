"""Operators without weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from hilbench.errors import ModelError
from hilbench.models.planner.fuse import same_quantisation
from hilbench.models.planner.geometry import window
from hilbench.models.planner.graph import contradiction
from hilbench.models.planner.lower import Context, Lowered, scale_of
from hilbench.models.planner.overlap import element_distance, window_distance
from hilbench.models.planner.quantise import mean_multiplier, softmax_constants
from hilbench.models.planner.support import unsupported

if TYPE_CHECKING:
    from hilbench.models.planner.layout import Number

_ADD_EXTRA_BITS: Final = 20
_SOFTMAX_MAX_DEPTH: Final = 4095  # int8: the sum of exponentials has 12 integer bits
_MEAN_MAX_ROWS: Final = 1 << 23  # int8: an int32 sum holds as many


def add(context: Context) -> Lowered:
    """ADD of equal shapes."""
    model, operator = context.graph.model, context.node.operator
    second = context.graph.tensor(context.node.inputs[1])
    if not context.input.shape == second.shape == context.output.shape:
        raise unsupported(model, operator, "no kernel for broadcasting")
    values: dict[str, Number] = {"count": context.output.elements, **context.clamp()}
    if context.is_float:
        return Lowered("add_f32", values, distances=(0, 0))
    twice = 2 * max(scale_of(context.input), scale_of(second))
    fixed_1 = context.multiplier(scale_of(context.input) / twice)
    fixed_2 = context.multiplier(scale_of(second) / twice)
    fixed = context.multiplier(twice / ((1 << _ADD_EXTRA_BITS) * scale_of(context.output)))
    values |= {"input_2_zero_point": int(second.zero_points[0]), "reserved": 0}
    values |= {"multiplier_1": fixed_1[0], "shift_1": fixed_1[1]}
    values |= {"multiplier_2": fixed_2[0], "shift_2": fixed_2[1]}
    values |= {"multiplier": fixed[0], "shift": fixed[1]}
    return Lowered("add_s8", values, distances=(0, 0))


def average_pool_2d(context: Context) -> Lowered:
    """AVERAGE_POOL_2D; the padding does not count."""
    return _pool(context, "average_pool")


def max_pool_2d(context: Context) -> Lowered:
    """MAX_POOL_2D."""
    return _pool(context, "max_pool")


def _pool(context: Context, name: str) -> Lowered:
    model, operator = context.graph.model, context.node.operator
    if not same_quantisation(context.input, context.output):
        raise unsupported(model, operator, "no kernel for a pool that changes the scale")
    geometry = window(context, context.option("FilterHeight"), context.option("FilterWidth"))
    if geometry["in_c"] != geometry["out_c"]:
        raise contradiction(model, operator, "channels differ")
    return Lowered(
        f"{name}_{'f32' if context.is_float else 's8'}",
        {**geometry, **context.clamp()},
        distances=(window_distance(geometry, context.element_bytes),),
    )


def mean(context: Context) -> Lowered:
    """MEAN over neighbouring axes behind the batch: [rows, depth] over rows."""
    model, operator = context.graph.model, context.node.operator
    shape = context.input.shape
    axes_tensor = context.optional_input(1)
    if axes_tensor is None or axes_tensor.data is None or axes_tensor.dtype != "int32":
        raise contradiction(model, operator, "axes are not int32")
    axes = sorted({int(a) + len(shape) if a < 0 else int(a) for a in axes_tensor.data.flat})
    if not axes or axes[0] < 0 or axes[-1] >= len(shape):
        raise contradiction(model, operator, f"axes {axes} of {len(shape)} dimensions")
    if axes != list(range(axes[0], axes[-1] + 1)) or math.prod(shape[: axes[0]]) != 1:
        raise unsupported(model, operator, f"no kernel for a mean over axes {axes}")
    rows = math.prod(shape[a] for a in axes)
    depth = context.input.elements // rows
    if context.output.elements != depth:
        raise contradiction(model, operator, "the output's shape does not follow from the axes")
    values: dict[str, Number] = {"rows": rows, "depth": depth, **context.clamp()}
    if context.is_float:
        return Lowered("mean_f32", values, distances=(0,))
    if rows > _MEAN_MAX_ROWS:
        raise unsupported(model, operator, f"no kernel for a mean of more than {_MEAN_MAX_ROWS}")
    try:
        fixed = mean_multiplier(scale_of(context.input) / scale_of(context.output), rows)
    except ValueError as error:
        raise ModelError(f"{context.where}: {error}; quantise the model again") from error
    return Lowered("mean_s8", values | {"multiplier": fixed[0], "shift": fixed[1]}, distances=(0,))


def softmax(context: Context) -> Lowered:
    """SOFTMAX over the last dimension."""
    model, operator = context.graph.model, context.node.operator
    if context.input.shape != context.output.shape or not context.input.shape:
        raise contradiction(model, operator, "shapes differ")
    depth = context.input.shape[-1]
    values: dict[str, Number] = {"rows": context.input.elements // depth, "depth": depth}
    beta = float(context.option("Beta"))
    if context.is_float:
        return Lowered("softmax_f32", values | {"beta": beta}, distances=(0,))
    if scale_of(context.output) != 1 / 256 or context.output.zero_points[0] != -128:  # noqa: PLR2004
        raise unsupported(model, operator, "no kernel for an output other than 1/256 * (q + 128)")
    if depth > _SOFTMAX_MAX_DEPTH:
        raise unsupported(model, operator, f"no kernel for a depth above {_SOFTMAX_MAX_DEPTH}")
    try:
        multiplier, shift, diff_min = softmax_constants(beta, scale_of(context.input))
    except ValueError as error:
        raise ModelError(f"{context.where}: {error}; quantise the model again") from error
    return Lowered(
        "softmax_s8",
        values | {"multiplier": multiplier, "shift": shift, "diff_min": diff_min},
        distances=(0,),
    )


def quantize(context: Context) -> Lowered:
    """QUANTIZE: float32 to int8, or int8 to int8 of another scale."""
    values = _elementwise(context) | context.quantised()
    if context.is_float:
        return Lowered(
            "quantize_f32_s8", values | {"scale": scale_of(context.output)}, distances=(0,)
        )
    return _requantize(context, values)


def dequantize(context: Context) -> Lowered:
    """DEQUANTIZE: int8 to float32."""
    values = _elementwise(context) | context.quantised()
    return Lowered(
        "dequantize_s8_f32",
        values | {"scale": scale_of(context.input)},
        distances=(element_distance(context.input.elements, 1, 4),),
    )


def relu(context: Context) -> Lowered:
    """RELU that nothing could take in."""
    return _activation(context, "RELU")


def relu6(context: Context) -> Lowered:
    """RELU6 that nothing could take in."""
    if not same_quantisation(context.input, context.output):
        raise unsupported(
            context.graph.model,
            context.node.operator,
            "no kernel for a RELU6 that changes the scale",
        )
    return _activation(context, "RELU6")


def _activation(context: Context, name: str) -> Lowered:
    fused = context.with_activation(name)
    values = _elementwise(fused) | fused.clamp()
    if fused.is_float:
        return Lowered("clamp_f32", values, distances=(0,))
    return _requantize(fused, values)


def _requantize(context: Context, values: dict[str, Number]) -> Lowered:
    fixed = context.multiplier(scale_of(context.input) / scale_of(context.output))
    return Lowered(
        "requantize_s8", values | {"multiplier": fixed[0], "shift": fixed[1]}, distances=(0,)
    )


def _elementwise(context: Context) -> dict[str, Number]:
    if context.input.elements != context.output.elements:
        raise contradiction(context.graph.model, context.node.operator, "sizes differ")
    return {"count": context.input.elements}
