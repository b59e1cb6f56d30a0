"""The kernel set of every board: C99, int8 and float32."""

from __future__ import annotations

from typing import Final

from hilbench.models.planner import lower_plain, lower_weighted
from hilbench.models.planner.layout import QUANTISED, RANGE, WINDOW, Field, numbers, record

ORDER: Final = 0  # asked last

_PER_CHANNEL: Final = (
    Field("u32", "weights", "constant: int8"),
    Field("u32", "bias", "constant: int32 per channel, input zero point folded in"),
    Field("u32", "multipliers", "constant: int32"),
    Field("u32", "shifts", "constant: int8"),
)
_BORDER: Final = (
    Field(
        "u32", "border_bias", "constant: int32 per channel, of windows that reach over the border"
    ),
)
_FLOAT_WEIGHTS: Final = (
    Field("u32", "weights", "constant: float32"),
    Field("u32", "bias", "constant: float32 per channel"),
)
_MATRIX: Final = numbers("u32", "rows", "depth", "units")
_REQUANTISE: Final = numbers("i32", "multiplier", "shift")


_COUNT: Final = numbers("u32", "count")
_ROWS: Final = numbers("u32", "rows", "depth")

RECORDS: Final = (
    record(1, "conv_s8", WINDOW, QUANTISED, fields=_PER_CHANNEL + _BORDER),
    record(2, "depthwise_s8", WINDOW, QUANTISED, fields=_PER_CHANNEL + _BORDER),
    record(
        3,
        "fc_s8",
        QUANTISED,
        fields=(*_MATRIX, Field("u32", "scales", "1, or one per unit"), *_PER_CHANNEL),
    ),
    record(
        4,
        "add_s8",
        QUANTISED,
        fields=(
            Field("i16", "input_2_zero_point"),
            Field("u16", "reserved", "0"),
            Field("u32", "input_2", "arena offset"),
            *_COUNT,
            *numbers("i32", "multiplier_1", "shift_1", "multiplier_2", "shift_2"),
            *_REQUANTISE,
        ),
    ),
    record(5, "average_pool_s8", WINDOW, QUANTISED),
    record(6, "max_pool_s8", WINDOW, QUANTISED),
    record(7, "mean_s8", QUANTISED, fields=(*_ROWS, *_REQUANTISE)),
    record(8, "softmax_s8", fields=(*_ROWS, *numbers("i32", "multiplier", "shift", "diff_min"))),
    record(9, "quantize_f32_s8", QUANTISED, fields=(*_COUNT, Field("f32", "scale"))),
    record(10, "requantize_s8", QUANTISED, fields=(*_COUNT, *_REQUANTISE)),
    record(11, "dequantize_s8_f32", QUANTISED, fields=(*_COUNT, Field("f32", "scale"))),
    record(33, "conv_f32", WINDOW, RANGE, fields=_FLOAT_WEIGHTS),
    record(34, "depthwise_f32", WINDOW, RANGE, fields=_FLOAT_WEIGHTS),
    record(35, "fc_f32", RANGE, fields=(*_MATRIX, *_FLOAT_WEIGHTS)),
    record(36, "add_f32", RANGE, fields=(Field("u32", "input_2", "arena offset"), *_COUNT)),
    record(37, "average_pool_f32", WINDOW, RANGE),
    record(38, "max_pool_f32", WINDOW, RANGE),
    record(39, "mean_f32", RANGE, fields=_ROWS),
    record(40, "softmax_f32", fields=(*_ROWS, Field("f32", "beta"))),
    record(41, "clamp_f32", RANGE, fields=_COUNT),
)

LOWERINGS: Final = {
    "ADD": lower_plain.add,
    "AVERAGE_POOL_2D": lower_plain.average_pool_2d,
    "CONV_2D": lower_weighted.conv_2d,
    "DEPTHWISE_CONV_2D": lower_weighted.depthwise_conv_2d,
    "DEQUANTIZE": lower_plain.dequantize,
    "FULLY_CONNECTED": lower_weighted.fully_connected,
    "MAX_POOL_2D": lower_plain.max_pool_2d,
    "MEAN": lower_plain.mean,
    "QUANTIZE": lower_plain.quantize,
    "RELU": lower_plain.relu,
    "RELU6": lower_plain.relu6,
    "SOFTMAX": lower_plain.softmax,
}
