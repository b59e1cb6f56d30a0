"""Pools, MEAN, SOFTMAX."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from hilbench.errors import ModelError
from hilbench.models.planner.copies import strides_of
from hilbench.models.planner.fuse import same_quantisation
from hilbench.models.planner.geometry import window
from hilbench.models.planner.graph import contradiction
from hilbench.models.planner.lower import Context, Lowered, scale_of
from hilbench.models.planner.overlap import window_distance
from hilbench.models.planner.quantise import mean_multiplier, softmax_constants
from hilbench.models.planner.support import unsupported

if TYPE_CHECKING:
    from hilbench.models.planner.layout import Number

_SOFTMAX_MAX_DEPTH: Final = 4095  # int8: the sum of exponentials has 12 integer bits
_MEAN_MAX_ELEMENTS: Final = 1 << 23  # int8: an int32 sum holds as many


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
    """MEAN over any axes."""
    model, operator = context.graph.model, context.node.operator
    shape = context.input.shape
    axes_tensor = context.optional_input(1)
    if axes_tensor is None or axes_tensor.data is None or axes_tensor.dtype != "int32":
        raise contradiction(model, operator, "axes are not int32")
    axes = sorted({int(a) + len(shape) if a < 0 else int(a) for a in axes_tensor.data.flat})
    if not axes or axes[0] < 0 or axes[-1] >= len(shape):
        raise contradiction(model, operator, f"axes {axes} of {len(shape)} dimensions")
    count = math.prod(shape[a] for a in axes)
    if context.output.elements * count != context.input.elements:
        raise contradiction(model, operator, "the output's shape does not follow from the axes")
    if count > _MEAN_MAX_ELEMENTS:
        raise unsupported(
            model, operator, f"no kernel for a mean of more than {_MEAN_MAX_ELEMENTS}"
        )
    values = _reduction(context, axes) | context.clamp()
    if context.is_float:
        return Lowered("mean_f32", values, distances=(0,))
    try:
        fixed = mean_multiplier(scale_of(context.input) / scale_of(context.output), count)
    except ValueError as error:
        raise ModelError(f"{context.where}: {error}; quantise the model again") from error
    return Lowered("mean_s8", values | {"multiplier": fixed[0], "shift": fixed[1]}, distances=(0,))


def _reduction(context: Context, axes: list[int]) -> dict[str, Number]:
    """Return the fields of layout.REDUCE: neighbouring axes of one kind are one axis."""
    shape = context.input.shape
    merged: list[tuple[bool, int, int]] = []  # summed?, size, stride
    for axis, (size, step) in reversed(list(enumerate(zip(shape, strides_of(shape), strict=True)))):
        if size == 1:
            continue
        if merged and merged[0][0] == (axis in axes):
            merged[0] = (merged[0][0], merged[0][1] * size, merged[0][2])
        else:
            merged.insert(0, (axis in axes, size, step))
    values: dict[str, Number] = {}
    for name, wanted in (("kept", False), ("summed", True)):
        found = [(size, step) for summed, size, step in merged if summed is wanted]
        if len(found) > 2:  # noqa: PLR2004
            raise unsupported(
                context.graph.model, context.node.operator, f"no kernel for a mean over axes {axes}"
            )
        for i, (size, step) in enumerate([(1, 0)] * (2 - len(found)) + found):
            values |= {f"{name}_{i}": size, f"{name}_stride_{i}": step}
    return values


def softmax(context: Context) -> Lowered:
    """SOFTMAX over the last dimension."""
    model, operator = context.graph.model, context.node.operator
    if context.input.shape != context.output.shape or not context.input.shape:
        raise contradiction(model, operator, "shapes differ")
    depth = context.input.shape[-1]
    values: dict[str, Number] = {"rows": context.input.elements // depth, "depth": depth}
    beta = float(context.option("Beta"))
    if not 0 <= beta < math.inf:
        raise unsupported(model, operator, f"no kernel for a beta of {beta:g}")
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
