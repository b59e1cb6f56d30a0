"""MLPerf Tiny's way: the published medians from the published traces, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hilbench.errors import MeasurementError, UsageError, WindowError
from hilbench.measurement.power.mlperf import Trial, from_sums, inferences_per_window, medians
from tests.measurement.power.test_energy import window

ROOT = Path(__file__).resolve().parents[3]
TRACES = ROOT.parent / "shared" / "data" / "mlperf_tiny" / "energy_traces"
HZ = 1000.0


def published(board: str) -> tuple[list[Trial], list[tuple[float, float]], float]:
    """Return windows, what was published of each (s, uJ), and the published median."""
    if not TRACES.is_dir():
        pytest.skip(f"no traces in {TRACES}")
    trials = [
        Trial(
            sample_j=np.array(entry["power"]["samples"]),
            events=tuple(at for _, at in entry["power"]["timestamps"]),
            inferences=entry["infer"]["iterations"],
        )
        for entry in json.loads((TRACES / f"{board}_results.json").read_text())
    ]
    text = (TRACES / f"{board}_results.txt").read_text()
    elapsed = map(float, re.findall(r"Elapsed time\s*: ([\d.]+)", text))
    each = map(float, re.findall(r"Energy/Inf\s*:\s*([\d.]+) uJ", text))
    return (
        trials,
        list(zip(elapsed, each, strict=True)),
        float(re.findall(r"Median energy cost is ([\d.]+)", text)[0]),
    )


@pytest.mark.parametrize(
    ("board", "spurious"),
    [("NUCLEO_L4R5ZI-P_ic", [(2085,), (), (), (), ()]), ("NUCLEO_U385RG_Q_kws", [()] * 5)],
)
def test_published_figures(board, spurious):
    trials, each, median = published(board)
    found = medians(trials, HZ)
    assert found.median_uj == pytest.approx(median, abs=1e-4)
    assert [t.spurious for t in found.trials] == spurious
    for trial, (elapsed_s, energy_uj) in zip(found.trials, each, strict=True):
        assert trial.duration_s == pytest.approx(elapsed_s)
        assert trial.energy_uj == pytest.approx(energy_uj, abs=1e-3)


def test_the_device_tells_the_window_from_a_spurious_event():
    trials, _, median = published("NUCLEO_L4R5ZI-P_ic")
    told = [replace(t, duration_s=11.64) for t in trials]
    assert medians(told, HZ).median_uj == pytest.approx(median, abs=1e-4)
    told[0] = replace(told[0], duration_s=10.36)  # had it been the first two
    assert medians(told, HZ).trials[0].spurious == (24079,)


def trial(*events, level_j=1e-5, inferences=10, **changes):
    return replace(Trial(np.full(30_000, level_j), events, inferences), **changes)


def session(first, **others):
    return [first, *(trial(1000, 12_000, **others) for _ in range(4))]


def test_gross_energy_between_two_falling_edges():
    ramp = np.arange(30_000) * 1e-9
    found = medians(session(trial(2000, 13_000, sample_j=ramp)), HZ)
    assert found.trials[0].energy_uj == pytest.approx(ramp[2000:13_000].sum() * 1e6 / 10)
    assert found.median_uj == pytest.approx(11_000 * 1e-5 * 1e6 / 10)
    assert found.trials[1].mean_mw == pytest.approx(10)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (
            trial(5000, 9000, 21_000),
            "window 0: 0 pairs of falling edges at samples [5000, 9000, 21000] are 11 s apart within "
            "1 %, limit 1; repeat the capture",
        ),
        (
            trial(5000, 5001, 16_000),
            "window 0: 2 pairs of falling edges at samples [5000, 5001, 16000] are 11 s apart within "
            "1 %, limit 1; repeat the capture",
        ),
        (
            trial(5000),
            "window 0: 1 falling edges in the trace, limit 2; check the wire from the marker pin",
        ),
        (
            trial(5000, 40_000),
            "window 0: events at samples [5000, 40000] are not in order within 30000 samples; repeat "
            "the capture",
        ),
        (
            trial(100, 5000, 12_000, inferences=20),
            "window 0: 3 falling edges and nobody told its duration, limit 2; say how long the "
            "device ran",
        ),
    ],
)
def test_edges_that_are_no_window(first, expected):
    with pytest.raises(WindowError) as caught:
        medians(session(first), HZ)
    assert str(caught.value) == expected


def test_what_mlperf_does_not_allow():
    def sentence(trials):
        with pytest.raises(MeasurementError) as caught:
            medians(trials, HZ)
        return str(caught.value)

    assert sentence(session(trial(1000, 12_000))[:4]) == (
        "MLPerf session has 4 windows, limit 5: measure one for each of 5 inputs"
    )
    short = trial(1000, 10_900, duration_s=9.9)
    assert sentence(session(short)) == (
        "window 0: 10 inferences in 9.9 s, limit 10 in 10 s; ask for more inferences"
    )
    assert sentence(session(trial(1000, 12_000, inferences=9), inferences=9)) == (
        "window 0: 9 inferences in 11 s, limit 10 in 10 s; ask for more inferences"
    )
    broken = np.full(30_000, 1e-5)
    broken[4321] = np.nan
    assert sentence(session(trial(1000, 12_000, sample_j=broken))) == (
        "window 0: sample 4321 is nan J; repeat the capture"
    )


def test_windows_of_a_session_in_hilbenchs_own_way():
    runs = [window("run", 12.0 * k, 11.0, 0.01 + 0.001 * k, 20) for k in (4, 0, 1, 3, 2)]
    idle = window("idle", 70.0, 1.0, 0.005)
    found = from_sums([*runs, idle])
    assert found.median_uj == pytest.approx(0.012 * 3.0 * 11.0 / 20 * 1e6)
    assert len(found.trials) == 5
    with pytest.raises(MeasurementError) as caught:
        from_sums(runs[:3])
    assert str(caught.value) == (
        "MLPerf session has 3 windows, limit 5: measure one for each of 5 inputs"
    )
    with pytest.raises(MeasurementError) as caught:
        from_sums([*runs[:4], window("run", 60.0, 9.0, 0.012, 20)])
    assert str(caught.value) == (
        "window 4: 20 inferences in 9 s, limit 10 in 10 s; ask for more inferences"
    )


@pytest.mark.parametrize("inference_s", [1e-4, 0.0483, 0.17, 1.0, 3.0])
def test_enough_inferences_for_10_s_and_10_of_them(inference_s):
    n = inferences_per_window(inference_s)
    assert n >= 10
    assert 10 < n * inference_s < max(10.2 + 2 * inference_s, 10 * inference_s + 1e-9)


def test_no_window_for_inferences_of_no_duration():
    with pytest.raises(UsageError) as caught:
        inferences_per_window(0.0)
    assert str(caught.value) == "inference takes 0 s, limit > 0 s; measure latency first"
