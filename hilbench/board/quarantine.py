"""A board that is known to be bad is not touched, and the reason is not forgotten."""

from __future__ import annotations

from datetime import date

from hilbench.errors import BoardQuarantinedError
from hilbench.records import BoardConfig


def check_quarantine(board: BoardConfig, today: date) -> None:
    """Refuse a board in quarantine, before anything of it is touched.

    Raises:
        BoardQuarantinedError: names the reason and the first day that the board is used again.
    """
    if (quarantine := board.quarantine) is None or has_expired(board, today):
        return
    until = f"until {quarantine.until}" if quarantine.until else "until its table is removed"
    raise BoardQuarantinedError(
        f"board {board.id}: in quarantine {until}: {quarantine.reason}; repair it and remove "
        f"[board.{board.id}.quarantine] from {board.source or 'the boards file'}"
    )


def has_expired(board: BoardConfig, today: date) -> bool:
    """Say whether a quarantine is over; its ``until`` is the first day of use."""
    quarantine = board.quarantine
    return quarantine is not None and quarantine.until is not None and today >= quarantine.until


def quarantine_note(board: BoardConfig, today: date) -> str | None:
    """Return what a list of boards says of a board's quarantine; None without one."""
    if (quarantine := board.quarantine) is None:
        return None
    if has_expired(board, today):
        return (
            f"quarantine ended on {quarantine.until} ({quarantine.reason}): the board is used again; "
            f"remove [board.{board.id}.quarantine]"
        )
    until = f"until {quarantine.until}" if quarantine.until else "until its table is removed"
    return f"in quarantine {until}: {quarantine.reason}"
