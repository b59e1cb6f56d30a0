"""The law of the link in virtual time, and the fault injector itself."""

import hashlib
import random
from collections import Counter

import numpy as np
import pytest

from hilbench.board.client import BoardClient
from hilbench.errors import HilbenchError
from hilbench.protocol.messages import Region
from hilbench.records import Timeouts
from hilbench.testing.faulty import FaultRates, FaultyLink, FaultyStream
from hilbench.testing.simboard import SimBoard, SimLink, VirtualClock, model_output

MODEL = bytes(random.Random(5).randbytes(700))
SHA = hashlib.sha256(MODEL).digest()
TIMEOUTS = Timeouts(hello_s=2.0, reply_s=2.0, run_s=2.0)
LONGEST_S = 60.0


def one_run(seed, rate, slots):
    clock = VirtualClock()
    board = SimBoard(slots=slots)
    link = SimLink(board, clock)
    link.push(b"\x00\x55boot chatter" + board.boot())
    faulty = FaultyLink(link, seed, FaultRates.all(rate), clock=clock)
    client = BoardClient(faulty, "sim", TIMEOUTS, baud=2_000_000, clock=clock, token=lambda: 7)
    rows = np.random.default_rng(seed).integers(0, 256, (6, 16), np.uint8)
    try:
        client.hello()
        client.load(MODEL, SHA)
        result = client.run(rows, warm_up=1, iterations=2)
        echo = client.read(Region.POOL, 0, len(MODEL))
    except HilbenchError as error:
        return type(error).__name__, clock.now_s
    assert echo == MODEL
    assert result.inferences == 12
    assert len(result.ticks) == 12
    assert result.ticks_sum == int(result.ticks.sum())
    assert result.ticks_max == max(result.ticks)
    assert np.array_equal(result.outputs, [list(model_output(r.tobytes())) for r in rows])
    return "exact", clock.now_s


@pytest.mark.parametrize(("rate", "least_exact"), [(1e-5, 0.99), (1e-4, 0.97), (1e-3, 0.5)])
def test_every_faulty_run_ends_exact_or_typed(rate, least_exact):
    ends, longest_s = Counter(), 0.0
    for seed in range(150):
        end, took_s = one_run(seed, rate, slots=(0, 1, 4, 100)[seed % 4])
        ends[end] += 1
        longest_s = max(longest_s, took_s)
    print(f"rate {rate:g} a byte and kind: {dict(ends)}, longest {longest_s:.2f} s of virtual time")
    assert longest_s < LONGEST_S
    assert ends["exact"] >= least_exact * 150


def test_faults_do_not_depend_on_how_reads_cut_the_stream():
    data = random.Random(1).randbytes(20000)
    whole = FaultyStream("s", FaultRates.all(1e-3), 0.01, 0.1)
    pieces = FaultyStream("s", FaultRates.all(1e-3), 0.01, 0.1)
    cut = random.Random(2)
    out, at = b"", 0
    while at < len(data):
        size = cut.randint(1, 300)
        out += b"".join(p for _, p in pieces.feed(data[at : at + size]))
        at += size
    assert out == b"".join(p for _, p in whole.feed(data))
    assert pieces.faults == whole.faults
    assert all(whole.faults.values())


@pytest.mark.parametrize("kind", ["drop", "flip", "repeat", "truncate", "insert"])
def test_each_kind_alone_changes_what_it_says(kind):
    packets = b"".join(b"\0" + bytes([i % 255 + 1]) * 40 + b"\0" for i in range(200))
    stream = FaultyStream("k", FaultRates(**{kind: 2e-3}), 0.0, 0.0)
    out = b"".join(p for _, p in stream.feed(packets))
    assert stream.faults[kind] > 3
    if kind == "flip":
        assert len(out) == len(packets)
        changed = [a ^ b for a, b in zip(out, packets, strict=True) if a != b]
        assert len(changed) == stream.faults[kind]
        assert all(c.bit_count() == 1 for c in changed)
    elif kind in {"drop", "truncate"}:
        assert len(out) < len(packets)
    else:
        assert len(out) > len(packets)
    if kind == "repeat":
        runs = [r for r in out.split(b"\0") if r]
        assert 200 < len(runs) <= 200 + stream.faults[kind]  # two may hit one packet
        assert all(len(r) == 40 for r in runs)


def test_delay_split_and_stall_change_no_byte():
    data = random.Random(3).randbytes(5000)
    stream = FaultyStream("d", FaultRates(delay=2e-3, split=2e-3, stall=2e-3), 0.5, 3.0)
    pieces = stream.feed(data)
    assert b"".join(p for _, p in pieces) == data
    assert len(pieces) > 10
    assert sum(s == 3.0 for s, _ in pieces) == stream.faults["stall"]
    assert all(0 <= s <= 3.0 for s, _ in pieces)
