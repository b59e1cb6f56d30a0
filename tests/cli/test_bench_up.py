"""``hilbench bench-up``: what it prints works."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hilbench.cli import main
from hilbench.drivers._holders import holders
from tests.drivers.flashers.conftest import tool_or_skip
from tests.end_to_end.conftest import need_image

LIMIT_S = 60


@contextlib.contextmanager
def bench_up(*args: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "hilbench", "bench-up", *args]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def commands(process: subprocess.Popen[str]) -> list[list[str]]:
    lines = iter(process.stdout.readline, "Ctrl-C ends it.\n")
    return [shlex.split(line) for line in lines if line.startswith("  ")]


@pytest.mark.bench
def test_every_command_that_it_prints_flashes_a_board():
    tool_or_skip("avrdude", "avrdude")
    tool_or_skip("stm32flash", "stm32flash")
    pytest.importorskip("pyocd", reason="needs: pip install 'hilbench[pyocd]'")
    need_image("atmega328p")
    need_image("nrf51")
    pytest.importorskip("esptool", reason="needs: pip install 'hilbench[esptool]'")
    with bench_up() as process:
        found = commands(process)
        tools = [command[2] if command[0] == sys.executable else command[0] for command in found]
        assert tools == ["avrdude", "stm32flash", "esptool", "avrdude", "pyocd"]
        ports = [word for command in found for word in command if word.startswith("/dev/pts/")]
        assert [holders(port) for port in ports[:3]] == [[], [], []]  # so the flashers take them
        for command in found:
            ended = subprocess.run(command, check=False, capture_output=True, timeout=LIMIT_S)
            assert ended.returncode == 0, ended
        process.terminate()  # as Ctrl-C, which a shell's background jobs do not hear
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert errors == "hilbench: interrupted\n"


@pytest.mark.bench
def test_a_fault_is_on_every_board():
    tool_or_skip("stm32flash", "stm32flash")
    with bench_up("--fault", "wrong chip") as process:
        _, command, _ = commands(process)
        ended = subprocess.run(command, check=False, capture_output=True, timeout=LIMIT_S)
    assert ended.returncode == 1
    assert b"Unknown/unsupported device" in ended.stderr


def test_the_faults(capsys):
    assert main(["bench-up", "--fault", "list"]) == 0
    assert "dies mid-write" in capsys.readouterr().out.splitlines()
    assert main(["bench-up", "--fault", "x"]) == 2
    sentence = "hilbench: no fault 'x'; there are: none, absent, busy, wrong chip, dead bootloader"
    assert capsys.readouterr().err.startswith(sentence)
