"""Distributions against published tables and exact sums."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hilbench.gate.student import binomial_sf, incomplete_beta, t_quantile, t_sf, t_sf_array

# NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: upper critical values of Student's t.
TABLE = {
    (0.95, 1): 6.314, (0.95, 2): 2.920, (0.95, 5): 2.015, (0.95, 10): 1.812, (0.95, 30): 1.697,
    (0.975, 3): 3.182, (0.975, 12): 2.179, (0.99, 4): 3.747, (0.99, 60): 2.390,
    (0.999, 7): 4.785, (0.95, math.inf): 1.645, (0.999, math.inf): 3.090,
}  # fmt: skip


@pytest.mark.parametrize(("p", "dof"), TABLE)
def test_t_quantiles_are_those_of_the_table(p, dof):
    assert t_quantile(p, dof) == pytest.approx(TABLE[p, dof], abs=5.1e-4)
    assert t_quantile(1 - p, dof) == pytest.approx(-TABLE[p, dof], abs=5.1e-4)


@pytest.mark.parametrize("t", [-40.0, -1.3, 0.0, 0.2, 3.0, 1000.0])
def test_t_tail_in_closed_form(t):
    """1 degree of freedom is Cauchy's distribution; 2 have a closed form."""
    assert t_sf(t, 1) == pytest.approx(math.atan2(1, t) / math.pi, rel=1e-11)
    assert t_sf(t, 2) == pytest.approx(0.5 * (1 - t / math.sqrt(2 + t * t)), rel=1e-9)


def test_many_degrees_of_freedom_meet_the_normal():
    assert t_sf(2.0, 9.9e6) == pytest.approx(t_sf(2.0, math.inf), rel=1e-6)
    assert t_sf(math.inf, 3) == 0
    assert t_sf(-math.inf, 3) == 1


def test_fractional_degrees_of_freedom_by_numeric_integration():
    """Welch's are fractions: Simpson's rule over the density."""
    dof, t, steps = 3.7, 2.0, 20000
    scale = math.exp(math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2)) / math.sqrt(dof * math.pi)
    h = t / steps
    density = [scale * (1 + (k * h) ** 2 / dof) ** (-(dof + 1) / 2) for k in range(steps + 1)]
    area = h / 3 * (density[0] + density[-1] + 4 * sum(density[1::2]) + 2 * sum(density[2:-1:2]))
    assert t_sf(t, dof) == pytest.approx(0.5 - area, rel=1e-10)


@pytest.mark.parametrize(("k", "n", "p"), [(0, 5, 0.5), (3, 5, 0.5), (8, 10, 0.5), (3, 300, 0.01), (6, 5, 0.5)])  # fmt: skip
def test_binomial_tail_by_summation(k, n, p):
    exact = sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
    assert binomial_sf(k, n, p) == pytest.approx(exact, rel=1e-11)


def test_incomplete_beta_at_its_ends_and_symmetry():
    assert incomplete_beta(2, 3, 0) == 0
    assert incomplete_beta(2, 3, 1) == 1
    assert incomplete_beta(2.5, 0.5, 0.3) + incomplete_beta(0.5, 2.5, 0.7) == pytest.approx(1)


def test_arrays_broadcast():
    assert t_sf_array([[0.0], [1.0]], [1.0, 2.0]).shape == (2, 2)


def test_arrays_are_what_scalars_are():
    """Every case that a scalar tells apart, in one array."""
    t = np.concatenate([np.linspace(-50, 50, 101), [0.0, -0.0, 1e-9, 1e6, math.inf, -math.inf]])
    dof = np.array([0.5, 1.0, 2.0, 5.7, 10.0, 330.0, 1e5, 9.9e6, 1.1e7, math.inf])
    found = t_sf_array(t[:, None], dof)
    expected = [[t_sf(a, b) for b in dof] for a in t]
    # Scalars lose digits of 1 - x where the freedom is large.
    assert found == pytest.approx(np.array(expected), rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("dof", [0.3, 1, 2.5, 4, 40, 1e4, 9e6])
@pytest.mark.parametrize("p", [0.5, 0.6, 0.95, 0.999, 1 - 1e-7])
def test_quantiles_give_back_their_share(p, dof):
    assert t_sf(t_quantile(p, dof), dof) == pytest.approx(1 - p, rel=1e-9)
