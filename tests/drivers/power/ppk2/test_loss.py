"""Losses by counter and clock together are found in full, on arrivals with a host's jitter."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hilbench.drivers.power import _ppk2_words as w
from hilbench.drivers.power._ppk2_stream import Stream
from hilbench.power import Gap
from tests.drivers.power.ppk2.unit import Look, arrivals, received


def check(looks, length, lost):
    """The account is exact, and agrees with the words."""
    words, end = received(looks)
    assert end.lost == lost, end
    assert end.uncertain == 0, end.notes
    assert end.notes == ()
    assert len(words) == end.samples + end.lost == length
    assert int(w.is_lost(words).sum()) == lost
    assert sum(g.samples for g in end.gaps) == lost
    for gap in end.gaps:
        assert w.is_lost(words[gap.start : gap.start + gap.samples]).all()
    return words, end


@pytest.mark.parametrize("seed", range(6))
def test_nothing_lost(seed):
    """Late looks, even 150 ms of them, are no losses; a fast or slow meter is none either."""
    rng = np.random.default_rng(seed)
    error = rng.uniform(-5e-3, 5e-3)
    looks, length = arrivals(rng, 4.0, rate_error=error, stall=0.01)
    _, end = check(looks, length, 0)
    assert end.rate_hz == pytest.approx(1e5 * (1 + error), rel=5e-5)
    assert end.rate_u < 1e-4


@pytest.mark.parametrize("lost", [1, 2, 33, 63, 64, 65, 100, 127, 128, 129, 191, 192, 193, 200])
def test_one_gap(lost):
    rng = np.random.default_rng(lost)
    first = int(rng.integers(120_000, 200_000))
    looks, length = arrivals(rng, 4.0, [(first, lost)], rng.uniform(-1e-4, 1e-4))
    words, end = check(looks, length, lost)
    seen = lost % 64
    assert [(g.samples, g.by) for g in end.gaps] == (
        [(seen, "counter")] * bool(seen) + [(lost - seen, "clock")] * (lost > 63)
    )
    if seen:  # its place is known
        assert end.gaps[0].start == first
        assert w.is_lost(words[first : first + lost]).all()
    else:  # the earliest that it can be: not after it, and at most two looks and a stall before
        assert first - 16_000 < end.gaps[0].start <= first


@pytest.mark.parametrize("seed", range(8))
def test_every_gap_of_1_to_200_in_total(seed):
    rng = np.random.default_rng(100 + seed)
    gaps, at = [], 110_000
    for lost in rng.choice(np.arange(1, 201), 6):
        gaps.append((at, int(lost)))
        at += int(lost) + int(rng.integers(3_000, 40_000))
    looks, length = arrivals(rng, (at + 170_000) / 1e5, gaps, rng.uniform(-2e-3, 2e-3))
    check(looks, length, sum(n for _, n in gaps))


def test_large_gap_does_not_shorten_the_time_line():
    looks, length = arrivals(np.random.default_rng(3), 5.0, [(150_000, 43_210)])
    words, end = check(looks, length, 43_210)
    assert end.gaps == (
        Gap(150_000, 43_210 % 64, "counter"),
        Gap(150_000 + 43_210 % 64, 43_210 // 64 * 64, "clock"),
    )
    ramp = (words[200_000:] & 0x3FFF).astype(int)
    assert np.array_equal(ramp, np.arange(200_000, length) % (1 << 14))


def test_gap_in_the_first_second():
    looks, length = arrivals(np.random.default_rng(8), 4.0, [(50_000, 64)], 1e-3)
    check(looks, length, 64)


def test_known_rate_has_no_first_second():
    rng = np.random.default_rng(1)
    looks, _ = arrivals(rng, 4.0, [(30_000, 64)], 2e-3)
    _, end = received(looks, rate_hz=1e5 * (1 + 2e-3))
    assert (end.lost, end.uncertain) == (64, 0)


def test_late_for_good_by_no_multiple_is_said_and_counted_as_uncertain():
    """0.9 ms from the middle on: 90 samples cannot be lost without the counter seeing 26."""
    looks, _ = arrivals(np.random.default_rng(5), 6.0)
    middle = len(looks) // 2
    late = [Look(k.data, k.before_s + 9e-4, k.after_s + 9e-4) for k in looks[middle:]]
    _, end = received(looks[:middle] + late)
    assert end.uncertain >= 64
    assert re.fullmatch(
        r"samples arrive 0\.[89]\d ms later than before, which is no multiple of 0\.64 ms: 64 "
        r"samples are taken for lost, 64 more or less",
        end.notes[0],
    )


def busy(rng, looks, from_s, to_s, least_s=0.0):
    """A host that comes to its clock up to 11 ms late."""
    begin_s, latest_s, late = looks[0].before_s, 0.0, []
    for look in looks:
        by_s = (
            rng.uniform(least_s, least_s + 11e-3)
            if from_s <= look.before_s - begin_s < to_s
            else 0.0
        )
        latest_s = max(latest_s, look.before_s + by_s)
        late.append(Look(look.data, latest_s, latest_s + look.after_s - look.before_s))
    return late


@pytest.mark.parametrize("seed", range(4))
def test_host_that_is_busy_now_and_then_loses_nothing(seed):
    rng = np.random.default_rng(seed)
    looks, length = arrivals(rng, 6.0)
    check(busy(rng, busy(rng, looks, 2.0, 2.8), 4.0, 4.7), length, 0)


@pytest.mark.parametrize("seed", range(4))
def test_host_that_is_busy_for_long_is_said_but_nothing_taken_for_lost(seed):
    rng = np.random.default_rng(seed)
    looks, length = arrivals(rng, 11.0)
    words, end = received(busy(rng, looks, 2.0, 9.0, 2e-3))
    assert len(words) == length
    assert end.lost == 0
    assert end.uncertain >= 64
    assert (
        "for 4 s the host was too busy to tell late samples from lost ones: 64 or more may be "
        "missing there"
    ) in end.notes


def test_late_at_the_end_is_said():
    looks, _ = arrivals(np.random.default_rng(5), 3.0)
    begin = looks[-1].before_s - 0.12
    late = [
        Look(k.data, k.before_s + 7e-4, k.after_s + 7e-4) if k.before_s > begin else k
        for k in looks
    ]
    _, end = received(late)
    assert (end.lost, end.uncertain) in {(0, 64), (64, 0)}
    if end.uncertain:
        assert end.notes == ("the last 0.12 s arrived late: up to 64 samples may be missing there",)


def test_samples_that_were_late_after_all_are_said():
    """0.64 ms late for 2 s, then early again: by arrival alone this is a loss, then it is none."""
    looks, _ = arrivals(np.random.default_rng(6), 7.0, stall=0)
    begin = looks[0].before_s
    for_a_while = [
        Look(k.data, k.before_s + 6.4e-4, k.after_s + 6.4e-4)
        if 2.0 < k.before_s - begin < 4.5
        else k
        for k in looks
    ]
    _, end = received(for_a_while)
    assert end.lost == 64
    assert end.uncertain >= 64
    assert "64 samples that were taken for lost may have been late instead" in end.notes
    assert (
        "seen from its end, 64 samples of the capture may be lost that are not counted, or counted "
        "that are not lost"
    ) in end.notes


def test_rate_beyond_any_crystal_is_said():
    looks, _ = arrivals(np.random.default_rng(2), 3.0, rate_error=-0.01)
    _, end = received(looks)
    assert end.uncertain == pytest.approx(0.01 * 297_000, abs=30)
    assert end.notes[-1].startswith(
        "99000 samples arrived a second, -1.00% from 100000, limit 0.5%"
    )
    assert end.notes[-1].endswith(" samples are unaccounted for")


def test_capture_too_short_for_the_clock_says_so():
    looks, length = arrivals(np.random.default_rng(2), 0.05)
    words, end = received(looks)
    assert len(words) == end.samples == length
    assert end.rate_hz is None
    assert end.rate_u is None
    assert end.notes == (
        "the capture is shorter than 0.1 s: losses of multiples of 64 samples cannot be seen",
    )


def test_nothing_at_all():
    words, end = received([])
    assert len(words) == end.samples == end.lost == 0


def test_what_bytes_were_lost_is_said():
    looks, length = arrivals(np.random.default_rng(2), 3.0)
    middle = len(looks) // 2
    hurt = Look(looks[middle].data[1:], looks[middle].before_s, looks[middle].after_s)
    words, end = received([*looks[:middle], hurt, *looks[middle + 1 :]])
    assert len(words) == length
    assert 1 <= end.lost <= 4
    assert end.notes[0] == "bytes were lost inside of samples 1 times"
    assert end.notes[1].endswith(" bytes belong to no sample")


def test_impossible_range_is_said():
    looks, _ = arrivals(np.random.default_rng(2), 2.0)
    raw = np.frombuffer(looks[9].data, w.DTYPE).copy()
    raw[5] |= np.uint32(7 << 14)
    _, end = received(
        [*looks[:9], Look(raw.tobytes(), looks[9].before_s, looks[9].after_s), *looks[10:]]
    )
    assert end.lost == 1
    assert end.gaps[0].by == "meter"
    assert end.notes == ("1 samples were in a range that does not exist and are lost",)


@pytest.mark.parametrize("pieces", [1, 7])
def test_how_often_it_is_asked_does_not_matter(pieces):
    looks, _ = arrivals(np.random.default_rng(11), 3.0, [(130_000, 70)])
    expected, end = received(looks)
    stream, parts = Stream("here"), []
    for k, look in enumerate(looks):
        stream.add(look.data, look.before_s, look.after_s)
        if k % pieces == 0:
            parts.append(stream.take())
    parts.append(stream.take(last=True))
    assert np.array_equal(np.concatenate(parts), expected)
    assert stream.end() == end
