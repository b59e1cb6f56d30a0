"""Run a flashing tool within a hard limit, and judge it by what it says, not by its exit code.

Exit codes lie both ways: ``gdb`` ends with 0 after MIS-MATCHED, ``avrdude -V`` after a flipped bit.
So each driver has a table of signs (regular expression → typed outcome) and a proof, the words that
the tool says only after it has done its work.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from hilbench.errors import (
    FlashBusyError,
    FlashError,
    FlashNotFoundError,
    FlashTimeoutError,
    FlashVerifyError,
    FlashWriteError,
    FlashWrongChipError,
    ToolMissingError,
)

KILL_GRACE_S = 1.0  # between SIGTERM and SIGKILL
_HEAD_BYTES = 65536  # of the output; the tail is kept as well, what is between is dropped
_TAIL_BYTES = 65536
_LINE_CHARACTERS = 160
# Killed with this process, whatever happens to it: a stray avrdude would hold the port for minutes.
_LEASH = ("setpriv", "--pdeathsig", "KILL")
_PLAIN_OUTPUT = {"LC_ALL": "C", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUNBUFFERED": "1"}
_SOUNDS_LIKE_AN_ERROR = re.compile(
    r"error|fail|cannot|can't|could not|couldn't|unable|\bno\b|\bnot\b|mismatch|mis-match|"
    r"timed? ?out|busy|denied|invalid|wrong|unexpected|refused|lost",
    re.IGNORECASE,
)
# A PTY has no modem lines; that is nobody's fault and never the reason.
_NOISE = re.compile(r'ioctl\("TIOCM')
_FACTS: dict[type[FlashError], str] = {
    FlashNotFoundError: "found no board that answers",
    FlashBusyError: "found the port or probe in use",
    FlashWrongChipError: "found another chip than the table says",
    FlashWriteError: "did not write the whole image",
    FlashVerifyError: "read back something else than it wrote",
    FlashError: "failed in a way that is not known here",
}


@dataclass(frozen=True)
class Sign:
    """Words of a tool, what they mean, and what to do about it."""

    pattern: str  # searched in the whole output, line by line
    means: type[FlashError]
    hint: str
    always: bool = False  # counts even when the tool says afterwards that all is well


@dataclass(frozen=True)
class ToolResult:
    """How a tool ended by itself."""

    command: tuple[str, ...]
    exit_code: int  # negative: the signal that ended it
    duration_s: float
    output: str  # stdout and stderr; of a long one the beginning and the end


class _Output:
    """What a tool prints, bounded."""

    def __init__(self) -> None:
        self._head, self._tail = bytearray(), bytearray()

    def add(self, data: bytes) -> None:
        room = _HEAD_BYTES - len(self._head)
        self._head += data[:room]
        self._tail = (self._tail + data[room:])[-_TAIL_BYTES:]

    def text(self) -> str:
        return (self._head + self._tail).decode(errors="replace").replace("\r", "\n")


def need(program: str, install: str) -> str:
    """Return the path of a program.

    Raises:
        ToolMissingError: not on PATH; says the line that installs it.
    """
    for name, line in ((program, install), (_LEASH[0], "apt-get install util-linux")):
        if shutil.which(name) is None:
            raise ToolMissingError(f"{name} is not installed; install it with: {line}")
    return str(shutil.which(program))


def run_tool(
    board_id: str, tool: str, command: Sequence[str], timeout_s: float, install: str
) -> ToolResult:
    """Run a tool to its end, or kill it and all that it has started.

    Args:
        board_id: for the sentence.
        tool: for the sentence, e.g. ``avrdude``.
        command: argv; no shell.
        timeout_s: wall-clock limit; SIGTERM then, SIGKILL KILL_GRACE_S later, to the whole group.
        install: the line that installs the program.

    Raises:
        ToolMissingError: the program is absent.
        FlashTimeoutError: it did not end.
    """
    need(command[0], install)
    begin_s = time.monotonic()
    process = subprocess.Popen(
        [*_LEASH, *command],
        env=os.environ | _PLAIN_OUTPUT | {"HILBENCH_BOARD": board_id},  # whose is this? (ps e)
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    output = _Output()
    try:
        ended = _follow(process, output, timeout_s)
        line = _last_error_like(output.text())
        if not ended:  # what it says while it dies is not the reason
            os.killpg(process.pid, signal.SIGTERM)
            _follow(process, output, KILL_GRACE_S)
    finally:
        # Not reaped yet, so the group's number cannot have become somebody else's.
        os.killpg(process.pid, signal.SIGKILL)
        exit_code = process.wait()
        _pipe(process).close()
    duration_s = time.monotonic() - begin_s
    if not ended:
        raise FlashTimeoutError(
            f"board {board_id}: {tool} did not end within {timeout_s:g} s and was killed, "
            f"{_said(line)}; reset the board, and raise timeouts.flash_s if it only was slow",
            command=tuple(command),
            duration_s=duration_s,
            last_line=line,
        )
    return ToolResult(tuple(command), exit_code, duration_s, output.text())


def judge(
    board_id: str, tool: str, result: ToolResult, signs: Sequence[Sign], proof: str | None
) -> None:
    """Return if the tool has said the proof, else raise what its words mean.

    Args:
        board_id: for the sentence.
        tool: for the sentence.
        result: how it ended.
        signs: searched in this order.
        proof: regular expression that success prints; None where the tool prints nothing.

    Raises:
        FlashError: the typed outcome, with command, exit code, duration and the line that says why.
    """
    proven = proof is None or re.search(proof, result.output, re.MULTILINE) is not None
    good = result.exit_code == 0 and proven
    who = f"board {board_id}: {tool}"
    for sign in signs:
        if good and not sign.always:
            continue
        if match := re.search(sign.pattern, result.output, re.MULTILINE | re.IGNORECASE):
            line = _line_with(result.output, max(match.start(), match.end() - 1))
            raise _error(f"{who} {_FACTS[sign.means]}", sign.means, result, line, sign.hint)
    if good:
        return
    line = _last_error_like(result.output)
    if result.exit_code == 0:
        said = f"{who} did not say that it succeeded"
        raise _error(said, FlashWriteError, result, line, "run the same command by hand and look")
    said = f"{who} {_FACTS[FlashError]}"
    raise _error(said, FlashError, result, line, "run the same command by hand and look")


def _error(
    fact: str, kind: type[FlashError], result: ToolResult, line: str, hint: str
) -> FlashError:
    code = result.exit_code
    how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
    error = kind(
        f"{fact}, {_said(line)} ({how} after {result.duration_s:.1f} s); {hint}",
        command=result.command,
        exit_code_of_tool=code,
        duration_s=result.duration_s,
        last_line=line,
    )
    error.add_note(f"{' '.join(result.command)}\n{result.output}")
    return error


def _said(line: str) -> str:
    return f"it said {line!r}" if line else "without a word"


def _line_with(text: str, at: int) -> str:
    end = text.find("\n", at)
    return _shortened(text[text.rfind("\n", 0, at) + 1 : end if end >= 0 else len(text)])


def _last_error_like(text: str) -> str:
    lines = [
        line for raw in text.split("\n") if (line := _shortened(raw)) and not _NOISE.search(line)
    ]
    return next(filter(_SOUNDS_LIKE_AN_ERROR.search, reversed(lines)), lines[-1] if lines else "")


def _shortened(line: str) -> str:
    words = " ".join("".join(c if c.isprintable() else " " for c in line).split())
    return words if len(words) <= _LINE_CHARACTERS else words[: _LINE_CHARACTERS - 3] + "..."


def _follow(process: subprocess.Popen[bytes], output: _Output, timeout_s: float) -> bool:
    """Take output until the tool ends; False when it does not within the time. Reaps nothing."""
    end_s = time.monotonic() + timeout_s
    pipe = _pipe(process).fileno()
    os.set_blocking(pipe, False)
    ended = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        poll.register(ended, select.POLLIN)
        while (left_s := end_s - time.monotonic()) > 0:
            ready = dict(poll.poll(left_s * 1000))
            # A grandchild may keep the pipe open for ever: the tool's own end counts.
            if pipe in ready and not _drain(pipe, output):
                poll.unregister(pipe)
            if ended in ready:
                _drain(pipe, output)
                return True
        return False
    finally:
        os.close(ended)


def _drain(pipe: int, output: _Output) -> bool:
    """Take what is there; False when there will be no more."""
    try:
        while data := os.read(pipe, _TAIL_BYTES):
            output.add(data)
    except BlockingIOError:
        return True
    return False


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout
