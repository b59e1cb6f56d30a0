"""gdb's ``load`` on an emulated Cortex-M4: from an empty board to checked outputs."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

import hilbench
from hilbench.bench import run_suite
from hilbench.config import load_suite
from hilbench.drivers.emulators._deadline import Deadline
from hilbench.drivers.emulators.qemu import QemuBoard
from hilbench.drivers.flashers import gdb
from hilbench.errors import BoardError, FlashBusyError, ToolMissingError
from hilbench.records import BoardConfig, FlasherConfig, Image
from tests.drivers.emulators.emulated_line import Line, image_or_skip
from tests.drivers.flashers.conftest import tool_or_skip

pytestmark = [pytest.mark.qemu, pytest.mark.bench]

ZOO = Path(hilbench.__path__[0]) / "zoo" / "digits"
LIMIT_S = 60.0
PSRAM_END = 0x22000000  # nothing of the firmware is there
BOARD = BoardConfig(
    id="m4",
    firmware="mps2-an386",
    chip="cortex-m4",
    emulator="qemu",
    emulator_args=(("probe", "gdb"),),
    flasher=FlasherConfig("gdb"),
    source="boards.toml",
)


@pytest.fixture
def image() -> Image:
    tool_or_skip(gdb.PROGRAM, "gdb-multiarch")
    return image_or_skip(BOARD.firmware)


@pytest.fixture
def m4():
    try:
        board = QemuBoard(BOARD, LIMIT_S)
    except ToolMissingError as error:
        pytest.skip(str(error))
    yield board
    board.stop()


@pytest.mark.usefixtures("image")
def test_the_bench_flashes_with_gdb_and_the_outputs_are_tflms(tmp_path):
    board = replace(BOARD, source=str(tmp_path / "boards.toml"))
    suite = load_suite(ZOO / "suite.toml")
    variants = tuple(replace(v, parent=None) for v in suite.variants if v.name == "mlp_int8")
    suite = replace(suite, variants=variants, sessions=2, iterations=3)
    outcome = run_suite(suite, [board], results=tmp_path, limit=20)
    assert outcome.errors == ()
    frame = hilbench.load(outcome.folder)
    assert list(frame["variant"]) == ["mlp_int8"]
    assert list(frame["agreement_tflm"]) == [1.0]
    assert (frame["latency_median"] > 0).all()


def test_the_driver_and_gdb_take_turns(image, m4):
    """One client at a time: flashed by gdb, written to, reset, flashed again; the board says so."""
    with pytest.raises(BoardError, match="reset before flash"):
        m4.reset()
    for _ in range(2):
        gdb.flash(BOARD, image, m4, LIMIT_S)
        line = Line(m4.link_address)
        line.hello()
        m4.write_memory(PSRAM_END - 4, b"word")
        m4.reset()  # it refuses unless the core was let go on
        line.hello()
        os.close(line.fd)
        with m4._core.session(deadline := Deadline(LIMIT_S)) as core:
            assert core.read(PSRAM_END - 4, 4, deadline) == b"word"


def test_another_debugger_is_busy_until_it_is_let_go(image, m4):
    host, port = m4.probe_address.split(":")
    with (
        socket.create_connection((host, int(port)), LIMIT_S),
        pytest.raises(
            FlashBusyError, match=r"^board m4: gdb server 127\.0\.0\.1:\d+ has a debugger"
        ),
    ):
        gdb.flash(BOARD, image, m4, LIMIT_S)
    gdb.flash(BOARD, image, m4, LIMIT_S)
