"""The real firmware's posix port behind a PTY, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hilbench import plugins
from hilbench.board.images import find_image
from hilbench.interfaces import EmulatedBoard, Link
from hilbench.records import BoardConfig

START_TIMEOUT_S = 10.0


@contextmanager
def native_board() -> Iterator[EmulatedBoard]:
    """Run the image; the process ends with the block.

    Raises:
        ImageError: not built, or older than its sources.
    """
    config = BoardConfig("native", "posix", emulator="native")
    board: EmulatedBoard = plugins.load("emulators", "native").start(config, START_TIMEOUT_S)
    try:
        board.flash(find_image("posix"))
        yield board
    finally:
        board.stop()


def open_native_link(board: EmulatedBoard, baud: int) -> Link:
    """Open the board's PTY."""
    link: Link = plugins.load("links", "serial").open_link(board.link_address, baud)
    return link
