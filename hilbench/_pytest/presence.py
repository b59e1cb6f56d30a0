"""Is a board here at all? Asked before a test, without touching the board."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from hilbench import plugins
from hilbench.board.images import find_image
from hilbench.board.quarantine import check_quarantine
from hilbench.errors import BoardError, BoardQuarantinedError, ImageError
from hilbench.records import BoardConfig


def absence(board: BoardConfig) -> str:
    """Return why a board cannot be used now: quarantined, not plugged in, no emulator, no image.

    "" when it is here; whether it answers is found out by measuring.
    """
    try:
        check_quarantine(board, date.today())  # noqa: DTZ011 - the day on the bench's calendar
        find_image(board.firmware)
    except BoardQuarantinedError as error:
        return str(error)
    except ImageError as error:
        return f"board {board.id}: {error}"
    if board.emulator is not None:
        missing: str = plugins.load("emulators", board.emulator).missing_tool()
        return f"board {board.id}: {missing}" if missing else ""
    return _unplugged(board)


def _unplugged(board: BoardConfig) -> str:
    if board.serial is None:
        return ""  # its table is refused when it is used
    try:
        address = str(plugins.load("links", "serial").resolve(board.serial, board.id))
    except BoardError as error:
        return str(error)
    if "://" not in address and not Path(address).exists():
        return f"board {board.id}: no port {address}; plug it in, or correct its table"
    return ""
