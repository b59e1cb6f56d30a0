"""Energy per inference from windows made by hand, where every figure is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilbench.errors import LostSamplesError, MeasurementError
from hilbench.measurement.power.energy import EnergyLimits, session_energy
from hilbench.power import (
    CaptureEnd,
    Marked,
    MeterSetup,
    MeterSpec,
    RangeSpec,
    Window,
    WindowSums,
)

HZ = 100_000.0
VOLTS = 3.0
SPEC = MeterSpec(
    HZ, 50e-6, (RangeSpec(1e-9, 0.02, 1e-6, 1e-3), RangeSpec(1e-7, 0.10, 1e-5, 1.0)),
    ("D0",), "set", 0.01, "by hand",
)  # fmt: skip
SETUP = MeterSetup(VOLTS, supplies=True)


def window(
    kind, start_s, duration_s, mean_a, n=0, *, restore_s=0.0, lost=0, tier="gpio", u_edge=0.0,
    board_clock=1.0, ranges=(0.0, 1.0), jitter_a=0.0, peak_a=None, low_a=None, **changes,
):  # fmt: skip
    """A window at ``mean_a``, whose charge lies in ``ranges`` by these shares."""
    told = Marked(kind, n, duration_s * board_clock, 1e-6, restore_s)
    samples = round(duration_s * HZ)
    charge = mean_a * duration_s
    sums = WindowSums(
        window=Window(told, start_s * HZ, start_s * HZ + samples, tier, u_edge),
        samples=samples - lost,
        lost=lost,
        charge_c=charge,
        energy_j=charge * VOLTS,
        duration_s=duration_s,
        current_min_a=mean_a if low_a is None else low_a,
        current_max_a=mean_a if peak_a is None else peak_a,
        start_a=mean_a,
        end_a=mean_a,
        tail_charge_c=0.0,
        tail_energy_j=0.0,
        tau_s=0.0,
        u_tau_s=0.0,
        range_charge_c=charge * np.array(ranges),
        range_energy_j=charge * VOLTS * np.array(ranges),
        range_s=duration_s * np.array(ranges),
        switches=0,
        switch_charge_c=0.0,
        batch_a=mean_a + jitter_a * np.resize([1.0, -1.0], 16),
    )
    return replace(sums, **changes)


def session(*windows, **options):
    return session_energy(windows, SPEC, SETUP, **options)


IDLE = window("idle", 0.0, 0.1, 0.005)
RUN = window("run", 0.2, 0.3, 0.012, 10)
LATER = window("idle", 0.6, 0.1, 0.005)


def test_the_reference_example():
    """Cortex-M4, 12 mA active, 5 mA idle, 30 ms at 3.3 V: 1188 uJ gross, 693 uJ net."""
    at_3v3 = [
        replace(s, energy_j=s.charge_c * 3.3, range_energy_j=s.range_charge_c * 3.3)
        for s in (IDLE, RUN, LATER)
    ]
    found = session_energy(at_3v3, SPEC, MeterSetup(3.3, supplies=True))
    assert found.gross.energy_uj == pytest.approx(1188)
    assert found.net.energy_uj == pytest.approx(693)


def test_an_npu_that_idle_hides_has_no_net_energy():
    """8 mA over 6.5 mA idle, 2 ms: net would be 19 % of gross."""
    idle = window("idle", 0.0, 0.1, 0.0065)
    run = window("run", 0.2, 0.2, 0.008, 100)
    found = session(idle, run)
    assert found.net is None
    assert found.idle_share == pytest.approx(0.8125)
    assert found.net_reason == (
        "idle is 81.2 % of gross, limit 80 %: net would be 5 times as uncertain as gross"
    )
    assert session(idle, run, limits=EnergyLimits(idle_share=0.82)).net.energy_uj == pytest.approx(
        0.0015 * 0.2 * VOLTS / 100 * 1e6
    )


def test_idle_above_gross_is_no_negative_energy():
    found = session(window("idle", 0.0, 0.1, 0.013), RUN)
    assert found.net is None
    assert found.net_reason == "idle is 108.3 % of gross, limit 80 %"


def test_figures_of_a_session():
    found = session(IDLE, replace(RUN, current_max_a=0.02), LATER, synthetic=True)
    assert found.charge_uc == pytest.approx(0.012 * 0.03 * 1e6)
    assert (found.mean_ma, found.peak_ma) == (pytest.approx(12), 20)
    assert found.mean_mw == pytest.approx(36)
    assert found.inference_us == pytest.approx(30_000)
    assert found.window_us == pytest.approx(300_000)
    assert (found.windows, found.inferences, found.inferences_per_window) == (1, 10, 10)
    assert (found.idle, found.idle_ma, found.idle_mw) == (
        "before and after", pytest.approx(5), pytest.approx(15),
    )  # fmt: skip
    assert (found.tier, found.restore, found.restore_uj) == ("gpio", "none", 0)
    assert (found.lost_samples, found.lost_share) == (0, 0)
    assert (found.supply_v, found.voltage, found.synthetic) == (VOLTS, "set", True)
    assert found.delta_n_uj is None


def test_idle_power_follows_a_linear_drift_to_the_middle_of_the_window():
    first = window("idle", 0.0, 0.1, 0.004)  # middle at 0.05 s
    run = window("run", 0.2, 0.1, 0.012, 1)  # 0.25 s: a quarter of the way
    last = window("idle", 0.8, 0.1, 0.008)  # 0.85 s
    assert session(first, run, last).net.energy_uj == pytest.approx(
        (0.012 - 0.005) * 0.1 * VOLTS * 1e6
    )


def test_pulses_of_one_run_share_the_idle_windows_around_it():
    pulses = [window("run", 0.2 + 0.02 * k, 0.01, 0.012, 1) for k in range(5)]
    found = session(IDLE, *pulses, LATER, marker_each=True)
    assert (found.windows, found.idle, found.restore) == (5, "before and after", "outside")
    assert found.net.energy_uj == pytest.approx(0.007 * 0.01 * VOLTS * 1e6)


@pytest.mark.parametrize(
    ("windows", "idle"),
    [
        ((IDLE, RUN, LATER), "before and after"),
        ((IDLE, RUN), "before"),
        ((RUN, LATER), "after"),
        ((RUN,), "none"),
        ((IDLE, RUN, LATER, window("run", 0.8, 0.3, 0.012, 10)), "before"),
        ((RUN, LATER, window("run", 0.8, 0.3, 0.012, 10)), "before or after"),
    ],
)
def test_how_idle_was_taken(windows, idle):
    found = session(*windows)
    assert found.idle == idle
    if idle == "none":
        assert found.net is None
        assert found.net_reason == "no idle window was measured"
        assert (found.idle_ma, found.idle_mw, found.idle_share) == (None, None, None)
    else:
        assert found.net.energy_uj == pytest.approx(0.007 * 0.03 * VOLTS * 1e6)


def test_restoring_inputs_is_subtracted_by_time_at_mean_power():
    run = window("run", 0.2, 0.3, 0.012, 10, restore_s=0.03, peak_a=0.017)
    found = session(IDLE, run, LATER)
    assert found.restore == "subtracted"
    assert found.gross.energy_uj == pytest.approx(0.012 * 0.027 * VOLTS * 1e6)
    assert found.net.energy_uj == pytest.approx(0.007 * 0.027 * VOLTS * 1e6)
    assert found.restore_uj == pytest.approx(0.012 * 0.003 * VOLTS * 1e6)
    assert found.inference_us == pytest.approx(27_000)
    assert found.mean_ma == pytest.approx(12)
    assert found.charge_uc == pytest.approx(0.012 * 0.027 * 1e6)
    # restoring drew 5 to 17 mA, mean 12: rms distance from 12 of a uniform current
    off_a = np.sqrt(np.mean((np.linspace(0.005, 0.017, 100_001) - 0.012) ** 2))
    assert found.gross.restore_uj == pytest.approx(off_a * 0.003 * VOLTS * 1e6, rel=1e-4)


def test_delta_n_is_free_of_what_every_window_costs():
    overhead = 0.001  # C in every window: wrong edges, a tail, a wake-up
    runs = [
        replace(r, charge_c=r.charge_c + overhead, energy_j=r.energy_j + overhead * VOLTS)
        for r in (
            window("run", 1.0, 0.3, 0.012, 10),
            window("run", 2.0, 0.6, 0.012, 20),
            window("run", 3.0, 0.3, 0.012, 10),
            window("run", 4.0, 0.6, 0.012, 20),
        )
    ]
    found = session(IDLE, *runs)
    truth = 0.012 * 0.03 * VOLTS * 1e6
    assert found.delta_n_uj == pytest.approx(truth)
    assert found.gross.energy_uj == pytest.approx(truth + overhead * VOLTS / 15 * 1e6)
    assert found.delta_n_disagreement == pytest.approx(truth / found.gross.energy_uj - 1)
    assert found.delta_n_u_uj == pytest.approx(0, abs=1e-6)


def test_delta_n_has_the_uncertainty_of_its_windows_edges():
    runs = [window("run", k, 0.03 * n, 0.012, n, u_edge=0.3) for k, n in ((1, 10), (2, 20))]
    edges_j = np.sqrt(2) * 0.3 / HZ * 0.012 * VOLTS  # of each window, then a difference of two
    assert session(*runs).delta_n_u_uj == pytest.approx(np.sqrt(2) * edges_j / 10 * 1e6)


def test_clocks_of_meter_and_board():
    fast = [
        window("idle", 0.0, 0.1, 0.005, board_clock=2.0, u_edge=0.3),  # cut: 5 tau left out
        window("run", 0.2, 0.3, 0.012, 10, board_clock=1.01, u_edge=0.3),
    ]
    found = session(*fast)
    assert found.clock_ratio == pytest.approx(1 / 1.01)
    one = np.hypot(np.sqrt(2) * 0.3 / HZ, 1e-6 / np.sqrt(6))
    assert found.clock_ratio_u == pytest.approx(one / 0.303)


def test_the_worst_tier_and_the_tail_are_told():
    pattern = replace(RUN.window, tier="edge")
    found = session(IDLE, replace(RUN, window=pattern, tau_s=1e-4, u_tau_s=1e-5), LATER)
    assert (found.tier, found.tau_us, found.u_tau_us) == ("edge", 100, 10)


def test_row_holds_every_figure_under_one_prefix():
    row = session(IDLE, RUN, LATER).row()
    assert row["energy_uj"] == pytest.approx(1080)
    assert row["energy_net_uj"] == pytest.approx(630)
    assert row["energy_idle"] == "before and after"
    assert row["energy_u_gain_uj"] > 0
    assert row["energy_net_absolute_uj"] > row["energy_net_comparative_uj"]
    assert all(name.startswith("energy_") for name in row)
    without = session(RUN).row()
    assert without.keys() == row.keys()
    assert without["energy_net_uj"] is without["energy_net_absolute_uj"] is None
    assert all(isinstance(v, (int, float, str, bool, type(None))) for v in row.values())


def test_lost_samples_up_to_the_limit():
    few = replace(RUN, lost=30, samples=29_970)
    found = session(IDLE, few, LATER)
    assert (found.lost_samples, found.lost_share) == (30, 30 / 50_000)
    with pytest.raises(LostSamplesError) as caught:
        session(IDLE, replace(RUN, lost=300, samples=29_700), LATER)
    assert str(caught.value) == (
        "meter lost 300 of 50000 samples (0.60 %), limit 0.1 %; use another USB port or a less "
        "busy host"
    )
    assert session(replace(RUN, lost=300, samples=29_700), limits=EnergyLimits(lost_share=0.02))


def test_what_nobody_can_tell_may_all_be_lost_in_the_windows():
    few = replace(RUN, lost=30, samples=29_970)

    def end(uncertain):
        return CaptureEnd(50_000, 0, (), None, None, uncertain=uncertain, uncertain_step=64)

    assert session(IDLE, few, LATER, end=end(0)).lost_samples == 30
    with pytest.raises(LostSamplesError) as caught:
        session(IDLE, few, LATER, end=end(64))
    assert str(caught.value) == (
        "meter lost 30 of 50000 samples and maybe 64 more (0.19 %), limit 0.1 %; use another USB "
        "port or a less busy host"
    )
    # 9 ms of a board whose clock may be off by 3 %: 64 samples less would show.
    short = [window("run", 0.2 + 0.02 * k, 0.009, 0.012, 1) for k in range(4)]
    assert session(IDLE, *short, LATER, end=end(640)).lost_samples == 0


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        (
            (IDLE,),
            "session has 1 idle windows and no run window, limit 1; measure inferences",
        ),
        (
            (IDLE, replace(RUN, energy_j=float("nan"))),
            "window 1 (run) has energy nan J and charge 0.0036 C; look at its samples with "
            "`hilbench meter decode`",
        ),
        (
            (window("run", 0, 0.3, -0.001, 10),),
            "gross energy is -90 uJ per inference, limit > 0 uJ; does the meter see the board's "
            "supply current?",
        ),
        (
            (window("run", 0, 0.3, 0.012, 0),),
            "run window 0: board tells 0 inferences and 0 s of restoring in 0.3 s; rerun the session",
        ),
        (
            (window("run", 0, 0.3, 0.012, 3, restore_s=0.3),),
            "run window 0: board tells 3 inferences and 0.3 s of restoring in 0.3 s; rerun the "
            "session",
        ),
        (
            (replace(RUN, batch_a=np.array([0.012])),),
            "session has 1 run window of 1 batches, so no scatter is known; limit 2 windows: "
            "measure more",
        ),
    ],
)
def test_what_cannot_be_energy(windows, expected):
    with pytest.raises(MeasurementError) as caught:
        session(*windows)
    assert str(caught.value) == expected


def test_a_limit_that_nobody_knows_makes_an_uncertainty_that_nobody_knows():
    ranges = tuple(replace(r, gain_limit=np.nan, offset_limit_a=np.nan) for r in SPEC.ranges)
    found = session_energy([IDLE, RUN, LATER], replace(SPEC, ranges=ranges), SETUP)
    assert found.gross.energy_uj == session(IDLE, RUN, LATER).gross.energy_uj
    assert np.isnan(found.gross.absolute_uj)
    assert not np.isnan(found.gross.comparative_uj)  # what cancels need not be known
