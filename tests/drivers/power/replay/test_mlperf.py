"""Results of MLPerf Tiny's runner: its published sums come out of them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from hilbench.drivers.power import replay
from hilbench.errors import ConfigError, MeterError
from hilbench.power import MeterSetup
from tests.drivers.power.replay.files import columns

ROOT = Path(__file__).resolve().parents[4]
TRACES = ROOT.parent / "shared" / "data" / "mlperf_tiny" / "energy_traces"
TRIAL = {
    "power": {
        "samples": [1e-5, 2e-5, 1e-5, 1e-5],
        "timestamps": [["00", 1], ["01", 3]],
        "voltage": 2,
    }
}


def at(supply_v, **args):
    return MeterSetup(supply_v, supplies=False, args=tuple(args.items()))


def write(path, values):
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def window_uj(recording, first):
    got = columns(recording)
    falls = np.flatnonzero(np.diff(got["logic"].astype(int)) == -1) + 1
    power = got["current_a"] * got["voltage_v"] / recording.spec.sample_hz
    return power[falls[first] : falls[first + 1]].sum() * 1e6


@pytest.mark.parametrize(
    ("name", "supply_v", "trial", "first", "published_uj"),
    [
        ("NUCLEO_L4R5ZI-P_ic", 3.0, "0", 1, 384_572.170),  # its first event is spurious
        ("NUCLEO_L4R5ZI-P_ic", 3.0, "1", 0, 384_671.420),
        ("NUCLEO_L4R5ZI-P_ic", 3.0, "4", 0, 384_714.050),
    ],
)
def test_published_sums(name, supply_v, trial, first, published_uj):
    path = TRACES / f"{name}_results.json"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    recording = replay.open_recording(path, at(supply_v, trial=trial))
    assert window_uj(recording, first) == pytest.approx(published_uj, rel=1e-9)


def test_samples_and_events(tmp_path):
    recording = replay.open_recording(write(tmp_path / "r.json", [TRIAL]), at(2.0))
    got = columns(recording)
    np.testing.assert_allclose(got["current_a"], [0.005, 0.01, 0.005, 0.005])
    assert got["logic"].tolist() == [1, 0, 1, 0]
    assert recording.spec.logic_inputs == ("D7",)
    assert recording.spec.voltage == "set"
    assert recording.spec.ranges[0].lsb_a == pytest.approx(1e-8 * 1000 / 2)  # fourth digit


def test_a_trial_is_chosen(tmp_path):
    path = write(tmp_path / "r.json", [TRIAL, TRIAL])
    for trial in ({}, {"trial": "2"}):
        with pytest.raises(ConfigError) as error:
            replay.open_recording(path, at(2.0, **trial))
        assert str(error.value) == (
            f'{path}: trial = "{trial.get("trial", "")}", it has trials 0 to 1; say which one in '
            f"the arguments"
        )
    assert replay.open_recording(path, at(2.0, trial="1")).end.samples == 4


def test_the_supply_is_the_files(tmp_path):
    path = write(tmp_path / "r.json", [TRIAL])
    with pytest.raises(ConfigError) as error:
        replay.open_recording(path, at(3.3))
    assert str(error.value) == f"{path}: was measured at 2 V, supply_v is 3.3; say the same"
    assert replay.open_recording(path, at(math.nan)).setup.supply_v == 2.0  # nobody says another


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "no results of MLPerf Tiny's runner (a list of trials)"),
        ([], "no results of MLPerf Tiny's runner (a list of trials)"),
        ([{"infer": 1}], "trial 0 has no power of energy mode (KeyError: 'power')"),
        (
            [{"power": None}],
            "trial 0 has no power of energy mode (TypeError: 'NoneType' object is not "
            "subscriptable)",
        ),
        ([{"power": TRIAL["power"] | {"voltage": 0}}],
         "trial 0 holds no energy, or numbers that are not finite"),
        ([{"power": TRIAL["power"] | {"samples": []}}],
         "trial 0 holds no energy, or numbers that are not finite"),
        ([{"power": TRIAL["power"] | {"samples": [1, float("nan")]}}],
         "trial 0 holds no energy, or numbers that are not finite"),
        ([{"power": TRIAL["power"] | {"timestamps": [["00", 4]]}}],
         "trial 0 has an event beyond its 4 samples"),
    ],
)  # fmt: skip
def test_results_that_are_none(tmp_path, values, says):
    path = write(tmp_path / "r.json", values)
    with pytest.raises(MeterError) as error:
        replay.open_recording(path, at(2.0))
    assert str(error.value) == f"{path}: {says}; record or export it again"


def test_no_json(tmp_path):
    (tmp_path / "r.json").write_text("{")
    with pytest.raises(MeterError) as error:
        replay.open_recording(tmp_path / "r.json", at(2.0))
    assert str(error.value) == f"{tmp_path}/r.json: no JSON; record or export it again"
