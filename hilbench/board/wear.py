"""How often a real board was flashed from here: flash wears out, usually after 10,000 cycles.

One small file per physical board in ``$XDG_STATE_HOME/hilbench/wear`` (``~/.local/state`` without
it), named by the identity that its lock has. Only this user's flashes on this computer are counted.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from hilbench.board.locks import identity_digest
from hilbench.errors import BoardError
from hilbench.records import BoardConfig

ENDURANCE_CYCLES = 10_000  # minimum in the data sheets of ATmega328P, STM32F4/L4, nRF51/52


@dataclass(frozen=True)
class Wear:
    """Times since a date that a tool wrote to the flash, all of it or not."""

    board: str
    flashes: int
    since: str  # ISO date


def wear_path(board: BoardConfig) -> Path:
    """Return the file that counts a board's flashes."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "hilbench" / "wear" / f"{identity_digest(board)}.json"


def read_wear(board: BoardConfig, path: Path | None = None) -> Wear | None:
    """Return the count; None when nothing was counted yet.

    Args:
        board: the board's table.
        path: of :func:`wear_path`, default: what it is now.

    Raises:
        BoardError: the file is there, but cannot be read or does not hold a count.
    """
    path = path or wear_path(board)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Wear(str(record["board"]), int(record["flashes"]), str(record["since"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BoardError(
            f"board {board.id}: its flash count {path} cannot be read ({error.strerror}); "
            "make the file readable or set XDG_STATE_HOME"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BoardError(
            f"board {board.id}: {path} does not hold a flash count ({error}); "
            "remove it to count from 0 again"
        ) from error


def count_flash(board: BoardConfig, path: Path | None = None) -> None:
    """Add one; to be called with the board's lock held.

    Args:
        board: the board's table.
        path: of :func:`wear_path` before the flash: after it the board may be off the bus a while.

    Raises:
        BoardError: the file is unreadable or cannot be written.
    """
    path = path or wear_path(board)
    before = read_wear(board, path)
    since = before.since if before else date.today().isoformat()  # noqa: DTZ011 - the user's day
    now = Wear(board.id, (before.flashes if before else 0) + 1, since)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(now)) + "\n", encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise BoardError(
            f"board {board.id}: its flash count {path} cannot be written ({error.strerror}), so "
            f"this time is not counted; make the folder writable or set XDG_STATE_HOME"
        ) from error
