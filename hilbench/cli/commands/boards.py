"""``hilbench boards``: what boards.toml describes and whether it could run now."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from hilbench.cli.common import add_boards_argument, load_boards_file
from hilbench.errors import ImageError

if TYPE_CHECKING:
    from hilbench.records import BoardConfig

HELP = "list the boards of boards.toml with their state"
EXAMPLES = """\
  hilbench boards
  hilbench boards --boards lab/boards.toml"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the boards file."""
    add_boards_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print one line per board."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table("board", "firmware", "chip", "emulated by", "link", "image", "state")
    for board in load_boards_file(args).values():
        table.add_row(
            board.id,
            board.firmware,
            board.chip or "-",
            board.emulator or "no: hardware",
            str(board.serial or "PTY at start"),
            _image(board),
            _state(board),
        )
    Console().print(table)
    return 0


def _image(board: BoardConfig) -> str:
    from hilbench.board.images import find_image  # noqa: PLC0415

    try:
        return find_image(board.firmware).build_id[:12]
    except ImageError as error:
        return str(error)


def _state(board: BoardConfig) -> str:
    """Say what stands in the way, without opening anything."""
    from hilbench.board.locks import holder, is_held  # noqa: PLC0415

    if is_held(board):
        return f"busy: {holder(board)}"
    if board.emulator == "qemu" and shutil.which("qemu-system-arm") is None:
        return "needs: apt-get install qemu-system-arm"
    if isinstance(board.serial, str) and "://" not in board.serial:
        return "ready" if Path(board.serial).exists() else f"absent: no {board.serial}"
    return "ready"
