"""Wire structures described once: a dataclass per structure, encoded little endian without padding.

Field types: u8 u16 u32 u64; ``blob<N>`` = exactly N bytes; ``text`` = u8 length + UTF-8;
``tail`` = all remaining bytes (last field only). The C header is generated from the same classes.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import Annotated, Any, ClassVar, Self, get_type_hints

from hilbench.errors import ProtocolError

U8 = Annotated[int, "u8"]
U16 = Annotated[int, "u16"]
U32 = Annotated[int, "u32"]
U64 = Annotated[int, "u64"]
Blob20 = Annotated[bytes, "blob20"]
Blob32 = Annotated[bytes, "blob32"]
Text = Annotated[str, "text"]
Tail = Annotated[bytes, "tail"]

_known: dict[type, dict[str, str]] = {}
INTEGERS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q"}


def wire_types(cls: type) -> dict[str, str]:
    """Return ``{field name: wire type}`` in wire order."""
    if cls not in _known:
        hints = get_type_hints(cls, include_extras=True)  # slow, and every packet asks
        _known[cls] = {f.name: hints[f.name].__metadata__[0] for f in dataclasses.fields(cls)}
    return _known[cls]


class Message:
    """Base of every message; subclasses are frozen dataclasses with annotated fields."""

    TYPE: ClassVar[int]

    def encode(self) -> bytes:
        """Return the payload bytes.

        Raises:
            ProtocolError: a value does not fit its field.
        """
        out = bytearray()
        for name, kind in wire_types(type(self)).items():
            try:
                out += _encode(kind, getattr(self, name))
            except (struct.error, ValueError) as error:
                raise ProtocolError(
                    f"{type(self).__name__}.{name} = {getattr(self, name)!r} "
                    f"does not fit a {kind} field"
                ) from error
        return bytes(out)

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the message in a payload.

        Raises:
            ProtocolError: too short, too long, or text that is not UTF-8.
        """
        values: dict[str, Any] = {}
        at = 0
        for name, kind in wire_types(cls).items():
            try:
                values[name], at = _decode(kind, payload, at)
            except (struct.error, IndexError, UnicodeDecodeError) as error:
                raise ProtocolError(
                    f"{cls.__name__} payload of {len(payload)} bytes breaks off or is not "
                    f"valid in field {name} ({kind}) at byte {at}"
                ) from error
        if at != len(payload):
            raise ProtocolError(f"{cls.__name__} payload has {len(payload)} bytes, expected {at}")
        return cls(**values)


def _encode(kind: str, value: Any) -> bytes:
    if kind in INTEGERS:
        return struct.pack("<" + INTEGERS[kind], value)
    if kind == "text":
        raw: bytes = value.encode()
        return struct.pack("<B", len(raw)) + raw
    if kind.startswith("blob") and len(value) != int(kind[4:]):
        raise ValueError(len(value))
    return bytes(value)


def _decode(kind: str, payload: bytes, at: int) -> tuple[Any, int]:
    if kind in INTEGERS:
        code = "<" + INTEGERS[kind]
        return struct.unpack_from(code, payload, at)[0], at + struct.calcsize(code)
    if kind == "tail":
        return payload[at:], len(payload)
    if kind == "text":
        size, at = payload[at], at + 1
    else:
        size = int(kind[4:])
    if at + size > len(payload):
        raise IndexError
    raw = payload[at : at + size]
    return (raw.decode() if kind == "text" else raw), at + size
