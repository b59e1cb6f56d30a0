"""SHA256SUMS of a sealed run folder, in the format of ``sha256sum -c``; reading what they vouch for."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hilbench.errors import StoreError
from hilbench.runs.journal import (
    JOURNAL,
    SUMS,
    JournalContents,
    read_journal,
    write_atomically,
)


def write_sums(folder: Path) -> None:
    """Hash every file below the folder.

    Raises:
        StoreError: not written.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SUMS)
    lines = [f"{_sha256(p)}  {p.relative_to(folder).as_posix()}\n" for p in files]
    write_atomically(folder / SUMS, "".join(lines).encode())


def check_sums(folder: Path, name: str = JOURNAL) -> None:
    """Compare one file with the sums; a folder that is not sealed passes.

    Raises:
        StoreError: the file was changed after the run was sealed.
    """
    sums = folder / SUMS
    if not sums.exists():
        return
    lines = (line.partition("  ") for line in sums.read_text(encoding="utf-8").splitlines())
    kept = {file: digest for digest, _, file in lines}
    if name in kept and (folder / name).exists() and kept[name] != _sha256(folder / name):
        raise StoreError(
            f"{folder / name}: was changed after the run was sealed; restore it, or remove "
            f"{sums} to read it all the same"
        )


def read_run(run: str | Path | JournalContents) -> JournalContents:
    """Read a run's journal; what was read before is returned as it is.

    Raises:
        StoreError: no journal there, or it is damaged or changed after sealing.
    """
    if isinstance(run, JournalContents):
        return run
    check_sums(Path(run))
    return read_journal(Path(run))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
