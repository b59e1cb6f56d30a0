"""The demo on a terminal of 80 columns, as a newcomer sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

import pytest

from tests.end_to_end.conftest import need_image

LIMIT_S = 60.0


def on_terminal(command, columns, cwd):
    """Run a command on a PTY; returns its exit code and what the screen got, without colours."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("COLUMNS", None)
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=environment
    )
    os.close(slave)
    seen = b""
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        if not select.select([master], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(master, 65536)
        except OSError:  # EIO: the program has ended
            break
        if not data:
            break
        seen += data
    os.close(master)
    return process.wait(10), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())


@pytest.mark.firmware
def test_demo_on_a_terminal_of_80_columns(tmp_path):
    need_image("posix")
    command = [sys.executable, "-m", "hilbench", "demo", "--board", "native", "--vectors", "5"]
    code, screen = on_terminal(command, 80, tmp_path)
    assert code == 0, screen
    assert re.search(r"native +running +\S+ +\d +\d+/105", screen)  # the live line
    assert "rate /s" in screen
    assert "ETA" in screen
    tables = screen[screen.index("each variant") :]
    assert "\u2026" not in tables  # nothing is cut
    for figure in ("143,100", "129,348", "clustered16_int8", "100 %", "SYNTHETIC"):
        assert figure in tables
    assert "results: results/" in tables
