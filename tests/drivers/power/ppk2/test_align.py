"""Bytes to words: gaps by the counter, bytes that are lost inside of a sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench.drivers.power import _ppk2_words as w
from hilbench.drivers.power._ppk2_align import Aligner
from hilbench.errors import MeterError
from tests.drivers.power.ppk2 import unit


def aligned(data, sizes=()):
    aligner = Aligner("/dev/ttyACM0")
    parts, at = [], 0
    for size in (*sizes, len(data)):
        parts.append(aligner.feed(data[at : at + size]))
        at += size
    parts.append(aligner.feed(b"", last=True))
    return np.concatenate(parts), aligner


def check_against(sent, got):
    """Every sample is where it was, or lost; none is another one."""
    assert len(got) == len(sent)
    lost = w.is_lost(got)
    assert np.array_equal(got[~lost], sent[~lost])
    return int(lost.sum())


def test_all_well():
    sent = unit.random_words(np.random.default_rng(1), 5000)
    got, aligner = aligned(sent.tobytes(), sizes=(1, 2, 3, 4, 5, 999))
    assert check_against(sent, got) == 0
    assert not aligner.gaps
    assert aligner.shifts == aligner.skipped_bytes == 0


@pytest.mark.parametrize("missing", [1, 2, 31, 62, 63])
def test_gap_within_the_counter(missing):
    sent = unit.random_words(np.random.default_rng(missing), 3000)
    got, aligner = aligned(np.delete(sent, slice(1000, 1000 + missing)).tobytes())
    assert check_against(sent, got) == missing
    assert [(g.start, g.samples, g.by) for g in aligner.gaps] == [(1000, missing, "counter")]


def test_gaps_one_behind_the_other():
    sent = unit.random_words(np.random.default_rng(5), 3000)
    lost = [500, 502, 505, 506, 520, 536]
    got, aligner = aligned(np.delete(sent, lost).tobytes())
    assert check_against(sent, got) == len(lost)
    assert [(g.start, g.samples) for g in aligner.gaps] == [
        *[(500, 1), (502, 1), (505, 2)],
        *[(520, 1), (536, 1)],
    ]


@pytest.mark.parametrize("constant", [False, True], ids=["random", "constant"])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("phase", range(4))
def test_lost_bytes(phase, count, constant):
    """Not one wrong sample, whatever the other bytes look like; at most five are given up."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        sent = unit.random_words(rng, 1500)
        if constant:
            sent = unit.words([1] * 1500, [0x1234] * 1500, 1)
        data = bytearray(sent.tobytes())
        at = 4 * int(rng.integers(50, 1200)) + phase
        del data[at : at + count]
        got, aligner = aligned(bytes(data), sizes=rng.integers(1, 500, 5).tolist())
        assert check_against(sent, got) <= 3 + -(-count // 4)
        assert aligner.shifts == 1


def test_bytes_that_came_in():
    sent = unit.random_words(np.random.default_rng(2), 3000)
    data = sent.tobytes()
    got, aligner = aligned(data[:4001] + b"\x99\x00\xff" + data[4001:])
    assert check_against(sent, got) <= 3
    assert aligner.shifts == 1


def test_garbage_before_the_first_sample():
    sent = unit.random_words(np.random.default_rng(7), 500)
    got, aligner = aligned(b"END\n\0" + sent.tobytes())
    assert np.array_equal(got, sent)
    assert aligner.skipped_bytes == 5


def test_rest_of_a_sample_at_the_end():
    sent = unit.random_words(np.random.default_rng(7), 500)
    got, aligner = aligned(sent.tobytes()[:-1])
    assert np.array_equal(got, sent[:-1])
    assert aligner.skipped_bytes == 3


def test_range_that_does_not_exist_is_a_lost_sample():
    sent = unit.random_words(np.random.default_rng(9), 500, longest=60)
    data = sent.copy()
    data[[100, 300]] |= np.uint32(7 << 14)
    got, aligner = aligned(data.tobytes())
    assert check_against(sent, got) == aligner.impossible == 2
    assert [(g.start, g.samples, g.by) for g in aligner.gaps] == [
        (100, 1, "meter"),
        (300, 1, "meter"),
    ]


def test_no_stream_of_a_ppk2():
    noise = np.random.default_rng(4).integers(0, 256, 20_000, np.uint8).tobytes()
    with pytest.raises(MeterError) as caught:
        aligned(noise)
    assert str(caught.value) == (
        "PPK2 at /dev/ttyACM0: in 20000 bytes no alignment makes the sample counter run, limit 8192 "
        "bytes; is the port its measuring port? unplug it, plug it in and try again"
    )


def test_stream_that_becomes_noise():
    noise = np.random.default_rng(4).integers(0, 256, 9000, np.uint8).tobytes()
    sent = unit.random_words(np.random.default_rng(5), 500).tobytes()
    with pytest.raises(MeterError, match="no alignment makes the sample counter run, limit 8192"):
        aligned(sent + noise)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 300), max_size=30),
    faults=st.integers(0, 3),
)
def test_splits_do_not_matter(seed, sizes, faults):
    rng = np.random.default_rng(seed)
    data = bytearray(unit.random_words(rng, 1500).tobytes())
    for _ in range(faults):
        at = int(rng.integers(100, 5000))
        del data[at : at + int(rng.choice([1, 2, 3, 4, 80, 81]))]
    at_once, first = aligned(bytes(data))
    in_pieces, second = aligned(bytes(data), sizes)
    assert np.array_equal(at_once, in_pieces)
    assert first.gaps == second.gaps
    assert first.shifts == second.shifts
