"""What a run leaves behind: the journal while it measures, the sealed frame afterwards."""

from __future__ import annotations

from hilbench.runs.frame import comparisons_frame, load, operators_frame, sessions_frame
from hilbench.runs.journal import Journal, read_journal
from hilbench.runs.store import seal

__all__ = [
    "Journal",
    "comparisons_frame",
    "load",
    "operators_frame",
    "read_journal",
    "seal",
    "sessions_frame",
]
