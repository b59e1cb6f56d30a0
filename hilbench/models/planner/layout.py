"""The plan format: one description, from which come the packer, ``hb_plan.h`` and the fault texts.

The records of operators are beside their lowerings, in ``sets``.

Little endian, every struct free of padding. device_firmware/PLAN.md describes it to the byte.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from hilbench.records import BLOCK_ALIGNMENT

MAGIC: Final = 0x504E4248  # "HBNP" as bytes 48 42 4e 50
VERSION: Final = 1
ALIGNMENT: Final = BLOCK_ALIGNMENT  # of constants in the plan and of tensors in the arena, in bytes

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


def numbers(type_: str, *names: str) -> tuple[Field, ...]:
    """Return fields of one type that need no comment."""
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
    numbers("u16", "in_h", "in_w", "in_c", "out_h", "out_w", "out_c")
    + numbers("u16", "kernel_h", "kernel_w", "stride_h", "stride_w")
    + numbers("u16", "dilation_h", "dilation_w", "pad_top", "pad_left"),
)
QUANTISED: Final = Part(
    "quantised", numbers("i16", "input_zero_point", "output_zero_point", "minimum", "maximum")
)
RANGE: Final = Part("range", numbers("f32", "minimum", "maximum"))
BROADCAST: Final = Part(
    "broadcast",
    (
        Field(
            "u16", "mode", "0 add, 1 subtract, 2 subtract from input 2, 3 multiply, 4 max, 5 min"
        ),
        Field("u16", "constant", "1: input 2 is a constant"),
        Field("u32", "input_2", "arena offset, or constant"),
        *numbers("u32", "size_0", "size_1", "size_2", "size_3"),
        *numbers("u32", "stride_1_0", "stride_1_1", "stride_1_2", "stride_1_3"),
        *numbers("u32", "stride_2_0", "stride_2_1", "stride_2_2", "stride_2_3"),
    ),
)
REDUCE: Final = Part(
    "reduce",
    numbers("u32", "kept_0", "kept_1", "kept_stride_0", "kept_stride_1")
    + numbers("u32", "summed_0", "summed_1", "summed_stride_0", "summed_stride_1"),
)


def record(kind: int, name: str, *parts: Part, fields: tuple[Field, ...] = ()) -> Record:
    """Return a record that begins with the common head."""
    return Record(kind, name, (HEAD, *parts), fields)


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
