"""What the firmware says of its marker pin, against what each emulator saw of the pin."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import hilbench
from hilbench import plugins
from hilbench.board.client import BoardClient
from hilbench.board.resident import needs_resident, patch_image
from hilbench.drivers.links.serial import open_link
from hilbench.errors import ToolMissingError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.protocol.messages import GUARD_US, PATTERN, RunFlag
from hilbench.records import BoardConfig, Timeouts
from tests.drivers.emulators.emulated_line import TIMEOUT_S, image_or_skip

ZOO = Path(hilbench.__path__[0]) / "zoo" / "digits"
ITERATIONS = 3
IDLE_US = 20_000
PULSES = {
    RunFlag.MARKER_WINDOW: 1,
    RunFlag.MARKER_EACH: ITERATIONS,
    RunFlag.MARKER_OPERATORS: 0,  # of the plan
}
OPERATOR_GAP_S = 61e-6
GUARD_GAP_S = 5e-6


@dataclass(frozen=True)
class Case:
    """A board; what moving its pin takes at most beyond ``window_ticks``, in seconds."""

    port: str
    emulator: str
    pin_s: float
    arguments: tuple[tuple[str, str], ...] = ()
    # Time that the counter leaves out: Timer1's interrupt on the Uno, 82 of every 65,536 cycles.
    uncounted: float = 0.0


PLUGIN = (("plugin", "classes"),)
CASES = [
    Case("atmega328p", "simavr", 24 / 16e6, (("pace", "free"),), 82 / 65536),
    Case("mps2-an386", "qemu", 24 * 64e-9, PLUGIN),
    Case("mps2-an505", "qemu", 24 * 64e-9, PLUGIN),
    Case("mps3-an547", "qemu", 24 * 64e-9, PLUGIN),
    Case("nrf51", "qemu", 24 * 64e-9, PLUGIN),
    Case("riscv-vexriscv", "verilator", 120 / 50e6),
    Case("posix", "native", float("inf")),  # telling an edge takes as long as the host likes
]


@pytest.fixture(params=CASES, ids=lambda case: case.port)
def case(request):
    return request.param


@pytest.fixture
def board(case, tmp_path):
    """The board with a small model in it, and its client."""
    plan = plan_model(read_model(ZOO / "mlp_int8.tflite"))
    image = image_or_skip(case.port)
    if needs_resident(image):
        image = patch_image(image, plan, tmp_path)
    config = BoardConfig(case.port, case.port, emulator_args=case.arguments)
    try:
        board = plugins.load("emulators", case.emulator).start(config, TIMEOUT_S)
    except ToolMissingError as error:
        pytest.skip(str(error))
    try:
        board.flash(image)
        client = BoardClient(
            open_link(board.link_address, 115200), case.port, Timeouts(), baud=115200
        )
        client.hello()
        client.load(plan.data, bytes.fromhex(plan.sha256))
        yield board, client, plan
        client.close()
    finally:
        board.stop()


def pulses(edges):
    assert [edge.high for edge in edges] == [True, False] * (len(edges) // 2)
    times = [edge.t_s for edge in edges]
    assert times == sorted(times)
    return [(rise.t_s, fall.t_s) for rise, fall in zip(edges[::2], edges[1::2], strict=True)]


def assert_told(case, told_s, seen):
    """Between the edges lies what was told, moving the pin, and what the counter leaves out."""
    high_s = sum(fall - rise for rise, fall in seen)
    slack_s = case.pin_s * len(seen) + case.uncounted * (high_s + 65536 / 16e6 * len(seen))
    assert told_s - 1e-9 < high_s <= told_s + slack_s


def test_the_pin_was_up_for_as_long_as_the_firmware_says(case, board):
    emulated, client, plan = board
    hz = client.identity.counter_hz
    vectors = np.zeros((1, plan.input.bytes), np.uint8)
    client.run(vectors)  # the cold one
    assert emulated.marker_edges() == ()
    tick_s = 1 / hz
    for flag, count in PULSES.items():
        before = len(emulated.marker_edges())
        result = client.run(vectors, warm_up=2, iterations=ITERATIONS, flags=flag)
        edges = emulated.marker_edges()[before:]
        seen = pulses(edges)
        assert len(seen) == (count or ITERATIONS * len(plan.operators))
        assert not any(edge.asleep for edge in edges)
        # Ticks of a slow counter are whole ones: up to one too few or many for each reading.
        rounding_s = tick_s * len(seen) if case.emulator == "qemu" else 0.0
        assert_told(case, result.window_ticks / hz - rounding_s, seen)
        if flag != RunFlag.MARKER_OPERATORS:
            assert result.window_ticks >= result.ticks_sum
        else:
            lows = [b[0] - a[1] for a, b in pairwise(seen)]
            assert min(lows) > OPERATOR_GAP_S - tick_s
    assert client.run(vectors, flags=0).window_ticks == 0


def test_guards_and_pattern_are_as_long_as_they_are_said_to_be(case, board):
    emulated, client, plan = board
    hz, chip_s = client.identity.counter_hz, GUARD_US * 1e-6
    vectors = np.zeros((1, plan.input.bytes), np.uint8)
    client.run(vectors)  # the cold one
    window = RunFlag.MARKER_WINDOW
    plain = client.run(vectors, flags=window)
    result = client.run(vectors, flags=window | RunFlag.GUARD | RunFlag.PATTERN)
    edges = emulated.marker_edges()[2:]
    seen = pulses(edges)
    asleep = [edge.asleep for edge in edges[::2]]
    assert asleep == [chip == "0" for chip in PATTERN] + [True, False, True]
    for (rise, fall), sleeps in zip(seen[:-2] + seen[-1:], asleep[:-2] + asleep[-1:], strict=True):
        assert fall - rise > chip_s - 2 / hz
        # Waking takes as long as the host likes where the board keeps no time of its own.
        if (not sleeps or case.emulator == "simavr") and case.emulator != "native":
            assert fall - rise < chip_s + 50e-6
    if case.emulator != "native":  # no work between window and guards
        assert max(b[0] - a[1] for a, b in pairwise(seen[-3:])) < GUARD_GAP_S
    assert_told(case, result.window_ticks / hz - 1 / hz, seen[-2:-1])
    assert case.emulator == "native" or abs(result.window_ticks - plain.window_ticks) <= 4


def test_a_marked_pause_is_as_long_as_the_firmware_says_and_asleep(case, board):
    emulated, client, _ = board
    ticks = client.idle(IDLE_US, marker=True)
    client.idle(IDLE_US)
    (rise, fall) = emulated.marker_edges()
    assert (rise.high, rise.asleep, fall.high) == (True, True, False)
    told_s = ticks / client.identity.counter_hz
    assert told_s >= IDLE_US * 1e-6
    width_s = fall.t_s - rise.t_s
    # IDLE does not add the reading that window_ticks has, nor what comes between the last and the fall.
    allowed_s = 40e-6 + case.uncounted * width_s if case.emulator != "native" else float("inf")
    assert told_s - 1e-9 - 1 / client.identity.counter_hz < width_s <= told_s + allowed_s
