"""Mean squared errors: by hand, and how often a change of just the margin passes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hilbench.gate.squared_error import (
    SquaredErrors,
    change_bounds,
    non_inferior_p,
    smallest_change_seen,
    worse_p,
)
from hilbench.gate.student import t_sf

MARGIN = 0.1


def test_even_differences_are_students_t():
    """w = -2, -1, 0 at margin 0: t = -1 / sqrt(1/3), no skewness, so that Hall's p is as large."""
    found = SquaredErrors(np.array([3.0, 3.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    assert found.change == pytest.approx(-1 / 3)
    assert non_inferior_p(found, 0.0) == pytest.approx(t_sf(math.sqrt(3), 2))


def test_hall_by_hand():
    """w = -1, -1, -1, 1: s = -1/2 over sd sqrt(3)/2, skewness 2/sqrt(3)."""
    found = SquaredErrors(np.array([2.0, 2.0, 2.0, 2.0]), np.array([1.0, 1.0, 1.0, 3.0]))
    s, g = -1 / math.sqrt(3), 2 / math.sqrt(3)
    hall = s + g * s**2 / 3 + g**2 * s**3 / 27 + g / 24
    student = t_sf(1 / math.sqrt(3) * math.sqrt(3), 3)
    assert non_inferior_p(found, 0.0) == pytest.approx(max(student, t_sf(-2 * hall, 3)))


def even(rng, n):
    """The model errs anew, a little more: eight elements a vector."""
    before, noise = rng.normal(size=(2, n, 8))
    return before, before + math.sqrt(MARGIN) * noise


def scaled(rng, n):
    """Two models whose errors have nothing in common, one element a vector: heavy tails."""
    before, now = rng.normal(size=(2, n, 1))
    return before, math.sqrt(1 + MARGIN) * now


def heavy(rng, n):
    """The same with log-normal errors."""
    before, now = np.exp(rng.normal(size=(2, n, 1)) / 2)
    return before, math.sqrt(1 + MARGIN) * now


def rare(rng, n):
    """The same outputs, but for 2 % of the vectors, which bring all of the change."""
    before = rng.normal(size=(n, 8))
    hit = rng.random(n) < 0.02
    return before, np.sqrt(before**2 + hit[:, None] * MARGIN / 0.02)


def errors(kind, rng, n):
    return SquaredErrors(*((side**2).mean(axis=1) for side in kind(rng, n)))


@pytest.mark.parametrize("n", [50, 200, 450, 1000])
@pytest.mark.parametrize("kind", [even, scaled, heavy, rare])
def test_false_pass_at_the_margin_is_at_most_5_percent(kind, n):
    rng = np.random.default_rng(21)
    tries = 1500
    passed = sum(non_inferior_p(errors(kind, rng, n), MARGIN) < 0.05 for _ in range(tries))
    # 1 % by chance at a true 5 %
    assert passed / tries <= 0.05 + 2.33 * math.sqrt(0.05 * 0.95 / tries)


def test_students_t_alone_would_not_hold_it():
    rng = np.random.default_rng(22)
    passed = 0
    for _ in range(500):
        found = errors(rare, rng, 450)
        w = found.now - (1 + MARGIN) * found.before
        passed += t_sf(-w.mean() / (w.std(ddof=1) / math.sqrt(450)), 449) < 0.05
    assert passed / 500 > 0.08


@pytest.mark.parametrize("kind", [scaled, heavy])
def test_false_alarms_hold_5_percent_without_a_margin(kind):
    rng = np.random.default_rng(23)
    alarms = 0
    for _ in range(1500):
        found = errors(kind, rng, 200)
        alarms += worse_p(SquaredErrors(found.before, found.now / (1 + MARGIN))) < 0.05
    assert alarms / 1500 < 0.063


def test_a_change_is_found_and_enough_vectors_do_pass():
    """A test that never passes would hold 5 %, too."""
    rng = np.random.default_rng(24)
    found = errors(even, rng, 450)
    assert worse_p(found) < 1e-4
    close = SquaredErrors(found.before, found.before * rng.uniform(0.98, 1.02, 450))
    assert non_inferior_p(close, 0.05) < 0.05


def test_what_no_vector_shows_is_not_excluded():
    """Equal errors: 20 vectors are too few to exclude one in 20 that would be as bad as the worst."""
    before = np.linspace(0.5, 1.5, 20)
    assert non_inferior_p(SquaredErrors(before, before), 0.01) == pytest.approx(
        (1 - 0.01 / 1.5) ** 20
    )
    assert non_inferior_p(SquaredErrors(before, before), 0.5) < 0.05


def test_few_changes_cannot_be_significant():
    before = np.full(100, 1.0)
    now = before.copy()
    now[:3] = 1.5
    assert worse_p(SquaredErrors(before, now)) >= 1 / 8
    assert worse_p(SquaredErrors(before, before)) == 1


def test_bounds_are_where_the_tests_turn():
    rng = np.random.default_rng(25)
    found = errors(even, rng, 300)
    low, high = change_bounds(found, 0.05)
    assert low < found.change < high
    assert non_inferior_p(found, high + 1e-6) < 0.05 <= non_inferior_p(found, high - 1e-6)
    assert low > 0  # surely worse, as worse_p says
    assert 0 < smallest_change_seen(found, 0.05) < 1


def test_no_bound_is_infinite():
    """Two vectors of which one holds all of the error say nothing of a ratio."""
    found = SquaredErrors(np.array([0.0, 1.0]), np.array([5.0, 1.0]))
    assert change_bounds(found, 0.05)[1] == math.inf
