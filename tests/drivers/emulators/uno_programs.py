"""Small programs for the ATmega328P, compiled when a test needs them."""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path

import pytest

from hilbench.records import Image

SOURCES = Path(__file__).parent / "avr_programs"
TIMEOUT_S = 20.0
APT = "apt-get install gcc libsimavr-dev gcc-avr avr-libc avrdude"


def tools_or_skip(*tools: str) -> None:
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        pytest.skip(f"{missing[0]} is not installed: {APT}")
    if not Path("/usr/include/simavr/sim_avr.h").exists():
        pytest.skip(f"libsimavr's headers are not installed: {APT}")


@cache
def _compiled(name: str, folder: Path) -> Path:
    elf = folder / f"{name}.elf"
    subprocess.run(
        [
            *("avr-gcc", "-mmcu=atmega328p", "-DF_CPU=16000000UL", "-std=c99", "-Os", "-Wall"),
            *("-Wextra", "-Werror", str(SOURCES / f"{name}.c"), "-o", str(elf)),
        ],
        check=True,
        timeout=60,
    )
    return elf


def program(name: str, folder: Path) -> Image:
    path = _compiled(name, folder)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Image("atmega328p", path, "", sha256, "avr-gcc", "", ())


def read(fd: int, length: int) -> bytes:
    """Read exactly that many bytes of a PTY."""
    end, data = time.monotonic() + TIMEOUT_S, b""
    while len(data) < length:
        ready, _, _ = select.select([fd], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"{data!r} and no more within {TIMEOUT_S} s"
        data += os.read(fd, length - len(data))
    return data
