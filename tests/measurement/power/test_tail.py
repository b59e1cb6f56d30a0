"""Time constants that are known, found again with the uncertainty that is stated."""

from __future__ import annotations

import numpy as np
import pytest

from hilbench.errors import MeasurementError
from hilbench.measurement.power.tail import fit
from hilbench.measurement.power.windows import marker_edges, match
from hilbench.power import Window
from tests.measurement.power.waveforms import Stretch, make, session

OPERATORS_A = (0.010, 0.014, 0.008, 0.012)


def found(stretches, **how):
    made = make(stretches, **how)
    edges = marker_edges(made.recording.chunks(), 0, 50e-6, how.get("sample_hz", 1e5))
    windows = match(edges, made.marked, made.recording.spec)
    return made, windows, fit(made.recording, windows)


@pytest.mark.parametrize("tau_s", [2e-5, 2e-4, 1e-3])
@pytest.mark.parametrize("active_a", [0.012, OPERATORS_A])
def test_time_constant_is_found_within_its_uncertainty(tau_s, active_a):
    z = []
    for seed in range(12):
        phase = np.random.default_rng(seed).random()
        _, _, tail = found(
            session(3, run_s=0.03, active_a=active_a),
            tau_s=tau_s,
            noise_a=1e-4,
            seed=seed,
            phase=phase,
            gaps=((1000, 5), (4390, 20)),
            sampling=("mean", "point")[seed % 2],
        )
        z.append((tail.tau_s - tau_s) / tail.u_tau_s)
        assert tail.u_tau_s < 0.1 * tau_s
    assert np.sqrt(np.mean(np.square(z))) < 1.6  # 1 expected of 12


@pytest.mark.parametrize("tau_s", [0.0, 4e-6])
def test_below_one_sample_it_is_zero_with_what_could_have_been_seen(tau_s):
    for seed in range(5):
        _, _, tail = found(session(3), tau_s=tau_s, noise_a=1e-4, seed=seed, phase=seed / 5)
        assert tail.tau_s == 0
        assert tau_s / 2 < tail.u_tau_s < 1e-5
    assert tail.edges == 14
    assert tail.says.startswith("time constant below ")
    assert ", not resolved at 10 us a sample (idle begins, " in tail.says


def test_strong_noise_makes_it_uncertain_not_wrong():
    z = []
    for seed in range(10):
        _, _, tail = found(session(3), tau_s=2e-4, noise_a=1e-3, seed=seed)
        z.append((tail.tau_s - 2e-4) / tail.u_tau_s)
    assert np.sqrt(np.mean(np.square(z))) < 1.6
    assert tail.u_tau_s > 5e-6


def test_says_from_what():
    _, _, tail = found(session(3), tau_s=2e-4)
    assert tail.says == (
        f"time constant 200 us, u {tail.u_tau_s * 1e6:.2g} us, from {tail.edges} edges "
        "(idle begins, idle ends, run begins, run ends)"
    )
    assert tail.tau_s == pytest.approx(2e-4, rel=1e-3)


def test_chunks_change_nothing():
    made, windows, tail = found(
        session(2), tau_s=2e-4, noise_a=1e-4, gaps=((3350, 100), (8000, 64))
    )
    for sizes in ((17,), (3000, 1), (10**6,)):
        again = fit(made.recording.rechunked(*sizes), windows)
        assert again.tau_s == pytest.approx(tail.tau_s, rel=1e-9)
        assert again.u_tau_s == pytest.approx(tail.u_tau_s, rel=1e-9)


def test_without_any_step_it_is_unknown_and_of_no_effect():
    _, _, tail = found(session(2, active_a=0.005, talk_a=0.005), tau_s=1e-3, noise_a=1e-4)
    assert (tail.tau_s, tail.edges) == (0.0, 0)
    assert tail.u_tau_s > 1e-3
    assert tail.says == (
        "no current step at any edge of a window: time constant unknown, but of no effect"
    )


def test_a_current_that_has_not_settled_at_the_next_edge_is_an_error():
    with pytest.raises(MeasurementError) as caught:
        found(session(3, run_s=0.02, idle_s=0.02), tau_s=0.02)
    assert str(caught.value).startswith("current settles with a time constant of about 0.0")
    assert str(caught.value).endswith(
        "at least 3 time constants are needed; make idle windows longer or the capacitor behind the "
        "meter smaller"
    )


def test_a_current_that_changes_by_itself_tells_no_time_constant():
    up = (0.009, 0.013) * 6 + (0.013,) * 6  # no step at the edge, a change of level later
    down = (0.013, 0.009) * 6 + (0.009,) * 6
    pair = [Stretch("run", 0.03, up, 1), Stretch("talk", 0.03, down)]
    made = make([Stretch("talk", 0.004, 0.009), *pair * 3], noise_a=1e-5)
    edges = marker_edges(made.recording.chunks(), 0, 50e-6, 1e5)
    windows = match(edges, made.marked, made.recording.spec)
    with pytest.raises(MeasurementError) as caught:
        fit(made.recording, windows)
    assert str(caught.value).endswith(
        " edges changes by itself, so no time constant can be told from it; add idle windows before "
        "and after the runs"
    )


def test_a_jump_before_a_current_that_changes_by_itself_bounds_it():
    """As in published traces of 1 kHz: a run falls to an idle that still wanders."""
    wander = tuple(0.005 + 0.003 * np.exp(-np.arange(30) / 20) + 0.001 * (np.arange(30) % 2))
    stretches = [
        Stretch("talk", 0.1, 0.005),
        Stretch("run", 2.0, 0.02, 10),
        Stretch("talk", 0.4, wander),
    ]
    _, _, tail = found(stretches, sample_hz=1000.0, noise_a=2e-5)
    assert tail.tau_s == 0
    assert 0.1e-3 < tail.u_tau_s < 4e-3


def test_uncertain_edges_do_not_spoil_it():
    made, windows, _ = found(session(3), tau_s=5e-4, noise_a=1e-5)
    rough = [Window(w.marked, w.start + 3, w.end - 4, "edge", 4.0) for w in windows]
    tail = fit(made.recording, rough)
    assert tail.tau_s == pytest.approx(5e-4, rel=0.01)


def test_no_windows():
    made = make(session(1))
    with pytest.raises(MeasurementError) as caught:
        fit(made.recording, [])
    assert str(caught.value) == "no window to fit a time constant to, at least 1 is needed"
