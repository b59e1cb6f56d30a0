"""What an image will answer, read from its ELF: nothing need be flashed to plan for a board."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from hilbench.errors import ImageError, UsageError
from hilbench.records import Image

_RUNTIME, _KERNELS = "hb_runtime_text", "hb_kernels_name"
_POOL = ("hb_pool_start", "hb_pool_end")


@dataclass(frozen=True)
class ImageFacts:
    """Texts as HELLO will state them; ``pool_bytes`` is None where the linker does not place it."""

    runtime: str
    kernels: str
    pool_bytes: int | None

    def planned_kernels(self, board: str) -> str:
        """Return the kernels to plan for.

        Raises:
            UsageError: the board executes .tflite files, not plans.
        """
        from hilbench.models.payload import takes_tflite  # noqa: PLC0415 - brings the reader

        if takes_tflite(self.runtime):
            raise UsageError(
                f"board {board}: its runtime {self.runtime!r} executes .tflite files and plans "
                "their memory itself; choose a board with the built-in runtime"
            )
        return self.kernels


def image_facts(image: Image) -> ImageFacts:
    """Read an image's runtime and kernels, and the size of its pool.

    Raises:
        ImageError: not a sound ELF file, or one of another firmware.
    """
    try:
        elf = ELFFile(io.BytesIO(image.path.read_bytes()))
        table: Any = elf.get_section_by_name(".symtab")
        symbols = {
            s.name: int(s["st_value"])
            for s in (table.iter_symbols() if table else ())
            if s.name in {_RUNTIME, _KERNELS, *_POOL}
        }
        runtime, kernels = (
            _text_at(elf, symbols[name]) if name in symbols else None
            for name in (_RUNTIME, _KERNELS)
        )
    except (OSError, ELFError, UnicodeDecodeError) as error:
        raise ImageError(
            f"{image.path} is not a sound ELF file ({error}); build it again with: make firmware"
        ) from error
    if not runtime or not kernels:
        raise ImageError(
            f"{image.path} does not say which runtime and kernels it has (no symbols {_RUNTIME} "
            f"and {_KERNELS}); build it with: make firmware"
        )
    ends = [symbols.get(name) for name in _POOL]
    pool = None if None in ends else int(ends[1] or 0) - int(ends[0] or 0)
    return ImageFacts(runtime, kernels, pool)


def _text_at(elf: ELFFile, address: int) -> str | None:
    """Return the C string at an address of an image."""
    for section in elf.iter_sections():
        start = int(section["sh_addr"])
        if section["sh_type"] == "SHT_PROGBITS" and start <= address < start + section["sh_size"]:
            return bytes(section.data()[address - start :]).partition(b"\0")[0].decode("ascii")
    return None
