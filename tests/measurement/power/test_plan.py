"""The planner: what it chooses reaches the target, and what it refuses does not."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench.errors import UsageError
from hilbench.measurement.power.plan import abba, plan_windows
from hilbench.power import MeterSpec, RangeSpec


def spec(sample_hz):
    return MeterSpec(
        sample_hz, 1e-4, (RangeSpec(1e-6, 0.02, 1e-6, 0.05),), ("D7",), "set", 0.01, "by hand"
    )


LPM01A = spec(1000.0)
PPK2 = spec(100_000.0)


def test_the_npu_of_the_reference_on_a_slow_meter():
    found = plan_windows(LPM01A, 0.002, 0.008, 0.0065)
    assert (found.marker, found.inferences_per_window, found.windows) == ("MARKER_WINDOW", 205, 10)
    assert (found.runs, found.inferences_per_run) == (10, 205)
    assert found.says == (
        "10 windows of n=205 (MARKER_WINDOW), idle 205 ms around each run, 6.36 s in all: edge "
        "20.4 % at n=1, needs n >= 205 for 0.1 %; edge 0.0996 % of a window, noise unknown, idle "
        "81.2 % of gross"
    )
    assert "needs n >= 103 for 0.2 %" in plan_windows(LPM01A, 0.002, 8e-3, 6e-3, target=0.002).says


def test_idle_that_the_board_gives_by_itself_is_not_chosen():
    chosen = plan_windows(PPK2, 0.002, 0.008, 0.004, noise_a=1e-4, apart_s=0.0)
    given_s = plan_windows(PPK2, 0.002, 0.008, 0.004, noise_a=1e-4, apart_s=0.0, idle_s=0.02)
    assert (given_s.runs, given_s.idle_s) == (chosen.runs, 0.02)
    assert "idle 20 ms around each run" in given_s.says
    runs_s = chosen.total_s - (chosen.runs + 1) * chosen.idle_s
    assert given_s.total_s == pytest.approx(runs_s + 2 * given_s.runs * 0.02)


def test_a_long_inference_is_marked_alone():
    found = plan_windows(PPK2, 0.03, 0.012, 0.005, noise_a=0.001, tau_s=0.001, restore_s=1e-4)
    assert (found.marker, found.inferences_per_window) == ("MARKER_EACH", 1)
    assert (found.runs, found.inferences_per_run, found.windows) == (5, 2, 10)
    assert "MARKER_EACH, input restore outside, 2 in a run" in found.says
    assert found.idle_s > 5 * 0.001 + 200 / 100_000


@pytest.mark.parametrize(
    ("sample_hz", "inference_s", "n"),
    [(1e3, 1e-3, 409), (4e3, 1e-3, 103), (5e4, 1e-3, 9), (1e3, 1e-2, 41), (4e3, 1e-2, 11)],
)
def test_n_of_the_references_table(sample_hz, inference_s, n):
    assert plan_windows(spec(sample_hz), inference_s, 0.01, 0.005).inferences_per_window == n


def test_a_window_outlasts_the_tail_and_holds_samples_for_batches():
    found = plan_windows(PPK2, 5e-4, 0.01, 0.005, tau_s=0.01, restore_s=5e-4)
    assert found.inferences_per_window * 1e-3 >= 5 * 0.01
    short = plan_windows(spec(1e6), 1e-5, 0.01, 0.005, target=0.01)
    assert short.inferences_per_window * 1e-5 >= 32 / 1e6


@settings(max_examples=60)
@given(
    st.sampled_from([1e3, 4e3, 5e4, 1e5, 1e6]),
    st.floats(-5, 0),
    st.floats(0, 2),
    st.sampled_from([0.001, 0.005, 0.02]),
    st.floats(0, 0.002),
)
def test_edges_and_noise_keep_to_the_target(sample_hz, log_s, noise, target, tau_s):
    inference_s, active_a = 10**log_s, 0.01
    noise_a = noise * active_a
    try:
        found = plan_windows(
            spec(sample_hz), inference_s, active_a, 0.005,
            target=target, noise_a=noise_a, tau_s=tau_s,
        )  # fmt: skip
    except UsageError:
        return
    n, windows = found.inferences_per_window, found.windows
    window_s = n * inference_s
    dt = 1 / sample_hz
    assert dt / np.sqrt(6) / window_s <= target * (1 + 1e-9)  # of a single window
    noise_u = noise * np.sqrt(dt / window_s / windows)
    assert np.hypot(dt / np.sqrt(6) / window_s / np.sqrt(windows), noise_u) <= target * (1 + 1e-9)
    assert found.type_a_u == pytest.approx(noise_u)
    assert windows >= 10
    assert windows == found.runs * found.inferences_per_run // n
    assert found.idle_s >= 5 * tau_s + 200 * dt
    assert window_s >= 5 * tau_s * (1 - 1e-9)
    assert found.total_s == pytest.approx(
        found.runs * found.inferences_per_run * inference_s + (found.runs + 1) * found.idle_s
    )


@pytest.mark.parametrize("noise_a", [None, 0.1])
def test_out_of_reach_says_what_is_in_reach(noise_a):
    ask = {"noise_a": noise_a, "time_limit_s": 60.0}
    with pytest.raises(UsageError) as caught:
        plan_windows(LPM01A, 0.002, 0.008, 0.0065, target=1e-6, **ask)
    sentence = str(caught.value)
    assert re.fullmatch(
        r"0\.0001 % takes \S+ s at 1000 samples/s, limit 60 s; ask for (\S+) %, or use a meter of "
        r"(\S+) samples/s",
        sentence,
    )
    target = float(re.search(r"ask for (\S+) %", sentence)[1]) / 100
    faster_hz = float(re.search(r"meter of (\S+) samples", sentence)[1])
    assert plan_windows(LPM01A, 0.002, 0.008, 0.0065, target=1.01 * target, **ask)
    assert plan_windows(spec(1.01 * faster_hz), 0.002, 0.008, 0.0065, target=1e-6, **ask)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"inference_s": 0.0}, "inference_s is 0 s, limit > 0; give an estimate of it"),
        ({"active_a": -1.0}, "active_a is -1 A, limit > 0; give an estimate of it"),
        ({"target": 0.0}, "target is 0, limit > 0; give an estimate of it"),
        (
            {"time_limit_s": float("nan")},
            "time_limit_s is nan s, limit > 0; give an estimate of it",
        ),
    ],
)
def test_quantities_that_cannot_be(change, expected):
    with pytest.raises(UsageError) as caught:
        plan_windows(
            **({"spec": PPK2, "inference_s": 0.01, "active_a": 0.01, "idle_a": 0} | change)
        )
    assert str(caught.value) == expected


def test_abba():
    assert abba("A", "B", 1) == ("A", "B")
    assert "".join(abba("A", "B", 5)) == "ABBAABBAAB"
    with pytest.raises(UsageError) as caught:
        abba("A", "B", 0)
    assert str(caught.value) == "0 pairs of sessions, limit 1; ask for at least 1 session"


def test_a_linear_drift_hits_both_variants_alike():
    order = np.array(abba("A", "B", 6))
    drift = np.arange(12.0)
    assert drift[order == "A"].mean() == drift[order == "B"].mean()


@pytest.mark.parametrize(
    ("apart_s", "marker"),
    [(10e-6, "MARKER_WINDOW"), (2e-4, "MARKER_EACH"), (None, "MARKER_WINDOW")],
)
def test_pulses_that_a_meter_could_not_tell_apart_become_one_window(apart_s, marker):
    found = plan_windows(PPK2, 0.03, 0.012, 0.005, restore_s=20e-6, apart_s=apart_s)
    assert found.marker == marker
