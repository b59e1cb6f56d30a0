"""The evidence of a session: what the meter sent, kept beside the journal that quotes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hilbench.errors import StoreError
from hilbench.power import Recording, Window
from hilbench.recordings.evidence import MARGIN_S, Evidence, load_evidence, write_evidence

__all__ = ["MARGIN_S", "Evidence", "load_evidence", "save_evidence", "write_evidence"]


def save_evidence(
    folder: Path,
    name: str,
    recording: Recording,
    windows: Sequence[Window],
    margin_s: float | None = MARGIN_S,
) -> dict[str, str]:
    """Keep a session's evidence in energy/<name>.npz below a run's folder.

    Args:
        folder: of the run.
        name: e.g. ``m4/int8-1``: board, variant and session, as of its arrays in outputs/.
        recording: what was captured.
        windows: all of the session, idle ones, too.
        margin_s: what to keep around them; None keeps the whole capture.

    Returns:
        File name below ``folder`` and its SHA-256, for ``SessionRecord.files``.

    Raises:
        StoreError: not written, there already, or it does not decode to what was measured.
    """
    file = f"energy/{name}.npz"
    if (folder / file).exists():
        raise StoreError(f"{folder / file}: exists; a session is measured once")
    return {file: write_evidence(folder / file, recording, windows, margin_s)}
