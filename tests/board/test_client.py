import hashlib

import numpy as np
import pytest

from hilbench.board.client import BoardClient
from hilbench.protocol.messages import Region
from hilbench.records import Timeouts
from hilbench.testing.simboard import SimBoard, SimLink, VirtualClock, model_output

MODEL = bytes(range(200))
SHA = hashlib.sha256(MODEL).digest()


def vectors(n, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (n, 16), dtype=np.uint8)


def client(board=None, **kwargs):
    clock = VirtualClock()
    link = SimLink(board or SimBoard(), clock)
    timeouts = Timeouts(hello_s=2.0, reply_s=2.0, run_s=10.0)
    return BoardClient(link, "m4", timeouts, baud=115200, clock=clock, **kwargs), link


def expected(rows):
    return np.array([list(model_output(r.tobytes())) for r in rows], np.uint8)


@pytest.mark.parametrize("slots", [0, 1, 4, 100])
def test_run_gives_every_vector_its_output(slots):
    board, link = client(SimBoard(slots=slots))
    board.hello()
    loaded = board.load(MODEL, SHA)
    assert loaded.slots == slots
    rows, seen = vectors(11), []
    result = board.run(rows, warm_up=1, iterations=3, on_progress=seen.append)
    assert np.array_equal(result.outputs, expected(rows))
    assert result.inferences == 33
    assert result.ticks.shape == (33,)
    assert result.ticks_sum == int(result.ticks.sum())
    assert result.cold_ticks == 5000
    assert result.outputs_equal
    assert seen[-1] == 11
    assert board.profile(2) == ([20, 40, 60] if slots == 0 else [10, 20, 30])
    assert board.run(rows).cold_ticks is None


def test_echo_memory_idle_read_write_reset():
    board, _ = client()
    board.hello()
    board.echo(b"\0abc")
    assert board.memory().stack_used_bytes == 512
    assert board.idle(1500, marker=True) == 1500
    data = bytes(np.random.default_rng(3).integers(0, 256, 5000, dtype=np.uint8))
    board.write(Region.POOL, 7, data)
    assert board.read(Region.POOL, 7, 5000) == data
    board.reset()
    assert board.link_figures().bad_packets_board == 0
