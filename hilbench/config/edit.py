"""Add a table to a boards file and leave every byte that stands in it as it is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

from hilbench.config.boards import parse_boards
from hilbench.config.tables import check_name
from hilbench.errors import ConfigError, UsageError
from hilbench.records import BoardConfig


def append_board(path: Path, board_id: str, table: str) -> None:
    r"""Append a table to a boards file that goes on loading, or do not touch it.

    The whole new text is loaded before a byte of it is written; a write that fails half way is
    taken back. Two processes that append take turns.

    Args:
        path: the boards file.
        board_id: the board's name.
        table: its TOML, lines ending in ``\n``.

    Raises:
        UsageError: there is such a board, here or in the overrides beside the file; the file
            cannot be written.
        ConfigError: the file does not load, or would not with the table.
    """
    try:
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            old = file.read()
            new = _appended(old, path, board_id, table)
            _write(file.fileno(), len(old), new)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written ({error.strerror}); it is as it was"
        ) from error


def check_new(boards: Mapping[str, BoardConfig], board_id: str) -> None:
    """Raise UsageError when there is such a board, or may not be one of that name."""
    check_name(board_id, "the new board's")
    if board_id in boards:
        raise UsageError(
            f"board {board_id!r} is in {boards[board_id].source} already; edit its table, or choose "
            f"another name"
        )


def _appended(old: bytes, path: Path, board_id: str, table: str) -> bytes:
    """Return the bytes to append."""
    before = parse_boards(old, path)
    check_new(before, board_id)
    newline = "\r\n" if b"\r\n" in old else "\n"
    text = table.replace("\n", newline)
    new = (b"" if old.endswith(b"\n") else newline.encode()) + newline.encode() + text.encode()
    try:
        after = parse_boards(old + new, path)
    except ConfigError as error:
        raise ConfigError(
            f"with [board.{board_id}] the file would not load, it is as it was: {error}"
        ) from error
    if {k: v for k, v in after.items() if k != board_id} != before:
        raise ConfigError(f"{path}: [board.{board_id}] would change another board; add it by hand")
    return new


def _write(descriptor: int, size: int, data: bytes) -> None:
    try:
        os.lseek(descriptor, size, os.SEEK_SET)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
