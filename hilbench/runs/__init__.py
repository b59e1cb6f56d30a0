"""What a run leaves behind: the journal while it measures, the sealed frame afterwards."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hilbench.runs.journal import Journal, read_journal
from hilbench.runs.sums import read_run

if TYPE_CHECKING:
    from hilbench.runs.frame import comparisons_frame, load, operators_frame, sessions_frame
    from hilbench.runs.store import seal

__all__ = [
    "Journal",
    "comparisons_frame",
    "load",
    "operators_frame",
    "read_journal",
    "read_run",
    "seal",
    "sessions_frame",
]

_WITH_PANDAS = {
    "comparisons_frame": "hilbench.runs.frame",
    "load": "hilbench.runs.frame",
    "operators_frame": "hilbench.runs.frame",
    "seal": "hilbench.runs.store",
    "sessions_frame": "hilbench.runs.frame",
}


def __getattr__(name: str) -> Any:
    """Import pandas only when a frame is asked for: it takes longer than gate and report."""
    if name not in _WITH_PANDAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WITH_PANDAS[name]), name)
