"""Kernels for Helium (Cortex-M55): sixteen 8-bit multiplications an instruction.

Every lowering begins with the portable record, and packs its constants again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hilbench.models.planner import lower_binary, lower_plain, lower_weighted
from hilbench.models.planner.layout import QUANTISED, WINDOW, Field, numbers, record
from hilbench.models.planner.lower import Constants, Context, Lowered
from hilbench.models.planner.overlap import row_distance, window_distance

if TYPE_CHECKING:
    from hilbench.models.planner.layout import Number, Record
    from hilbench.models.planner.sets import Lowering

ORDER: Final = 2

_BLOCK: Final = 4  # output channels
_DEPTH: Final = 16  # of one multiplication
_GROUP: Final = 8  # channels of the depthwise kernel for any window
_BATCH: Final = 32  # pixels that are copied at once, at most
_BATCH_BYTES: Final = 512
_MAX_DEPTH: Final = 1 << 23

_AWAY: Final = Field("u32", "away", "1: negative halves round away from zero; 0: never seen")
_SCRATCH: Final = Field("u32", "scratch", "arena offset")
_WEIGHTS: Final = Field("u32", "weights", "constant: int8, [block][step][4 channels][16 of depth]")
_PRODUCT: Final = (
    _AWAY,
    Field("u32", "batch", "of a step: output rows, or pixels where windows are pixels"),
    _SCRATCH,
    _WEIGHTS,
    Field("u32", "scales", "constant: bias, multiplier, shift of each block"),
)

RECORDS: Final[tuple[Record, ...]] = (
    record(96, "conv_s8_mve", WINDOW, QUANTISED, fields=_PRODUCT),
    record(
        97,
        "depthwise_3x3_s8_mve",
        WINDOW,
        QUANTISED,
        fields=(
            _AWAY,
            _SCRATCH,
            Field("u32", "weights", "constant: int8, [channel][4 columns][4 rows], 4 zeros behind"),
            Field("u32", "scales", "constant: int32 bias, multiplier, shift of each channel"),
        ),
    ),
    record(
        98,
        "depthwise_s8_mve",
        WINDOW,
        QUANTISED,
        fields=(
            _AWAY,
            _SCRATCH,
            Field("u32", "weights", "constant: int8, [group][tap][8 channels], taps even"),
            Field("u32", "scales", "constant: of each group, even channels then odd"),
        ),
    ),
    record(
        99,
        "fc_s8_mve",
        QUANTISED,
        fields=(
            *numbers("u32", "rows", "depth", "units"),
            _AWAY,
            Field("u32", "scratch", "arena offset; unused where depth is a multiple of 16"),
            _WEIGHTS,
            Field("u32", "bias", "constant: int32 per unit, padded to a block"),
            *numbers("i32", "multiplier", "shift"),
        ),
    ),
    record(
        100,
        "add_s8_mve",
        QUANTISED,
        fields=(
            Field("i16", "input_2_zero_point"),
            Field("u16", "second", "1: the second input is the scaled one, the other is halved"),
            Field("u32", "input_2", "arena offset"),
            *numbers("u32", "count"),
            *numbers("i32", "scaled_multiplier", "scaled_shift", "multiplier", "shift"),
            _AWAY,
        ),
    ),
    record(101, "average_pool_s8_mve", WINDOW, QUANTISED),
    record(
        102,
        "depthwise_3x3_s2_s8_mve",
        WINDOW,
        QUANTISED,
        fields=(
            _AWAY,
            _SCRATCH,
            Field(
                "u32", "weights", "constant: int8, 6 zeros, 3 columns of 3 rows, 1 zero a channel"
            ),
            Field("u32", "scales", "constant: bias, multiplier, shift of each block"),
        ),
    ),
)


@dataclass(frozen=True)
class _Operator:
    """A portable record with its constants as arrays: weights [channels, ...], the rest [channels]."""

    values: dict[str, Number]
    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    multipliers: NDArray[np.int32]
    shifts: NDArray[np.int8]
    macs: int


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

    def array(name: str, dtype: Any, size: int) -> NDArray[Any]:
        return np.frombuffer(data, dtype, size, int(low.values[name]))

    scales = int(low.values.get("scales", count))
    weights = context.graph.tensor(context.node.inputs[1]).elements
    return _Operator(
        low.values,
        array("weights", np.int8, weights).reshape(count, -1),
        array("bias", np.int32, count),
        array("multipliers", np.int32, scales),
        array("shifts", np.int8, scales),
        low.macs,
    )


def _away(operator: _Operator) -> int | None:
    """Return how the kernels round, or None when they cannot.

    Shifts to the left are portable. A result below the zero point rounds its halves away from zero,
    and the kernels' way to do so needs a shift of 1 or more; where the clamp removes such results
    anyway, they round upwards.
    """
    negative = operator.values["minimum"] < operator.values["output_zero_point"]
    if operator.shifts.max() > (-1 if negative else 0):
        return None
    return int(negative)


def _padded(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.pad(array, [(0, n - size) for n, size in zip(shape, array.shape, strict=True)])


def _blocks(operator: _Operator) -> NDArray[np.int8]:
    """Weights as [block][step][4 channels][16 of depth]."""
    channels, depth = operator.weights.shape
    blocks, steps = -(-channels // _BLOCK), -(-depth // _DEPTH)
    padded = _padded(operator.weights, (blocks * _BLOCK, steps * _DEPTH))
    return padded.reshape(blocks, _BLOCK, steps, _DEPTH).transpose(0, 2, 1, 3)


_SCALES: Final = np.dtype(
    [("bias", "<i4", _BLOCK), ("multiplier", "<i4", _BLOCK), ("shift", "i1", _BLOCK)]
)


_GROUP_SCALES: Final = np.dtype(
    [
        ("bias", "<i4", (2, _BLOCK)),
        ("multiplier", "<i4", (2, _BLOCK)),
        ("shift", "i1", (2, _BLOCK)),
    ]
)


def _scales(operator: _Operator, order: NDArray[Any] | slice = slice(None)) -> NDArray[Any]:
    """Bias, multiplier and shift as struct hb_mve_scales of each block of channels."""
    blocks = -(-operator.bias.size // _BLOCK)
    packed = np.zeros(blocks, _SCALES)
    for name, values in (
        ("bias", operator.bias),
        ("multiplier", np.broadcast_to(operator.multipliers, operator.bias.shape)),
        ("shift", np.broadcast_to(operator.shifts, operator.bias.shape)),
    ):
        packed[name] = _padded(values[order], (blocks * _BLOCK,)).reshape(blocks, _BLOCK)
    return packed


_WINDOW_NAMES: Final = tuple(field.name for field in WINDOW.fields)
_QUANTISED_NAMES: Final = tuple(field.name for field in QUANTISED.fields)


def _chosen(values: dict[str, Number], names: tuple[str, ...]) -> dict[str, Number]:
    return {name: values[name] for name in names}


def _geometry(operator: _Operator) -> dict[str, int]:
    return {name: int(operator.values[name]) for name in _WINDOW_NAMES}


def conv_2d(context: Context) -> Lowered | None:
    """CONV_2D of any shape, but for columns apart."""
    operator = _portable(context, lower_weighted.conv_2d, "out_c")
    if operator is None or operator.values["dilation_w"] != 1:
        return None
    geometry = _geometry(operator)
    height, width, in_c = (geometry[name] for name in ("kernel_h", "kernel_w", "in_c"))
    weights = operator.weights.reshape(-1, height, width, in_c).transpose(0, 2, 1, 3)
    by_column = replace(operator, weights=weights.reshape(operator.weights.shape))
    return _product(context, by_column, geometry)


def _product(
    context: Context, operator: _Operator, geometry: dict[str, int] | None
) -> Lowered | None:
    """``operator.weights`` are [out_c][kernel_w][kernel_h][in_c]."""
    away = _away(operator)
    channels, depth = operator.weights.shape
    if away is None or geometry is None or depth > _MAX_DEPTH:
        return None
    column = geometry["kernel_h"] * geometry["in_c"]
    columns = (geometry["out_w"] - 1) * geometry["stride_w"] + geometry["kernel_w"]
    if depth == geometry["in_c"] and all(geometry[f"stride_{axis}"] == 1 for axis in "hw"):
        batch = step = min(max(_BATCH_BYTES // depth, 2), _BATCH) // 2 * 2  # pixels
        windows = batch * depth
    else:
        batch = 1 + geometry["out_w"] % 2  # rows: pixels go in pairs
        step = batch * geometry["out_w"]
        windows = batch * columns * column
    values: dict[str, Number] = {
        **geometry,
        **_chosen(operator.values, _QUANTISED_NAMES),
        "away": away,
        "batch": batch,
        "weights": context.constants.add(_blocks(operator)),
        "scales": context.constants.add(_scales(operator)),
    }
    return Lowered(
        "conv_s8_mve",
        values,
        operator.macs,
        scratch_bytes=2 * _DEPTH + windows + 2 * _BLOCK * -(-channels // _BLOCK),
        distances=(window_distance(geometry, step=step, buffered=True),),
    )


def depthwise_conv_2d(context: Context) -> Lowered | None:
    """DEPTHWISE_CONV_2D."""
    operator = _portable(context, lower_weighted.depthwise_conv_2d, "out_c")
    if operator is None:
        return None
    away = _away(operator)
    geometry = _geometry(operator)
    if away is None:
        return None
    if geometry["in_c"] != geometry["out_c"]:
        return None
    kernel, dilation = (
        [geometry[f"{name}_{axis}"] for axis in "hw"] for name in ("kernel", "dilation")
    )
    if (kernel, dilation, geometry["in_c"] % _BLOCK) == ([3, 3], [1, 1], 0):
        if geometry["stride_h"] == geometry["stride_w"] == 1:
            return _depthwise_3x3(context, operator, geometry, away)
        if geometry["stride_w"] == 2:  # noqa: PLR2004
            return _depthwise_3x3_strided(context, operator, geometry, away)
    return None if geometry["in_c"] % _GROUP else _depthwise(context, operator, geometry, away)


def _depthwise(
    context: Context, operator: _Operator, geometry: dict[str, int], away: int
) -> Lowered | None:
    channels, taps = operator.weights.shape
    if operator.weights.min() == -128:  # noqa: PLR2004  # two products then leave 16 bits
        return None
    even_taps = taps + taps % 2
    weights = _padded(operator.weights, (channels, even_taps)).reshape(-1, _GROUP, even_taps)
    # widening splits even and odd channels
    order = np.arange(channels).reshape(-1, _BLOCK, 2).transpose(0, 2, 1).ravel()
    scales = _scales(operator, order)
    packed = np.zeros(channels // _GROUP, _GROUP_SCALES)
    for name in _GROUP_SCALES.names or ():
        packed[name] = scales[name].reshape(-1, 2, _BLOCK)
    values: dict[str, Number] = {
        **geometry,
        **_chosen(operator.values, _QUANTISED_NAMES),
        "away": away,
        "weights": context.constants.add(weights.transpose(0, 2, 1)),
        "scales": context.constants.add(packed),
    }
    return Lowered(
        "depthwise_s8_mve",
        values,
        operator.macs,
        scratch_bytes=4 * even_taps + channels,
        distances=(window_distance(geometry),),
    )


def _depthwise_3x3(
    context: Context, operator: _Operator, geometry: dict[str, int], away: int
) -> Lowered:
    channels = geometry["in_c"]
    taps = operator.weights.reshape(channels, 3, 3).transpose(0, 2, 1)  # columns, then rows
    weights = np.pad(taps, [(0, 0), (1, 0), (0, 1)])
    shifts = np.broadcast_to(operator.shifts, channels)
    multipliers = np.broadcast_to(operator.multipliers, channels)
    scales = np.stack([operator.bias, multipliers, shifts.astype(np.int32)], axis=1)
    columns = -(-geometry["out_w"] // 2) * 2 + 2
    values: dict[str, Number] = {
        **geometry,
        **_chosen(operator.values, _QUANTISED_NAMES),
        "away": away,
        "weights": context.constants.add(np.append(weights.ravel(), np.zeros(4, np.int8))),
        "scales": context.constants.add(scales),
    }
    return Lowered(
        "depthwise_3x3_s8_mve",
        values,
        operator.macs,
        scratch_bytes=16 + columns * 4 * channels,
        distances=(_distance_of_row_pairs(geometry),),
    )


def _depthwise_3x3_strided(
    context: Context, operator: _Operator, geometry: dict[str, int], away: int
) -> Lowered:
    channels = geometry["in_c"]
    taps = operator.weights.reshape(channels, 3, 3).transpose(0, 2, 1).reshape(channels, 9)
    weights = np.pad(taps, [(0, 0), (6, 1)])
    columns = -(-geometry["out_w"] // 2) * 4 + 2
    values: dict[str, Number] = {
        **geometry,
        **_chosen(operator.values, _QUANTISED_NAMES),
        "away": away,
        "weights": context.constants.add(np.append(weights.ravel(), np.zeros(6, np.int8))),
        "scales": context.constants.add(_scales(operator)),
    }
    return Lowered(
        "depthwise_3x3_s2_s8_mve",
        values,
        operator.macs,
        scratch_bytes=16 + columns * 3 * channels + channels,
        distances=(window_distance(geometry, step=geometry["out_w"], buffered=True),),
    )


def _distance_of_row_pairs(geometry: dict[str, int]) -> int:
    """Return the distance of a kernel that has brought the rows of a pair before it writes them.

    Of an odd width, a pixel too many is written behind all pairs but the last.
    """
    channels, height = geometry["in_c"], geometry["out_h"]
    distance = height * geometry["out_w"] - geometry["in_h"] * geometry["in_w"]
    for done in range(2, height, 2):
        written = done * geometry["out_w"] + geometry["out_w"] % 2
        brought = min(done + 2 - geometry["pad_top"], geometry["in_h"])
        distance = max(distance, written - brought * geometry["in_w"])
    return distance * channels


def fully_connected(context: Context) -> Lowered | None:
    """FULLY_CONNECTED; with a scale per unit it is a convolution over rows."""
    operator = _portable(context, lower_weighted.fully_connected, "units")
    if operator is None:
        return None
    units, depth = operator.weights.shape
    rows = int(operator.values["rows"])
    if operator.multipliers.size != 1:
        return _product(context, operator, _rows(rows, depth, units))
    away = _away(operator)
    if away is None or max(depth, units) > _MAX_DEPTH:
        return None
    padded = -(-depth // _DEPTH) * _DEPTH
    values: dict[str, Number] = {
        **_chosen(operator.values, ("rows", "depth", "units", *_QUANTISED_NAMES)),
        "away": away,
        "weights": context.constants.add(_blocks(operator)),
        "bias": context.constants.add(_padded(operator.bias, (-(-units // _BLOCK) * _BLOCK,))),
        "multiplier": int(operator.multipliers[0]),
        "shift": int(operator.shifts[0]),
    }
    if padded == depth:
        values["scratch"] = 0
    return Lowered(
        "fc_s8_mve",
        values,
        operator.macs,
        scratch_bytes=padded if padded != depth else 0,
        distances=(row_distance(rows, depth, units),),
    )


def _rows(rows: int, depth: int, units: int) -> dict[str, int] | None:
    """Return the window of a matrix product, or None where a number does not fit."""
    if max(rows, depth, units) > 0xFFFF:  # noqa: PLR2004
        return None
    sizes = {"in_h": rows, "in_c": depth, "out_h": rows, "out_c": units}
    return {name: sizes.get(name, 0 if name.startswith("pad") else 1) for name in _WINDOW_NAMES}


def add(context: Context) -> Lowered | None:
    """ADD of equal shapes."""
    if context.is_float:
        return None
    low = lower_binary.binary(replace(context, constants=Constants()))
    if low.record != "add_s8":
        return None
    values = dict(low.values)
    factors = [(values.pop(f"multiplier_{i}"), values.pop(f"shift_{i}")) for i in (1, 2)]
    half = (1 << 30, 0)  # of the larger scale, always
    if half not in factors:
        return None
    second = int(factors[0] == half)
    negative = values["minimum"] < values["output_zero_point"]
    scaled = factors[second]
    if values["shift"] > (-1 if negative else 0) or scaled[1] > 0:
        return None
    del values["reserved"]
    values |= {"second": second, "scaled_multiplier": scaled[0], "scaled_shift": scaled[1]}
    return Lowered("add_s8_mve", values | {"away": int(negative)}, distances=(0, 0))


def average_pool_2d(context: Context) -> Lowered | None:
    """AVERAGE_POOL_2D of a multiple of 4 channels."""
    low = lower_plain.average_pool_2d(context)
    if low.record != "average_pool_s8" or int(low.values["in_c"]) % _BLOCK != 0:
        return None
    return replace(low, record="average_pool_s8_mve")


LOWERINGS: Final[dict[str, Lowering]] = {
    "ADD": add,
    "AVERAGE_POOL_2D": average_pool_2d,
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
}
