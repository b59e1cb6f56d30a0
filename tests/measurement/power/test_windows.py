"""Marker edges against a debouncer that looks at one sample after the other; windows against truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench.errors import WindowError
from hilbench.measurement.power.windows import (
    clock_ratio,
    marker_edges,
    match,
    match_events,
    settled,
)
from hilbench.power import Chunk, Marked, MeterSpec, Window
from tests.measurement.power.waveforms import Stretch, make, piece, session

SPEC = MeterSpec(100_000.0, 1e-4, (), ("D0",), "set", 0.01, "test")
DEBOUNCE_S = 50e-6


def chunks(bits, valid=None, sizes=(1000,), bit=0):
    bits = np.asarray(bits, np.uint8)
    valid = np.ones(len(bits), bool) if valid is None else np.asarray(valid, bool)
    current = np.where(valid, 0.01, np.nan)
    whole = Chunk(0, current, 3.3, bits << bit, valid, np.zeros(len(bits), np.uint8))
    at = turn = 0
    while at < len(bits):
        stop = min(at + sizes[turn % len(sizes)], len(bits))
        yield piece(whole, at, stop)
        at, turn = stop, turn + 1


def by_hand(bits, shortest):
    """Runs of equal level, as a list; the ends of the capture are long; (rises, falls, bounces)."""
    starts = [0] + [k for k in range(1, len(bits)) if bits[k] != bits[k - 1]]
    lengths = [b - a for a, b in zip(starts, [*starts[1:], len(bits)], strict=True)]
    last = len(starts) - 1
    long = [i in {0, last} or n >= shortest for i, n in enumerate(lengths)]
    edges, level, opened = [], bits[0], None
    for i in range(1, len(starts)):
        opened = starts[i] if long[i - 1] else opened
        if long[i]:
            if bits[starts[i]] != level:
                edges.append((opened, bits[starts[i]]))
            level = bits[starts[i]]
    rises = [at for at, up in edges if up]
    falls = [at for at, up in edges if not up]
    return rises, falls, long.count(False)


bit_runs = st.lists(st.integers(1, 9), min_size=1, max_size=40)


@given(runs=bit_runs, first=st.booleans(), shortest=st.integers(0, 6), size=st.integers(1, 50))
def test_edges_are_those_found_by_hand_whatever_the_chunks_are(runs, first, shortest, size):
    bits = np.concatenate([np.full(n, (i + first) % 2) for i, n in enumerate(runs)])
    edges = marker_edges(chunks(bits, sizes=(size, 3)), 0, shortest / 1e5, 1e5)
    rises, falls, bounces = by_hand(bits.tolist(), shortest)
    assert (edges.rises.tolist(), edges.falls.tolist(), edges.bounces) == (rises, falls, bounces)
    assert edges.level_at_start == bool(bits[0])


@given(runs=bit_runs, lost=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 20)), max_size=4))
def test_edges_with_lost_samples_do_not_depend_on_chunks(runs, lost):
    bits = np.concatenate([np.full(7 * n, i % 2) for i, n in enumerate(runs)])
    valid = np.ones(len(bits), bool)
    for start, n in lost:
        valid[start : start + n] = False
        bits[start : start + n] = bits[min(start, len(bits)) - 1]
    whole = marker_edges(chunks(bits, valid, (10_000,)), 0, 3e-5, 1e5)
    for sizes in ((1,), (7, 2, 30)):
        split = marker_edges(chunks(bits, valid, sizes), 0, 3e-5, 1e5)
        for name in ("rises", "falls", "u_rises", "u_falls"):
            assert getattr(split, name).tolist() == getattr(whole, name).tolist()
        assert split.bounces == whole.bounces


def test_another_bit_is_not_looked_at():
    bits = np.array([0] * 10 + [1] * 10, np.uint8)
    assert marker_edges(chunks(bits, bit=7), 7, 0, 1e5).rises.tolist() == [10]
    assert marker_edges(chunks(bits, bit=7), 0, 0, 1e5).rises.tolist() == []


def test_bounces_of_both_directions_are_counted_and_make_no_edge():
    bits = np.zeros(400, np.uint8)
    bits[100:300] = 1
    bits[50:52] = 1  # glitch
    bits[102:104] = 0  # the rise bounces
    bits[200:201] = 0  # dropout
    bits[303:304] = 1  # the fall bounces
    edges = marker_edges(chunks(bits), 0, DEBOUNCE_S, 1e5)
    assert (edges.rises.tolist(), edges.falls.tolist()) == ([100], [300])
    assert edges.bounces == 6  # short levels: 1 glitch, 2 at the rise, 1 dropout, 2 at the fall


def test_an_edge_within_lost_samples_is_as_uncertain_as_they_are_many():
    bits = np.r_[np.zeros(100), np.ones(100)].astype(np.uint8)
    valid = np.ones(200, bool)
    valid[80:120] = False
    bits[80:120] = 0  # the driver repeats the last level
    edges = marker_edges(chunks(bits, valid, (90,)), 0, 0, 1e5)
    assert edges.rises.tolist() == [100]  # the middle
    assert edges.u_rises[0] == pytest.approx(41 / np.sqrt(12))
    clear = marker_edges(chunks(bits, sizes=(90,)), 0, 0, 1e5)
    assert clear.u_rises[0] == pytest.approx(1 / np.sqrt(12))


def test_a_gpio_edge_is_as_uncertain_as_it_says():
    off = []
    for seed in range(40):
        phase = np.random.default_rng(seed).random()
        made = make(session(2, run_s=0.0203), phase=phase, chunk=777)
        edges = marker_edges(made.recording.chunks(), 0, DEBOUNCE_S, 1e5)
        found = match(edges, made.marked, made.recording.spec)
        off.append([(w.start - a, w.end - b) for w, (a, b) in zip(found, made.edges, strict=True)])
    rms = np.sqrt(np.mean(np.square(off)))
    assert np.abs(off).max() <= 0.5 + 1e-6
    assert rms == pytest.approx(found[0].u_edge, rel=0.1)


def fails(edges, marked, **limits):
    with pytest.raises(WindowError) as caught:
        match(edges, marked, SPEC, **limits)
    return str(caught.value)


def edges_of(made):
    return marker_edges(made.recording.chunks(), 0, DEBOUNCE_S, 1e5)


def test_spurious_pulses_and_dropouts_longer_than_the_debounce_are_passed_over():
    glitches = ((0.0005, 1e-3), (0.02, 3e-4), (0.0355, 0.8e-3), (0.06, 1e-4))
    made = make(session(3), glitches=glitches, meter_clock=5e-5, board_clock=0.011)
    edges = edges_of(made)
    assert len(edges.rises) == len(made.marked) + 4
    found = match(edges, made.marked, made.recording.spec)
    assert np.abs([(w.start, w.end) for w in found] - made.edges).max() <= 0.5 + 1e-6
    assert [w.marked for w in found] == list(made.marked)
    ratio = clock_ratio(found, 1e5)
    assert abs(ratio.ratio - (1 + 5e-5) / 1.011) < 3 * ratio.u_ratio


@settings(deadline=None)
@given(
    told=st.lists(st.integers(300, 3000), min_size=2, max_size=12),
    extra=st.lists(st.tuples(st.integers(0, 12), st.integers(6, 80)), max_size=6),
    clock=st.floats(-0.02, 0.02),
)
def test_short_spurious_pulses_between_windows_change_nothing(told, extra, clock):
    at, rises, falls, truth = 100, [], [], []
    for i, n in enumerate(told):
        for _, width in [e for e in extra if e[0] == i]:
            rises.append(at)
            falls.append(at + width)
            at += width + 50
        truth.append((at, at + n))
        rises.append(at)
        falls.append(at + n)
        at += n + 50
    bits = np.zeros(at + 100, np.uint8)
    for a, b in zip(rises, falls, strict=True):
        bits[a:b] = 1
    marked = [Marked("run", 1, n / 1e5 * (1 + clock), 1e-6) for n in told]
    edges = marker_edges(chunks(bits), 0, DEBOUNCE_S, 1e5)
    try:
        found = match(edges, marked, SPEC)
    except WindowError as error:  # told to be as long as with a neighbour that is spurious
        assert extra
        assert "two marker pulses fit it" in str(error) or len(marked) < 4  # noqa: PT017
        return
    assert [(w.start, w.end) for w in found] == truth


def test_a_spurious_pulse_that_joins_a_window_at_another_ratio_of_the_clocks():
    """6 + 50 samples before a window of 1434 fit it as well as not, when the board is 2 % fast."""
    bits = np.zeros(2500, np.uint8)
    bits[100:106] = bits[156:1590] = bits[1640:1940] = bits[2000:2400] = 1
    marked = [Marked("run", 1, n / 1e5 * 1.0195, 1e-6) for n in (1434, 300, 400)]
    found = match(marker_edges(chunks(bits), 0, DEBOUNCE_S, 1e5), marked, SPEC)
    assert [(w.start, w.end) for w in found] == [(156, 1590), (1640, 1940), (2000, 2400)]


def test_one_window_that_a_spurious_pulse_may_belong_to_is_ambiguous():
    bits = np.zeros(2000, np.uint8)
    bits[100:106] = bits[156:1590] = 1
    edges = marker_edges(chunks(bits), 0, DEBOUNCE_S, 1e5)
    assert "two marker pulses fit it" in fails(edges, [Marked("run", 1, 0.01462, 1e-6)])


def test_no_edges_at_all():
    edges = marker_edges(chunks(np.zeros(100)), 0, DEBOUNCE_S, 1e5)
    assert match(edges, [], SPEC) == []
    assert fails(edges, [Marked("run", 5, 0.05, 1e-6)]) == (
        "window 1 of 1 (run of 5) lasts 0.050000 s by the device, none of the marker pulses is left "
        "for it, tolerance 0.001527 s; check the marker's wire and debounce_s, then measure again"
    )


def test_a_missing_window_is_named():
    made = make(session(3))
    edges = edges_of(made)
    third = replace(edges, rises=np.delete(edges.rises, 3), falls=np.delete(edges.falls, 3))
    assert fails(third, made.marked).startswith("window 4 of 7 (run of 10) lasts 0.050000 s by the")
    assert "none of the marker pulses is left for it" in fails(third, made.marked)


def test_a_missing_edge_joins_two_pulses_and_names_the_first_window_without_one():
    talk, idle = Stretch("talk", 0.004, 0.009), Stretch("idle", 0.03, 0.005)
    runs = [Stretch("run", t, 0.012, 10) for t in (0.05, 0.06, 0.07)]
    made = make([talk, idle, *(s for run in runs for s in (talk, run, talk, idle)), talk])
    edges = edges_of(made)
    joined = replace(edges, rises=np.delete(edges.rises, 4), falls=np.delete(edges.falls, 3))
    assert fails(joined, made.marked) == (
        "window 4 of 7 (run of 10) lasts 0.060000 s by the device, the nearest of the marker pulses "
        "0.094000 s, tolerance 0.001838 s; check the marker's wire and debounce_s, then measure again"
    )


def test_a_wrong_duration_is_named_with_what_was_measured_and_told():
    made = make(session(3))
    marked = list(made.marked)
    marked[3] = replace(
        marked[3], duration_s=0.0507
    )  # within the board's clock, not within its ratio
    sentence = fails(edges_of(made), marked)
    assert sentence.startswith(
        "window 4 of 7 (run of 10) lasts 0.050700 s by the device, the nearest of the marker pulses "
        "0.050000 s, tolerance 0.000"
    )
    assert sentence.endswith("check the marker's wire and debounce_s, then measure again")


def test_two_pulses_that_could_be_the_window_are_ambiguous():
    same = [Stretch("talk", 0.002, 0.005)] + [
        s
        for _ in range(4)
        for s in (Stretch("run", 0.003, 0.012, 1), Stretch("talk", 0.001, 0.005))
    ]
    made = make(same)
    assert fails(edges_of(made), made.marked[:3]) == (
        "window 1 of 3 (run of 1) lasts 0.003000 s by the device, and two marker pulses fit it, the "
        "better one 0.003000 s; check the marker's wire and debounce_s, or let windows last "
        "differently, then measure again"
    )


def test_the_clocks_limits_bound_the_first_tolerance():
    made = make(session(3), board_clock=0.04)
    assert "tolerance 0.000" in fails(edges_of(made), made.marked, board_clock_limit=0.005)
    assert len(match(edges_of(made), made.marked, SPEC, board_clock_limit=0.05)) == 7


def test_thousands_of_equal_windows_are_matched():
    each = (Stretch("run", 0.0011, 0.012, 1), Stretch("talk", 0.0003, 0.005))
    made = make([Stretch("talk", 0.001, 0.005), *(each * 1500)])
    found = match(edges_of(made), made.marked, SPEC)
    assert np.abs([(w.start, w.end) for w in found] - made.edges).max() <= 0.5 + 1e-6


def test_events_without_level_spurious_one_rejected_by_the_duration():
    """Events of a published MLPerf Tiny trace at 1 kHz; told: what its other four windows last."""
    spec = replace(SPEC, sample_hz=1000.0)
    told = Marked("run", 70, 11.6325, 1e-3)
    [window] = match_events(np.array([2085, 12447, 24079]), [told], spec, board_clock_limit=0.01)
    assert (window.start, window.end) == (12447, 24079)


def test_events_may_end_one_window_and_begin_the_next():
    spec = replace(SPEC, sample_hz=1000.0)
    marked = [Marked("run", 1, t, 1e-3) for t in (1.0, 2.0)]
    found = match_events(np.array([100, 700, 1700, 3700]), marked, spec)
    assert [(w.start, w.end) for w in found] == [(700, 1700), (1700, 3700)]


def test_settled_leaves_out_five_time_constants_or_what_uncertain_edges_share():
    window = Window(Marked("idle", 0, 0.01, 1e-6), 1000.0, 2000.0, "gpio", 0.29)
    assert settled(window, 1e-3, 1e5) == replace(window, start=1500.0)
    assert settled(window, 0.0, 1e5) == replace(window, start=1001.0, end=1999.0)
    with pytest.raises(WindowError) as caught:
        settled(window, 2e-3, 1e5)
    assert str(caught.value) == (
        "idle window lasts 0.010000 s, of which 0.010000 s are left out until its current has "
        "settled (5 time constants of 0.002000 s) and at uncertain edges; idle for 0.020000 s or "
        "longer"
    )
