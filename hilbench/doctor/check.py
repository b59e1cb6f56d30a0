"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    ``warn``: measuring works, but something may spoil it. ``failed``: measuring will not work.
    ``skipped``: nothing can be said; the fact says why.
    """

    name: str
    state: State
    fact: str
    next_step: str = ""  # empty when there is nothing to do
    board: str = ""  # empty: about the computer
