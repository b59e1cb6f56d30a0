"""The law of the link, on the real firmware: the exact result or a typed error, never a hang."""

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import hilbench
from hilbench.board.client import BoardClient
from hilbench.errors import HilbenchError, ImageError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.protocol.messages import Region
from hilbench.records import Timeouts
from hilbench.testing.faulty import FaultRates, FaultyLink
from hilbench.testing.native import native_board, open_native_link

ZOO = Path(hilbench.__file__).parent / "zoo" / "digits"
BAUD = 20_000_000  # a PTY has none; this only shortens the timeouts
TIMEOUTS = Timeouts(hello_s=1.0, reply_s=1.0, run_s=1.0)
# Per byte and kind of fault, eight kinds: a run of 30 kB meets 0.2 to 15 of them.
RATES = (1e-6, 1e-5, 1e-5, 3e-5) * 3 + (1e-6, 1e-5, 3e-5, 6e-5)
HOPELESS_RATE = 3e-3  # so that typed errors are seen too
RUNS = 1024
VECTORS, ITERATIONS = 24, 2
# Every step that makes progress may take its deadline once more; this many steps is generous.
DEADLINE_S = 20 * TIMEOUTS.run_s

pytestmark = pytest.mark.firmware


@pytest.fixture(scope="module")
def board():
    try:
        with native_board() as board:
            yield board
    except ImageError as error:
        pytest.skip(str(error))


def measure(link, plan, rows, token):
    client = BoardClient(link, "native", TIMEOUTS, baud=BAUD, token=lambda: token)
    client.hello()
    client.load(plan.data, bytes.fromhex(plan.sha256))
    result = client.run(rows, warm_up=1, iterations=ITERATIONS, batch=16)
    plan_read = client.read(Region.POOL, 0, len(plan.data))
    return result, plan_read


def test_every_run_over_a_faulty_link_ends_exact_or_typed(board):
    # Two models in turn, so that each run transfers one.
    plans = [plan_model(read_model(ZOO / f"{n}_int8.tflite")) for n in ("mlp", "student")]
    rows = np.random.default_rng(1).integers(0, 256, (VECTORS, 64), np.uint8)
    link = open_native_link(board, BAUD)
    truth = [measure(link, p, rows, 60000 + i)[0].outputs for i, p in enumerate(plans)]
    assert not np.array_equal(*truth)
    ends: dict[float, Counter[str]] = {rate: Counter() for rate in (*RATES, HOPELESS_RATE)}
    injected: dict[float, Counter[str]] = {rate: Counter() for rate in ends}
    longest_s = 0.0
    begun_s = time.monotonic()
    for seed in range(RUNS):
        rate = HOPELESS_RATE if seed % 128 == 127 else RATES[seed // 2 % len(RATES)]
        plan = plans[seed % 2]
        run_begun_s = time.monotonic()
        faulty = FaultyLink(link, seed, FaultRates.all(rate), stall_s=0.005)
        try:
            result, plan_read = measure(faulty, plan, rows, 2 + seed)
        except HilbenchError as error:
            ends[rate][f"{type(error).__name__}: {str(error)[:60]}"] += 1
        else:
            assert np.array_equal(result.outputs, truth[seed % 2]), f"seed {seed}"
            assert result.inferences == len(result.ticks) == VECTORS * ITERATIONS, f"seed {seed}"
            assert result.ticks_sum == int(result.ticks.sum(dtype=np.uint64)), f"seed {seed}"
            assert result.outputs_equal
            assert plan_read == plan.data
            ends[rate]["exact"] += 1
        injected[rate].update(faulty.to_board.faults)
        injected[rate].update(faulty.to_host.faults)
        took_s = time.monotonic() - run_begun_s
        longest_s = max(longest_s, took_s)
        assert longest_s < DEADLINE_S, f"seed {seed}"
    for rate, counts in ends.items():
        print(f"rate {rate:g} a byte and kind: {dict(counts)}; {injected[rate].total()} faults")
        assert injected[rate].total() > 0, f"rate {rate:g} injected nothing"
    print(f"{RUNS} runs in {time.monotonic() - begun_s:.1f} s, longest {longest_s:.2f} s")
    exact = sum(counts["exact"] for counts in ends.values())
    assert exact >= 0.95 * RUNS
    assert all(sum(c[kind] for c in injected.values()) > 0 for kind in faulty.to_board.faults)
    assert ends[HOPELESS_RATE].total() > ends[HOPELESS_RATE]["exact"]  # typed errors do appear
    link.close()
