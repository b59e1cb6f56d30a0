"""A against A: floors by hand, the sample sizes of the literature, and rates."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from hilbench.errors import UsageError
from hilbench.gate.aa import (
    Bench,
    Rates,
    floors,
    rates,
    replay,
    sessions_needed,
    unreplayed,
)
from hilbench.gate.config import Budget, GateConfig, Limits, Margin, Pair, Waiver, Where
from hilbench.gate.confirm import confirm as look_again
from hilbench.gate.confirm import flagged
from hilbench.gate.cycles import log_ratio
from tests.gate.gate_examples import CELL, KEY, METERED, TODAY, baseline_of, gate, run_of


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
        replay(run_of(), GateConfig(), 10, 1)
    assert str(caught.value) == (
        "run run-2 has cells of 3 sessions, limit 4 for two halves; measure with --sessions 10 or more"
    )
    with pytest.raises(UsageError) as caught:
        replay(run_of(), GateConfig(confirm_sessions=7), 10, 1, confirm=True)
    assert str(caught.value) == (
        "run run-2 has cells of 3 sessions, limit 11 for two halves and 7 fresh sessions; measure "
        "with --sessions 11 or more"
    )
    with pytest.raises(UsageError) as caught:
        replay(run_of(), GateConfig(metrics=("plan_bytes",)), 10, 1)
    assert str(caught.value) == "run run-2 has no latency and no energy to compare with itself"
    with pytest.raises(UsageError) as caught:
        Bench(1, 1, 0.1).sides(GateConfig(), 1, 1)
    assert str(caught.value) == "1 session can never fail: it has no scatter, limit 2"


def measured(sessions, sd, energies=True, seed=1):
    """A run of two boards whose sessions scatter."""
    rng = np.random.default_rng(seed)
    cells = []
    for board in ("m4", "m7"):
        ticks = tuple(np.round(1e6 * np.exp(rng.normal(0, sd, sessions))).tolist())
        uj = tuple((10 * np.exp(rng.normal(0, sd, sessions))).tolist())
        numbers = replace(METERED, cycles={"latency_median": ticks}, sessions=sessions)
        side = replace(METERED.energy, uj=uj) if energies else None
        cells.append(((board, "int8"), replace(numbers, energy=side)))
    return run_of(*cells)


@pytest.mark.parametrize(("confirm", "sessions"), [(False, (6, 6)), (True, (3, 3, 6))])
def test_a_quiet_run_passes(confirm, sessions):
    found = replay(measured(12, 0.0), GateConfig(), 20, 1, confirm=confirm)
    assert found == Rates(sessions, 20, 0, 1.0, 0.0, 0.0)


def test_margins_and_alpha_are_the_gates_own():
    """1 % of noise: a narrow margin leaves it undecided, a wide one lets it pass."""
    run = measured(12, 0.01, energies=False)
    narrow = replay(run, GateConfig(), 50, 1)
    wide = replay(run, GateConfig(margins=(Margin(Where("latency_median"), 0.1),)), 50, 1)
    assert narrow.inconclusive > 0.5
    assert (wide.passes, wide.any_fail) == (1.0, 0)
    # 40 % alpha: Holm over two cells cries wolf in some of the halves.
    loud = replay(
        run, GateConfig(alpha=0.4, margins=(Margin(Where("latency_median"), 1e-6),)), 50, 1
    )
    assert loud.any_fail > 5


def test_the_meters_uncertainty_counts_in_stored_energies():
    """As judge() compares them; the scatter alone would alarm now and then."""
    config = GateConfig(metrics=("energy_uj",), alpha=0.3, margins=(Margin(Where("energy_uj"), 1e-6),))  # fmt: skip
    run = measured(8, 1e-4)
    known = replay(run, config, 100, 1)
    exact = run_of(*((k, replace(n, energy=replace(n.energy, comparative_u=0.0))) for k, n in run.cells.items()))  # fmt: skip
    assert known.any_fail == 0 < replay(exact, config, 100, 1).any_fail


def test_entries_of_other_boards_are_no_orphans_here():
    """Nor do waivers hide alarms, nor broken budgets count as such."""
    config = GateConfig(
        margins=(Margin(Where("latency_median", "uno"), 0.1), Margin(Where("plan_bytes"), 5.0)),
        budgets=(Budget(Where("latency_median"), Limits(1.0, None)),),
        waivers=(Waiver(Where("latency_median"), Limits(2e6, None), "x", date(2099, 1, 1)),),
        pairs=(Pair("old", "int8", "m4"),),
    )
    assert replay(measured(8, 0.0), config, 5, 1).passes == 1
    assert unreplayed(measured(8, 0.0), config) == ["m4[int8]::energy_uj"]


def test_rates_count_families_and_cells():
    a = np.full((2, 3, 4), 1000.0)
    b = a.copy()
    b[1, 2] = 1100.0
    found = rates((a, b), 1.0, 0.005, 0.05)
    assert found.sessions == (4, 4)
    assert (found.families, found.any_fail, found.fails) == (2, 1, pytest.approx(1 / 6))
    low, high = found.interval
    assert low < 0.5 < high
    assert rates((a, b, a), 1.0, 0.005, 0.05).any_fail == 0  # went away
    assert rates((a, b, b), 1.0, 0.005, 0.05).any_fail == 1


@pytest.mark.parametrize("confirm", [False, True])
@pytest.mark.parametrize("inconclusive", [False, True])
def test_simulated_gates_say_what_the_gate_says(confirm, inconclusive):
    """The arrays against judge() and confirm() on the same numbers, cell by cell."""
    rng = np.random.default_rng(5)
    config = GateConfig(metrics=("latency_median",), confirm_inconclusive=inconclusive, alpha=0.2)
    sides = tuple(np.round(1e6 * np.exp(rng.normal(0, 0.004, (30, 6, 4)))) for _ in range(3))
    names = [("m4", f"v{k}") for k in range(6)]

    def cells(side):
        return tuple(
            (name, replace(CELL, cycles={"latency_median": tuple(v)}, sessions=4, accuracy=None))
            for name, v in zip(names, side.tolist(), strict=True)
        )

    fails = inconclusives = 0
    for a, b, c in zip(*sides, strict=True):
        before = baseline_of(*cells(a))
        result = gate(run_of(*cells(b)), before, config, adjust="none" if confirm else "holm")
        if confirm and flagged(result, config):
            result = look_again(result, run_of(*cells(c)), before, config, TODAY)
        fails += result.counts["FAIL"] > 0
        inconclusives += result.counts["INCONCLUSIVE"]
    found = rates(sides if confirm else sides[:2], 1.0, 0.005, 0.2, inconclusive=inconclusive)
    assert (found.any_fail, found.inconclusive * 180) == (fails, pytest.approx(inconclusives))


@pytest.mark.parametrize("sd", [0.002, 0.005, 0.02])
@pytest.mark.parametrize("inconclusive", [False, True])
def test_a_family_holds_alpha_with_and_without_confirmation(sd, inconclusive):
    """120 cells, the same stored baseline in both looks, hardly any margin that would help."""
    sides = Bench(120, 6, sd).sides(GateConfig(), 400, 3)
    for chosen in (sides[:2], sides):
        found = rates(chosen, 1.0, 1e-6, 0.05, inconclusive=inconclusive)
        # 31 or more of 400 happen by chance in 1 % at a true 5 %.
        assert found.any_fail <= 30


def test_the_flagged_alone_would_be_too_small_a_family():
    """Why fresh sessions are judged among all cells: the baseline's luck is in both looks."""
    a, b, c = Bench(120, 6, 0.005).sides(GateConfig(), 400, 3)
    flagged_cells = log_ratio(a, b, 1.0).p_worse < 0.05
    count = np.maximum(flagged_cells.sum(axis=-1, keepdims=True), 1)
    found = flagged_cells & (log_ratio(a, c, 1.0).p_worse * count < 0.05)
    assert found.any(axis=-1).mean() > 0.2


def test_the_simulated_bench_is_told_from_its_seed():
    def tried(change):
        return rates(Bench(20, 6, 0.002, change).sides(GateConfig(), 20, 1), 1.0, 0.005, 0.05)

    assert tried(0.0) == tried(0.0)
    assert tried(0.01).any_fail == 20
