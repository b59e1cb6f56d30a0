"""Run a switch's program within a hard limit; kill it and all that it has started after that."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence

from hilbench.errors import BoardError, ToolMissingError


def run(board_id: str, argv: Sequence[str], timeout_s: float, install: str) -> tuple[int, str]:
    """Return exit code (negative: the signal that ended it) and output, stderr included.

    Args:
        board_id: for the sentences.
        argv: program and arguments; no shell.
        timeout_s: wall-clock limit.
        install: how to get the program.

    Raises:
        ToolMissingError: no such program.
        BoardError: it did not end in time, or cannot be started.
    """
    if shutil.which(argv[0]) is None:
        raise ToolMissingError(
            f"board {board_id}: its power switch needs {argv[0]}, which is not installed; {install}"
        )
    try:
        process = subprocess.Popen(
            argv,
            env=os.environ | {"HILBENCH_BOARD": board_id, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise BoardError(
            f"board {board_id}: its power switch {argv[0]} cannot be started ({error.strerror}); "
            f"correct [board.{board_id}.power]"
        ) from error
    with process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except BaseException as error:  # Ctrl-C too: nothing goes on switching behind our back
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise BoardError(
                f"board {board_id}: its power switch `{' '.join(argv)}` did not end within "
                f"{timeout_s:g} s and was killed; run it by hand, or raise timeouts.start_s"
            ) from None
    return process.returncode, output.decode(errors="replace")


def last_line(output: str) -> str:
    """Return what a program said last, quoted for a sentence."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"said {lines[-1][:160]!r}" if lines else "said nothing"


def how_it_ended(code: int) -> str:
    """Return exit code or signal in words."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
