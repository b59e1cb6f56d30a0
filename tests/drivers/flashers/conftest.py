"""Images of a few bytes, boards that name a flasher, and the certainty that nothing stays behind."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import random
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hilbench.records import BoardConfig, FlasherConfig, Image
from tests.builders.elf_builder import build_elf

FIRMWARE = "test-port"
SEED = 20260301

MakeImage = Callable[..., Image]


def payload(length: int) -> bytes:
    return random.Random(SEED).randbytes(length)


@pytest.fixture
def make_image(tmp_path: Path) -> MakeImage:
    def _make(machine: int, *segments: tuple[int, bytes]) -> Image:
        data = build_elf(machine, list(segments))
        (path := tmp_path / "image.elf").write_bytes(data)
        return Image(FIRMWARE, path, "", hashlib.sha256(data).hexdigest(), "", "", ())

    return _make


@pytest.fixture
def board() -> Iterator[Callable[..., BoardConfig]]:
    """Make a board of a flasher; afterwards no process that was started for it may be left."""
    board_id = f"b{uuid.uuid4().hex[:8]}"

    def _board(tool: str, *args: str, serial: str | None = None, **flasher: object) -> BoardConfig:
        config = dataclasses.replace(FlasherConfig(tool), **{"args": args, **flasher})
        return BoardConfig(id=board_id, firmware=FIRMWARE, serial=serial, flasher=config)

    yield _board
    assert left_behind(board_id) == []


def left_behind(board_id: str) -> list[psutil.Process]:
    """Return the processes that were started for a board and do not end; a killed one may take a moment."""
    found = []
    for process in psutil.process_iter():
        # Gone, a zombie, or another user's.
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HILBENCH_BOARD") == board_id:
                found.append(process)
    _, alive = psutil.wait_procs(found, timeout=10)
    return alive


def tool_or_skip(program: str, package: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install {package}")
