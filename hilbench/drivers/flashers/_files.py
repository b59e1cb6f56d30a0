"""An image in the file formats that flashing tools take: Intel HEX, flat binary, UF2.

Only what the ELF defines is written; erased flash between segments is nobody's business.

Ref: Intel, "Hexadecimal Object File Format Specification", rev. A, 1988.
     Microsoft, "USB Flashing Format (UF2)", https://github.com/microsoft/uf2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

# The one reader of images; it checks port, hash and format.
from hilbench.drivers.emulators._segments import image_bytes, segments
from hilbench.errors import FlashError
from hilbench.records import BoardConfig, Image

Segments = list[tuple[int, bytes]]

_HEX_ROW_BYTES = 16
_HEX_DATA, _HEX_END, _HEX_UPPER_ADDRESS = 0x00, 0x01, 0x04
_BINARY_LIMIT_BYTES = 64 << 20
_ERASED = 0xFF
_UF2_PAGE_BYTES = 256  # what every UF2 bootloader takes; RP2040 takes nothing else
_UF2_MAGIC = (0x0A324655, 0x9E5D5157)
_UF2_MAGIC_END = 0x0AB16F30
_UF2_FAMILY_ID_PRESENT = 0x2000


def load_segments(board: BoardConfig, image: Image) -> Segments:
    """Return ``(load address, bytes)`` of what the image defines, in ascending order.

    Raises:
        FlashError: for another port, gone, changed since it was found, not an ELF, or empty.
    """
    return sorted(segments(board.id, image, image_bytes(board.id, board.firmware, image)))


def intel_hex(parts: Segments) -> str:
    """Return Intel HEX text with 32-bit addresses."""
    lines, upper = [], 0
    for address, data in parts:
        for at, row in _rows(address, data):
            if at >> 16 != upper:
                upper = at >> 16
                lines.append(_record(0, _HEX_UPPER_ADDRESS, upper.to_bytes(2, "big")))
            lines.append(_record(at & 0xFFFF, _HEX_DATA, row))
    return "".join([*lines, _record(0, _HEX_END, b"")])


def _rows(address: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut at multiples of the row length, so that no row crosses a 64 KiB border."""
    end = address + len(data)
    at = address
    while at < end:
        stop = min(end, (at // _HEX_ROW_BYTES + 1) * _HEX_ROW_BYTES)
        yield at, data[at - address : stop - address]
        at = stop


def _record(address: int, kind: int, data: bytes) -> str:
    body = bytes([len(data)]) + address.to_bytes(2, "big") + bytes([kind]) + data
    return f":{body.hex().upper()}{-sum(body) & 0xFF:02X}\n"


def flat_binary(board_id: str, parts: Segments) -> tuple[int, bytes]:
    """Return the lowest address and all bytes from there on, gaps as erased flash (0xff).

    Raises:
        FlashError: the segments lie too far apart for a file without addresses.
    """
    base = parts[0][0]
    size = max(address + len(data) for address, data in parts) - base
    if size > _BINARY_LIMIT_BYTES:
        raise FlashError(
            f"board {board_id}: the image spans {size} bytes from 0x{base:08x}, a flat binary may "
            f"have {_BINARY_LIMIT_BYTES} bytes; use {{hex}} or {{image}} in place of {{bin}}"
        )
    binary = bytearray([_ERASED]) * size
    for address, data in parts:
        binary[address - base : address - base + len(data)] = data
    return base, bytes(binary)


def uf2(parts: Segments, family_id: int) -> bytes:
    """Return UF2 blocks of whole pages; what the image leaves open in a page is 0xff."""
    pages: dict[int, bytearray] = {}
    for address, data in parts:
        for offset, byte in enumerate(data, address):
            page = pages.setdefault(
                offset & -_UF2_PAGE_BYTES, bytearray([_ERASED]) * _UF2_PAGE_BYTES
            )
            page[offset % _UF2_PAGE_BYTES] = byte
    blocks = []
    for number, address in enumerate(sorted(pages)):
        header = struct.pack(
            "<8I", *_UF2_MAGIC, _UF2_FAMILY_ID_PRESENT, address, _UF2_PAGE_BYTES, number,
            len(pages), family_id,
        )  # fmt: skip
        padding = bytes(512 - len(header) - _UF2_PAGE_BYTES - 4)
        blocks.append(header + pages[address] + padding + struct.pack("<I", _UF2_MAGIC_END))
    return b"".join(blocks)
