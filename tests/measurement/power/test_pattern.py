"""Windows without a marker pin: places against truth, stated uncertainty against Monte Carlo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilbench.errors import WindowError
from hilbench.measurement.power import pattern
from hilbench.measurement.power.integrate import sums
from hilbench.measurement.power.tail import fit
from hilbench.power import CaptureEnd, Marked
from tests.measurement.power.waveforms import Stretch, make, session

TALK = Stretch("talk", 0.003, 0.009)
PATTERN = [
    TALK,
    *(
        stretch
        for i in range(3)
        for stretch in (
            Stretch("idle", 0.012 + 0.003 * i, 0.005),
            TALK,
            Stretch("run", 0.01, 0.012, 1),
            TALK,
        )
    ),
]
MARKED = 6  # of the pattern
BOOT = [
    Stretch("talk", t, a)
    for t, a in (
        (0.05, 0.02),
        (0.03, 0.004),
        (0.01, 0.012),
        (0.02, 0.005),
        (0.02, 0.012),
        (0.02, 0.005),
    )
]


def off(windows, edges):
    return np.array([(w.start, w.end) for w in windows]) - edges


# Edges, fit and tau at full rate, so stated and seen may differ by what 72 edges scatter; averaged
# samples show where in a sample a step is, for which the stated value allows nothing.
@pytest.mark.parametrize(
    ("noise_a", "tau_s", "sampling", "least", "most"),
    [
        (1e-4, 0.0, "point", 0.85, 1.2),
        (1e-4, 0.0, "mean", 0.02, 0.4),
        (1e-3, 0.0, "point", 0.6, 1.2),
        (1e-3, 2e-4, "mean", 0.6, 1.3),
        (1e-4, 1e-3, "point", 0.4, 1.4),
        (1e-3, 1e-3, "mean", 0.6, 1.4),
    ],
)
def test_an_edge_is_as_uncertain_as_it_says(noise_a, tau_s, sampling, least, most):
    seen, stated = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        made = make(
            session(4, run_s=rng.uniform(0.02, 0.021), idle_s=0.015),
            tau_s=tau_s,
            noise_a=noise_a,
            seed=seed,
            phase=rng.random(),
            sampling=sampling,
            board_clock=0.01,
        )
        found = pattern.steps(made.recording, made.marked)
        assert {w.tier for w in found} == {"edge"}
        seen.append(off(found, made.edges))
        stated.append([w.u_edge for w in found])
    rms, u = np.sqrt(np.mean(np.square(seen))), np.sqrt(np.mean(np.square(stated)))
    assert least < rms / u < most
    assert abs(np.mean(seen)) < u  # no delay by the tail


@pytest.mark.parametrize("tau_s", [0.0, 1e-3])
def test_pattern_finds_its_windows_after_whatever_was_before(tau_s):
    made = make(
        BOOT + PATTERN + session(3), tau_s=tau_s, noise_a=1e-4, phase=0.3, board_clock=-0.008
    )
    found = pattern.find(made.recording, made.marked[:MARKED], made.marked[MARKED:], 0.003)
    assert {w.tier for w in found} == {"pattern"}
    assert [w.marked for w in found] == list(made.marked[MARKED:])
    assert np.abs(off(found, made.edges[MARKED:])).max() < 3
    tail = fit(made.recording, found)
    for s, truth in zip(sums(made.recording, found, tail), made.truth[MARKED:], strict=True):
        assert s.energy_j == pytest.approx(truth.energy_j, rel=2e-3)


def test_lost_samples_and_chunks_are_borne():
    gaps = ((5000, 64), (9000, 3), (12000, 200))
    made = make(session(3), tau_s=2e-4, noise_a=1e-4, gaps=gaps)
    found = pattern.steps(made.recording, made.marked)
    assert np.abs(off(found, made.edges)).max() < 3
    again = pattern.steps(made.recording.rechunked(100, 7), made.marked)
    for a, b in zip(found, again, strict=True):
        assert (a.start, a.end, a.u_edge) == pytest.approx((b.start, b.end, b.u_edge), rel=1e-9)


def test_a_later_capture_has_its_windows_later_by_as_much():
    made = make(session(2), noise_a=0.0)
    later = make([Stretch("talk", 0.0123, 0.009), *session(2)], noise_a=0.0)
    early, late = (pattern.steps(m.recording, m.marked) for m in (made, later))
    for a, b in zip(early, late, strict=True):
        assert (b.start - a.start, b.end - a.end) == pytest.approx((1230, 1230), abs=0.1)


def test_neighbours_may_share_an_edge():
    run, idle = Stretch("run", 0.03, 0.012, 1), Stretch("idle", 0.02, 0.005)
    made = make([TALK, idle, run, idle, run, idle, TALK], noise_a=1e-4)
    found = pattern.steps(made.recording, made.marked)
    assert np.abs(off(found, made.edges)).max() < 1
    assert len(sums(made.recording, found, fit(made.recording, found))) == 5


def test_a_run_that_draws_what_talking_draws_is_not_guessed():
    made = make(session(3, talk_a=0.012), noise_a=1e-4)
    with pytest.raises(WindowError) as caught:
        pattern.steps(made.recording, made.marked)
    sentence = str(caught.value)
    assert sentence.startswith(
        "window 2 of 7 (run of 10) lasts 0.050000 s by the device, the nearest of the pairs of steps "
        "0.05"
    )
    assert sentence.endswith(
        " s; wire the marker pin or make idle and active current differ more, then measure again"
    )


def test_a_pattern_that_is_not_there():
    made, other = make(BOOT + session(3)), make(BOOT + PATTERN + session(3))
    with pytest.raises(WindowError) as caught:
        pattern.find(made.recording, other.marked[:MARKED], other.marked[MARKED:], 0.003)
    assert str(caught.value) == (
        "pulse pattern of 6 stretches is not in the current: best correlation 0.65, limit 0.7; wire "
        "the marker pin or make the pattern's stretches longer"
    )


def test_a_pattern_that_is_there_twice():
    made = make(BOOT + PATTERN + PATTERN + session(3))
    with pytest.raises(WindowError) as caught:
        pattern.find(made.recording, made.marked[:MARKED], made.marked[2 * MARKED :], 0.003)
    assert str(caught.value) == (
        "pulse pattern of 6 stretches is in the current twice: correlation 1.00 and 1.00, limit 0.85; "
        "make the pattern longer or unlike what is measured"
    )


def test_a_capture_too_long_for_its_memory_is_refused_before_it_is_read():
    recording = make(session(1)).recording
    long = replace(recording, end=CaptureEnd(10**9, 0, (), None, None))
    with pytest.raises(WindowError) as caught:
        pattern.steps(long, [Marked("run", 1, 0.003, 1e-6)])
    assert str(caught.value) == (
        "capture of 10000.000 s is too long to find a window of 0.003000 s by its current, limit "
        "98.304 s and 16 samples a window; wire the marker pin or let windows last longer"
    )


def test_operators_within_a_run_are_steps_but_no_edges():
    active_a = (0.0105, 0.0134, 0.0119, 0.0140, 0.0111)
    made = make(session(3, active_a=active_a), tau_s=1e-4, noise_a=1e-4, phase=0.6)
    assert np.abs(off(pattern.steps(made.recording, made.marked), made.edges)).max() < 2


def test_operators_that_blur_the_tail_make_edges_more_uncertain():
    active_a = tuple(np.random.default_rng(159).uniform(0.010, 0.014, 8))
    made = make(
        session(4, run_s=0.049, idle_s=0.022, talk_s=0.008, talk_a=0.0075, active_a=active_a),
        tau_s=1e-3,
        noise_a=1.4e-4,
    )
    found = pattern.steps(made.recording, made.marked)
    u = np.array([[w.u_edge] for w in found])
    assert np.sqrt(np.mean((off(found, made.edges) / u) ** 2)) < 1.5
