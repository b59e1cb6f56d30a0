"""A user's own repository with boards, for pytester."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import hilbench
from hilbench.board.images import find_image
from hilbench.errors import ImageError

ROOT = Path(hilbench.__file__).parent.parent
ZOO = ROOT / "hilbench" / "zoo" / "digits"

SMALL_SUITE = """\
schema = 1
[suite]
name = "small"
sessions = 3
iterations = 2
[vectors.digits]
file = "vectors.npz"
golden = "golden_tflm.npz"
[variant.mlp_int8]
model = "mlp_int8.tflite"
vectors = "digits"
[variant.student_int8]
model = "student_int8.tflite"
vectors = "digits"
"""
MORE_BOARDS = """
[board.twin]
firmware = "posix"
emulator = "native"
flasher = "emulator"
meter = "none"
tags = ["extra"]
[board.unplugged]
firmware = "posix"
serial = "/dev/no-such-port"
tags = ["extra"]
[board.shelf]
firmware = "posix"
serial = "/dev/no-such-port"
quarantine = { reason = "broken connector" }
tags = ["extra"]
"""
CONFTEST = """\
import pytest
@pytest.fixture
def digits(hil_bench):
    return hil_bench("mlp_int8.tflite", vectors="vectors.npz", sessions=1, iterations=2)
"""


def have(port: str) -> bool:
    """Say whether a port's image is built, and QEMU is there for one that needs it."""
    try:
        find_image(port)
    except ImageError:
        return False
    return port == "posix" or shutil.which("qemu-system-arm") is not None


def make_project(folder: Path) -> None:
    """Models, vectors, suite.toml and boards.toml: another path, so other locks than people's."""
    for name in ("mlp_int8.tflite", "student_int8.tflite", "vectors.npz", "golden_tflm.npz"):
        shutil.copy(ZOO / name, folder / name)
    (folder / "suite.toml").write_text(SMALL_SUITE)
    (folder / "boards.toml").write_text((ROOT / "boards.toml").read_text() + MORE_BOARDS)
    (folder / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\naddopts = --strict-markers\n"
    )


def outcomes(junit: Path) -> dict[str, str]:
    """Return what JUnit says of each test: passed, failure, error or skipped."""
    return {
        case.attrib["name"]: next(
            (c.tag for c in case if c.tag in {"failure", "error", "skipped"}), "passed"
        )
        for case in ET.parse(junit).iter("testcase")
    }


def properties(junit: Path, test: str) -> dict[str, str]:
    """Return a test's properties."""
    return {
        p.attrib["name"]: p.attrib["value"]
        for case in ET.parse(junit).iter("testcase")
        if case.attrib["name"] == test
        for p in case.iter("property")
    }
