"""Sums of windows against closed forms and against a cumulative sum of the whole capture."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench.errors import MeasurementError, WindowError
from hilbench.measurement.power._stream import BLOCK, blocks
from hilbench.measurement.power.integrate import sums
from hilbench.measurement.power.tail import Tail, fit
from hilbench.measurement.power.windows import marker_edges, match, settled
from hilbench.power import CaptureEnd, Chunk, Marked, MeterSetup, MeterSpec, RangeSpec, Window
from tests.measurement.power.waveforms import InMemory, Stretch, make, piece, session

HZ = 1000.0
NO_TAIL = Tail(0.0, 0.0)
RUN = Marked("run", 7, 0.01, 1e-6)


def recording(current, *, valid=None, ranges=None, volts=2.0, sizes=(64,)):
    current = np.asarray(current, float)
    valid = np.ones(len(current), bool) if valid is None else np.asarray(valid, bool)
    ranges = np.zeros(len(current)) if ranges is None else np.asarray(ranges)
    good = np.flatnonzero(valid)
    if len(good):  # of a lost sample: the last
        ranges = ranges[
            good[np.maximum(np.searchsorted(good, np.arange(len(valid)), "right") - 1, 0)]
        ]
    whole = Chunk(
        0,
        np.where(valid, current, np.nan),
        volts if isinstance(volts, float) else np.where(valid, volts, np.nan),
        np.zeros(len(current), np.uint8),
        valid,
        ranges.astype(np.uint8),
    )
    spec = MeterSpec(HZ, 0.0, (RangeSpec(0, 0, 0, 1),) * 3, (), "set", 0.0, "test")
    end = CaptureEnd(int(valid.sum()), int((~valid).sum()), (), None, None)
    return InMemory(whole, spec, MeterSetup(2.0, supplies=True), end, sizes=sizes)


def window(start, end, marked=RUN):
    return Window(marked, start, end, "gpio", 0.3)


def test_partial_samples_count_by_their_share():
    ramp = recording(np.arange(100.0))
    first, second, within = sums(
        ramp, [window(10.25, 20.75), window(20.75, 60.0), window(70.1, 70.3)], NO_TAIL
    )
    assert first.charge_c == pytest.approx(
        (0.75 * 10 + sum(range(11, 20)) + 0.75 * 20) / HZ, rel=1e-14
    )
    assert second.charge_c == pytest.approx((0.25 * 20 + sum(range(21, 60))) / HZ, rel=1e-14)
    assert within.charge_c == pytest.approx(0.2 * 70 / HZ, rel=1e-12)
    assert first.energy_j == pytest.approx(2 * first.charge_c, rel=1e-14)
    assert first.duration_s == pytest.approx(0.0105)
    assert (first.current_min_a, first.current_max_a) == (11, 19)  # whole samples
    assert (within.current_min_a, within.current_max_a) == (70, 70)
    assert first.samples == 11  # from 10 to 21, rounded edges


def case(draw):
    n = draw(st.integers(200, 700))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    valid = rng.random(n) > draw(st.sampled_from([0.0, 0.02, 0.3]))
    for _ in range(draw(st.integers(0, 2))):
        start = rng.integers(0, n)
        valid[start : start + rng.integers(1, 90)] = False
    valid[rng.integers(0, n)] = True
    ranges = np.repeat(rng.integers(0, 3, n), rng.integers(1, 30))[:n]
    volts = 3.0 + 0.1 * rng.random(n) if draw(st.booleans()) else 2.0
    borders = np.sort(rng.uniform(0, n, 2 * draw(st.integers(1, 5))))
    windows = [window(a, b) for a, b in borders.reshape(-1, 2)]
    return recording(rng.random(n), valid=valid, ranges=ranges, volts=volts), windows


cases = st.composite(case)()
NUMBERS = (
    "charge_c",
    "energy_j",
    "start_a",
    "end_a",
    "tail_charge_c",
    "range_charge_c",
    "range_energy_j",
    "range_s",
    "batch_a",
)
EXACT = ("samples", "lost", "switches", "current_min_a", "current_max_a", "duration_s")


def assert_same(found, wanted, tolerance=1e-12):
    for a, b in zip(found, wanted, strict=True):
        for name in NUMBERS:
            np.testing.assert_allclose(
                getattr(a, name), getattr(b, name), rtol=tolerance, atol=1e-15, err_msg=name
            )
        for name in EXACT:
            assert getattr(a, name) == pytest.approx(getattr(b, name), abs=1e-12), name


@settings(max_examples=60)
@given(cases, st.lists(st.integers(1, 300), min_size=1, max_size=4), st.sampled_from([0.0, 0.011]))
def test_chunks_change_nothing(case, sizes, tau_s):
    rec, windows = case
    tail = Tail(tau_s, 0.0)
    whole = sums(rec.rechunked(10_000), windows, tail)
    assert_same(sums(rec.rechunked(*sizes), windows, tail), whole)


@settings(max_examples=40)
@given(cases, st.integers(1, 400))
def test_small_blocks_change_nothing(case, block):
    rec, windows = case
    whole = sums(rec, windows, NO_TAIL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hilbench.measurement.power._stream.BLOCK", block)
        assert_same(sums(rec.rechunked(17), windows, NO_TAIL), whole)


@settings(max_examples=60)
@given(cases)
def test_sums_are_those_of_a_cumulative_sum_over_the_filled_capture(case):
    rec, windows = case
    whole = rec.whole
    index = np.arange(len(whole))
    good = index[whole.valid]
    before = good[np.maximum(np.searchsorted(good, index, "right") - 1, 0)]
    after = good[np.minimum(np.searchsorted(good, index, "left"), len(good) - 1)]
    mean = lambda v: (v[before] + v[after]) / 2  # noqa: E731 - of the valid neighbours
    current = mean(whole.current_a)
    volts = mean(np.broadcast_to(whole.voltage_v, len(whole)))
    borders = np.arange(len(whole) + 1.0)

    def integral(values, a, b):
        total = np.concatenate(([0.0], np.cumsum(values)))
        return (np.interp(b, borders, total) - np.interp(a, borders, total)) / HZ

    for result in sums(rec, windows, NO_TAIL):
        a, b = result.window.start, result.window.end
        assert result.charge_c == pytest.approx(integral(current, a, b), rel=1e-9, abs=1e-13)
        # A gap over a border of blocks has one voltage for all, so power is that of the means.
        assert result.energy_j == pytest.approx(
            integral(current * volts, a, b), rel=1e-9, abs=1e-13
        )
        if whole.valid.all():
            for r in range(3):
                mask = whole.range == r
                spent = integral(mask.astype(float), a, b)
                assert result.range_s[r] == pytest.approx(spent, abs=1e-12)
                held = integral(current * mask, a, b)
                assert result.range_charge_c[r] == pytest.approx(held, abs=1e-12)
        low, high = round(a), round(b)
        assert result.samples == whole.valid[low:high].sum()
        assert result.samples + result.lost == high - low
        inner = range(int(a) + 1, int(np.ceil(b)))
        assert result.switches == sum(bool(whole.range[k] != whole.range[k - 1]) for k in inner)


@settings(max_examples=40)
@given(cases, st.integers(1, 200))
def test_a_shift_in_time_changes_nothing(case, shift):
    rec, windows = case
    whole = rec.whole
    first = int(np.flatnonzero(whole.valid)[0])
    lead = lambda v: np.concatenate((np.full(shift, v[first]), v))  # noqa: E731
    volts = whole.voltage_v if isinstance(whole.voltage_v, float) else lead(whole.voltage_v)
    valid = np.concatenate((np.ones(shift, bool), whole.valid))
    ranges = np.concatenate((np.full(shift, whole.range[0]), whole.range))
    later = recording(lead(whole.current_a), valid=valid, ranges=ranges, volts=volts)
    moved = [replace(w, start=w.start + shift, end=w.end + shift) for w in windows]
    found = sums(later, moved, NO_TAIL)
    for a, b in zip(found, sums(rec, windows, NO_TAIL), strict=True):
        assert a.charge_c == pytest.approx(b.charge_c, rel=1e-9, abs=1e-12)
        assert a.energy_j == pytest.approx(b.energy_j, rel=1e-9, abs=1e-12)


def test_lost_samples_have_the_mean_of_their_valid_neighbours():
    current, valid = np.full(100, 1.0), np.ones(100, bool)
    current[50:], valid[40:50] = 3.0, False
    for sizes in ((100,), (45, 2), (1,)):
        [found] = sums(recording(current, valid=valid, sizes=sizes), [window(30, 60)], NO_TAIL)
        assert found.charge_c == pytest.approx((10 * 1 + 10 * 2 + 10 * 3) / HZ)
        assert (found.samples, found.lost) == (20, 10)
        assert (found.current_min_a, found.current_max_a) == (1, 3)


def test_lost_samples_at_the_ends_of_the_capture_have_their_only_neighbour():
    current, valid = np.arange(100.0), np.ones(100, bool)
    valid[:10] = valid[90:] = False
    [found] = sums(recording(current, valid=valid), [window(0, 100)], NO_TAIL)
    assert found.charge_c == pytest.approx((10 * 10 + sum(range(10, 90)) + 10 * 89) / HZ)


def test_a_long_gap_is_filled_in_blocks():
    valid = np.ones(3 * BLOCK, bool)
    valid[100:-100] = False
    rec = recording(np.where(np.arange(len(valid)) < 1000, 1.0, 2.0), valid=valid, sizes=(4096,))
    lengths = [len(b.current_a) for b in blocks(rec.chunks())]
    assert sum(lengths) == len(valid)
    assert max(lengths) <= BLOCK
    [found] = sums(rec, [window(0, len(valid))], NO_TAIL)
    assert found.charge_c == pytest.approx((100 + 200 + 1.5 * (len(valid) - 200)) / HZ)


def test_batches_are_equal_parts_of_whole_inferences_after_the_tail():
    rec = recording(np.arange(3000.0))
    of = lambda n, tau_s: sums(rec, [window(100, 1300, replace(RUN, inferences=n))], Tail(tau_s, 0))  # noqa: E731
    [found] = of(24, 0.0)
    assert found.batch_a == pytest.approx(np.arange(100, 1300).reshape(24, 50).mean(axis=1))
    assert [len(of(n, 0.0)[0].batch_a) for n in (0, 7, 8, 33, 100, 101)] == [16, 16, 8, 11, 25, 16]
    [later] = of(24, 0.024)  # 5 tau are 120 samples
    assert later.batch_a[0] == pytest.approx(np.arange(220, 265).mean())
    [half] = of(24, 1.0)  # never more than half
    assert half.batch_a[0] == pytest.approx(np.arange(700, 725).mean())


def test_switch_charge_is_the_difference_to_the_vendors_filter():
    rec, filtered = recording(np.full(100, 2.0)), recording(np.full(100, 1.9))
    [found] = sums(rec, [window(10, 60)], NO_TAIL, filtered)
    assert found.switch_charge_c == pytest.approx(50 * 0.1 / HZ)
    assert found.charge_c == pytest.approx(50 * 2 / HZ)


def test_current_at_the_edges():
    stretches = [
        Stretch("talk", 0.02, 0.005),
        Stretch("run", 0.05, 0.012, 1),
        Stretch("talk", 0.02, 0.003),
    ]
    made, behind = make(stretches), make(stretches, tau_s=1e-3)
    spec = made.recording.spec
    windows = match(marker_edges(made.recording.chunks(), 0, 0, 1e5), made.marked, spec)
    [jumps] = sums(made.recording, windows, NO_TAIL)
    assert (jumps.start_a, jumps.end_a) == pytest.approx((0.012, 0.012))
    [slow] = sums(behind.recording, windows, Tail(1e-3, 0.0))
    assert (slow.start_a, slow.end_a) == pytest.approx((0.005, 0.012), rel=1e-3)
    assert slow.tail_charge_c == pytest.approx(1e-3 * 0.007, rel=1e-3)
    assert slow.tail_energy_j == pytest.approx(3.3 * slow.tail_charge_c)
    assert slow.range_charge_c.sum() + slow.tail_charge_c == pytest.approx(slow.charge_c)


@pytest.mark.parametrize("tau_s", [0.0, 4e-6, 3e-5, 2e-4, 1e-3])
@pytest.mark.parametrize("active_a", [0.012, (0.010, 0.014, 0.008, 0.016)])
def test_energy_is_within_a_thousandth_of_the_truth(tau_s, active_a):
    off = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        made = make(
            session(3, run_s=rng.uniform(0.02, 0.04), active_a=active_a),
            tau_s=tau_s,
            noise_a=5e-5,
            seed=seed,
            phase=rng.random(),
            meter_clock=5e-5,
            sampling=("mean", "point")[seed % 2],
            range_tops_a=(0.007, 1.0),
            gaps=tuple((int(rng.integers(4000, 15000)), int(rng.integers(1, 9))) for _ in range(2)),
            voltage_noise_v=0.001 if seed % 3 == 0 else None,
        )
        edges = marker_edges(made.recording.chunks(), 0, 50e-6, 1e5)
        windows = match(edges, made.marked, made.recording.spec)
        found = sums(made.recording, windows, fit(made.recording, windows))
        for s, t in zip(found, made.truth, strict=True):
            if s.window.marked.kind == "run":
                off.append(s.energy_j / t.energy_j - 1)
                assert s.range_charge_c.sum() + s.tail_charge_c == pytest.approx(s.charge_c)
    assert np.abs(off).max() < 1e-3
    assert abs(np.mean(off)) < 2e-4


def test_idle_current_from_settled_windows():
    made = make(session(3), tau_s=1e-3, noise_a=1e-5)
    windows = match(
        marker_edges(made.recording.chunks(), 0, 0, 1e5), made.marked, made.recording.spec
    )
    tail = fit(made.recording, windows)
    idle = [settled(w, tail.tau_s, 1e5) for w in windows if w.marked.kind == "idle"]
    for found in sums(made.recording, idle, tail):
        assert found.charge_c / found.duration_s == pytest.approx(0.005, rel=5e-4)


def test_windows_must_be_in_order_and_within_the_capture():
    rec = recording(np.ones(100))
    for windows, sentence in (
        (
            [window(50, 60), window(10, 20)],
            "window 2 of 2 is from 0.010000 to 0.020000 s, allowed is 0.060000 s, where the one before "
            "ends, to 0.100000 s, where the capture ends; capture until after the last window and list "
            "windows in order",
        ),
        (
            [window(50, 101)],
            "window 1 of 1 is from 0.050000 to 0.101000 s, allowed is 0.000000 s, where",
        ),
        (
            [window(50, 50)],
            "window 1 of 1 is from 0.050000 to 0.050000 s, allowed is 0.000000 s, where",
        ),
    ):
        with pytest.raises(WindowError) as caught:
            sums(rec, windows, NO_TAIL)
        assert str(caught.value).startswith(sentence)
    assert sums(rec, [], NO_TAIL) == []


def test_holes_that_nobody_accounts_for_are_refused():
    rec = recording(np.ones(100))
    broken = [piece(rec.whole, 0, 30), piece(rec.whole, 40, 100)]
    with pytest.raises(MeasurementError) as caught:
        list(blocks(broken))
    assert str(caught.value) == (
        "a chunk begins at sample 40, 30 is the next; capture again, the recording has a hole that "
        "its meter does not account for"
    )


def test_a_capture_of_lost_samples_only_is_refused():
    rec = recording(np.ones(100), valid=np.zeros(100))
    with pytest.raises(MeasurementError) as caught:
        sums(rec, [window(10, 20)], NO_TAIL)
    assert str(caught.value) == (
        "none of 100 samples is valid, at least 1 is needed; check the meter's connection and capture "
        "again"
    )


class Endless:
    """4 million samples that exist one chunk at a time."""

    samples, size = 4_000_000, 1 << 16

    def __init__(self):
        like = recording(np.ones(10))
        self.identity, self.spec, self.setup = (
            like.identity,
            replace(like.spec, sample_hz=1e5),
            like.setup,
        )
        self.end = CaptureEnd(self.samples, 0, (), None, None)

    def chunks(self):
        for at in range(0, self.samples, self.size):
            n = min(self.size, self.samples - at)
            logic = ((np.arange(at, at + n) // 20_000) % 2).astype(np.uint8)
            current = 0.005 + 0.007 * logic
            yield Chunk(at, current, 3.3, logic, np.ones(n, bool), logic)


def test_memory_is_that_of_a_chunk():
    rec = Endless()
    marked = [Marked("run", 10, 0.2, 1e-6)] * 99
    tracemalloc.start()
    edges = marker_edges(rec.chunks(), 0, 50e-6, 1e5)
    windows = match(edges, marked, rec.spec)
    found = sums(rec, windows, fit(rec, windows))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(s.charge_c for s in found) == pytest.approx(99 * 0.2 * 0.012)
    assert peak < 10e6  # 32 MB of current, 8 MB of logic, validity and range
