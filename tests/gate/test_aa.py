"""A against A: floors by hand, the sample sizes of the literature, and rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilbench.errors import UsageError
from hilbench.gate.aa import Rates, floors, halves, rates, sessions_needed, simulate
from hilbench.gate.config import GateConfig
from tests.gate.gate_examples import CELL, KEY, METERED, run_of


def test_floors_by_hand():
    numbers = replace(METERED, cycles={"latency_median": (100.0, 100.0 * np.e, 100.0)}, sessions=3)
    latency, energy = floors(run_of((KEY, numbers)), GateConfig())
    assert (latency.metric, latency.margin, latency.sessions) == ("latency_median", 0.005, 3)
    assert latency.sd == pytest.approx(np.sqrt(1 / 3))
    assert latency.sessions_needed is None
    assert (energy.metric, energy.sessions_needed) == ("energy_uj", 2)


@pytest.mark.parametrize(
    ("cv", "change", "n"),
    [(0.005, 0.01, 5), (0.01, 0.01, 14), (0.02, 0.01, 51), (0.01, 0.02, 5), (0.005, 0.005, 14)],
)
def test_sessions_needed_are_those_of_exact_power(cv, change, n):
    """Noncentral t at alpha 5 %, power 80 %; the shifted central t used here is off by one at most."""
    assert abs(sessions_needed(cv, change, 0.05) - n) <= 1


def test_few_sessions_are_refused():
    once = replace(CELL, cycles={"latency_median": (1.0,)}, sessions=1)
    with pytest.raises(UsageError) as caught:
        floors(run_of((KEY, once)), GateConfig())
    assert str(caught.value) == (
        "m4[int8] has 1 session, limit 2; measure with --sessions 10 or more"
    )
    with pytest.raises(UsageError) as caught:
        halves(run_of(), GateConfig(), 10, 1)
    assert str(caught.value) == (
        "run run-2 has cells of 3 sessions, limit 4 for two halves; measure with --sessions 10 or more"
    )
    with pytest.raises(UsageError) as caught:
        halves(run_of(), GateConfig(metrics=("plan_bytes",)), 10, 1)
    assert str(caught.value) == "run run-2 has no latency and no energy to compare with itself"
    with pytest.raises(UsageError) as caught:
        simulate(cells=1, sessions=1, sd=0.1, change=0, margin=0.01, alpha=0.05, families=1, seed=1)
    assert str(caught.value) == "1 session can never fail: it has no scatter, limit 2"


def test_halves_of_a_quiet_run_pass():
    quiet = replace(METERED, cycles={"latency_median": (1e6,) * 6}, sessions=6)
    quiet = replace(quiet, energy=replace(quiet.energy, uj=(10.0,) * 6))
    assert halves(run_of((KEY, quiet)), GateConfig(), 20, 1) == Rates(20, 0, 1.0, 0.0, 0.0)


def test_rates_count_families_and_cells():
    a = np.full((2, 3, 4), 1000.0)
    b = a.copy()
    b[1, 2] = 1100.0
    found = rates(a, b, 1.0, 0.005, 0.05)
    assert (found.families, found.any_fail, found.fails) == (2, 1, pytest.approx(1 / 6))
    low, high = found.interval
    assert low < 0.5 < high


def test_the_simulated_bench_is_told_from_its_seed():
    options = {
        "cells": 20,
        "sessions": 6,
        "sd": 0.002,
        "margin": 0.005,
        "alpha": 0.05,
        "families": 20,
    }
    assert simulate(change=0.0, seed=1, **options) == simulate(change=0.0, seed=1, **options)
    assert simulate(change=0.01, seed=1, **options).any_fail == 20
