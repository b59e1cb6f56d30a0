"""ADD, SUB, MUL, MAXIMUM, MINIMUM: two operands, the second one may be a constant or repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from hilbench.models.planner.copies import strides_of
from hilbench.models.planner.fuse import same_quantisation
from hilbench.models.planner.graph import contradiction
from hilbench.models.planner.lower import Context, Lowered, scale_of
from hilbench.models.planner.support import unsupported
from hilbench.models.planner.tables import Mode, with_scalar

if TYPE_CHECKING:
    from hilbench.models.planner.layout import Number
    from hilbench.models.tflite_file import TfliteTensor

_AXES: Final = 4  # of the kernels
_EXTRA_BITS: Final = 20


_MODES: Final = {
    "ADD": Mode.ADD,
    "MAXIMUM": Mode.MAXIMUM,
    "MINIMUM": Mode.MINIMUM,
    "MUL": Mode.MULTIPLY,
    "SUB": Mode.SUBTRACT,
}


def binary(context: Context) -> Lowered:
    """ADD, SUB, MUL, MAXIMUM, MINIMUM."""
    first, second = (context.graph.tensor(i) for i in context.node.inputs[:2])
    mode = _MODES[context.node.operator.name]
    if first.data is not None:  # the kernel has a constant on the right alone
        first, second = second, first
        mode = Mode.SUBTRACT_FROM if mode is Mode.SUBTRACT else mode
    same = first.shape == second.shape == context.output.shape
    values: dict[str, Number]
    if mode is Mode.ADD and same and second.data is None and not context.is_float:
        values = {"count": context.output.elements, "reserved": 0}
        return Lowered("add_s8", values | _integers(context, mode, first, second), distances=(0, 0))
    whole = first.shape == context.output.shape
    if second.data is not None and second.elements == 1 and whole and not context.is_float:
        entries = with_scalar(
            mode, _integers(context, mode, first, second), int(second.data.flat[0])
        )
        values = {"count": first.elements, "table": context.constants.add(entries)}
        return Lowered("lut_s8", values, distances=(0,))
    values = {"mode": int(mode), "constant": int(second.data is not None)}
    values |= _axes(context, first, second)
    if second.data is not None:
        values["input_2"] = context.constants.add(second.data)
    operands = (first, second) if second.data is None else (first,)
    distances = tuple(0 if t.elements == context.output.elements else None for t in operands)
    if context.is_float:
        return Lowered("binary_f32", values | context.range(), distances=distances)
    values |= _integers(context, mode, first, second) | {"reserved": 0}
    return Lowered("binary_s8", values, distances=distances)


def _axes(context: Context, first: TfliteTensor, second: TfliteTensor) -> dict[str, Number]:
    """Return sizes and strides, the output's axes merged where both operands allow it."""
    shape = context.output.shape
    operands = [_strides_along(tensor, shape) for tensor in (first, second)]
    try:
        expected = np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        expected = None
    if expected != shape or None in operands:
        raise contradiction(
            context.graph.model,
            context.node.operator,
            "the output's shape does not follow from the inputs",
        )
    merged: list[tuple[int, int, int]] = []
    for size, a, b in zip(reversed(shape), *(reversed(o or ()) for o in operands), strict=True):
        if size == 1:
            continue
        if merged and (a, b) == (merged[0][0] * merged[0][1], merged[0][0] * merged[0][2]):
            merged[0] = (merged[0][0] * size, *merged[0][1:])
        else:
            merged.insert(0, (size, a, b))
    if len(merged) > _AXES:
        raise unsupported(
            context.graph.model,
            context.node.operator,
            f"no kernel for broadcasting over more than {_AXES} axes",
        )
    values: dict[str, Number] = {}
    padded = [(1, 0, 0)] * (_AXES - len(merged)) + merged
    for i, (size, a, b) in enumerate(padded):
        values |= {f"size_{i}": size, f"stride_1_{i}": a, f"stride_2_{i}": b}
    return values


def _strides_along(tensor: TfliteTensor, shape: tuple[int, ...]) -> list[int] | None:
    """Return an operand's stride along each axis of the output, 0 where it repeats."""
    extended = (1,) * (len(shape) - len(tensor.shape)) + tensor.shape
    if len(extended) != len(shape):
        return None
    steps = strides_of(extended)
    return [0 if d == 1 else s for d, s in zip(extended, steps, strict=True)]


def _integers(
    context: Context, mode: Mode, first: TfliteTensor, second: TfliteTensor
) -> dict[str, Number]:
    fixed_1 = fixed_2 = fixed = (0, 0)
    if mode in {Mode.MAXIMUM, Mode.MINIMUM}:
        if not same_quantisation(first, second) or not same_quantisation(first, context.output):
            raise unsupported(
                context.graph.model,
                context.node.operator,
                "no kernel for a maximum or minimum of different scales",
            )
    elif mode is Mode.MULTIPLY:
        fixed = context.multiplier(scale_of(first) * scale_of(second) / scale_of(context.output))
    else:
        fixed_1, fixed_2, fixed = _sum_factors(context, first, second)
    return {
        **context.quantised(),
        "input_zero_point": int(first.zero_points[0]),
        "input_2_zero_point": int(second.zero_points[0]),
        "multiplier_1": fixed_1[0],
        "shift_1": fixed_1[1],
        "multiplier_2": fixed_2[0],
        "shift_2": fixed_2[1],
        "multiplier": fixed[0],
        "shift": fixed[1],
    }


def _sum_factors(
    context: Context, first: TfliteTensor, second: TfliteTensor
) -> tuple[tuple[int, int], ...]:
    """Both operands go to twice the larger scale, with 20 more bits."""
    a, b, target = (scale_of(t) for t in (first, second, context.output))
    twice = 2 * max(a, b)
    factors = (a / twice, b / twice, twice / ((1 << _EXTRA_BITS) * target))
    return tuple(context.multiplier(x) for x in factors)
