"""Child processes that never outlive this one."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from hilbench.errors import BoardError, ToolMissingError

_LAST_WORDS_BYTES = 2048
# The kernel sends the signal when the parent dies after setpriv; the shell looks whether it died
# before. Both then exec, so the process id stays that of the emulator.
_LEASH = ("setpriv", "--pdeathsig", "KILL", "sh", "-c", 'test "$PPID" = "$1" && shift && exec "$@"')

_Job = tuple[Callable[[], subprocess.Popen[bytes]], "Future[subprocess.Popen[bytes]]"]


class _Spawner:
    """Starts children from one thread that lives as long as the process.

    The parent-death signal fires when the *thread* that started the child ends (prctl(2)), so a
    child started by a short-lived worker thread would be killed with its board still in use.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="hilbench-spawner", daemon=True).start()

    def _serve(self) -> None:
        while True:
            job, future = self._jobs.get()
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 - handed to the thread that asked
                future.set_exception(error)

    def call(self, job: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        future: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((job, future))
        return future.result()


_lock = threading.Lock()
_spawner: _Spawner | None = None


def _forget_spawner() -> None:
    global _lock, _spawner  # noqa: PLW0603 - threads do not survive fork()
    _lock = threading.Lock()
    _spawner = None


os.register_at_fork(after_in_child=_forget_spawner)


def _the_spawner() -> _Spawner:
    global _spawner  # noqa: PLW0603 - one for the process
    with _lock:
        if _spawner is None:
            _spawner = _Spawner()
        return _spawner


class EmulatorProcess:
    """A running emulator: alive or dead with a reason."""

    def __init__(self, board_id: str, argv: Sequence[str], pass_fds: Sequence[int]) -> None:
        self._board_id = board_id
        self._name = os.path.basename(argv[0])  # noqa: PTH119 - a word for sentences
        self._output = tempfile.TemporaryFile(prefix="hilbench-")  # noqa: SIM115 - closed by stop()
        command = [*_LEASH, "sh", str(os.getpid()), *argv]
        self._process = _the_spawner().call(
            lambda: subprocess.Popen(
                command,
                env=os.environ | {"HILBENCH_BOARD": board_id},  # whose is this? (ps e)
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                start_new_session=True,  # Ctrl-C is for the host, which then stops the board
            )
        )
        self.pid = self._process.pid

    def last_words(self) -> str:
        """Return the line that says why, else the last line that the emulator printed, else ''."""
        if self._output.closed:
            return ""
        end = os.fstat(self._output.fileno()).st_size
        start = max(0, end - _LAST_WORDS_BYTES)
        text = os.pread(self._output.fileno(), end - start, start).decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        # QEMU prints more after its reason: all registers, or how to list machines.
        return next(filter(self._is_reason, lines), lines[-1] if lines else "")

    def _is_reason(self, line: str) -> bool:
        by_name = line.startswith(f"{self._name}:") and "warning:" not in line
        return by_name or "fatal:" in line

    def ended(self, grace_s: float = 0.0) -> str | None:
        """Return how the emulator has ended, None if it runs; ``grace_s``: for a death in progress."""
        try:
            status = self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            return None
        if status >= 0:
            return f"exit status {status}"
        return f"killed by {signal.Signals(-status).name}"

    def check_alive(self, grace_s: float = 0.0) -> None:
        """Raise BoardError when the emulator has ended, waiting ``grace_s`` for a death in progress."""
        how = self.ended(grace_s)
        if how is None:
            return
        words = self.last_words()
        said = f"its last words: {words!r}" if words else "without a word"
        raise BoardError(
            f"board {self._board_id}: the emulator {self._name} has died ({how}), {said}; "
            "run again, and if it dies again the firmware image is the suspect (make firmware)"
        )

    def stop(self) -> None:
        """Kill and reap; may be called twice."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._output.close()


def find_tool(program: str, package: str, why: str) -> str:
    """Return the path of a program.

    Raises:
        ToolMissingError: not on PATH; says the line that installs it.
    """
    for name, source in ((program, package), ("setpriv", "util-linux")):
        if shutil.which(name) is None:
            raise ToolMissingError(
                f"{name} is not installed and {why} need it; install it with: apt-get install {source}"
            )
    return str(shutil.which(program))


def missing(program: str, package: str, why: str) -> str:
    """Return what find_tool would raise, or "" when the program is there."""
    try:
        find_tool(program, package, why)
    except ToolMissingError as error:
        return str(error)
    return ""
