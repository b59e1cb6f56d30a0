"""The plan format: one description, from which come the packer, ``hb_plan.h`` and the fault texts.

Little endian, every struct free of padding. device_firmware/PLAN.md describes it to the byte.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

MAGIC: Final = 0x504E4248  # "HBNP" as bytes 48 42 4e 50
VERSION: Final = 1
ALIGNMENT: Final = 16  # of constants in the plan and of tensors in the arena, in bytes

Number = int | float

_FORMATS: Final = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f"}


@dataclass(frozen=True)
class Field:
    """One number of a struct; ``type`` is u16, i16, u32, i32 or f32."""

    type: str
    name: str
    comment: str = ""


@dataclass(frozen=True)
class Part:
    """A named group of fields that several operators share; a nested struct in C."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Record:
    """An operator's record: the common head, shared parts, then fields of its own."""

    kind: int
    name: str
    parts: tuple[Part, ...]
    fields: tuple[Field, ...]

    @property
    def flat(self) -> tuple[Field, ...]:
        """All fields in the order of their bytes."""
        return tuple(f for part in self.parts for f in part.fields) + self.fields

    @property
    def bytes(self) -> int:
        """Size of the record."""
        return packer(self.flat).size


def _fields(type_: str, *names: str) -> tuple[Field, ...]:
    return tuple(Field(type_, name) for name in names)


HEADER: Final = Part(
    "header",
    (
        Field("u32", "magic"),
        Field("u16", "version"),
        Field("u16", "operators", "how many records"),
        Field("u32", "length", "of the whole plan in bytes"),
        Field("u32", "arena_bytes", "input, output and scratch included"),
        Field("u32", "operators_offset", "first record, from the start of the plan"),
        Field("u32", "constants_offset", "constants section, from the start of the plan"),
        Field("u32", "input", "arena offset"),
        Field("u32", "input_bytes"),
        Field("u32", "output", "arena offset"),
        Field("u32", "output_bytes"),
        Field("u32", "reserved_0", "0"),
        Field("u32", "reserved_1", "0"),
    ),
)

HEAD: Final = Part(
    "head",
    (
        Field("u16", "kind"),
        Field("u16", "bytes", "of this record, head included"),
        Field("u32", "input", "arena offset"),
        Field("u32", "output", "arena offset"),
    ),
)
WINDOW: Final = Part(
    "window",
    _fields("u16", "in_h", "in_w", "in_c", "out_h", "out_w", "out_c")
    + _fields("u16", "kernel_h", "kernel_w", "stride_h", "stride_w")
    + _fields("u16", "dilation_h", "dilation_w", "pad_top", "pad_left"),
)
QUANTISED: Final = Part(
    "quantised", _fields("i16", "input_zero_point", "output_zero_point", "minimum", "maximum")
)
RANGE: Final = Part("range", _fields("f32", "minimum", "maximum"))

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
_MATRIX: Final = _fields("u32", "rows", "depth", "units")
_REQUANTISE: Final = _fields("i32", "multiplier", "shift")


def _record(kind: int, name: str, *parts: Part, fields: tuple[Field, ...] = ()) -> Record:
    return Record(kind, name, (HEAD, *parts), fields)


_COUNT: Final = _fields("u32", "count")
_ROWS: Final = _fields("u32", "rows", "depth")

RECORDS: Final = {
    record.name: record
    for record in (
        _record(1, "conv_s8", WINDOW, QUANTISED, fields=_PER_CHANNEL + _BORDER),
        _record(2, "depthwise_s8", WINDOW, QUANTISED, fields=_PER_CHANNEL + _BORDER),
        _record(
            3,
            "fc_s8",
            QUANTISED,
            fields=(*_MATRIX, Field("u32", "scales", "1, or one per unit"), *_PER_CHANNEL),
        ),
        _record(
            4,
            "add_s8",
            QUANTISED,
            fields=(
                Field("i16", "input_2_zero_point"),
                Field("u16", "reserved", "0"),
                Field("u32", "input_2", "arena offset"),
                *_COUNT,
                *_fields("i32", "multiplier_1", "shift_1", "multiplier_2", "shift_2"),
                *_REQUANTISE,
            ),
        ),
        _record(5, "average_pool_s8", WINDOW, QUANTISED),
        _record(6, "max_pool_s8", WINDOW, QUANTISED),
        _record(7, "mean_s8", QUANTISED, fields=(*_ROWS, *_REQUANTISE)),
        _record(
            8, "softmax_s8", fields=(*_ROWS, *_fields("i32", "multiplier", "shift", "diff_min"))
        ),
        _record(9, "quantize_f32_s8", QUANTISED, fields=(*_COUNT, Field("f32", "scale"))),
        _record(10, "requantize_s8", QUANTISED, fields=(*_COUNT, *_REQUANTISE)),
        _record(11, "dequantize_s8_f32", QUANTISED, fields=(*_COUNT, Field("f32", "scale"))),
        _record(33, "conv_f32", WINDOW, RANGE, fields=_FLOAT_WEIGHTS),
        _record(34, "depthwise_f32", WINDOW, RANGE, fields=_FLOAT_WEIGHTS),
        _record(35, "fc_f32", RANGE, fields=(*_MATRIX, *_FLOAT_WEIGHTS)),
        _record(36, "add_f32", RANGE, fields=(Field("u32", "input_2", "arena offset"), *_COUNT)),
        _record(37, "average_pool_f32", WINDOW, RANGE),
        _record(38, "max_pool_f32", WINDOW, RANGE),
        _record(39, "mean_f32", RANGE, fields=_ROWS),
        _record(40, "softmax_f32", fields=(*_ROWS, Field("f32", "beta"))),
        _record(41, "clamp_f32", RANGE, fields=_COUNT),
    )
}

FAULTS: Final = {
    # name: (reason, sentence about `position`)
    "too_short": (1, "the plan ends before its header does"),
    "magic": (2, "these bytes are not a plan"),
    "version": (3, "the plan is of another format version than the firmware"),
    "length": (4, "the plan's length is not the one that its header states"),
    "section": (5, "operator table or constants lie outside the plan, or are misaligned"),
    "boundary": (6, "input or output lie outside the arena, or are misaligned"),
    "kind": (7, "the firmware has no kernel of this kind"),
    "record": (8, "an operator record has the wrong size"),
    "tensor": (9, "a tensor lies outside the arena, or is misaligned"),
    "constant": (10, "a constant lies outside the plan, or is misaligned"),
    "shape": (11, "shapes of an operator contradict each other"),
    "parameter": (12, "a requantisation parameter is outside its range"),
    "not_loaded": (13, "no plan is loaded"),
}


def packer(fields: tuple[Field, ...]) -> struct.Struct:
    """Return the little-endian, unpadded packer of some fields."""
    return struct.Struct("<" + "".join(_FORMATS[f.type] for f in fields))


def pack(fields: tuple[Field, ...], values: dict[str, Number]) -> bytes:
    """Pack values by name.

    Raises:
        struct.error: a value does not fit its field.
        KeyError: a value is missing.
    """
    if len(values) != len(fields):
        raise KeyError(sorted(set(values) ^ {f.name for f in fields}))
    return packer(fields).pack(*(values[f.name] for f in fields))


def unpack(fields: tuple[Field, ...], data: bytes, offset: int) -> dict[str, Number]:
    """Unpack fields at an offset, the inverse of pack."""
    return dict(
        zip((f.name for f in fields), packer(fields).unpack_from(data, offset), strict=True)
    )


def describe_fault(reason: int, position: int) -> str:
    """Return what the firmware means by a fault, as a sentence without a full stop."""
    for known, sentence in FAULTS.values():
        if known == reason:
            return f"{sentence} (plan byte {position})"
    return f"unknown fault {reason} (plan byte {position})"
