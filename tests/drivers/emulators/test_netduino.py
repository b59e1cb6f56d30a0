"""The stm32f4 image, linked for the chip, on QEMU's Netduino Plus 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hilbench
from hilbench.board.client import BoardClient
from hilbench.drivers.links.serial import open_link
from hilbench.errors import ModelTooLargeError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.protocol.messages import ClockSource, Echo, EchoReply, Hello
from hilbench.records import Timeouts
from tests.drivers.emulators.emulated_line import image_or_skip

ZOO = Path(hilbench.__path__[0]) / "zoo" / "digits"
VARIANTS = {
    "int8": "cnn_int8",
    "qat_int8": "cnn_qat_int8",
    "pruned80_int8": "cnn_pruned80_int8",
    "clustered16_int8": "cnn_clustered16_int8",
    "student_int8": "student_int8",
    "mlp_int8": "mlp_int8",
}
VECTORS = 12

pytestmark = pytest.mark.qemu


@pytest.fixture
def boot(start):
    """Start a board by its port, flash it and say hello; links closed after the test."""
    links = []

    def _boot(port):
        image, board = image_or_skip(port), start(port)
        board.flash(image)
        links.append(open_link(board.link_address, 115200))
        client = BoardClient(links[-1], port, Timeouts(), baud=115200)
        return board, client, client.hello()

    yield _boot
    for link in links:
        link.close()


def plan_and_vectors(model, count=VECTORS):
    plan = plan_model(read_model(ZOO / f"{model}.tflite"))
    x = np.load(ZOO / "vectors.npz")["x"][:count]
    if plan.input.scale:
        x = np.clip(np.rint(x / plan.input.scale) + plan.input.zero_point, -128, 127)
    return plan, x.astype(plan.input.dtype).view(np.uint8).reshape(count, plan.input.bytes)


def load(client, plan, board):
    client.load(plan.data, bytes.fromhex(plan.sha256), probe=board)


def test_the_missing_clock_tree_is_a_stated_state(boot):
    board, _, hello = boot("stm32f4")
    assert (hello.port, hello.chip, hello.unique_id) == ("stm32f4", "cortex-m4", "")
    assert hello.clock_source == ClockSource.DECLARED
    assert hello.port_untested == 0  # here it is tested; on a board the same image says 1
    assert board.units_per_tick(hello.counter_hz) == 1.0
    assert 0x2000_0000 < hello.pool_address < 0x2000_0000 + 128 * 1024
    assert hello.pool_address + hello.pool_bytes == 0x2000_0000 + 128 * 1024


def test_the_zoo_is_bit_exact(boot):
    board, client, _ = boot("stm32f4")
    golden = np.load(ZOO / "golden_tflm.npz")
    for variant, model in VARIANTS.items():
        plan, vectors = plan_and_vectors(model)
        load(client, plan, board)
        outputs = client.run(vectors, warm_up=0, iterations=1).outputs
        np.testing.assert_array_equal(
            np.asarray(outputs).view(np.int8).reshape(VECTORS, -1),
            golden[f"outputs.{variant}"][:VECTORS],
            err_msg=variant,
        )


def test_a_model_that_does_not_fit_is_refused(boot):
    board, client, _ = boot("stm32f4")
    plan, _ = plan_and_vectors("cnn_fp32")
    with pytest.raises(
        ModelTooLargeError,
        match=rf"^board stm32f4: the model alone needs {len(plan.data)} bytes",
    ):
        load(client, plan, board)


def test_ticks_are_the_instructions_that_another_cortex_m4_counts(boot):
    """The same code on MPS2, whose 25 MHz timer is an independent clock."""
    counted = {}
    for port in ("stm32f4", "mps2-an386"):
        board, client, hello = boot(port)
        plan, vectors = plan_and_vectors("student_int8", count=2)
        load(client, plan, board)
        ticks = client.run(vectors, warm_up=1, iterations=3).ticks
        counted[port] = ticks * board.units_per_tick(hello.counter_hz)
    # What surrounds the inference differs: a read of either counter is a few instructions.
    np.testing.assert_allclose(counted["stm32f4"], counted["mps2-an386"], atol=4)


def test_equal_ticks_in_every_process_and_after_a_reset(boot):
    plan, vectors = plan_and_vectors("mlp_int8", count=2)
    results = []
    for _ in range(2):
        board, client, _ = boot("stm32f4")
        for again in (False, True):
            if again:
                client.idle(1000)  # the host's time enters here
                board.reset()
                client.hello()
            load(client, plan, board)
            run = client.run(vectors, warm_up=1, iterations=5)
            results.append((run.cold_ticks, *run.ticks))
    assert results[1:] == results[:-1]


def test_bytes_both_ways_idle_and_reset(start, line):
    image, board = image_or_skip("stm32f4"), start("stm32f4")
    talk = line(board)
    board.flash(image)
    hello = talk.hello()
    talk.ask(Hello(), session=5, sequence=1)
    data = bytes(range(256)) * 4
    assert talk.ask(Echo(data), 5, 2) == EchoReply(data)
    board.reset()
    assert talk.hello() == hello


def test_idle_lasts_what_it_says(boot):
    _, client, hello = boot("stm32f4")
    assert client.idle(20_000) >= hello.counter_hz * 20_000 // 1_000_000


def test_idle_ends_whatever_is_left_to_sleep(boot):
    """A SysTick period of a few cycles interrupts for ever: one sleep in some 50 did not end."""
    _, client, hello = boot("stm32f4")
    for _ in range(200):
        assert client.idle(1000) >= hello.counter_hz // 1000
