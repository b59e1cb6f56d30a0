"""The journal of a run: one JSON line a record, on the disk before anything else happens.

Killing the host at any moment loses at most the line being written: a line is written in one call
and synced; arrays are written beside the journal, synced and renamed before the line that names
them.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import io
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import StoreError
from hilbench.runs.schema import (
    EndRecord,
    ProvenanceRecord,
    Record,
    ResumedRecord,
    SessionRecord,
    State,
    from_dict,
    to_dict,
)
from hilbench.runs.upgrade import upgrade

JOURNAL = "journal.jsonl"
SUMS = "SHA256SUMS"  # seals a run: see sums.py


@dataclass(frozen=True)
class JournalContents:
    """What a journal holds."""

    folder: Path  # of the run
    provenance: ProvenanceRecord
    records: tuple[Record, ...]  # all of them, provenance first
    torn: str | None  # beginning of a last line that was cut off while it was written


class Journal:
    """The journal of a run that is going on. Safe to use from several threads."""

    def __init__(self, folder: Path, run_id: str) -> None:
        """Use :meth:`create`."""
        self.folder = folder
        self.run_id = run_id
        self._lock = threading.Lock()
        self._file = -1

    @classmethod
    def create(cls, root: Path, provenance: ProvenanceRecord) -> Journal:
        """Make the run's folder below ``root`` and write the provenance.

        A run of the same name started within the same second gets ``-2`` after its name.

        Raises:
            StoreError: the folder cannot be made or written.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder = _new_folder(root, provenance.run_id)
            journal = cls(folder, folder.name)
            journal._file = os.open(folder / JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            fcntl.flock(journal._file, fcntl.LOCK_EX)  # nobody resumes what still goes on
            _sync_folder(folder)
            _sync_folder(root)
        except OSError as error:
            raise StoreError(f"{root}: cannot make a run folder ({error.strerror})") from error
        journal.append(replace(provenance, run_id=folder.name))
        return journal

    @classmethod
    def resume(cls, checked: JournalContents, resumed: ResumedRecord) -> Journal:
        """Open the journal of a run that was interrupted or killed, and write that it goes on.

        A torn last line was never acknowledged: it is cut off and kept in the resumed record. A
        seal is broken before that, or a kill in between would leave a changed sealed journal.

        Args:
            checked: what the caller read and decided upon.
            resumed: who goes on.

        Raises:
            StoreError: damaged, changed since, another process writes it, or not written.
        """
        folder, path = checked.folder, checked.folder / JOURNAL
        journal = cls(folder, folder.name)
        try:
            journal._file = os.open(path, os.O_RDWR | os.O_APPEND)
            try:
                fcntl.flock(journal._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreError(
                    f"{path}: another process writes it; the run goes on, wait for its end"
                ) from error
            contents = _read_again(checked)
            (folder / SUMS).unlink(missing_ok=True)
            _sync_folder(folder)
            _end_last_line(journal._file, path.read_bytes(), contents.torn)
            journal.append(replace(resumed, torn=contents.torn or ""))
        except OSError as error:
            journal.close()
            raise StoreError(f"{path}: cannot be resumed ({error.strerror})") from error
        except StoreError:
            journal.close()
            raise
        return journal

    def append(self, record: Record) -> None:
        """Write one record; it is on the disk when this returns.

        Raises:
            StoreError: not written, the journal has ended, or the record holds NaN or infinity.
        """
        try:
            text = json.dumps(to_dict(record), allow_nan=False, ensure_ascii=False)
        except ValueError as error:
            raise StoreError(
                f"{record.KIND} record holds a number that is not finite; use None for unknown"
            ) from error
        line = text.encode() + b"\n"
        with self._lock:
            if self._file < 0:
                raise StoreError(f"{self.folder / JOURNAL}: has ended; {record.KIND} came too late")
            whole = os.fstat(self._file).st_size
            try:
                written = os.write(self._file, line)
                os.fsync(self._file)
            except OSError as error:
                self._cut_off(whole)
                raise StoreError(
                    f"{self.folder / JOURNAL}: cannot be written ({error.strerror})"
                ) from error
            if written != len(line):  # a full disk
                self._cut_off(whole)
                raise StoreError(
                    f"{self.folder / JOURNAL}: {written} of {len(line)} bytes written; free the disk"
                )

    def _cut_off(self, whole: int) -> None:
        """Take back part of a line: what is appended behind it would make it damage."""
        try:
            os.ftruncate(self._file, whole)
        except OSError:  # then nothing may be appended any more; a torn last line can be read
            os.close(self._file)
            self._file = -1

    def append_session(self, record: SessionRecord, **arrays: NDArray[np.generic]) -> SessionRecord:
        """Keep a session's arrays in outputs/<board>/<variant>-<session>.npz, then its record.

        Returns:
            The record with the file and its SHA-256.

        Raises:
            StoreError: not written, or the session is there already.
        """
        name = f"outputs/{record.board}/{record.variant}-{record.session}.npz"
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        data = buffer.getvalue()
        if (self.folder / name).exists():
            raise StoreError(f"{self.folder / name}: exists; a session is measured once")
        write_atomically(self.folder / name, data)
        named = replace(record, files={**record.files, name: hashlib.sha256(data).hexdigest()})
        self.append(named)
        return named

    def end(self, state: State) -> None:
        """Write the last record and close; a second call does nothing."""
        if self._file < 0:
            return
        self.append(EndRecord(state, utc_now().isoformat(timespec="seconds")))
        self.close()

    def close(self) -> None:
        """Close without an end record: the run reads as killed. May be called twice."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1


def read_journal(folder: Path) -> JournalContents:
    """Read a journal, also that of a run that goes on or was killed.

    Exactly one thing is tolerated: a last line without an end, which is reported as ``torn``.

    Raises:
        StoreError: absent, or any other damage; names the line.
    """
    path = folder / JOURNAL
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror}); is it a run folder?"
        ) from error
    lines = data.split(b"\n")
    torn: str | None = None
    last = lines.pop()
    if last:
        if _parse(last) is None:
            torn = last.decode(errors="replace")
        else:  # whole, only the newline is missing
            lines.append(last)
    parsed = [_whole(line, f"{path}: line {n}") for n, line in enumerate(lines, start=1)]
    records = tuple(
        from_dict(values, f"{path}: line {n}") for n, values in enumerate(upgrade(parsed), start=1)
    )
    if not records or not isinstance(records[0], ProvenanceRecord):
        raise StoreError(f"{path}: does not begin with a provenance record; nothing was measured")
    return JournalContents(folder, records[0], records, torn)


def goes_on(folder: Path) -> bool:
    """Say whether a process writes the journal: it holds its lock.

    Raises:
        StoreError: the journal cannot be opened.
    """
    try:
        with (folder / JOURNAL).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        raise StoreError(f"{folder / JOURNAL}: cannot be read ({error.strerror})") from error
    return False


def _whole(line: bytes, where: str) -> Mapping[str, Any]:
    values = _parse(line)
    if values is None:
        raise StoreError(f"{where}: damaged; restore the file, its other lines may be as wrong")
    return values


def _parse(line: bytes) -> Mapping[str, Any] | None:
    try:
        values = json.loads(line)
    except ValueError:  # covers JSONDecodeError and UnicodeDecodeError
        return None
    return values if isinstance(values, dict) else None


def _read_again(checked: JournalContents) -> JournalContents:
    contents = read_journal(checked.folder)
    if contents != checked:
        raise StoreError(f"{checked.folder / JOURNAL}: was written meanwhile; resume it again")
    return contents


def _end_last_line(file: int, data: bytes, torn: str | None) -> None:
    if torn is not None:
        os.ftruncate(file, data.rindex(b"\n") + 1)
    elif not data.endswith(b"\n"):  # a whole record, killed before its newline
        os.write(file, b"\n")
    os.fsync(file)


def utc_now() -> dt.datetime:
    """Return the time in UTC."""
    return dt.datetime.now(dt.UTC)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a power cut.

    Raises:
        StoreError: not written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _new_folder(root: Path, run_id: str) -> Path:
    attempt = 1
    while True:
        folder = root / (run_id if attempt == 1 else f"{run_id}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            attempt += 1
        else:
            return folder
