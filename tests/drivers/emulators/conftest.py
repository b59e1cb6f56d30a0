"""Boards with real images, and a line to talk to them; all ended after the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from hilbench.drivers.emulators import native, qemu
from hilbench.interfaces import EmulatedBoard
from hilbench.records import BoardConfig
from tests.drivers.emulators.emulated_line import TIMEOUT_S, Line


@pytest.fixture
def start() -> Iterator[Callable[..., EmulatedBoard]]:
    """Start a board by its port; stopped after the test."""
    started: list[EmulatedBoard] = []

    def _start(port: str, **arguments: str) -> EmulatedBoard:
        config = BoardConfig(
            id=f"board-{port}", firmware=port, emulator_args=tuple(arguments.items())
        )
        if port == "posix":
            started.append(native.start(config, TIMEOUT_S))
        else:
            if shutil.which(qemu.PROGRAM) is None:
                pytest.skip(f"{qemu.PROGRAM} is not installed")
            started.append(qemu.start(config, TIMEOUT_S))
        return started[-1]

    yield _start
    for board in started:
        board.stop()


@pytest.fixture
def line() -> Iterator[Callable[[EmulatedBoard], Line]]:
    """Open a board's PTY; closed after the test."""
    lines: list[Line] = []

    def _open(board: EmulatedBoard) -> Line:
        lines.append(Line(board.link_address))
        return lines[-1]

    yield _open
    for one in lines:
        os.close(one.fd)
