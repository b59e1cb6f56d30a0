"""Accuracy: exact sizes by enumeration, the nuisance parameter by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hilbench.gate.accuracy import (
    Discordance,
    discordance,
    loss_bounds,
    mcnemar_p,
    non_inferior_p,
    smallest_loss_seen,
    smallest_mcnemar_p,
    tango_z,
)


def test_counts():
    before = np.array([1, 1, 1, 0, 0], bool)
    now = np.array([1, 0, 0, 1, 0], bool)
    found = discordance(before, now)
    assert found == Discordance(2, 1, 5)
    assert found.loss == pytest.approx(0.2)


def test_mcnemar_by_hand():
    """b = 5, c = 0: 1/32; b = 4, c = 1: (5 + 1) / 32."""
    assert mcnemar_p(Discordance(5, 0, 100)) == pytest.approx(1 / 32)
    assert mcnemar_p(Discordance(4, 1, 100)) == pytest.approx(6 / 32)
    assert mcnemar_p(Discordance(0, 0, 100)) == 1
    assert smallest_mcnemar_p(5) == 1 / 32


def test_tango_at_no_loss_is_mcnemars_statistic():
    assert tango_z(Discordance(12, 2, 50), 0.0) == pytest.approx(10 / math.sqrt(14))


@pytest.mark.parametrize(("b", "c", "n", "loss"), [(12, 2, 50, 0.1), (0, 3, 200, 0.02), (7, 0, 100, 0.03), (1, 9, 80, 0.05)])  # fmt: skip
def test_tango_with_the_nuisance_found_by_brute_force(b, c, n, loss):
    """Maximise the likelihood of p_c on a fine grid, instead of solving for it."""
    grid = np.linspace(1e-9, (1 - loss) / 2 - 1e-9, 2_000_001)
    likelihood = b * np.log(grid + loss) + (n - b - c) * np.log1p(-2 * grid - loss)
    likelihood += c * np.log(grid)
    p_c = grid[likelihood.argmax()]
    variance = n * (2 * p_c + loss - loss**2)
    assert tango_z(Discordance(b, c, n), loss) == pytest.approx(
        (b - c - n * loss) / math.sqrt(variance), rel=1e-4
    )


def false_pass(n, margin, psi):
    """Exact P(pass) at loss = margin: sum the trinomial over all results that pass."""
    p_b, p_c = (psi + margin) / 2, (psi - margin) / 2
    most = min(n, int(n * psi + 8 * math.sqrt(n * psi) + 10))
    log_factorial = [math.lgamma(k + 1) for k in range(n + 1)]
    total = 0.0
    for b in range(most + 1):
        for c in range(min(most, n - b) + 1 if p_c > 0 else 1):
            if b - c < n * margin and non_inferior_p(Discordance(b, c, n), margin) < 0.05:
                rest = n - b - c
                total += math.exp(
                    log_factorial[n] - log_factorial[b] - log_factorial[c] - log_factorial[rest]
                    + b * math.log(p_b) + (c * math.log(p_c) if c else 0)
                    + rest * math.log1p(-psi)
                )  # fmt: skip
    return total


@pytest.mark.parametrize("n", [200, 270, 300, 450, 1000])
@pytest.mark.parametrize("margin", [0.005, 0.01, 0.02])
@pytest.mark.parametrize("psi", [0.005, 0.01, 0.02, 0.05, 0.1])
def test_false_pass_at_the_margin_is_at_most_5_percent(n, margin, psi):
    """No simulation: the exact probability, for 0.5 to 10 % of discordant vectors."""
    if psi >= margin:
        assert false_pass(n, margin, psi) <= 0.05


def test_enough_vectors_do_pass():
    """A test that never passes would hold 5 %, too."""
    assert non_inferior_p(Discordance(0, 0, 300), 0.01) < 0.05
    assert non_inferior_p(Discordance(5, 5, 2000), 0.01) < 0.05


def test_no_discordant_vector_leaves_the_exact_bound():
    """1 - 0.05^(1/200) = 1.487 %: an accuracy margin of 0.5 points cannot be shown with 200."""
    low, high = loss_bounds(Discordance(0, 0, 200), 0.05)
    assert high == pytest.approx(1 - 0.05 ** (1 / 200), abs=1e-8)
    assert low == -high


@pytest.mark.parametrize(("b", "c"), [(3, 1), (10, 0), (0, 10), (5, 5)])
def test_bounds_are_where_the_tests_turn(b, c):
    found = Discordance(b, c, 450)
    low, high = loss_bounds(found, 0.05)
    assert low < found.loss < high
    if high > 0:
        assert non_inferior_p(found, high * 1.001) < 0.05 <= non_inferior_p(found, high * 0.999)
    mirrored = loss_bounds(Discordance(c, b, 450), 0.05)
    assert (low, high) == pytest.approx((-mirrored[1], -mirrored[0]))


def test_smallest_loss_seen_by_hand():
    """(1.645 + 0.842) sqrt(0.02 / 1000) = 1.112 points."""
    assert smallest_loss_seen(Discordance(12, 8, 1000), 0.05) == pytest.approx(0.01112, rel=1e-3)
