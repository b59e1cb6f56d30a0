"""Windows of convolutions and pools: sizes, strides, padding, checked against the tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hilbench.models.planner.graph import contradiction
from hilbench.models.planner.support import unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hilbench.models.planner.layout import Number
    from hilbench.models.planner.lower import Context

_RANK = 4
_U16_MAX = 0xFFFF


def window(context: Context, kernel_h: int, kernel_w: int) -> dict[str, Number]:
    """Return the fields of layout.WINDOW for an NHWC operator.

    Raises:
        UnsupportedOperatorError: batch above 1, or a dimension above 65535.
        ModelError: the output's shape is not what the options say.
    """
    model, operator = context.graph.model, context.node.operator
    source, target = context.input.shape, context.output.shape
    if len(source) != _RANK or len(target) != _RANK:
        raise contradiction(model, operator, f"tensors need rank {_RANK}")
    if source[0] != 1 or target[0] != 1:
        raise unsupported(model, operator, "no kernel for a batch above 1")
    padding = context.option("Padding")
    top, bottom, left, right = context.node.padding or (0, 0, 0, 0)
    vertical = _axis(
        source[1] + top + bottom,
        kernel_h,
        context.option("StrideH"),
        operator.options.get("DilationHFactor", 1),
        padding,
    )
    horizontal = _axis(
        source[2] + left + right,
        kernel_w,
        context.option("StrideW"),
        operator.options.get("DilationWFactor", 1),
        padding,
    )
    if vertical is None or horizontal is None or target[1:3] != (vertical[0], horizontal[0]):
        raise contradiction(model, operator, "the output's shape does not follow from the options")
    values: dict[str, Number] = {
        "in_h": source[1],
        "in_w": source[2],
        "in_c": source[3],
        "out_h": target[1],
        "out_w": target[2],
        "out_c": target[3],
        "kernel_h": kernel_h,
        "kernel_w": kernel_w,
        "stride_h": context.option("StrideH"),
        "stride_w": context.option("StrideW"),
        # a kernel of one tap has no distance between taps
        "dilation_h": operator.options.get("DilationHFactor", 1) if kernel_h > 1 else 1,
        "dilation_w": operator.options.get("DilationWFactor", 1) if kernel_w > 1 else 1,
        "pad_top": vertical[1] + top,
        "pad_left": horizontal[1] + left,
    }
    if max(values.values()) > _U16_MAX:
        raise unsupported(model, operator, f"no kernel for a dimension above {_U16_MAX}")
    return values


def crosses_border(window: Mapping[str, Number]) -> bool:
    """Say whether any window of an operator reaches over the input's border."""
    w = window
    return bool(
        w["pad_top"]
        or w["pad_left"]
        or (w["out_h"] - 1) * w["stride_h"] + (w["kernel_h"] - 1) * w["dilation_h"] >= w["in_h"]
        or (w["out_w"] - 1) * w["stride_w"] + (w["kernel_w"] - 1) * w["dilation_w"] >= w["in_w"]
    )


def _axis(
    size: int, kernel: int, stride: int, dilation: int, padding: str
) -> tuple[int, int] | None:
    """Return (output size, padding before), or None when options cannot be."""
    if min(kernel, stride, dilation) < 1:
        return None
    reach = (kernel - 1) * dilation
    if padding == "VALID":
        return ((size - reach - 1) // stride + 1, 0) if size > reach else None
    out = -(-size // stride)
    total = max((out - 1) * stride + reach + 1 - size, 0)
    return out, total // 2
