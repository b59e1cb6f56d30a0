"""Flash and RAM of an image, from its ELF. Pure: takes the file's bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS

from hilbench.errors import ImageError


@dataclass(frozen=True)
class ImageMemory:
    """What an image occupies, in bytes. Classified by ELF section flags, not by section names."""

    text_bytes: int  # flash: code
    rodata_bytes: int  # flash: constants, vectors, unwind tables
    data_bytes: int  # flash and RAM: initialised variables
    bss_bytes: int  # RAM: zeroed or uninitialised, the stack too; ports keep the model pool outside sections
    sections: tuple[tuple[str, int], ...]  # every allocated section by name

    @property
    def flash_bytes(self) -> int:
        """All that the image needs in flash."""
        return self.text_bytes + self.rodata_bytes + self.data_bytes

    @property
    def ram_bytes(self) -> int:
        """All RAM that the image's sections take; the model pool comes beside it."""
        return self.data_bytes + self.bss_bytes


def image_memory(elf: bytes, name: str) -> ImageMemory:
    """Measure an image.

    Args:
        elf: the file's bytes.
        name: its path, for the error sentence.

    Raises:
        ImageError: not an ELF file.
    """
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - slow; a gate needs the record alone

    sizes = {"text": 0, "rodata": 0, "data": 0, "bss": 0}
    sections: list[tuple[str, int]] = []
    try:
        for section in ELFFile(io.BytesIO(elf)).iter_sections():
            flags, size = section["sh_flags"], int(section["sh_size"])
            if not flags & SH_FLAGS.SHF_ALLOC or size == 0:
                continue
            sections.append((section.name, size))
            sizes[_kind(flags, section["sh_type"])] += size
    except ELFError as error:
        raise ImageError(f"{name} is not an ELF image: {error}; build it again") from error
    return ImageMemory(sizes["text"], sizes["rodata"], sizes["data"], sizes["bss"], tuple(sections))


def _kind(flags: int, section_type: str) -> str:
    if section_type == "SHT_NOBITS":
        return "bss"
    if flags & SH_FLAGS.SHF_EXECINSTR:
        return "text"
    return "data" if flags & SH_FLAGS.SHF_WRITE else "rodata"
