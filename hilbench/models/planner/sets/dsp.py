"""Kernels for the DSP extension (Cortex-M4, M7, M33): two 16-bit multiplications an instruction.

Every lowering begins with the portable record and packs its constants again, for
device_firmware/runtimes/plan/kernels/dsp/ (the arithmetic: dsp.h there). What a kernel cannot do
bit by bit is left to the portable set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hilbench.models.planner import lower_binary, lower_plain, lower_weighted
from hilbench.models.planner.layout import QUANTISED, WINDOW, Field, numbers, record
from hilbench.models.planner.lower import Constants, Context, Lowered
from hilbench.models.planner.memory import align
from hilbench.models.planner.overlap import row_distance, window_distance
from hilbench.models.planner.requantise import Reference, fit

if TYPE_CHECKING:
    from hilbench.models.planner.layout import Number, Record
    from hilbench.models.planner.sets import Lowering

ORDER: Final = 1

_SCRATCH: Final = Field("u32", "scratch", "arena offset")
_LINEAR: Final = Field("u32", "linear", "0: results below the output's zero point are clamped")

RECORDS: Final[tuple[Record, ...]] = (
    record(
        64,
        "conv_s8_dsp",
        WINDOW,
        QUANTISED,
        fields=(
            Field("u32", "filters", "constant: per two output channels"),
            _SCRATCH,
            _LINEAR,
        ),
    ),
    record(
        65,
        "fc_s8_dsp",
        QUANTISED,
        fields=(
            *numbers("u32", "rows", "depth", "units"),
            Field("u32", "filters", "constant: per four units"),
        ),
    ),
    record(
        66,
        "depthwise3x3_s8_dsp",
        WINDOW,
        QUANTISED,
        fields=(
            Field("u32", "filters", "constant: per channel"),
            _SCRATCH,
            _LINEAR,
            Field("u32", "vertical", "1: lines are columns, weights are transposed"),
        ),
    ),
    record(
        67,
        "depthwise_s8_dsp",
        WINDOW,
        QUANTISED,
        fields=(
            Field("u32", "filters", "constant: per four channels"),
            _LINEAR,
        ),
    ),
    record(
        68,
        "add_s8_dsp",
        QUANTISED,
        fields=(
            Field("i16", "input_2_zero_point"),
            Field("u16", "halved", "1 or 2: the input that is only halved"),
            Field("u32", "input_2", "arena offset"),
            Field("u32", "count"),
            Field("i32", "other_multiplier", "of the other input"),
            Field("i32", "other_shift", "to the right"),
            Field("i32", "multiplier"),
            Field("i32", "shift", "to the right"),
        ),
    ),
    record(69, "average_pool_s8_dsp", WINDOW, QUANTISED),
)

_LIMIT: Final = 1 << 23  # of a sum: it is kept times 2^8 in 32 bits
_MAX_RIGHT: Final = 15  # shift: the zero point times 2^(shift + 7) leaves room for the product
_HALF: Final = (1 << 30, 0)  # multiplier and shift of the larger scale of an ADD
_MAX_ADD_RIGHT: Final = 23  # the zero point times 2^shift leaves room for the sum
_MAX_POOLED: Final = 255  # values whose sum fits 16 bits
_PIXELS: Final = 3  # of a convolution's tile
_UNITS: Final = 4


@dataclass(frozen=True)
class _Operator:
    """A portable record with its constants: weights [channels, taps], the rest [channels]."""

    values: dict[str, Number]
    weights: NDArray[np.int64]
    bias: NDArray[np.int64]  # input zero point folded in
    multipliers: NDArray[np.int64]
    shifts: NDArray[np.int64]
    macs: int

    @property
    def linear(self) -> int:
        """Whether results below the zero point are seen."""
        return int(self.values["minimum"] < self.values["output_zero_point"])

    def fields(self, part: tuple[Field, ...]) -> dict[str, Number]:
        """Return the values of some fields of the portable record."""
        return {f.name: self.values[f.name] for f in part}


def _portable(
    context: Context, lowering: Callable[[Context], Lowered], channels: str
) -> _Operator | None:
    """Return the operator as the portable set packs it, or None for float."""
    if context.is_float:
        return None
    constants = Constants()
    low = lowering(replace(context, constants=constants))
    count = int(low.values[channels])
    data = constants.data

    def array(name: str, dtype: Any, size: int) -> NDArray[np.int64]:
        return np.frombuffer(data, dtype, size, int(low.values[name])).astype(np.int64)

    scales = int(low.values.get("scales", count))
    weights = context.graph.tensor(context.node.inputs[1]).elements
    return _Operator(
        low.values,
        array("weights", np.int8, weights).reshape(count, -1),
        array("bias", "<i4", count),
        np.broadcast_to(array("multipliers", "<i4", scales), (count,)),
        np.broadcast_to(array("shifts", np.int8, scales), (count,)),
        low.macs,
    )


def _sums(
    weights: NDArray[np.int64], bias: NDArray[np.int64], low: int = -128, high: int = 127
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the smallest and the largest sum of each channel over inputs of ``low`` to ``high``."""
    ends = weights * low, weights * high
    smallest: NDArray[np.int64] = bias + np.minimum(*ends).sum(axis=1)
    largest: NDArray[np.int64] = bias + np.maximum(*ends).sum(axis=1)
    return smallest, largest


@dataclass(frozen=True)
class _Scaled:
    """What requantises each channel: struct hb_dsp_scale as [channels, 3], biases to go with it."""

    bias: NDArray[np.int64]
    scales: NDArray[np.int32]

    def take(self, channels: NDArray[np.int64]) -> _Scaled:
        """Return some channels, in this order."""
        return _Scaled(self.bias[channels], self.scales[channels])


def _scaled(
    operator: _Operator,
    bias: NDArray[np.int64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    *,
    linear: bool | None = None,
) -> _Scaled | None:
    """Return how to requantise sums of ``low`` to ``high``, or None where a channel cannot be."""
    linear = bool(operator.linear) if linear is None else linear
    right = -operator.shifts
    zero_point = int(operator.values["output_zero_point"])
    safe = (low >= -_LIMIT) & (high < _LIMIT) & (right >= int(linear)) & (right <= _MAX_RIGHT)
    shift = np.where(safe, right, 0)
    addend = (((1 << shift) >> 1) + zero_point * (1 << shift)) * 128 + 64
    scales = np.stack([operator.multipliers, addend, shift + 7], axis=1)
    bias = bias.copy()
    for c in np.flatnonzero(~safe):
        fitted = fit(
            Reference(int(operator.multipliers[c]), int(operator.shifts[c]), zero_point),
            int(low[c]),
            int(high[c]),
            linear=linear,
        )
        if fitted is None:
            return None
        bias[c] -= fitted.bias
        scales[c] = fitted.multiplier, fitted.addend, fitted.shift
    return _Scaled(bias, scales.astype(np.int32))


def _pairs(weights: NDArray[np.int64]) -> NDArray[np.uint8] | None:
    """Return weights of channels 2i and 2i+1 as bytes [i, ...], four taps in two words.

    A word has taps 0 and 2, the next taps 1 and 3, as halves 256 * odd channel + even channel.
    None: these do not fit 16 bits.
    """
    channels, taps = weights.shape
    padded = np.pad(weights, ((0, 0), (0, -taps % 4))).reshape(channels // 2, 2, -1, 4)
    halves = 256 * padded[:, 1] + padded[:, 0]
    if halves.min() < -(1 << 15) or halves.max() >= 1 << 15:
        return None
    return _bytes(halves[:, :, [0, 2, 1, 3]].astype("<i2"))


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return [n, ...] as bytes [n, bytes]."""
    return np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)


def _starts(bias: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return where sums of the even channels, and of both, begin."""
    even, odd = bias[0::2], bias[1::2]
    return even.astype(np.int32), (even + 256 * odd).astype(np.int32)


def conv_2d(context: Context) -> Lowered | None:
    """CONV_2D: tiles of three pixels by two channels."""
    operator = _portable(context, lower_weighted.conv_2d, "out_c")
    if operator is None or len(operator.bias) == 1:
        return None
    scaled = _scaled(operator, operator.bias, *_sums(operator.weights, operator.bias))
    # An odd number of channels: the last filter begins one channel earlier.
    channels = np.arange(len(operator.bias) // 2 * 2)
    if len(operator.bias) % 2:
        channels = np.append(channels, (len(operator.bias) - 2, len(operator.bias) - 1))
    # Lines of a window are rounded up to whole groups of four taps.
    rows = int(operator.values["kernel_h"])
    lines = operator.weights[channels].reshape(len(channels), rows, -1)
    lines = np.pad(lines, ((0, 0), (0, 0), (0, -lines.shape[2] % 4)))
    weights = _pairs(lines.reshape(len(channels), -1))
    if scaled is None or weights is None:
        return None
    scaled = scaled.take(channels)
    starts = np.stack(_starts(scaled.bias), axis=1)
    filters = np.concatenate(
        [_bytes(starts), weights, _bytes(scaled.scales.reshape(-1, 6))], axis=1
    )
    values = operator.fields(WINDOW.fields + QUANTISED.fields)
    values |= {"filters": context.constants.add(filters), "linear": operator.linear}
    return Lowered(
        "conv_s8_dsp",
        values,
        operator.macs,
        # three windows as int16, one line as bytes
        scratch_bytes=rows * lines.shape[2] * _PIXELS * 2 + lines.shape[2],
        distances=(window_distance(values, step=_PIXELS, buffered=True),),
    )


def fully_connected(context: Context) -> Lowered | None:
    """FULLY_CONNECTED: four units at a time."""
    operator = _portable(context, lower_weighted.fully_connected, "units")
    if operator is None or len(operator.bias) < _UNITS:
        return None
    scaled = _scaled(operator, operator.bias, *_sums(operator.weights, operator.bias), linear=True)
    # The last four units overlap those before them.
    count, depth = operator.weights.shape
    rows = int(operator.values["rows"])
    if (rows - 1) * depth + -(-depth // 4) * 4 > align(rows * depth):
        return None  # the last row's last taps would be read beyond the input
    units = np.arange(count // _UNITS * _UNITS)
    if count % _UNITS:
        units = np.append(units, np.arange(count - _UNITS, count))
    weights = _pairs(operator.weights[units])
    if scaled is None or weights is None:
        return None
    scaled = scaled.take(units)
    even, both = _starts(scaled.bias)
    starts = np.concatenate([both.reshape(-1, 2), even.reshape(-1, 2)], axis=1)
    words = weights.view(np.uint32).reshape(len(starts), 2, -1).transpose(0, 2, 1)
    filters = np.concatenate(
        [_bytes(starts), _bytes(words), _bytes(scaled.scales.reshape(-1, 3 * _UNITS))], axis=1
    )
    values: dict[str, Number] = {"rows": rows, "depth": depth, "units": count}
    values |= operator.fields(QUANTISED.fields)
    values["filters"] = context.constants.add(filters)
    return Lowered(
        "fc_s8_dsp",
        values,
        operator.macs,
        distances=(row_distance(rows, depth, count),),
    )


def depthwise_conv_2d(context: Context) -> Lowered | None:
    """DEPTHWISE_CONV_2D with one output channel per input channel, a multiple of four."""
    operator = _portable(context, lower_weighted.depthwise_conv_2d, "out_c")
    if operator is None:
        return None
    v = operator.values
    if v["in_c"] != v["out_c"] or int(v["in_c"]) % 4:
        return None
    shape = (v["kernel_h"], v["kernel_w"], v["stride_h"], v["stride_w"])
    dilated = v["dilation_h"] != 1 or v["dilation_w"] != 1
    if shape != (3, 3, 1, 1) or dilated or max(v["pad_top"], v["pad_left"]) > 1:
        return _depthwise(context, operator)
    by_lines = min(_cost_of_lines(v, vertical=vertical) for vertical in (False, True))
    kernel = _depthwise_3x3 if by_lines <= _cost_of_pixels(v) else _depthwise
    return kernel(context, operator)


def _depthwise_3x3(context: Context, operator: _Operator) -> Lowered | None:
    scaled = _scaled(operator, operator.bias, *_sums(operator.weights, operator.bias))
    if scaled is None:
        return None
    values = operator.fields(WINDOW.fields + QUANTISED.fields)
    rows, columns = int(values["out_h"]), int(values["out_w"])
    vertical = _cost_of_lines(values, vertical=True) < _cost_of_lines(values, vertical=False)
    taps = operator.weights.reshape(-1, 3, 3)
    if vertical:
        taps = taps.transpose(0, 2, 1)
    filters = np.concatenate(
        [
            _bytes((256 * scaled.bias).astype("<i4")),
            _bytes(scaled.scales),
            _bytes(taps[:, :, [1, 0, 2, 1]].astype(np.int8)),
        ],
        axis=1,
    )
    values |= {
        "filters": context.constants.add(filters),
        "linear": operator.linear,
        "vertical": int(vertical),
    }
    words = -(-(rows if vertical else columns) // 2) + 1
    in_place = (values["in_h"], values["in_w"]) == (rows, columns)
    return Lowered(
        "depthwise3x3_s8_dsp",
        values,
        operator.macs,
        scratch_bytes=words * 4 * 12,
        distances=(0 if in_place else None,),
        only_in_place=True,
    )


def _cost_of_lines(values: Mapping[str, Number], *, vertical: bool) -> int:
    """Return about how many instructions a channel of a 3 x 3 window takes, line by line."""
    length, lines = int(values["out_w"]), int(values["out_h"])
    if vertical:
        length, lines = lines, length
    return lines * (30 * -(-length // 2) + 2 * length + 80)


def _cost_of_pixels(values: Mapping[str, Number]) -> int:
    """Return the same pixel by pixel, where taps in the padding cost nothing."""
    pixels, taps = 1, 1
    for axis, before in (("h", "pad_top"), ("w", "pad_left")):
        out, size = int(values[f"out_{axis}"]), int(values[f"in_{axis}"])
        pixels *= out
        origins = range(-int(values[before]), out - int(values[before]))
        taps *= sum(0 <= o + k < size for o in origins for k in range(3))
    return 3 * taps + (16 + 130 // int(values["in_c"])) * pixels


def _depthwise(context: Context, operator: _Operator) -> Lowered | None:
    # The kernel leaves taps in the padding out, so the zero point is not in the bias.
    zero_point = int(operator.values["input_zero_point"])
    bias = operator.bias + zero_point * operator.weights.sum(axis=1)
    bias = bias.astype(np.int32).astype(np.int64)
    # A tap may be left out, as if its input were 0: that is in the range.
    sums = _sums(operator.weights, bias, -128 - zero_point, 127 - zero_point)
    scaled = _scaled(operator, bias, *sums)
    if scaled is None:
        return None
    values = operator.fields(WINDOW.fields + QUANTISED.fields)
    blocks = len(bias) // 4
    filters = np.concatenate(
        [
            _bytes(scaled.bias.astype("<i4").reshape(blocks, 4)),
            _bytes(scaled.scales.reshape(blocks, 12)),
            _bytes(operator.weights.astype(np.int8).reshape(blocks, 4, -1).transpose(0, 2, 1)),
        ],
        axis=1,
    )
    values |= {
        "filters": context.constants.add(filters),
        "linear": operator.linear,
    }
    distances = (window_distance(values),)
    return Lowered("depthwise_s8_dsp", values, operator.macs, distances=distances)


def add(context: Context) -> Lowered | None:
    """ADD of equal shapes and different scales."""
    if context.is_float:
        return None
    low = lower_binary.binary(replace(context, constants=Constants()))
    v = low.values
    if low.record != "add_s8":
        return None
    factors = [(int(v[f"multiplier_{i}"]), int(v[f"shift_{i}"])) for i in (1, 2)]
    if _HALF not in factors:
        return None
    halved = factors.index(_HALF)
    multiplier, shift = factors[1 - halved]
    if not (-_MAX_ADD_RIGHT <= shift <= -1 and -_MAX_ADD_RIGHT <= int(v["shift"]) <= -1):
        return None
    names = {f.name for f in QUANTISED.fields} | {"input_2_zero_point", "count", "multiplier"}
    values = {name: value for name, value in v.items() if name in names}
    values |= {"halved": halved + 1, "other_multiplier": multiplier, "other_shift": -shift}
    values["shift"] = -int(v["shift"])
    return Lowered("add_s8_dsp", values, low.macs, distances=low.distances)


def average_pool_2d(context: Context) -> Lowered | None:
    """AVERAGE_POOL_2D of a multiple of four channels, 255 values at most."""
    low = lower_plain.average_pool_2d(context)
    v = low.values
    if low.record != "average_pool_s8" or int(v["in_c"]) % 4:
        return None
    if int(v["kernel_h"]) * int(v["kernel_w"]) > _MAX_POOLED:
        return None
    return replace(low, record="average_pool_s8_dsp")


LOWERINGS: Final[dict[str, Lowering]] = {
    "ADD": add,
    "AVERAGE_POOL_2D": average_pool_2d,
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
}
