"""The real firmware's posix port behind a PTY, for tests and benchmarks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hilbench import plugins
from hilbench.errors import ImageError
from hilbench.interfaces import EmulatedBoard, Link
from hilbench.records import BoardConfig, Image

ROOT = Path(__file__).parents[2]
ELF = ROOT / "device_firmware" / "build" / "posix" / "hilbench.elf"
START_TIMEOUT_S = 10.0


def posix_image() -> Image:
    """Return the built image.

    Raises:
        ImageError: not built.
    """
    if not ELF.exists():
        raise ImageError(f"{ELF} is not built; run: make -C device_firmware PORT=posix")
    about = json.loads(ELF.with_name("image.json").read_text())
    digest = hashlib.sha256(ELF.read_bytes()).hexdigest()
    return Image("posix", ELF, about["build_id"], digest, about["compiler"], about["flags"], ())


@contextmanager
def native_board() -> Iterator[EmulatedBoard]:
    """Run the image; the process ends with the block.

    Raises:
        ImageError: not built.
    """
    config = BoardConfig("native", "posix", emulator="native")
    board = plugins.load("emulators", "native").start(config, START_TIMEOUT_S)
    try:
        board.flash(posix_image())
        yield board
    finally:
        board.stop()


def open_native_link(board: EmulatedBoard, baud: int) -> Link:
    """Open the board's PTY."""
    link: Link = plugins.load("links", "serial").open_link(board.link_address, baud)
    return link
