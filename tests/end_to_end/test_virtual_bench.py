"""Boards that a real flasher writes: the whole path, from the tool to the row."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace

import pytest

import hilbench
from hilbench import plugins
from hilbench.bench import run_suite
from hilbench.errors import ModelTooLargeError
from tests.end_to_end.conftest import need_image

pytestmark = pytest.mark.bench


@pytest.fixture
def mlp(zoo):
    chosen = tuple(v for v in zoo.variants if v.name == "mlp_int8")
    return replace(zoo, variants=chosen, sessions=2, iterations=3)


def _need(board):
    """Skip with the reason where an image, an emulator or a flasher is missing."""
    need_image(board.firmware)
    if line := plugins.load("emulators", board.emulator).missing_tool():
        pytest.skip(line)
    if board.flasher.tool == "avrdude" and shutil.which("avrdude") is None:
        pytest.skip("avrdude is not installed: apt-get install avrdude")
    if board.flasher.tool == "pyocd":
        pytest.importorskip("pyocd", reason="pyOCD is not installed: pip install pyocd")


@pytest.mark.parametrize("board", ["uno", "microbit", "netduino", "riscv"])
def test_flashed_run_and_compared(board, boards, mlp, tmp_path):
    config = boards[board]
    _need(config)
    outcome = run_suite(mlp, [config], results=tmp_path, limit=6)
    assert outcome.errors == ()
    row = hilbench.load(outcome.folder).iloc[0]
    assert row["agreement_tflm"] == 1.0
    assert row["emulated"]
    assert row["latency_median"] > 1000
    assert row["recoveries"] == 0
    if row["time_base"] == "cycles":
        clock_hz = {"uno": 16e6, "riscv": 50e6}[board]
        assert row["latency_us"] == pytest.approx(row["latency_median"] / clock_hz * 1e6)
        assert row["latency_spread"] == 0.0  # exact cycles: both sessions alike
    else:
        assert row["time_base"] == "instructions"
    if board == "uno":
        assert row["model_from"] == "image"
        assert row["stack_used_bytes"] < 1024


def test_a_plan_that_no_uno_can_hold_costs_only_its_own_cell(boards, zoo, tmp_path):
    _need(boards["uno"])
    chosen = tuple(v for v in zoo.variants if v.name in {"int8", "mlp_int8"})
    chosen = tuple(replace(v, parent=None) for v in chosen)
    suite = replace(zoo, variants=chosen, sessions=1, iterations=1)
    outcome = run_suite(suite, [boards["uno"]], results=tmp_path, limit=2)
    assert [type(e) for e in outcome.errors] == [ModelTooLargeError]
    assert "port atmega328p: the plan needs 36,554 bytes of the image, " in str(outcome.errors[0])
    frame = hilbench.load(outcome.folder).set_index("variant")
    assert frame.loc["mlp_int8", "agreement_tflm"] == 1.0
    assert frame.loc["int8", "error"].startswith("ModelTooLargeError: ")
    assert frame.loc["int8", "plan_bytes"] == 36554


def test_an_emulated_board_given_as_a_serial_port_is_still_no_hardware(boards, mlp, tmp_path):
    """Somebody's emulator behind a PTY: its row says so, and its ticks become no time."""
    _need(boards["uno"])
    emulated = plugins.load("emulators", "simavr").start(boards["uno"], 10.0)
    try:
        by_port = replace(boards["uno"], id="port", emulator=None, serial=emulated.link_address)
        outcome = run_suite(replace(mlp, sessions=1), [by_port], results=tmp_path, limit=3)
    finally:
        emulated.stop()
    assert outcome.errors == ()
    row = hilbench.load(outcome.folder).iloc[0]
    assert row["emulated"]
    assert row["emulator"] == f"unknown, behind the PTY {emulated.link_address}"
    assert (row["time_base"], row["unit"]) == ("unknown", "ticks")
    assert math.isnan(row["latency_us"])
    assert row["agreement_tflm"] == 1.0
