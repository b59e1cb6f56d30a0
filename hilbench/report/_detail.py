"""How much of a run is drawn, so that the largest fits into one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Detail:
    """What is drawn; tables of results are always whole."""

    waveforms: int
    operators: Literal["all", "first board", "none"]
    gate_rows: int
    sessions: int  # boards of a group whose sessions are drawn
    hover: bool  # marks say their numbers under the mouse
    changes: bool  # where the baseline was, in charts; the gate's table says it, too
