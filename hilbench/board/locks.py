"""One process a board: a kernel lock that dies with its holder, and a record of who that is.

A real board is identified by what it is on USB, however its table names it, as long as it is plugged
in; an emulated one by its table in its boards.toml. The exclusive lock on the serial port itself is
the second line, for boards that are not plugged in and named by a path, or not on USB.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from hilbench import plugins
from hilbench.errors import BoardBusyError, BoardError
from hilbench.records import BoardConfig

_POLL_S = 0.1


@dataclass(frozen=True)
class Holder:
    """Who signed a lock last."""

    board: str
    pid: int
    user: str
    since: str  # local time
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}) since {self.since}"


@dataclass(frozen=True)
class LockState:
    """A lock file of this computer."""

    path: Path
    held: bool
    holder: Holder | None  # None: unreadable, or never signed


def lock_folder() -> Path:
    """Return where all lock files of this computer are."""
    return Path(tempfile.gettempdir()) / "hilbench-locks"


def lock_path(board: BoardConfig) -> Path:
    """Return the lock file of a board; the same for every process of every user here."""
    name = board.id if board.serial is None else "serial"  # tables may call one board differently
    return lock_folder() / f"{name}-{identity_digest(board)}.lock"


def identity_digest(board: BoardConfig) -> str:
    """Return 12 hex digits that are the same for every table of one physical board."""
    return hashlib.sha256(_identity(board).encode()).hexdigest()[:12]


def _identity(board: BoardConfig) -> str:
    if board.serial is None:
        return f"{board.source}#{board.id}"
    return str(plugins.load("links", "serial").identity(board.serial))


def read_holder(path: Path) -> Holder | None:
    """Return who signed a lock file; None when it is unreadable or unsigned."""
    try:
        return Holder(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def holder(board: BoardConfig) -> str:
    """Say who holds the board, from the record in the lock file."""
    return _holder(lock_path(board))


def _holder(path: Path) -> str:
    found = read_holder(path)
    return "an unknown process" if found is None else str(found)


def all_locks() -> list[LockState]:
    """Return every lock file of this computer, by name."""
    paths = sorted(lock_folder().glob("*.lock"))
    return [LockState(path, _is_held(path), read_holder(path)) for path in paths]


@contextlib.contextmanager
def board_lock(
    board: BoardConfig, timeout_s: float, on_wait: Callable[[str], None]
) -> Iterator[None]:
    """Hold the board; waits at most ``timeout_s`` and says once for whom.

    Raises:
        BoardBusyError: still held by another process at the deadline, or another user's lock file
            may not be opened.
        BoardError: the lock file cannot be made.
    """
    path = lock_path(board)  # once: what is plugged in may change meanwhile
    descriptor = _open(board, path)
    try:
        deadline = time.monotonic() + timeout_s
        told = False
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise BoardBusyError(
                    f"board {board.id}: held by {_holder(path)}; waited {timeout_s:g} s; "
                    "end that process or try again later"
                )
            if not told:
                on_wait(_holder(path))
                told = True
            time.sleep(_POLL_S)
        _sign(descriptor, board.id)
        yield
    finally:
        os.close(descriptor)


def _open(board: BoardConfig, path: Path) -> int:
    """Open or make the lock file.

    Without O_CREAT first: in a folder like /tmp the kernel refuses O_CREAT on another user's file
    whatever its mode is (sysctl fs.protected_regular).
    """
    try:
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):  # the first user opens the folder for all users
            path.parent.chmod(0o1777)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:  # somebody was faster
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        os.fchmod(descriptor, 0o666)  # whatever the umask is
    except PermissionError as error:
        raise BoardBusyError(
            f"board {board.id}: its lock file {path} belongs to another user and may not be opened; "
            f"let that user end, or run: sudo chmod 666 {path}"
        ) from error
    except OSError as error:
        raise BoardError(
            f"board {board.id}: its lock file {path} cannot be opened ({error.strerror}); "
            "make the folder writable or point TMPDIR elsewhere"
        ) from error
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, board_id: str) -> None:
    command = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    record = Holder(
        board=board_id,
        pid=os.getpid(),
        user=_user(),
        since=time.strftime("%Y-%m-%d %H:%M:%S"),
        command=command.strip()[:120],
    )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(record)).encode(), 0)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def is_held(board: BoardConfig) -> bool:
    """Return whether some process holds the board now; one that cannot be asked counts as held."""
    return _is_held(lock_path(board))


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # enough for flock
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)
