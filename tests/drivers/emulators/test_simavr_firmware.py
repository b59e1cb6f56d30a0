"""The real firmware on the emulated Uno: flashed by avrdude, bit-exact, the same cycles again."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hilbench.board.client import BoardClient
from hilbench.board.resident import patch_image
from hilbench.drivers.emulators import simavr
from hilbench.drivers.flashers import avrdude
from hilbench.drivers.links import serial
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.protocol.messages import RunFlag
from hilbench.records import BoardConfig, FlasherConfig, Timeouts
from tests.drivers.emulators.emulated_line import image_or_skip
from tests.drivers.emulators.uno_programs import TIMEOUT_S, tools_or_skip

pytestmark = pytest.mark.bench
ZOO = Path(__file__).parents[3] / "hilbench" / "zoo" / "digits"
VECTORS = 6
ITERATIONS = 2
UNO = BoardConfig("uno", "atmega328p", flasher=FlasherConfig("avrdude", target="m328p"))


@pytest.fixture(scope="module")
def plan():
    return plan_model(read_model(ZOO / "mlp_int8.tflite"))


@pytest.fixture(scope="module")
def image(plan, tmp_path_factory):
    return patch_image(image_or_skip("atmega328p"), plan, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def vectors(plan):
    """Some vectors as the model takes them, and what TensorFlow Lite Micro makes of them."""
    x = np.load(ZOO / "vectors.npz")["x"][:VECTORS].reshape(VECTORS, -1)
    quantised = np.round(x / plan.input.scale) + plan.input.zero_point
    golden = np.load(ZOO / "golden_tflm.npz")["outputs.mlp_int8"][:VECTORS]
    return np.clip(quantised, -128, 127).astype(np.int8).view(np.uint8), golden


@pytest.fixture
def start():
    """Start an Uno; stopped after the test."""
    started = []

    def _start(**arguments: str) -> simavr.SimavrBoard:
        tools_or_skip("gcc", "avr-gcc", "avrdude")
        config = dataclasses.replace(UNO, emulator_args=tuple(arguments.items()))
        started.append(simavr.start(config, TIMEOUT_S))
        return started[-1]

    yield _start
    for board in started:
        board.stop()


@pytest.fixture
def measured(image, plan, vectors):
    """Open a session, check who answers and what it computes; return the ticks."""

    def _measured(board) -> list[int]:
        x, golden = vectors
        link = serial.open_link(board.link_address, 115200)
        client = BoardClient(link, "uno", Timeouts(), baud=115200)
        try:
            hello = client.hello()
            assert hello.build_id.hex() == image.build_id
            assert (hello.chip, hello.counter_hz) == ("atmega328p", simavr.CLOCK_HZ)
            assert hello.model_sha256.hex() == plan.sha256
            client.load(plan.data, bytes.fromhex(plan.sha256))
            flags = int(RunFlag.MARKER_EACH)
            result = client.run(x, warm_up=1, iterations=ITERATIONS, flags=flags)
        finally:
            client.close()
        np.testing.assert_array_equal(result.outputs.view(np.int8), golden)
        return [int(ticks) for ticks in result.ticks]

    return _measured


def test_flashed_by_avrdude_or_a_programmer_it_takes_the_same_cycles(start, image, measured):
    board = start()
    avrdude.flash(UNO, image, board, TIMEOUT_S)
    ticks = measured(board)
    assert len(ticks) == VECTORS * ITERATIONS
    other = start(pace="free")
    other.flash(image)
    assert measured(other) == ticks
    assert measured(other) == ticks  # after the reset that opening makes


def test_the_counter_agrees_with_the_marker_pin(start, image, measured):
    board = start(pace="free")
    board.flash(image)
    ticks = measured(board)
    edges = [e for e in board.events() if e.name == "marker"]
    high = [fall.cycle - rise.cycle for rise, fall in pairwise(edges) if rise.value == 1]
    assert len(high) == len(ticks)
    # The emulator's own count around the device's: reading the counter and moving the pin come on
    # top, and at times Timer1's overflow interrupt, which the device does not count.
    around = [outside - inside for outside, inside in zip(high, ticks, strict=True)]
    assert min(around) > 0
    assert max(around) < 0.005 * min(ticks)
