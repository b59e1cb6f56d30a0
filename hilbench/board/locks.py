"""One process a board: a kernel lock that dies with its holder, and a record of who that is.

A real board is identified by its serial address, an emulated one by its table in its boards.toml.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hilbench.errors import BoardBusyError
from hilbench.records import BoardConfig

_POLL_S = 0.1


def lock_path(board: BoardConfig) -> Path:
    """Return the lock file of a board; the same for every process of every user here."""
    identity = str(board.serial or f"{board.source}#{board.id}")
    digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / "hilbench-locks" / f"{board.id}-{digest}.lock"


def holder(board: BoardConfig) -> str:
    """Say who holds the board, from the record in the lock file."""
    try:
        record = json.loads(lock_path(board).read_text())
        return f"process {record['pid']} ({record['command']}) since {record['since']}"
    except (OSError, ValueError, KeyError):
        return "an unknown process"


@contextlib.contextmanager
def board_lock(
    board: BoardConfig, timeout_s: float, on_wait: Callable[[str], None]
) -> Iterator[None]:
    """Hold the board; waits at most ``timeout_s`` and says once for whom.

    Raises:
        BoardBusyError: still held by another process at the deadline.
    """
    path = lock_path(board)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    with contextlib.suppress(PermissionError):  # the first user opens them for all users
        path.parent.chmod(0o1777)
        path.chmod(0o666)
    try:
        deadline = time.monotonic() + timeout_s
        told = False
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise BoardBusyError(
                    f"board {board.id}: held by {holder(board)}; waited {timeout_s:g} s; "
                    "end that process or try again later"
                )
            if not told:
                on_wait(holder(board))
                told = True
            time.sleep(_POLL_S)
        _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int) -> None:
    command = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    record = {
        "pid": os.getpid(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": command.strip()[:120],
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(record).encode(), 0)


def is_held(board: BoardConfig) -> bool:
    """Return whether some process holds the board now."""
    path = lock_path(board)
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)
