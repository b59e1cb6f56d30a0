"""The same model on the same board gives the same ticks, in every QEMU process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hilbench
from hilbench.board.client import BoardClient
from hilbench.drivers.links.serial import open_link
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.records import Timeouts
from tests.drivers.emulators.emulated_line import image_or_skip

ZOO = Path(hilbench.__path__[0]) / "zoo" / "digits"


@pytest.mark.qemu
@pytest.mark.parametrize("port", ["mps2-an385", "mps2-an505", "mps3-an547"])
@pytest.mark.parametrize("model", ["mlp_int8", "cnn_fp32"])
def test_two_processes_equal_ticks(port, model, start):
    plan = plan_model(read_model(ZOO / f"{model}.tflite"))
    x = np.load(ZOO / "vectors.npz")["x"][:2]
    vectors = x.astype(plan.input.dtype).view(np.uint8).reshape(2, plan.input.bytes)

    def measure():
        board = start(port)
        board.flash(image_or_skip(port))
        link = open_link(board.link_address, 115200)
        client = BoardClient(link, port, Timeouts(), baud=115200)
        client.hello()
        client.load(plan.data, bytes.fromhex(plan.sha256), probe=board)
        first = client.run(vectors, warm_up=1, iterations=5)
        client.idle(1000)  # the host's time enters here: an idle core's clock follows it
        board.reset()
        client.hello()
        client.load(plan.data, bytes.fromhex(plan.sha256), probe=board)
        second = client.run(vectors, warm_up=1, iterations=5)
        link.close()
        return first, second

    results = [*measure(), *measure()]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].ticks, other.ticks)
        np.testing.assert_array_equal(results[0].outputs, other.outputs)
        assert results[0].cold_ticks == other.cold_ticks
