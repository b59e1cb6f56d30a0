"""Every component of the uncertainty by hand, or against drawing the errors that it stands for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilbench.errors import MeasurementError
from hilbench.measurement.power.budget import (
    CANCELS,
    COMPONENTS,
    compare,
    coverage_factor,
    effective_dof,
)
from hilbench.measurement.power.energy import session_energy
from tests.measurement.power.test_energy import (
    HZ,
    IDLE,
    LATER,
    RUN,
    SETUP,
    SPEC,
    VOLTS,
    session,
    window,
)

THIRD = 1 / np.sqrt(3)
GROSS_UJ = 0.012 * 0.03 * VOLTS * 1e6


def runs(count=4, mean_a=0.012, n=10, **how):
    return [window("run", 0.2 + 0.5 * k, 0.3, mean_a, n, **how) for k in range(count)]


def gross(*windows, spec=SPEC):
    return session_energy(windows, spec, SETUP).gross


def student_tail(t, dof):
    """P(|T| > t) by summing the density over angles: x = tan(angle) covers the whole line."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 2_000_001)[1:-1]
    x = np.tan(angle)
    weight = (1 + x**2 / dof) ** (-(dof + 1) / 2) * (1 + x**2)
    return weight[np.abs(x) > t].sum() / weight.sum()


@pytest.mark.parametrize("dof", [1, 2, 3, 5, 9, 19, 47])
def test_coverage_factor_leaves_out_4_55_percent(dof):
    assert student_tail(coverage_factor(dof), dof) == pytest.approx(0.0455, abs=0.0008)


def test_coverage_factor_between_the_lines_of_the_table_is_rather_too_large():
    assert coverage_factor(float("inf")) == 2.0
    assert student_tail(coverage_factor(1.4), 1.4) < 0.0455
    assert student_tail(coverage_factor(11), 11) == pytest.approx(0.0455, abs=0.0008)
    with pytest.raises(MeasurementError) as caught:
        coverage_factor(0.5)
    assert str(caught.value) == (
        "0.5 degrees of freedom give no coverage factor, limit 1; measure more windows"
    )


def test_welch_satterthwaite():
    assert effective_dof(1.0, [(0.0, 3)]) == float("inf")
    assert effective_dof(1.0, [(1.0, 3)]) == pytest.approx(3)
    assert effective_dof(np.sqrt(2), [(1.0, 3), (1.0, 3)]) == pytest.approx(6)
    assert effective_dof(2.0, [(1.0, 3)]) == pytest.approx(48)  # the rest is known
    assert effective_dof(0.1 * 3, [(0.30000000000000004, 1)]) >= 1


def test_gain_and_offset_add_up_over_ranges():
    found = gross(*runs(ranges=(0.25, 0.75)))
    assert found.gain_uj == pytest.approx(GROSS_UJ * (0.25 * 0.02 + 0.75 * 0.10) * THIRD)
    limit_a = 0.25 * 1e-6 + 0.75 * 1e-5
    assert found.offset_uj == pytest.approx(limit_a * 0.03 * VOLTS * 1e6 * THIRD)


def test_gain_and_offset_of_net_cancel_only_in_the_same_range():
    same = session(IDLE, *runs(), window("idle", 3, 0.1, 0.005)).net
    assert same.gain_uj == pytest.approx(same.energy_uj * 0.10 * THIRD)
    assert same.offset_uj == pytest.approx(0, abs=1e-9)
    low = {"ranges": (1.0, 0.0)}
    other = session(
        window("idle", 0, 0.1, 0.005, **low), *runs(), window("idle", 3, 0.1, 0.005, **low)
    ).net
    idle_uj = 0.005 * 0.03 * VOLTS * 1e6
    assert other.gain_uj == pytest.approx((GROSS_UJ * 0.10 + idle_uj * 0.02) * THIRD)
    assert other.offset_uj == pytest.approx((1e-5 + 1e-6) * 0.03 * VOLTS * 1e6 * THIRD)


def test_supply_and_clock_scale_the_energy():
    found = session(IDLE, *runs(), LATER)
    for budget in (found.gross, found.net):
        assert budget.supply_uj == pytest.approx(budget.energy_uj * 0.01 * THIRD)
        assert budget.clock_uj == pytest.approx(budget.energy_uj * 50e-6 * THIRD)


def test_a_quiet_current_keeps_its_rounding_and_noise_averages_it_out():
    quiet_uj = 1e-7 / np.sqrt(12) * 0.03 * VOLTS * 1e6
    assert gross(*runs()).quantisation_uj == pytest.approx(quiet_uj)
    rng = np.random.default_rng(3)
    noise_a = 1e-7  # 1 code, in 16 batches of 1875 samples

    def noisy(rms_a):
        spread = rms_a / np.sqrt(30_000 / 16)
        return [
            replace(r, batch_a=r.batch_a + spread * rng.standard_normal(16)) for r in runs(count=8)
        ]

    assert gross(*noisy(noise_a)).quantisation_uj == pytest.approx(quiet_uj / np.sqrt(8 * 30_000))
    assert gross(*noisy(noise_a / 5)).quantisation_uj == pytest.approx(quiet_uj)
    # the shape of the window is no noise, nor is one batch in which a quiet current crosses a code
    shaped = [replace(r, batch_a=r.batch_a + np.linspace(0, 0.002, 16)) for r in runs(count=8)]
    assert gross(*shaped).quantisation_uj == pytest.approx(quiet_uj)
    once = [
        replace(r, batch_a=r.batch_a + 1e-7 * (np.arange(16) == k)) for k, r in enumerate(shaped)
    ]
    assert gross(*once).quantisation_uj == pytest.approx(quiet_uj)
    # idle has its own noise: here none, so that its rounding stays in net energy
    idles = [window("idle", 5 + k, 0.1, 0.005) for k in range(3)]
    assert session(*noisy(noise_a), *idles).net.quantisation_uj == pytest.approx(quiet_uj, rel=1e-4)
    # two windows cannot tell shape from noise
    assert gross(*noisy(noise_a)[:2]).quantisation_uj == pytest.approx(quiet_uj)


def test_marker_edges_average_out_and_found_edges_do_not():
    one_uj = np.sqrt(2) * 0.3 / HZ * 0.012 * VOLTS * 1e6 / 10
    assert gross(*runs(u_edge=0.3)).edges_uj == pytest.approx(one_uj / 2)
    for tier in ("pattern", "edge"):
        assert gross(*runs(u_edge=0.3, tier=tier)).edges_uj == pytest.approx(one_uj)
    net = session(IDLE, *runs(u_edge=0.3), LATER).net
    assert net.edges_uj == pytest.approx(one_uj / 2 * 7 / 12)


def test_what_edges_explain_is_not_counted_again_as_scatter():
    rng = np.random.default_rng(4)
    off_s = (rng.random(50) - rng.random(50)) / HZ
    moved = [
        replace(r, energy_j=r.energy_j + 0.012 * VOLTS * o, charge_c=r.charge_c + 0.012 * o)
        for r, o in zip(runs(50, u_edge=1 / np.sqrt(12)), off_s, strict=True)
    ]
    found = gross(*moved)
    seen_uj = (0.012 * VOLTS * off_s / 10 * 1e6).std(ddof=1) / np.sqrt(50)
    both = np.hypot(found.edges_uj, found.type_a_uj)
    assert both == pytest.approx(max(seen_uj, found.edges_uj), rel=1e-6)
    assert seen_uj == pytest.approx(found.edges_uj, rel=0.2)  # as the component says


def test_lost_samples_were_anything_between_the_least_and_the_most():
    found = gross(*runs(lost=3, peak_a=0.018, low_a=0.011))
    assert found.loss_uj == pytest.approx(GROSS_UJ * 3 / 30_000 * (0.018 / 0.012 - 1) * THIRD)
    assert gross(*runs(lost=3, peak_a=0.013, low_a=0.006)).loss_uj == pytest.approx(
        GROSS_UJ * 3 / 30_000 * 0.5 * THIRD
    )
    assert gross(*runs(peak_a=0.018)).loss_uj == 0


def test_range_switches_and_tail_are_wrong_alike_in_every_window():
    found = gross(*(replace(r, switch_charge_c=1e-6) for r in runs()))
    assert found.switches_uj == pytest.approx(1e-6 * VOLTS * 1e6 / 10 * THIRD)
    steps = [replace(r, start_a=0.005, end_a=0.012, tau_s=1e-3, u_tau_s=1e-4) for r in runs()]
    assert gross(*steps).tail_uj == pytest.approx(0.007 * 1e-4 * VOLTS * 1e6 / 10)


def test_scatter_of_windows_has_students_degrees_of_freedom():
    rng = np.random.default_rng(5)
    means = 0.012 + 1e-4 * rng.standard_normal(4)
    found = gross(*(window("run", k, 0.3, m, 10) for k, m in enumerate(means)))
    each_uj = means * 0.03 * VOLTS * 1e6
    assert found.type_a_uj == pytest.approx(each_uj.std(ddof=1) / 2)
    assert found.type_a_dof == 3
    alone = replace(found, **dict.fromkeys((c for c in COMPONENTS if c != "type_a_uj"), 0.0))
    assert alone.coverage_k == pytest.approx(3.31)
    assert alone.absolute_uj == alone.comparative_uj == pytest.approx(3.31 * found.type_a_uj)


def test_one_window_has_the_scatter_of_its_batches():
    found = gross(window("run", 0, 0.3, 0.012, 10, jitter_a=1e-4))
    batches = 1e-4 * np.resize([1.0, -1.0], 16)
    relative = batches.std(ddof=1) / 4 / 0.012
    assert found.type_a_uj == pytest.approx(GROSS_UJ * relative)
    assert found.type_a_dof == 15


def test_windows_of_different_n_scatter_about_their_common_energy():
    mixed = [window("run", k, 0.03 * n, 0.012, n) for k, n in enumerate((1, 10, 100))]
    assert gross(*mixed).type_a_uj == pytest.approx(0, abs=1e-6)


def test_idle_power_is_as_uncertain_as_its_batches_or_as_idle_windows_differ():
    quiet = [window("idle", 0.5 * k, 0.1, 0.005, jitter_a=1e-4) for k in range(5)]
    both = [s for pair in zip(quiet, runs(5), strict=True) for s in pair]
    weights = np.array([0.5, 1, 1, 1, 1.5]) * 0.3 / 50  # seconds of each idle power, per inference
    found = session(*both, quiet[-1]).net
    batch_a = (1e-4 * np.resize([1.0, -1.0], 16)).std(ddof=1) / 4
    assert 0.5 < found.idle_uj / (batch_a * VOLTS * np.linalg.norm(weights) * 1e6) < 1.5
    assert found.idle_dof == 15 * 6
    rng = np.random.default_rng(6)
    wander = 0.005 + 1e-3 * rng.standard_normal(5)
    idles = [window("idle", 0.5 * k, 0.1, a) for k, a in enumerate(wander)]
    wild = session(*(s for pair in zip(idles, runs(5), strict=True) for s in pair)).net
    assert wild.idle_dof == 4
    assert 0.3e-3 < wild.idle_uj / (VOLTS * np.linalg.norm(weights) * 1e6) < 3e-3


def test_comparative_leaves_out_what_cancels():
    found = gross(*runs(u_edge=0.3, lost=3, peak_a=0.018))
    rest = [getattr(found, c) for c in COMPONENTS if c not in CANCELS]
    assert found.comparative_uj == pytest.approx(2 * np.linalg.norm(rest))
    everything = [getattr(found, c) for c in COMPONENTS]
    assert found.absolute_uj == pytest.approx(2 * np.linalg.norm(everything))
    assert found.comparative_uj < found.absolute_uj / 10


def budgets(mean_a, count=2, **how):
    return [gross(*runs(mean_a=mean_a, **how)) for _ in range(count)]


def test_gain_cancels_in_the_same_range_of_the_same_meter():
    found = compare(budgets(0.011), budgets(0.012), SPEC, same_meter=True)
    assert found.ratio == pytest.approx(11 / 12)
    assert found.gain_cancels
    assert found.gain_u == pytest.approx(0, abs=1e-12)
    # offset: 10 uA of 11 mA against 10 uA of 12 mA
    assert found.offset_u == pytest.approx((1e-5 / 0.011 - 1e-5 / 0.012) * THIRD)
    assert found.expanded < 0.001
    assert found.says.endswith("gain cancels: same meter, same ranges")


def test_gain_does_not_cancel_where_charge_moves_to_another_range():
    a, b = budgets(0.012, ranges=(0.3, 0.7)), budgets(0.012, ranges=(0.1, 0.9))
    found = compare(a, b, SPEC, same_meter=True)
    assert not found.gain_cancels
    assert found.gain_u == pytest.approx(0.2 * (0.10 + 0.02) * THIRD)
    assert found.says.endswith("gain does not cancel: 20.0 % of the energy lies in other ranges")
    # the claim by drawing gains: each range's wrong by up to its limit
    rng = np.random.default_rng(7)
    wrong = 1 + rng.uniform(-1, 1, (20_000, 2)) * [0.02, 0.10]
    ratios = (wrong @ [0.3, 0.7]) / (wrong @ [0.1, 0.9])
    assert ratios.std() < found.gain_u < 2 * ratios.std()


def test_nothing_cancels_between_two_meters():
    found = compare(budgets(0.011), budgets(0.012), SPEC, same_meter=False)
    assert not found.gain_cancels
    assert found.gain_u == pytest.approx(np.sqrt(2) * 0.10 * THIRD)
    rest = np.linalg.norm([found.gain_u, found.offset_u, found.rest_u])
    scale = np.sqrt(2) * np.hypot(0.01, 50e-6) * THIRD
    assert found.expanded == pytest.approx(2 * np.hypot(rest, scale))
    assert found.says.endswith("gain does not cancel: two meters")


def test_pairs_that_differ_more_than_their_windows_explain():
    a = [gross(*runs(mean_a=m)) for m in (0.0120, 0.0123, 0.0118)]
    found = compare(a, budgets(0.012, count=3), SPEC, same_meter=True)
    logs = np.log(np.array([0.0120, 0.0123, 0.0118]) / 0.012)
    assert found.type_a_u == pytest.approx(logs.std(ddof=1) / np.sqrt(3))
    assert found.dof == pytest.approx(2, rel=0.01)
    assert found.expanded == pytest.approx(4.53 * found.type_a_u, rel=0.01)
    assert found.says.startswith("A is 1.0026 of B, within ")


def test_what_cannot_be_compared():
    with pytest.raises(MeasurementError) as caught:
        compare(budgets(0.01, 2), budgets(0.01, 1), SPEC, same_meter=True)
    assert str(caught.value) == (
        "comparison has 2 sessions of A and 1 of B; it needs pairs, at least 1"
    )
    below = [replace(b, energy_uj=-3.0) for b in budgets(0.01)]
    with pytest.raises(MeasurementError) as caught:
        compare(below, budgets(0.01), SPEC, same_meter=True)
    assert str(caught.value) == (
        "energy of -3 uJ cannot be compared, limit 0 uJ; compare gross energies"
    )


def test_found_by_every_component():
    assert gross(RUN).row("energy").keys() == {
        *(f"energy_u_{c}" for c in COMPONENTS),
        "energy_absolute_uj",
        "energy_comparative_uj",
        "energy_coverage_k",
    }
