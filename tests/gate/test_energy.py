"""Energy: paired blocks under drift, and stored numbers with their uncertainty."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hilbench.gate.cycles import decide
from hilbench.gate.energy import EnergySide, blocks, from_ratio, paired, stored

DRIFT = 0.01  # of energy over a run


def in_turns(rng, runs, sessions, change, sd=0.001):
    """Return energies of A and B, [runs, sessions] each, measured A B B A A B B A ..."""
    order = np.array([k % 4 in {1, 2} for k in range(2 * sessions)])
    trend = np.linspace(0, DRIFT, 2 * sessions)
    logs = trend + rng.normal(0, sd, (runs, 2 * sessions)) + np.where(order, math.log1p(change), 0)
    return np.exp(logs[:, ~order]), np.exp(logs[:, order])


def test_a_linear_drift_cancels_exactly():
    a, b = in_turns(np.random.default_rng(1), 1, 8, 0.0, sd=0.0)
    assert blocks(a, b) == pytest.approx(0.0, abs=1e-12)
    assert blocks(a, b).shape == (1, 4)


def test_blocks_by_hand():
    """D = (ln B1 + ln B2 - ln A1 - ln A2) / 2; a session left over is left out."""
    found = blocks([1.0, 2.0, 9.0], [math.e, 2 * math.e**3, 1.0])
    assert found == pytest.approx([2.0])


@pytest.mark.parametrize("sessions", [4, 6, 8])
def test_false_alarms_hold_5_percent_under_1_percent_drift(sessions):
    """The bare test, without the margin that would hide a wrong one."""
    runs = 4000
    a, b = in_turns(np.random.default_rng(2), runs, sessions, 0.0)
    alarms = (paired(a, b).p_worse < 0.05).mean()
    assert 0.03 < alarms < 0.06
    estimate = paired(a, b)
    assert (decide(estimate, 0.02, estimate.p_worse, 0.05) == "FAIL").mean() <= 0.05


def test_sequential_sessions_would_not_hold_it():
    """What the blocks are for: all of A, then all of B, under the same drift."""
    rng = np.random.default_rng(2)
    logs = np.linspace(0, DRIFT, 16) + rng.normal(0, 0.001, (1000, 16))
    assert (paired(np.exp(logs[:, :8]), np.exp(logs[:, 8:])).p_worse < 0.05).mean() > 0.5


def test_a_change_is_found_under_drift():
    a, b = in_turns(np.random.default_rng(4), 500, 6, 0.03)
    estimate = paired(a, b)
    assert (decide(estimate, 0.02, estimate.p_worse, 0.05) == "FAIL").mean() > 0.95


def test_equal_numbers_stay_finite():
    estimate = paired([5.0] * 4, [5.0] * 4)
    assert str(decide(estimate, 0.02, estimate.p_worse, 0.05)) == "PASS"
    assert math.isfinite(float(estimate.p_worse))


def test_what_does_not_scatter_counts():
    a, b = in_turns(np.random.default_rng(5), 1, 8, 0.03)
    estimate = paired(a, b, 0.05)
    assert float(estimate.u[0]) > 0.05
    assert str(decide(estimate, 0.02, estimate.p_worse, 0.05)[0]) == "INCONCLUSIVE"


def test_ratio_of_the_runs_own_comparison():
    """A takes 0.9 of B: B is worse by 1/0.9; k = 2.00 says no limit of freedom, 4.53 says 2."""
    found = from_ratio(0.9, 0.02, 2.0)
    assert math.exp(found.d) == pytest.approx(1 / 0.9)
    assert (float(found.u), float(found.dof)) == (0.01, math.inf)
    assert float(from_ratio(0.9, 0.02, 4.53).dof) == pytest.approx(2.0)
    # between table entries the factor is interpolated in 1 / dof
    assert float(from_ratio(0.9, 0.02, 2.155).dof) == pytest.approx(17.1, abs=0.1)


SIDE = EnergySide((10.0, 10.0, 10.0), 0.001, 0.01, (0.0, 1.0))


@pytest.mark.parametrize(
    ("shares", "u", "words"),
    [((0.0, 1.0), 0.001, "comparative uncertainty"), ((0.1, 0.9), 0.01, "absolute uncertainty"),
     ((), 0.01, "absolute uncertainty")],
)  # fmt: skip
def test_stored_numbers_take_the_uncertainty_that_is_honest(shares, u, words):
    """A gain cancels only where charge lies in the same ranges."""
    found = stored(SIDE, EnergySide(SIDE.uj, 0.001, 0.01, shares))
    assert found is not None
    assert float(found[0].u) == pytest.approx(u * math.sqrt(2))
    assert found[1] == words


def test_scatter_of_sessions_adds_to_it():
    scattered = EnergySide((10.0, 10.2, 9.8), 0.001, 0.01, (0.0, 1.0))
    found = stored(SIDE, scattered)
    assert found is not None
    sd = np.std(np.log(scattered.uj), ddof=1)
    assert float(found[0].u) == pytest.approx(math.sqrt(sd**2 / 3 + 2e-6))


def test_an_unknown_uncertainty_stays_unknown():
    assert stored(SIDE, EnergySide(SIDE.uj, None, None, (0.0, 1.0))) is None
