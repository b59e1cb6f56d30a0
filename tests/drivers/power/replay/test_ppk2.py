"""Sessions of nRF Connect Power Profiler, written here as the app's source does."""

from __future__ import annotations

import math
import zipfile

import numpy as np
import pytest

from hilbench.drivers.power import _replay_file, replay
from hilbench.errors import ConfigError, MeterError
from hilbench.power import Gap, MeterSetup
from tests.drivers.power.replay.files import SETUP, columns, pairs, ppk2, session, with_args


def test_currents_and_inputs(tmp_path, monkeypatch):
    monkeypatch.setattr(_replay_file, "CHUNK_SAMPLES", 100)
    rng = np.random.default_rng(1)
    current = (10 ** rng.uniform(0, 5.9, 1000)).astype(np.float32)
    level = rng.integers(0, 256, 1000)
    path = ppk2(tmp_path / "a.ppk2", session(current, [pairs(int(x)) for x in level]))
    recording = replay.open_recording(path, SETUP)
    got = columns(recording)
    np.testing.assert_allclose(got["current_a"], current.astype(float) * 1e-6, rtol=1e-15)
    np.testing.assert_array_equal(got["logic"], level)
    assert (got["voltage_v"] == 3.3).all()
    np.testing.assert_array_equal(got["range"], np.digitize(current, [50, 500, 5000, 50_000]))
    assert recording.spec.logic_inputs == tuple(f"D{k}" for k in range(8))
    assert recording.spec.sample_hz == 100_000
    assert recording.spec.voltage == "declared"
    assert len(recording.spec.ranges) == 5
    assert (recording.end.samples, recording.end.lost) == (1000, 0)
    assert recording.identity.model == "PPK2"


def test_the_other_byte_order_is_asked_for(tmp_path):
    path = ppk2(tmp_path / "a.ppk2", session([5.0, 6.0], [pairs(1), pairs(3)], "<"))
    app = columns(replay.open_recording(path, SETUP))
    other = columns(replay.open_recording(path, with_args(logic_order="little")))
    assert app["logic"].tolist() == [16, 48]  # D0 taken for D4: nothing in the file tells
    assert other["logic"].tolist() == [1, 3]


def test_placeholders_are_lost_samples(tmp_path):
    """The app stores 0.2 uA and low inputs for what it did not receive."""
    current = [5.0, 0.2, 0.2, 5.0, 0.2, 0.0]
    words = [pairs(1), pairs(0), pairs(0), pairs(1), pairs(1), pairs(0)]
    recording = replay.open_recording(ppk2(tmp_path / "a.ppk2", session(current, words)), SETUP)
    got = columns(recording)
    assert got["valid"].tolist() == [True, False, False, True, True, True]
    assert np.isnan(got["current_a"][1:3]).all()
    assert got["logic"].tolist() == [1, 1, 1, 1, 1, 0]  # of a lost sample: the last
    assert recording.end.gaps == (Gap(1, 2, "meter"),)
    assert recording.end.notes == (
        "its app drops one sample or more of each gap: the time line may be too short",
    )


def test_means_hold_an_input_that_changed_within(tmp_path):
    both = 0x5555 & ~3 | 3
    words = [pairs(0), both, pairs(1), both, pairs(0)]
    path = ppk2(tmp_path / "a.ppk2", session([0.2, 1.0, 2.0, 1.0, 0.2], words), 1000)
    recording = replay.open_recording(path, SETUP)
    got = columns(recording)
    assert got["logic"].tolist() == [0, 0, 1, 1, 0]  # both edges one late: as long as it was
    assert got["valid"].all()  # 0.2 uA may be a mean
    assert recording.end.notes[1] == (
        "samples are means of 100 kS/s: lost ones are among them, unmarked"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"formatVersion": 3}, "formatVersion is 3, known is 2"),
        ({"metadata": {}}, "samplesPerSecond is None, limit 100000"),
        ({"metadata": {"samplesPerSecond": 1e9}}, "samplesPerSecond is 1000000000.0, limit 100000"),
        ({"metadata": {"samplesPerSecond": True}}, "samplesPerSecond is True, limit 100000"),
        ({"metadata": []}, "samplesPerSecond is None, limit 100000"),
    ],
)
def test_metadata_must_say_the_rate(tmp_path, change, says):
    path = ppk2(tmp_path / "a.ppk2", session([1.0], [pairs(0)]), **change)
    with pytest.raises(MeterError) as error:
        replay.open_recording(path, SETUP)
    assert str(error.value) == f"{path}: {says}; record or export it again"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (session([1.0, 2.0], [pairs(0)] * 2)[:-1], "session.raw ends within sample 1"),
        (session([1.0, math.inf], [pairs(0)] * 2), "infinite current at sample 1"),
        (session([1.0], [pairs(0) & ~0x30]), "D2 is neither low nor high at sample 0"),
    ],
)
def test_samples_that_cannot_be(tmp_path, raw, says):
    path = ppk2(tmp_path / "a.ppk2", raw)
    with pytest.raises(MeterError) as error:
        replay.open_recording(path, SETUP)
    assert str(error.value) == f"{path}: {says}; record or export it again"


def test_an_empty_session(tmp_path):
    path = ppk2(tmp_path / "a.ppk2", b"")
    with pytest.raises(MeterError) as error:
        replay.open_recording(path, SETUP)
    assert str(error.value) == f"{path}: holds no sample; record it again"


def test_no_session_in_it(tmp_path):
    path = tmp_path / "a.ppk2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "metadata.json", '{"metadata": {"samplesPerSecond": 10}, "formatVersion": 2}'
        )
    with pytest.raises(MeterError) as error:
        replay.open_recording(path, SETUP)
    assert str(error.value) == (
        f"{path}: no whole session of nRF Connect (KeyError: \"There is no item named 'session.raw' "
        'in the archive"); record or export it again'
    )


def test_metadata_that_is_no_json(tmp_path):
    path = tmp_path / "a.ppk2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "[" * 200_000)
    with pytest.raises(MeterError) as error:
        replay.open_recording(path, SETUP)
    assert str(error.value).startswith(f"{path}: no whole session of nRF Connect (RecursionError: ")


def test_the_supply_is_not_in_the_file(tmp_path):
    path = ppk2(tmp_path / "a.ppk2", session([1.0], [pairs(0)]))
    with pytest.raises(ConfigError) as error:
        replay.open_recording(path, MeterSetup(math.nan, supplies=False))
    assert str(error.value) == f"{path}: holds no voltage and supply_v is nan; say the supply in V"


def test_byte_order_is_big_or_little(tmp_path):
    path = ppk2(tmp_path / "a.ppk2", session([1.0], [pairs(0)]))
    with pytest.raises(ConfigError) as error:
        replay.open_recording(path, with_args(logic_order="middle"))
    assert str(error.value) == 'replay: logic_order = "middle"; write "big" or "little"'
