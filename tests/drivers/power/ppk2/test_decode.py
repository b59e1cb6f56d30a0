"""Words to current: equal to the vendor's library, and better at range switches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench.drivers.power import _ppk2_words as w
from hilbench.drivers.power._ppk2_decode import REACH, Decoder
from hilbench.drivers.power.ppk2 import decode
from hilbench.errors import MeterError
from hilbench.power import MeterIdentity, MeterSetup
from tests.drivers.power.ppk2 import unit

GOLDEN_A = [
    8.64148478124658e-05,
    0.04760645621279726,
    0.0020047247641721507,
    0.17759452954012295,
    0.00947465461280755,
]
IDENTITY = MeterIdentity("ppk2", "PPK2", "", "", "file", emulated=False, calibration=unit.METADATA)


def decoded(words, filter_="hold", sizes=()):
    """Decode in pieces of given sizes, the rest at once."""
    decoder = Decoder(unit.table(), filter_)
    parts, at = [], 0
    for size in (*sizes, len(words)):
        parts.append(decoder.feed(words[at : at + size]))
        at += size
    parts.append(decoder.end())
    fields = ("words", "current_a", "vendor_a", "logic", "range", "valid")
    return {f: np.concatenate([getattr(p, f) for p in parts]) for f in fields}


def held(ranges, adc):
    return decoded(unit.words(ranges, adc))["current_a"].tolist()


def amperes(ranges, adc):
    return unit.table()[unit.words(ranges, adc) & w.TABLE_MASK].tolist()


@pytest.mark.parametrize("longest", [1, 2, 4, 12, 400])
@pytest.mark.parametrize("seed", range(3))
def test_vendor_filter_equals_the_vendors_library(seed, longest):
    words = unit.random_words(np.random.default_rng(seed), 20_000, longest)
    expected, logic = unit.vendor_samples(words.tobytes())
    ours = decoded(words, "vendor", sizes=(1, 2, 3, 997, 5000))
    assert np.abs(ours["current_a"] / expected - 1).max() < 1e-9  # asked: 1e-6
    assert np.array_equal(ours["logic"], logic)


def test_golden_words():
    """Fields and formula by hand, for the constants of the unit at 3.3 V."""
    words = np.array([0x010007D0, 0x0204C3E8, 0x80084FA0, 0xFF0D0100, 0x001087D0], w.DTYPE)
    assert unit.table()[words & w.TABLE_MASK] == pytest.approx(GOLDEN_A, rel=1e-9)
    ours = decoded(words)
    assert ours["range"].tolist() == [0, 3, 1, 4, 2]
    assert ours["logic"].tolist() == [0x01, 0x02, 0x80, 0xFF, 0x00]
    assert w.counter(words).tolist() == [0, 1, 2, 3, 4]


def test_first_settled_sample_takes_the_place_of_unsettled_ones():
    ranges, adc = [1] * 3 + [3] * 5, [1000, 1001, 1002, 9000, 8000, 7000, 2000, 2001]
    settled = amperes(ranges, adc)
    assert held(ranges, adc) == settled[:3] + [settled[6]] * 4 + settled[7:]


def test_switch_among_unsettled_samples():
    ranges, adc = [1, 3, 3, 1, 1, 1, 1], [1000, 9000, 8000, 500, 600, 700, 1000]
    settled = amperes(ranges, adc)
    assert held(ranges, adc) == settled[:1] + [settled[6]] * 6


def test_first_sample_of_all_is_settled():
    ranges, adc = [3, 3, 3], [1000, 1001, 1002]
    assert held(ranges, adc) == amperes(ranges, adc)


def test_unsettled_at_the_very_end_stay():
    ranges, adc = [1, 1, 3, 3], [1000, 1001, 9000, 8000]
    assert held(ranges, adc) == amperes(ranges, adc)


def test_worse_chatter_than_can_be_held_stays():
    ranges = [1, 1] + [3, 1] * REACH + [1] * 4
    adc = list(range(1000, 1000 + len(ranges)))
    as_it_came, ours = amperes(ranges, adc), held(ranges, adc)
    settled = len(ranges) - 5 + 3  # the last change is to the last five
    assert ours[: settled - REACH] == as_it_came[: settled - REACH]
    assert set(ours[settled - REACH : settled + 1]) == {as_it_came[settled]}


def test_loss_across_a_switch():
    """The first sample after it may be unsettled; a long loss is not held across."""
    first, second = unit.words([1] * 4, [1000] * 4), unit.words([3] * 5, [9, 9, 9, 2000, 2001])
    lost = w.lost(REACH + 10, int(first[-1]))
    ours = decoded(np.concatenate((first, lost, second)))
    at = len(first) + len(lost)
    assert np.isnan(ours["current_a"][len(first) : at]).all()
    assert ours["valid"].tolist() == [True] * 4 + [False] * len(lost) + [True] * 5
    assert ours["range"].tolist() == [1] * at + [3] * 5
    assert ours["current_a"][at:].tolist() == [
        *[amperes([3], [2000])[0]] * 4,
        *amperes([3], [2001]),
    ]


def test_loss_keeps_logic_and_range_of_the_last_sample():
    before = unit.words([4], [100], [0xA5])
    ours = decoded(np.concatenate((before, w.lost(3, int(before[0])), w.lost(2, None))))
    assert ours["logic"].tolist() == [0xA5] * 4 + [0, 0]
    assert ours["range"].tolist() == [4] * 4 + [0, 0]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    longest=st.integers(1, 9),
    sizes=st.lists(st.integers(1, 90), max_size=40),
    filter_=st.sampled_from(["hold", "vendor"]),
    lose=st.booleans(),
)
def test_splits_do_not_matter(seed, longest, sizes, filter_, lose):
    rng = np.random.default_rng(seed)
    words = unit.random_words(rng, 1500, longest)
    if lose:
        for at in rng.integers(1, 1400, 6):
            count = int(rng.integers(1, 99))
            words[at : at + count] = w.lost(count, int(words[at - 1]))[: len(words) - at]
    at_once, in_pieces = decoded(words, filter_), decoded(words, filter_, sizes)
    for name, values in at_once.items():
        if name.endswith("_a"):  # the order of a sum may differ
            assert np.allclose(values, in_pieces[name], rtol=1e-12, atol=0, equal_nan=True), name
        else:
            assert np.array_equal(values, in_pieces[name]), name


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_a_chunk_decodes_by_itself(seed):
    """Where a settled sample comes now and then, no chunk needs the one before it but for a switch."""
    words = unit.random_words(np.random.default_rng(seed), 4000, 40)
    setup = MeterSetup(unit.SUPPLY_V, supplies=True)
    whole = np.concatenate([c.current_a for c in decode(words.tobytes(), IDENTITY, setup, 0)])
    at = 100 + int(np.argmax(np.diff(words[100:] >> 14 & 7) == 0)) + 1
    part = np.concatenate([c.current_a for c in decode(words[at:].tobytes(), IDENTITY, setup, at)])
    assert np.array_equal(part[3:], whole[at + 3 :])


def test_decode_again():
    rng = np.random.default_rng(3)
    words = unit.random_words(rng, 130_000, 200)
    setup = MeterSetup(unit.SUPPLY_V, supplies=True)
    chunks = list(decode(words.tobytes(), IDENTITY, setup, 500))
    assert chunks[0].start == 500
    assert all(a.start + len(a) == b.start for a, b in pairwise(chunks))
    assert b"".join(c.raw for c in chunks) == words.tobytes()
    assert all(c.voltage_v == 3.3 for c in chunks)
    vendor = MeterSetup(unit.SUPPLY_V, supplies=True, args=(("filter", "vendor"),))
    again = list(decode(words.tobytes(), IDENTITY, vendor, 500))
    assert np.array_equal(
        np.concatenate([c.vendor_a for c in chunks]), np.concatenate([c.current_a for c in again])
    )


def test_half_a_sample_is_refused():
    with pytest.raises(MeterError) as caught:
        list(decode(b"\0" * 6, IDENTITY, MeterSetup(3.3, supplies=True), 0))
    assert str(caught.value) == (
        "recorded samples of a PPK2 are 6 bytes, which is no multiple of 4; the recording is damaged"
    )


def test_hold_forward_is_nearer_to_the_truth_than_the_vendors_filter():
    """1 ms bursts of 50 mA over 5 uA: the vendor's mean of the past takes per cents of the charge."""
    idle, busy = (0, 140), (3, 1045)  # codes of about 5 uA and 50 mA
    ranges, adc = [idle[0]] * 200, [idle[1]] * 200
    for _ in range(5):
        ranges += [busy[0]] * 100 + [idle[0]] * 300
        adc += [busy[1]] * 100 + [idle[1]] * 300
    truth = np.array(amperes(ranges, adc))
    words = unit.words(ranges, adc)
    for at in np.flatnonzero(np.diff(ranges)) + 1:
        words[at : at + 3] += np.array([90, 50, 20], w.DTYPE)  # spikes while it settles
    ours = decoded(words)
    burst = np.array(ranges) == busy[0]
    error = {
        name: ours[name][burst].sum() / truth[burst].sum() - 1 for name in ("current_a", "vendor_a")
    }
    assert abs(error["current_a"]) < 1e-9
    assert error["vendor_a"] < -0.01
