"""Measured once, whichever worker of pytest-xdist asks first: locks and notes in a shared folder.

Distribution modes of xdist only decide who waits for whom; nothing here relies on them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hilbench import errors
from hilbench.errors import HilbenchError
from hilbench.runs.journal import write_atomically


class Shared:
    """Notes of one test session.

    Args:
        folder: the same in every worker of the session, and in no other session.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def once(self, key: str, boards: Sequence[str], produce: Callable[[], Path]) -> Path:
        """Return the run that ``produce`` makes; only the first caller of a key makes it.

        Waits as long as another worker measures: its lock dies with it, and what it does on boards
        has deadlines.

        Args:
            key: what is measured, and how.
            boards: ids; no other worker has them meanwhile.
            produce: makes a run and returns its folder.

        Raises:
            HilbenchError: what ``produce`` raised, also when that was in another worker.
        """
        name = hashlib.sha256(key.encode()).hexdigest()[:16]
        note = self.folder / f"{name}.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        # Whoever holds boards waits for no key, so this order cannot deadlock.
        with contextlib.ExitStack() as stack:
            stack.enter_context(_lock(self.folder / f"{name}.lock"))
            if not note.exists():
                for board in sorted(set(boards)):
                    stack.enter_context(_lock(self.folder / f"board-{board}.lock"))
                _write(note, produce)
        told = json.loads(note.read_text())
        if "error" in told:
            raise revive(*told["error"])
        return Path(told["folder"])


def _write(note: Path, produce: Callable[[], Path]) -> None:
    try:
        told: dict[str, object] = {"folder": str(produce())}
    except HilbenchError as error:
        told = {"error": [type(error).__name__, str(error)]}
    write_atomically(note, json.dumps(told).encode())


def revive(name: str, sentence: str) -> HilbenchError:
    """Return the error that a note or a journal tells of, without attributes of its own."""
    found = getattr(errors, name, HilbenchError)
    if not (isinstance(found, type) and issubclass(found, HilbenchError)):
        found = HilbenchError
    error = found.__new__(found)  # some want more than a sentence
    error.args = (sentence,)
    return error


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
