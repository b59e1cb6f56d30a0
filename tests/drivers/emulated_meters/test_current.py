"""Samples and truth against formulas that the product does not use."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hilbench.drivers.emulated_meters._current import Change, Sampler, Timeline
from hilbench.records import CurrentModel

IDLE_A, ACTIVE_A = 5e-3, 12e-3


def a_timeline(changes=(), **model):
    timeline = Timeline(CurrentModel(**({"idle_ma": 5.0, "active_ma": 12.0} | model)))
    timeline.add(Change(-1.0, "voltage", 3.0))
    timeline.add(Change(-1.0, "power", 1))
    for t_s, level in changes:
        timeline.add(Change(t_s, "marker", level))
    return timeline


def random_edges(seed, count=40, until_s=0.1):
    random = np.random.default_rng(seed)
    times = np.sort(random.uniform(0.001, until_s, 2 * count))
    return [(float(t), 1 - i % 2) for i, t in enumerate(times)]


def step_responses(edges, tau_s, grid):
    """Mean current per sample: the sum of each edge's own step response, integrated."""
    start, end = grid[:-1], grid[1:]
    mean = np.full(len(start), IDLE_A)
    for t_s, level in edges:
        height = (ACTIVE_A - IDLE_A) * (1 if level else -1)
        a, b = np.maximum(start - t_s, 0), np.maximum(end - t_s, 0)
        settled = tau_s * (np.exp(-a / tau_s) - np.exp(-b / tau_s)) if tau_s else 0.0
        mean += height * (b - a - settled) / (end - start)
    return mean


@pytest.mark.parametrize("tau_us", [0.0, 3.0, 50.0, 1000.0])
def test_samples_are_means_of_the_exact_response(tau_us):
    edges = random_edges(seed=int(tau_us) + 1)
    sampler = Sampler(a_timeline(edges, tail_us=tau_us), 100_000)
    sampler.start(0.0)
    parts = [sampler.block(n) for n in (1, 999, 3000, 17, 6000)]
    made = np.concatenate([part.current_a for part in parts])
    grid = np.arange(len(made) + 1) / 100_000
    expected = step_responses(edges, tau_us * 1e-6, grid)
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-11)
    assert [part.start for part in parts] == [0, 1, 1000, 4000, 4017]


def test_the_tail_has_its_time_constant():
    sampler = Sampler(a_timeline([(0.001, 1)], tail_us=500.0), 1_000_000)
    sampler.start(0.0)
    made = sampler.block(2000).current_a
    at_tau = made[1000 + 500]
    assert (at_tau - IDLE_A) / (ACTIVE_A - IDLE_A) == pytest.approx(1 - math.exp(-1), abs=1e-3)


def test_the_pin_is_seen_in_the_middle_of_a_sample():
    sampler = Sampler(a_timeline([(10.4e-5, 1), (20.6e-5, 0)]), 100_000)
    sampler.start(0.0)
    assert np.flatnonzero(sampler.block(40).level).tolist() == list(range(10, 21))


def test_a_fast_clock_makes_more_samples():
    timeline = a_timeline(clock_ppm=5000.0)
    sampler = Sampler(timeline, 100_000)
    sampler.start(2.0)
    assert sampler.due(3.0 + 1e-9) == 100_500


def test_a_stream_that_starts_late_knows_what_was_before():
    edges = random_edges(seed=9)
    early, late = (Sampler(a_timeline(edges, tail_us=400.0), 100_000) for _ in range(2))
    early.start(0.0)
    early.block(3000)
    late.start(0.03)
    np.testing.assert_allclose(
        late.block(500).current_a, early.block(500).current_a, rtol=0, atol=1e-12
    )


def test_noise_has_its_rms_and_its_seed():
    def noise(seed):
        sampler = Sampler(a_timeline(noise_ma=0.2, seed=seed), 100_000)
        sampler.start(0.0)
        return sampler.block(50_000).current_a - IDLE_A

    assert noise(1).std() == pytest.approx(0.2e-3, rel=0.02)
    assert abs(noise(1).mean()) < 4 * 0.2e-3 / math.sqrt(50_000)
    assert np.array_equal(noise(1), noise(1))
    assert not np.array_equal(noise(1), noise(2))


def test_without_power_nothing_flows():
    timeline = a_timeline(drift_ma_per_s=3.0, tail_us=200.0)
    timeline.add(Change(0.01, "power", 0))
    timeline.add(Change(0.02, "power", 1))
    sampler = Sampler(timeline, 100_000)
    sampler.start(0.0)
    made = sampler.block(3000).current_a
    assert np.all(made[1000:2000] == 0)
    assert 0 < made[2000] < made[2100] < made[2900]  # charges the capacitor first
    lag_s = 200e-6  # a filtered ramp lags by tau
    assert made[2999] == pytest.approx(IDLE_A + 3e-3 * (0.029995 - lag_s), rel=1e-9)


def test_drift_is_in_samples_and_truth():
    timeline = a_timeline([(0.2, 1), (0.5, 0)], drift_ma_per_s=10.0)
    ((start, end, charge, energy),) = timeline.windows(1.0)
    # Mean of a straight line: its middle.
    assert (start, end) == (0.2, 0.5)
    assert charge == pytest.approx((ACTIVE_A + 10e-3 * 0.35) * 0.3, rel=1e-12)
    assert energy == pytest.approx(3.0 * charge, rel=1e-12)
    sampler = Sampler(timeline, 100_000)
    sampler.start(0.0)
    samples = sampler.block(100_000).current_a
    assert samples[20_000:50_000].sum() * 1e-5 == pytest.approx(charge, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_sum_of_samples_behind_the_rc_is_the_truth(seed):
    """tau y' = u - y: from rest to rest, the charge behind the RC is what the board drew."""
    edges = random_edges(seed)
    timeline = a_timeline(edges, tail_us=150.0)
    drawn = sum(charge for _, _, charge, _ in timeline.windows(1.0))
    up_s = sum(edges[i + 1][0] - edges[i][0] for i in range(0, len(edges), 2))
    sampler = Sampler(timeline, 100_000)
    sampler.start(0.0)
    seen = sampler.block(20_000).current_a.sum() * 1e-5
    assert seen == pytest.approx(drawn + (0.2 - up_s) * IDLE_A, rel=1e-9)
    assert drawn == pytest.approx(up_s * ACTIVE_A, rel=1e-12)


def test_operators_take_turns_and_idle_stretches_take_none():
    timeline = a_timeline(operators_ma=(10.0, 20.0, 30.0))
    for window in range(5):
        at = window * 0.1
        timeline.add(Change(at, "marker", 1))
        if window == 1:
            timeline.add(Change(at, "idle", 1))
        timeline.add(Change(at + 0.05, "marker", 0))
    charges = [charge for _, _, charge, _ in timeline.windows(1.0)]
    assert charges == pytest.approx([50e-5, 25e-5, 100e-5, 150e-5, 50e-5], rel=1e-12)


def test_a_board_that_sleeps_later_draws_active_current_until_then():
    timeline = a_timeline([(0.1, 1), (0.2, 0)])
    timeline.add(Change(0.125, "idle", 1))
    ((_, _, charge, _),) = timeline.windows(1.0)
    assert charge == pytest.approx(0.025 * ACTIVE_A + 0.075 * IDLE_A, rel=1e-12)


def test_power_and_voltage_may_change_within_a_window():
    timeline = a_timeline([(0.1, 1), (0.5, 0)])
    timeline.add(Change(0.2, "voltage", 2.0))
    timeline.add(Change(0.3, "power", 0))
    ((_, _, charge, energy),) = timeline.windows(1.0)
    assert charge == pytest.approx(0.2 * ACTIVE_A, rel=1e-12)
    assert energy == pytest.approx(0.1 * ACTIVE_A * 3.0 + 0.1 * ACTIVE_A * 2.0, rel=1e-12)


def test_a_window_that_has_not_ended_is_not_told():
    timeline = a_timeline([(0.1, 1), (0.2, 0), (0.3, 1), (0.4, 0), (0.5, 1)])
    assert len(list(timeline.windows(0.35))) == 1
    assert len(list(timeline.windows(1.0))) == 2
