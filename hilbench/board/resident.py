"""Plans that are part of the image, for boards without RAM for a model.

Such an image has a section ``.hb_resident`` that holds only a header (device_firmware/include/
hb_resident.h); here it gets length and SHA-256, and the plan behind it. The image's build id stays
as it is: which plan a board holds, HELLO says apart from it.
"""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from hilbench.errors import ImageError, ModelTooLargeError
from hilbench.records import Image, Payload

SECTION: Final = ".hb_resident"
MAGIC: Final = 0x53525148
HEADER: Final = struct.Struct("<4I32s")  # magic, capacity, length, reserved, sha256
_ALIGN: Final = 16
_CLASS: Final = 32
_ADDRESSES: Final = 1 << 32


@dataclass(frozen=True)
class _Place:
    """The section in the file: what to rewrite, and how much may follow the header."""

    section_entry: int  # file offset of its entry in the section header table
    segment_entry: int  # file offset of its entry in the program header table
    capacity: int  # bytes of a plan behind it


def needs_resident(image: Image) -> int | None:
    """Return how many bytes of a plan the image can hold; None where models are loaded into RAM.

    Raises:
        ImageError: unreadable, or its section contradicts itself.
    """
    place = _find(image, _read(image))
    return None if place is None else place.capacity


def is_resident(image: Image) -> bool:
    """Return whether the image holds its plan, or has a place for one."""
    return any(name == SECTION for name, _ in image.sections)


def patch_image(image: Image, plan: Payload, folder: Path) -> Image:
    """Write a copy of an image that holds a plan.

    Args:
        image: from ``hilbench.board.images.find_image``; it stays as it is.
        plan: what the board shall run.
        folder: where the copy goes; exists.

    Returns:
        The copy: another path, SHA-256 and size of ``.hb_resident``, the same build id.

    Raises:
        ModelTooLargeError: states bytes needed and available.
        ImageError: unreadable, without such a section, or with one that contradicts itself.
    """
    data = _read(image)
    place = _find(image, data)
    if place is None:
        raise ImageError(
            f"the {image.port} image {image.path} has no section {SECTION} for a plan; "
            "its models are loaded into RAM"
        )
    if len(plan.data) > place.capacity:
        raise ModelTooLargeError(
            f"port {image.port}: the plan needs {len(plan.data):,} bytes of the image, "
            f"{place.capacity:,} are available; choose a smaller variant or another board"
        )
    patched = _with_plan(data, place, plan)
    path = folder / f"{image.port}-{plan.sha256[:12]}.elf"
    path.write_bytes(patched)
    size = HEADER.size + len(plan.data)
    return replace(
        image,
        path=path,
        sha256=hashlib.sha256(patched).hexdigest(),
        sections=tuple((n, size if n == SECTION else b) for n, b in image.sections),
    )


def _with_plan(data: bytes, place: _Place, plan: Payload) -> bytes:
    """Move the section to the end of the file, where it may grow; its address does not change."""
    sha256 = hashlib.sha256(plan.data).digest()
    content = HEADER.pack(MAGIC, place.capacity, len(plan.data), 0, sha256) + plan.data
    patched = bytearray(data + bytes(-len(data) % _ALIGN))
    offset = len(patched)
    patched += content
    # Elf32_Shdr: sh_offset, sh_size at 16; Elf32_Phdr: p_offset at 4, p_filesz, p_memsz at 16.
    struct.pack_into("<2I", patched, place.section_entry + 16, offset, len(content))
    struct.pack_into("<I", patched, place.segment_entry + 4, offset)
    struct.pack_into("<2I", patched, place.segment_entry + 16, len(content), len(content))
    return bytes(patched)


def _read(image: Image) -> bytes:
    try:
        return image.path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"cannot read the {image.port} image {image.path} ({error.strerror}); "
            "build it with: make firmware"
        ) from error


def _find(image: Image, data: bytes) -> _Place | None:
    """Find the section and believe nothing that it or the ELF around it says."""
    try:
        elf = ELFFile(io.BytesIO(data))
        indices = [i for i, s in enumerate(elf.iter_sections()) if s.name == SECTION]
        if not indices:
            return None
        segments = [(i, s) for i, s in enumerate(elf.iter_segments()) if s["p_type"] == "PT_LOAD"]
        section = elf.get_section(indices[0])
        own = [(i, s) for i, s in segments if s["p_offset"] == section["sh_offset"]]
        own = [(i, s) for i, s in own if s["p_filesz"]]
        header = bytes(section.data())
    except (ELFError, struct.error, ValueError, KeyError, AttributeError) as error:
        raise ImageError(
            f"{image.path} is not a sound ELF file ({error}); build it again with: make firmware"
        ) from error
    if len(indices) > 1 or len(own) != 1 or elf.elfclass != _CLASS or not elf.little_endian:
        raise _damaged(image, "it is not one section in one segment of a 32-bit ELF")
    number, segment = own[0]
    size = int(section["sh_size"])
    if (size, len(header), int(segment["p_filesz"])) != (HEADER.size,) * 3:
        raise _damaged(image, f"it has {size} bytes, not the {HEADER.size} of an empty header")
    magic, capacity, length, _, _ = HEADER.unpack(header)
    if magic != MAGIC or length != 0:
        raise _damaged(
            image, f"magic is 0x{magic:08x} (0x{MAGIC:08x} expected) and length {length}"
        )
    address = int(segment["p_paddr"])
    _check_room(image, address, address + size + capacity, number, segments)
    return _Place(
        section_entry=elf["e_shoff"] + indices[0] * elf["e_shentsize"],
        segment_entry=elf["e_phoff"] + number * elf["e_phentsize"],
        capacity=capacity,
    )


def _check_room(
    image: Image, begin: int, end: int, number: int, segments: list[tuple[int, Any]]
) -> None:
    """The plan's bytes must belong to nothing else in the board's memory."""
    if end > _ADDRESSES:
        raise _damaged(image, f"its room 0x{begin:x} to 0x{end:x} is beyond 32-bit addresses")
    for other, segment in segments:
        first = int(segment["p_paddr"])
        last = first + int(segment["p_filesz"])
        if other != number and first < end and begin < last:
            raise _damaged(
                image,
                f"its room 0x{begin:x} to 0x{end:x} overlaps what is loaded at 0x{first:x}",
            )


def _damaged(image: Image, what: str) -> ImageError:
    return ImageError(
        f"{image.path}: section {SECTION} is unusable, {what}; build it again with: make firmware"
    )
