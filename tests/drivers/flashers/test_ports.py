"""Who has the port?"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import subprocess
import sys

import pytest

from hilbench.drivers._holders import holders
from hilbench.drivers.flashers._ports import bootloader_port
from hilbench.errors import ConfigError, FlashBusyError, FlashNotFoundError
from hilbench.records import BoardConfig, FlasherConfig, SerialMatch


@pytest.fixture
def port():
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def board(serial: object) -> BoardConfig:
    return BoardConfig(id="b", firmware="x", serial=serial, flasher=FlasherConfig("avrdude"))


@contextlib.contextmanager
def other_process(code: str):
    """Run Python until it prints a line, and then until the test has ended."""
    with subprocess.Popen(
        [sys.executable, "-c", f"import os, pty, sys\n{code}\nsys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process.pid, process.stdout.readline().strip()
        process.stdin.close()


def test_a_free_port(port):
    assert bootloader_port(board(port), None) == port


def test_a_port_that_is_not_there(port):
    with pytest.raises(
        FlashNotFoundError,
        match=r"^board b: port /dev/no-such-tty cannot be opened \(No such file or directory\); "
        r"is the board plugged in and powered\? ports: hilbench boards scan$",
    ):
        bootloader_port(board("/dev/no-such-tty"), None)


def test_a_port_that_is_locked(port):
    handle = os.open(port, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    sentence = (
        f"board b: port {port} is in use by another process; end it, or wait until it has ended"
    )
    with pytest.raises(FlashBusyError, match=f"^{re.escape(sentence)}$"):
        bootloader_port(board(port), None)
    os.close(handle)


def test_a_port_that_another_process_reads_without_a_lock(port):
    code = f"os.open({port!r}, os.O_RDWR | os.O_NOCTTY); print(flush=True)"
    with other_process(code) as (pid, _):
        sentence = rf"^board b: port {port} is in use by \S+ \(pid {pid}\); end it, or wait until"
        with pytest.raises(FlashBusyError, match=sentence):
            bootloader_port(board(port), None)
    assert bootloader_port(board(port), None) == port


def test_an_emulator_that_holds_both_ends_of_its_pty():
    code = "master, slave = pty.openpty(); print(os.ttyname(slave), flush=True)"
    with other_process(code) as (_, path):
        assert holders(path) == []
        assert bootloader_port(board(path), None) == path


def test_a_pty_master_of_another_port_is_no_excuse(port):
    code = f"pty.openpty(); os.open({port!r}, os.O_RDWR | os.O_NOCTTY); print(flush=True)"
    with other_process(code) as (pid, _):
        assert [found[0] for found in holders(port)] == [pid]


def test_urls_are_for_tools_that_open_them():
    url = "rfc2217://rack:4000"
    assert bootloader_port(board(url), None, urls=True) == url
    with pytest.raises(
        ConfigError,
        match=r"^board b: avrdude opens local ports only, not rfc2217://rack:4000; flash it on the "
        r"computer that it is plugged into, or by a probe$",
    ):
        bootloader_port(board(url), None)


@pytest.mark.parametrize("serial", [None, SerialMatch(vid="2341")])
def test_no_port_at_all(serial):
    with pytest.raises(
        ConfigError, match=r"^board b: avrdude needs a serial port; add serial to \[board\.b\]$"
    ):
        bootloader_port(board(serial), None)
