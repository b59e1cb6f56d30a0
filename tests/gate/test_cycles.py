"""Latency: hand-worked figures, constant data, and simulated benches."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hilbench.gate.cycles import decide, log_ratio
from hilbench.gate.family import holm
from hilbench.gate.student import t_quantile

ALPHA, MARGIN, CELLS, FAMILIES, SESSIONS = 0.05, 0.005, 120, 400, 6


def verdict(a, b, tick=1.0, margin=0.01, layout_sd=0.0):
    estimate = log_ratio(a, b, tick, layout_sd)
    return str(decide(estimate, margin, estimate.p_worse, ALPHA))


def test_welch_by_hand():
    """ln of 1, e^0.1, e^0.2 against e^0.5, e^0.7: means 0.1 and 0.6, variances 0.01 and 0.02."""
    found = log_ratio(np.exp([0, 0.1, 0.2]), np.exp([0.5, 0.7]), 1e-9)
    assert found.d == pytest.approx(0.5)
    assert found.u == pytest.approx(math.sqrt(0.01 / 3 + 0.02 / 2))
    assert found.dof == pytest.approx((1 / 300 + 1 / 100) ** 2 / ((1 / 300) ** 2 / 2 + 1e-4))
    low, high = found.bounds(ALPHA)
    t = t_quantile(0.95, float(found.dof))
    assert low == pytest.approx(math.expm1(0.5 - t * float(found.u)))
    assert high == pytest.approx(math.expm1(0.5 + t * float(found.u)))
    power = t_quantile(0.8, float(found.dof))
    assert found.mde(ALPHA) == pytest.approx(math.expm1((t + power) * float(found.u)))


def test_rounding_is_half_a_tick_rectangular_on_either_side():
    found = log_ratio([1000.0] * 3, [1000.0] * 6, 1.0)
    assert found.u == pytest.approx(math.sqrt(2 / 12) / 1000, rel=1e-9)
    assert found.dof == math.inf


@pytest.mark.parametrize("ticks", [300, 1e4, 1e6])
def test_constant_data(ticks):
    """One tick more is no regression; two per cent more is."""
    assert verdict([ticks] * 3, [ticks] * 3) == "PASS"
    assert verdict([ticks] * 3, [ticks + 1] * 3) == "PASS"
    assert verdict([ticks] * 3, [ticks * 1.02] * 3) == "FAIL"
    assert verdict([ticks * 1.03] * 3, [ticks] * 3) == "IMPROVED"


def test_noise_is_inconclusive_and_not_a_pass():
    assert verdict([100, 110, 90], [101, 111, 92], 1e-3) == "INCONCLUSIVE"


def test_layout_scatter_makes_a_small_change_undecided():
    assert verdict([1e6] * 3, [1.02e6] * 3, layout_sd=0.015) == "INCONCLUSIVE"


def bench(rng, kind, sd):
    """Return medians of one side, [families, cells, sessions], in ticks; nothing changes."""
    shape = (FAMILIES, CELLS, SESSIONS)
    level = np.geomspace(2e3, 2e6, CELLS)[:, None]
    noise = rng.normal(0, sd, shape)
    if kind == "modes":  # 70 % in one of two alignments 0.3 % apart
        noise += 0.003 * (rng.random(shape) < 0.7)
    if kind == "drift":  # within a run, the same for all cells of it: warming up
        noise += rng.normal(0, 0.003, (FAMILIES, 1, 1)) * np.linspace(-1, 1, SESSIONS)
    ticks = level * np.exp(noise)
    return np.round(ticks / 8) * 8 if kind == "ticks" else np.round(ticks)


@pytest.mark.parametrize("sd", [0.0005, 0.01])
@pytest.mark.parametrize("kind", ["plain", "ticks", "modes", "drift"])
def test_false_alarms_of_a_family_stay_below_alpha(kind, sd):
    """120 cells, nothing changed: P(any FAIL) <= 5 %, within what 400 families can show."""
    rng = np.random.default_rng(7)
    estimate = log_ratio(
        bench(rng, kind, sd), bench(rng, kind, sd), 8.0 if kind == "ticks" else 1.0
    )
    found = decide(estimate, MARGIN, holm(estimate.p_worse), ALPHA)
    alarms = int((found == "FAIL").any(axis=-1).sum())
    # 31 or more of 400 happen by chance in 1 % at a true 5 %.
    assert alarms <= 30
    # The same without the margin, which makes it harder: Holm alone has to hold.
    bare = int((holm(estimate.p_worse) < ALPHA).any(axis=-1).sum())
    if kind != "drift":
        assert bare <= 30


def test_layout_bias_is_covered_by_its_floor():
    """One build a side, 1.5 % between builds, 0.05 % between sessions: false FAIL with the floor."""
    rng = np.random.default_rng(5)
    shape = (2000, 1, SESSIONS)
    a, b = (
        1e6 * np.exp(rng.normal(0, 0.015, (2000, 1, 1)) + rng.normal(0, 0.0005, shape))
        for _ in "ab"
    )
    with_floor = log_ratio(a, b, 1.0, 0.015)
    blind = log_ratio(a, b, 1.0)
    assert (decide(with_floor, 0.01, with_floor.p_worse, ALPHA) == "FAIL").mean() <= 0.06
    assert (decide(blind, 0.01, blind.p_worse, ALPHA) == "FAIL").mean() > 0.25


def test_screen_and_confirm_holds_alpha_and_has_more_power():
    """Screen at the plain level without a margin, fresh sessions of what was flagged, Bonferroni."""
    rng = np.random.default_rng(9)
    shape = (200, CELLS, SESSIONS)

    def p_of(change):
        a, b = (1e6 * np.exp(rng.normal(0, 0.01, shape)) for _ in "ab")
        b[:, :12] *= 1 + change
        return log_ratio(a, b, 1.0).p_worse

    def failing(change):
        flagged = p_of(change) < ALPHA
        level = ALPHA / np.maximum(flagged.sum(axis=-1, keepdims=True), 1)
        return flagged & (p_of(change) < level)

    # 18 or more of 200 happen by chance in 2 % at a true 5 %.
    assert failing(0.0).any(axis=-1).sum() < 18
    one_stage = (holm(p_of(0.02))[:, :12] < ALPHA).mean()
    assert failing(0.02)[:, :12].mean() > one_stage


def test_one_per_cent_is_found():
    """6 sessions of either, 0.2 % between sessions, one changed cell of 120, default margin."""
    rng = np.random.default_rng(3)
    a, b = bench(rng, "plain", 0.002), bench(rng, "plain", 0.002)
    b[:, 60] *= 1.01
    estimate = log_ratio(a, b, 1.0)
    found = decide(estimate, MARGIN, holm(estimate.p_worse), ALPHA)
    assert (found[:, 60] == "FAIL").mean() >= 0.95
    assert (found[:, 60] == "PASS").sum() == 0
    assert (np.delete(found, 60, axis=1) == "PASS").mean() > 0.95
