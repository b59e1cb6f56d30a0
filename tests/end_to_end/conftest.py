"""Real firmware on emulated boards, through the public calls and the command line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import hilbench
from hilbench.board.images import find_image
from hilbench.config import load_boards, load_suite
from hilbench.errors import ImageError

ROOT = Path(hilbench.__file__).parent.parent
ZOO = ROOT / "hilbench" / "zoo" / "digits"


def need_image(port: str) -> None:
    """Skip with the reason where an image or its emulator is missing."""
    try:
        find_image(port)
    except ImageError as error:
        pytest.skip(str(error))
    if port != "posix" and shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed: apt-get install qemu-system-arm")


@pytest.fixture
def boards(tmp_path):
    """The tracked boards, with locks of their own so that tests do not wait for people."""
    known = load_boards(ROOT / "boards.toml")
    return {k: replace(b, source=str(tmp_path / "boards.toml")) for k, b in known.items()}


@pytest.fixture
def zoo():
    return load_suite(ZOO / "suite.toml")


@pytest.fixture
def boards_file(tmp_path):
    """A copy of the tracked boards.toml: another path, so other locks."""
    path = tmp_path / "boards.toml"
    path.write_text((ROOT / "boards.toml").read_text())
    return path


@pytest.fixture
def cli(tmp_path):
    """Run the command line in a folder of its own; returns the finished process."""

    def run(*args: object, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hilbench", *map(str, args)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    return run
