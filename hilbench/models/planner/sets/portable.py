"""The kernel set of every board: C99, int8 and float32."""

from __future__ import annotations

from typing import Final

from hilbench.models.planner import (
    lower_binary,
    lower_copy,
    lower_plain,
    lower_unary,
    lower_weighted,
)
from hilbench.models.planner.copies import COPYING
from hilbench.models.planner.layout import (
    BROADCAST,
    QUANTISED,
    RANGE,
    REDUCE,
    WINDOW,
    Field,
    numbers,
    record,
)

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
_BINARY_FACTORS: Final = numbers("i32", "multiplier_1", "shift_1", "multiplier_2", "shift_2")
_COPY: Final = (
    *numbers("u32", "in_offset", "out_offset"),
    Field("u32", "block", "bytes that lie together in both tensors"),
    Field("u32", "fill_bytes", "of the output that are filled first; 0: none"),
    Field("u32", "fill_value", "4 bytes, repeated"),
    *numbers("u32", "size_0", "size_1", "size_2", "size_3", "size_4"),
    *numbers("i32", *(f"in_stride_{i}" for i in range(5))),
    *numbers("i32", *(f"out_stride_{i}" for i in range(5))),
)
_HYBRID: Final = (
    Field("u32", "scratch", "arena offset: the quantised input"),
    Field("u32", "asymmetric", "1: the input gets a zero point"),
    Field("u32", "weights", "constant: int8"),
    Field("u32", "bias", "constant: float32 per channel"),
    Field("u32", "weight_scales", "constant: float32, one per channel; fc: one"),
)

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
            *_BINARY_FACTORS,
            *_REQUANTISE,
        ),
    ),
    record(5, "average_pool_s8", WINDOW, QUANTISED),
    record(6, "max_pool_s8", WINDOW, QUANTISED),
    record(7, "mean_s8", REDUCE, QUANTISED, fields=_REQUANTISE),
    record(8, "softmax_s8", fields=(*_ROWS, *numbers("i32", "multiplier", "shift", "diff_min"))),
    record(9, "quantize_f32_s8", QUANTISED, fields=(*_COUNT, Field("f32", "scale"))),
    record(11, "dequantize_s8_f32", QUANTISED, fields=(*_COUNT, Field("f32", "scale"))),
    record(
        12, "lut_s8", fields=(*_COUNT, Field("u32", "table", "constant: 256 int8, of -128 first"))
    ),
    record(
        13,
        "binary_s8",
        BROADCAST,
        QUANTISED,
        fields=(
            Field("i16", "input_2_zero_point"),
            Field("u16", "reserved", "0"),
            *_BINARY_FACTORS,
            *_REQUANTISE,
        ),
    ),
    record(14, "copy", fields=_COPY),
    record(33, "conv_f32", WINDOW, RANGE, fields=_FLOAT_WEIGHTS),
    record(34, "depthwise_f32", WINDOW, RANGE, fields=_FLOAT_WEIGHTS),
    record(35, "fc_f32", RANGE, fields=(*_MATRIX, *_FLOAT_WEIGHTS)),
    record(37, "average_pool_f32", WINDOW, RANGE),
    record(38, "max_pool_f32", WINDOW, RANGE),
    record(39, "mean_f32", REDUCE, RANGE),
    record(40, "softmax_f32", fields=(*_ROWS, Field("f32", "beta"))),
    record(41, "clamp_f32", RANGE, fields=_COUNT),
    record(42, "binary_f32", BROADCAST, RANGE),
    record(
        43,
        "unary_f32",
        fields=(
            Field("u32", "mode", "0 leaky relu, 1 hard swish, 2 logistic, 3 tanh"),
            Field("f32", "alpha", "slope below 0 of leaky relu"),
            *_COUNT,
        ),
    ),
    record(48, "fc_hybrid", RANGE, fields=(*_MATRIX, *_HYBRID)),
    record(49, "conv_hybrid", WINDOW, RANGE, fields=_HYBRID),
    record(50, "depthwise_hybrid", WINDOW, RANGE, fields=_HYBRID),
)

LOWERINGS: Final = {
    "ADD": lower_binary.binary,
    "AVERAGE_POOL_2D": lower_plain.average_pool_2d,
    "CONV_2D": lower_weighted.conv_2d,
    "DEPTHWISE_CONV_2D": lower_weighted.depthwise_conv_2d,
    "DEQUANTIZE": lower_unary.dequantize,
    "FULLY_CONNECTED": lower_weighted.fully_connected,
    "HARD_SWISH": lower_unary.hard_swish,
    "LEAKY_RELU": lower_unary.leaky_relu,
    "LOGISTIC": lower_unary.logistic,
    "MAXIMUM": lower_binary.binary,
    "MAX_POOL_2D": lower_plain.max_pool_2d,
    "MEAN": lower_plain.mean,
    "MINIMUM": lower_binary.binary,
    "MUL": lower_binary.binary,
    "QUANTIZE": lower_unary.quantize,
    "RELU": lower_unary.relu,
    "RELU6": lower_unary.relu6,
    "RELU_N1_TO_1": lower_unary.relu_n1_to_1,
    "SOFTMAX": lower_plain.softmax,
    "SUB": lower_binary.binary,
    "TANH": lower_unary.tanh,
    **dict.fromkeys(COPYING, lower_copy.copy),
}
