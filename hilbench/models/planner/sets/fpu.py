"""float32 kernels for an FPU of single precision, or Helium: tiles of channels by pixels.

Weights are packed for device_firmware/runtimes/plan/kernels/fpu/. float activations with int8
weights, and shapes beyond these kernels, are left to the portable set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from hilbench.models.planner import lower_weighted
from hilbench.models.planner.geometry import crosses_border
from hilbench.models.planner.layout import RANGE, WINDOW, Field, record
from hilbench.models.planner.lower import Constants, Context, Lowered
from hilbench.models.planner.overlap import window_distance

if TYPE_CHECKING:
    from hilbench.models.planner.layout import Number, Record
    from hilbench.models.planner.sets import Lowering

ORDER: Final = 1

RECORDS: Final[tuple[Record, ...]] = (
    record(
        128,
        "conv_f32_fpu",
        WINDOW,
        RANGE,
        fields=(
            Field("u32", "filters", "constant: per four output channels"),
            Field("u32", "scratch", "arena offset: four windows, if any is gathered"),
        ),
    ),
    record(
        129,
        "depthwise_f32_fpu",
        WINDOW,
        RANGE,
        fields=(Field("u32", "filters", "constant: per eight channels"),),
    ),
)

_CHANNELS: Final = 4  # of a convolution's tile
_PIXELS: Final = 4
_DEPTHWISE_CHANNELS: Final = 8
_MAX_AXIS: Final = 0xFFFF  # of a window's fields


def _portable(context: Context, lowering: Callable[[Context], Lowered]) -> Lowered | None:
    """Return the record of the portable set, without its constants, or None for other types."""
    weights = context.graph.tensor(context.node.inputs[1])
    if not context.is_float or weights.dtype != "float32":
        return None
    return lowering(replace(context, constants=Constants()))


def _filters(context: Context, weights: NDArray[np.float32], lanes: int) -> int:
    """Pack weights [channels, taps] as [block, 1 + taps, lanes], the bias first."""
    channels = len(weights)
    bias = context.optional_input(2)
    first = np.zeros(channels) if bias is None or bias.data is None else bias.data.reshape(-1)
    rows = np.concatenate([first[:, None], weights], axis=1).astype(np.float32)
    rows = np.pad(rows, ((0, -channels % lanes), (0, 0)))
    return context.constants.add(rows.reshape(-1, lanes, rows.shape[1]).transpose(0, 2, 1))


def _weights(context: Context) -> NDArray[np.float32]:
    data = context.graph.tensor(context.node.inputs[1]).data
    assert data is not None  # the portable lowering has looked
    return data.astype(np.float32, copy=False)


def _convolution(
    context: Context, values: dict[str, Number], weights: NDArray[np.float32], macs: int
) -> Lowered:
    """``values``: a window and a range; ``weights`` [out_c, taps]."""
    window = {f.name: values[f.name] for f in WINDOW.fields}
    scratch = _PIXELS * 4 * weights.shape[1] if _gathers(window) else 0
    own = {"filters": _filters(context, weights, _CHANNELS)} | ({} if scratch else {"scratch": 0})
    return Lowered(
        "conv_f32_fpu",
        {**window, **_range(values), **own},
        macs,
        scratch_bytes=scratch,
        distances=(window_distance(window, 4, step=_PIXELS),),
    )


def _range(values: dict[str, Number]) -> dict[str, Number]:
    return {f.name: values[f.name] for f in RANGE.fields}


def _gathers(window: dict[str, Number]) -> bool:
    """Say whether a tile has windows that reach over the border, or lie in two rows."""
    return bool(
        crosses_border(window)
        or window["dilation_w"] != 1
        or (window["out_h"] != 1 and int(window["out_w"]) % _PIXELS)
    )


def _in_one_row(window: dict[str, Number]) -> dict[str, Number]:
    """Return a 1 x 1 convolution of stride 1 as one of a single row of pixels."""
    sizes = ("kernel_h", "kernel_w", "stride_h", "stride_w")
    pixels = int(window["out_h"]) * int(window["out_w"])
    whole = (window["in_h"], window["in_w"]) == (window["out_h"], window["out_w"])
    if not whole or any(window[name] != 1 for name in sizes) or pixels > _MAX_AXIS:
        return window
    return window | {"in_h": 1, "in_w": pixels, "out_h": 1, "out_w": pixels}


def conv_2d(context: Context) -> Lowered | None:
    """CONV_2D."""
    portable = _portable(context, lower_weighted.conv_2d)
    if portable is None:
        return None
    weights = _weights(context)
    return _convolution(
        context, _in_one_row(portable.values), weights.reshape(len(weights), -1), portable.macs
    )


def fully_connected(context: Context) -> Lowered | None:
    """FULLY_CONNECTED: a convolution of as many pixels as there are rows."""
    portable = _portable(context, lower_weighted.fully_connected)
    if portable is None:
        return None
    rows, depth, units = (portable.values[name] for name in ("rows", "depth", "units"))
    if max(rows, depth, units) > _MAX_AXIS:
        return None
    window: dict[str, Number] = dict.fromkeys((f.name for f in WINDOW.fields), 1)
    window |= {"in_w": rows, "out_w": rows, "in_c": depth, "out_c": units}
    window |= {"pad_top": 0, "pad_left": 0}
    return _convolution(context, portable.values | window, _weights(context), portable.macs)


def depthwise_conv_2d(context: Context) -> Lowered | None:
    """DEPTHWISE_CONV_2D with one output channel per input channel."""
    portable = _portable(context, lower_weighted.depthwise_conv_2d)
    if portable is None or portable.values["in_c"] != portable.values["out_c"]:
        return None
    weights = _weights(context)
    weights = weights.reshape(-1, weights.shape[-1]).T
    filters = _filters(context, weights, _DEPTHWISE_CHANNELS)
    window = {f.name: portable.values[f.name] for f in WINDOW.fields}
    return Lowered(
        "depthwise_f32_fpu",
        {**window, **_range(portable.values), "filters": filters},
        portable.macs,
        distances=(window_distance(window, 4),),
    )


LOWERINGS: Final[dict[str, Lowering]] = {
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
}
