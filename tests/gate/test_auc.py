"""Areas: DeLong's variance by hand, and how often a loss of just the margin passes."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from hilbench.gate.auc import (
    area_loss,
    loss_bounds,
    non_inferior_p,
    smallest_loss_seen,
    worse_p,
)
from hilbench.measurement.accuracy import auc

NORMAL = NormalDist()


def test_by_hand():
    """Positives 3 and 1 against negatives 0, 2 and 1; then 3 and 2 against 0, 2 and 1.

    Placements of positives 1 and 1/2, then 1 and 5/6; of negatives 1, 1/2 and 3/4, then 1, 3/4, 1.
    """
    positive = np.array([True, True, False, False, False])
    found = area_loss(np.array([3, 1, 0, 2, 1]), np.array([3, 2, 0, 2, 1]), positive)
    assert (found.before, found.now) == pytest.approx((0.75, 11 / 12))
    parts = np.var([0, -1 / 3], ddof=1) / 2, np.var([0, -1 / 4, -1 / 4], ddof=1) / 3
    assert found.u == pytest.approx(math.sqrt(sum(parts)))
    assert found.dof == pytest.approx(sum(parts) ** 2 / (parts[0] ** 2 + parts[1] ** 2 / 2))
    assert (found.fewest, found.moved, found.n) == (2, 3, 5)


@pytest.mark.parametrize("levels", [3, 256])
def test_areas_are_those_that_are_measured(levels):
    """Ties counted half, as the measured value counts them."""
    rng = np.random.default_rng(1)
    y = rng.random(300) < 0.3
    scores = [rng.integers(0, levels, 300) + y for _ in "ab"]
    found = area_loss(*scores, y)
    assert (found.before, found.now) == pytest.approx([auc(s, y).value for s in scores])


def test_the_order_alone_counts():
    rng = np.random.default_rng(2)
    y = rng.random(50) < 0.5
    a, b = rng.normal(size=(2, 50))
    assert area_loss(a, b, y) == area_loss(a, np.exp(b), y)


def binormal(rng, sizes, area, margin, correlation):
    """Scores of positives and negatives whose areas are ``area`` and ``area - margin``."""
    y = np.arange(sum(sizes)) < sizes[0]
    first, second = rng.normal(size=(2, len(y)))
    second = correlation * first + math.sqrt(1 - correlation**2) * second
    shift = (math.sqrt(2) * NORMAL.inv_cdf(a) for a in (area, area - margin))
    return first + next(shift) * y, second + next(shift) * y, y


def broken(rng, sizes, area, margin, _):
    """The same scores, but for positives that now stand below all: the rarest way to lose area."""
    before, _, y = binormal(rng, sizes, area, 0.0, 1.0)
    lost = y & (rng.random(len(y)) < margin / area)
    return before, np.where(lost, -99.0, before), y


@pytest.mark.parametrize("sizes", [(50, 50), (60, 400), (500, 500)])
@pytest.mark.parametrize(
    ("kind", "correlation"), [(binormal, 0.0), (binormal, 0.5), (binormal, 0.8), (broken, 1.0)]
)
def test_false_pass_at_the_margin_is_at_most_5_percent(sizes, kind, correlation):
    rng = np.random.default_rng(11)
    tries = 300
    passed = [
        sum(
            non_inferior_p(area_loss(*kind(rng, sizes, area, margin, correlation)), margin) < 0.05
            for _ in range(tries)
        )
        for area, margin in ((0.75, 0.05), (0.9, 0.05), (0.97, 0.02), (0.99, 0.01))
    ]
    # By chance at a true 5 %: 28 of 300 in 0.1 %, 77 of 1200 in 2 %.
    assert max(passed) < 28
    assert sum(passed) < 77


def test_the_normal_test_alone_would_not_hold_it():
    """What correction and binomial test are for."""
    rng = np.random.default_rng(13)
    found = [area_loss(*broken(rng, (50, 50), 0.97, 0.02, 1.0)) for _ in range(300)]
    bare = [f.u == 0 or (0.02 - f.loss) / f.u > NORMAL.inv_cdf(0.95) for f in found]
    assert np.mean(bare) > 0.3


def test_false_alarms_hold_5_percent_without_a_margin():
    rng = np.random.default_rng(14)
    for correlation in (0.5, 0.9):
        p = [
            worse_p(area_loss(*binormal(rng, (80, 80), 0.9, 0.0, correlation))) for _ in range(1000)
        ]
        assert np.mean(np.array(p) < 0.05) < 0.066


def test_a_loss_is_found_and_enough_vectors_do_pass():
    """A test that never passes would hold 5 %, too."""
    rng = np.random.default_rng(15)
    assert worse_p(area_loss(*binormal(rng, (500, 500), 0.95, 0.05, 0.9))) < 1e-6
    assert non_inferior_p(area_loss(*binormal(rng, (2000, 2000), 0.95, 0.0, 0.95)), 0.01) < 0.05


def test_the_same_order_leaves_the_exact_bound():
    """No placement moved among 200 of a class: 1 - 0.05^(1/200), as for accuracy."""
    y = np.arange(400) < 200
    scores = np.arange(400.0)
    found = area_loss(scores, scores * 2, y)
    assert worse_p(found) == 1.0
    low, high = loss_bounds(found, 0.05)
    assert high == pytest.approx(1 - 0.05 ** (1 / 200), abs=1e-8)
    assert low == -high


def test_few_moves_cannot_be_significant():
    """Three vectors that moved, all for the worse: equal models do that once in eight times."""
    y = np.arange(100) < 50
    before = np.arange(100.0)[::-1]
    found = area_loss(before, np.where(np.arange(100) < 1, -1.0, before), y)
    assert found.moved == 51  # the one that fell, and the negatives above it
    few = replace(found, moved=3)
    assert worse_p(few) == pytest.approx(max(1 / 8, worse_p(found)))


def test_bounds_are_where_the_tests_turn():
    rng = np.random.default_rng(16)
    before, now, y = binormal(rng, (100, 150), 0.9, 0.03, 0.7)
    found = area_loss(before, now, y)
    low, high = loss_bounds(found, 0.05)
    assert low < found.loss < high
    assert non_inferior_p(found, high + 1e-6) < 0.05 <= non_inferior_p(found, high - 1e-6)
    mirrored = loss_bounds(area_loss(now, before, y), 0.05)
    assert (low, high) == pytest.approx((-mirrored[1], -mirrored[0]))
    assert smallest_loss_seen(found, 0.05) > 2.4 * found.u
