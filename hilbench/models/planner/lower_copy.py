"""Operators that only move data, where they cannot be had without moving it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hilbench.models.planner.copies import copy_of
from hilbench.models.planner.lower import Context, Lowered
from hilbench.models.planner.support import unsupported

if TYPE_CHECKING:
    from hilbench.models.planner.layout import Number

AXES: Final = 5  # of the kernel


def copy(context: Context) -> Lowered:
    """PAD, CONCATENATION, SPLIT, SLICE, STRIDED_SLICE, TRANSPOSE."""
    found = copy_of(context.graph, context.node)
    if len(found.axes) > AXES:
        raise unsupported(
            context.graph.model,
            context.node.operator,
            f"no kernel for a copy over more than {AXES} axes",
        )
    axes = [(1, 0, 0)] * (AXES - len(found.axes)) + list(found.axes)
    values: dict[str, Number] = {
        "in_offset": found.in_offset,
        "out_offset": found.out_offset,
        "block": found.block,
        "fill_bytes": context.output.bytes if found.fill else 0,
        "fill_value": int.from_bytes((found.fill * 4)[:4], "little"),
    }
    for i, (size, in_stride, out_stride) in enumerate(axes):
        values |= {f"size_{i}": size, f"in_stride_{i}": in_stride, f"out_stride_{i}": out_stride}
    return Lowered("copy", values, distances=(None,))
