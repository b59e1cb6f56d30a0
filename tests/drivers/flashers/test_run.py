"""The limit, the capture, and what is made of a tool's words."""

from __future__ import annotations

import sys
import time

import pytest

from hilbench.drivers.flashers._run import Sign, ToolResult, judge, run_tool
from hilbench.errors import (
    FlashBusyError,
    FlashError,
    FlashNotFoundError,
    FlashTimeoutError,
    FlashVerifyError,
    FlashWriteError,
    ToolMissingError,
)

LIMIT_S = 0.5
# A group of three: the tool, a child that ignores SIGTERM, and that one's child.
DEAF_FAMILY = """
trap '' TERM
echo 'programmer is not responding'
sh -c 'trap "" TERM; sleep 600 & wait' & wait
"""
SIGNS = (
    Sign(r"no such port", FlashNotFoundError, "plug it in"),
    Sign(r"MIS-MATCHED", FlashVerifyError, "flash it again", always=True),
    Sign(r"(?s)^writing.*lost sync", FlashWriteError, "reset it"),
    Sign(r"in use", FlashBusyError, "wait"),
)


def run(board, script: str, timeout_s: float = 30.0) -> ToolResult:
    return run_tool(board("x").id, "tool", ["sh", "-c", script], timeout_s, "apt-get install x")


def test_a_tool_that_ends(board):
    result = run(board, "echo one; echo two >&2; exit 3")
    assert (result.exit_code, result.output) == (3, "one\ntwo\n")


def test_a_tool_gets_no_terminal(board):
    assert run(board, "read x || echo eof").output == "eof\n"


def test_the_limit_kills_the_whole_group(board):  # the fixture looks for what is left
    began = time.monotonic()
    with pytest.raises(FlashTimeoutError) as raised:
        run(board, DEAF_FAMILY, LIMIT_S)
    assert time.monotonic() - began < 60  # else it had waited for the sleep
    error = raised.value
    assert str(error) == (
        f"board {board('x').id}: tool did not end within 0.5 s and was killed, "
        "it said 'programmer is not responding'; "
        "reset the board, and raise timeouts.flash_s if it only was slow"
    )
    assert error.exit_code_of_tool is None
    assert error.command[0] == "sh"
    assert error.last_line == "programmer is not responding"


def test_what_it_says_while_it_dies_is_not_the_reason(board):
    script = (
        "trap 'echo error: interrupted; exit 1' TERM; echo writing; while :; do sleep 0.1; done"
    )
    with pytest.raises(FlashTimeoutError, match="it said 'writing'"):
        run(board, script, LIMIT_S)


def test_a_child_that_keeps_the_pipe_open_is_not_waited_for(board):
    assert run(board, "sleep 600 & echo done").output == "done\n"


def test_a_long_output_keeps_its_beginning_and_its_end(board):
    script = f"{sys.executable} -c \"print('first'); [print('x' * 99) for _ in range(9999)]; print('last')\""
    output = run(board, script).output
    assert output.startswith("first\n")
    assert output.endswith("last\n")
    assert len(output) == 131072


def test_a_tool_that_is_absent():
    with pytest.raises(
        ToolMissingError,
        match=r"^no-such-tool is not installed; install it with: apt-get install a$",
    ):
        run_tool("b", "tool", ["no-such-tool"], LIMIT_S, "apt-get install a")


def result(output: str, exit_code: int = 0) -> ToolResult:
    return ToolResult(("tool", "-w", "x"), exit_code, 1.25, output)


def test_proof_and_exit_code_make_success():
    judge("b", "tool", result("in use, trying again\nall verified\n"), SIGNS, "all verified")


@pytest.mark.parametrize(
    ("output", "exit_code", "kind", "sentence"),
    [
        (
            "tool 1.0\nno such port: /dev/x\nbye",
            1,
            FlashNotFoundError,
            "found no board that answers, it said 'no such port: /dev/x' "
            "(exit code 1 after 1.2 s); plug it in",
        ),
        (
            "section MIS-MATCHED!\nall verified",
            0,
            FlashVerifyError,
            "read back something else than it wrote, it said 'section MIS-MATCHED!' "
            "(exit code 0 after 1.2 s); flash it again",
        ),
        (
            "writing | ###\nbye: lost sync\n",
            1,
            FlashWriteError,
            "did not write the whole image, it said 'bye: lost sync' "
            "(exit code 1 after 1.2 s); reset it",
        ),
        (
            "port in use\n",
            1,
            FlashBusyError,
            "found the port or probe in use, it said 'port in use' (exit code 1 after 1.2 s); wait",
        ),
        (
            "working\n",
            0,
            FlashWriteError,
            "did not say that it succeeded, it said 'working' (exit code 0 after 1.2 s); "
            "run the same command by hand and look",
        ),
        (
            "strange error 7\nall verified\nthanks\n",
            2,
            FlashError,
            "failed in a way that is not known here, it said 'strange error 7' "
            "(exit code 2 after 1.2 s); run the same command by hand and look",
        ),
        (
            "",
            -11,
            FlashError,
            "failed in a way that is not known here, without a word "
            "(killed by SIGSEGV after 1.2 s); run the same command by hand and look",
        ),
        (
            'done\nOS error: ioctl("TIOCMGET"): Inappropriate ioctl for device',
            1,
            FlashError,
            "failed in a way that is not known here, it said 'done' "
            "(exit code 1 after 1.2 s); run the same command by hand and look",
        ),
    ],
)
def test_what_words_mean(output, exit_code, kind, sentence):
    with pytest.raises(FlashError) as raised:
        judge("b", "tool", result(output, exit_code), SIGNS, "all verified")
    error = raised.value
    assert str(error) == f"board b: tool {sentence}"
    assert error.__notes__ == [f"tool -w x\n{output}"]
    assert type(error) is kind
    assert error.command == ("tool", "-w", "x")
    assert error.exit_code_of_tool == exit_code
    assert error.duration_s == 1.25


def test_a_line_without_end_is_shortened():
    with pytest.raises(FlashError) as raised:
        judge("b", "tool", result("error " + "\x1b[0mx" * 500, 1), (), None)
    assert len(raised.value.last_line) == 160
    assert raised.value.last_line.isprintable()
