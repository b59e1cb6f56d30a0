"""What of an ELF goes into a board's memory."""

from __future__ import annotations

import hashlib
import io

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from hilbench.errors import FlashError
from hilbench.records import Image


def image_bytes(board_id: str, firmware: str, image: Image) -> bytes:
    """Return the image file, which must still be the one that was found.

    Raises:
        FlashError: for another port, gone, or changed since it was found.
    """
    if image.port != firmware:
        raise FlashError(
            f"board {board_id} takes firmware {firmware!r}, the image {image.path} is for "
            f"{image.port!r}; check the firmware key in boards.toml"
        )
    try:
        data = image.path.read_bytes()
    except OSError as error:
        raise FlashError(
            f"board {board_id}: cannot read the image {image.path} ({error.strerror}); "
            "build it with: make firmware"
        ) from error
    if (sha256 := hashlib.sha256(data).hexdigest()) != image.sha256:
        raise FlashError(
            f"board {board_id}: the image {image.path} has changed since the run began "
            f"(SHA-256 {sha256[:12]}, was {image.sha256[:12]}); run again without rebuilding meanwhile"
        )
    return data


def segments(board_id: str, image: Image, data: bytes) -> list[tuple[int, bytes]]:
    """Return ``(load address, bytes)`` of everything that has bytes in the file.

    Raises:
        FlashError: not an ELF, or nothing to load.
    """
    try:
        found = [
            (int(segment["p_paddr"]), bytes(segment.data()))
            for segment in ELFFile(io.BytesIO(data)).iter_segments("PT_LOAD")
            if segment["p_filesz"]
        ]
    except ELFError as error:
        raise FlashError(
            f"board {board_id}: {image.path} is not an ELF file ({error}); "
            "build it again with: make firmware"
        ) from error
    if not found:
        raise FlashError(
            f"board {board_id}: {image.path} has nothing to load; build it again with: make firmware"
        )
    return found
