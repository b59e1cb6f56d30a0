"""CSV and Parquet: columns by name, the time line by the times."""

from __future__ import annotations

import builtins
import math

import numpy as np
import pytest

from hilbench.drivers.power import _replay_csv, _replay_file, replay
from hilbench.errors import ConfigError, MeterError, ToolMissingError
from hilbench.power import Gap, MeterSetup
from tests.drivers.power.replay.files import SETUP, columns, with_args

AT_1K = MeterSetup(3.3, supplies=False, sample_hz=1000.0)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "scale"),
    [
        ("current_a", 1),
        ("current_mA", 1e-3),
        ("Current(uA)", 1e-6),
        ("current [nA]", 1e-9),
        ("I (\N{MICRO SIGN}A)", 1e-6),
        ('"current_ua"', 1e-6),
    ],
)
def test_the_unit_is_in_the_name(tmp_path, header, scale):
    path = write(tmp_path / "a.csv", f"# of somebody\n\nnote,{header}\nx,1.5\n y ,-2\n\nz,3e0\n")
    got = columns(replay.open_recording(path, AT_1K))
    np.testing.assert_allclose(got["current_a"], np.array([1.5, -2, 3]) * scale)
    assert (got["voltage_v"] == 3.3).all()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_all_columns(tmp_path, monkeypatch, separator, newline):
    monkeypatch.setattr(_replay_csv, "_ROWS", 7)
    monkeypatch.setattr(_replay_file, "CHUNK_SAMPLES", 10)
    rng = np.random.default_rng(2)
    current, voltage = rng.random(50), rng.random(50) + 3
    bits = rng.integers(0, 2, (50, 2))
    rows = ["d1;voltage_mv;time_ms;current_a;D0"]
    rows += [
        f"{bits[k, 1]};{voltage[k] * 1e3:.17g};{5 + k * 0.01:.2f};{current[k]:.17g};{bits[k, 0]}"
        for k in range(50)
    ]
    text = newline.join(rows).replace(";", separator)  # and no end of the last line
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    recording = replay.open_recording(path, SETUP)
    got = columns(recording)
    np.testing.assert_array_equal(got["current_a"], current)
    np.testing.assert_allclose(got["voltage_v"], voltage, rtol=1e-15)
    np.testing.assert_array_equal(got["logic"], bits[:, 0] | bits[:, 1] << 1)
    assert recording.spec.sample_hz == 100_000
    assert recording.spec.logic_inputs == ("D0", "D1")
    assert recording.spec.voltage == "measured"
    np.testing.assert_array_equal(columns(recording)["current_a"], current)  # again


def test_missing_rows_and_empty_cells_are_lost(tmp_path):
    rows = [(0, "1"), (1, "2"), (4, "3"), (5, ""), (6, "nan"), (7, "4")]
    text = "time_us,current_a,d0\n" + "".join(f"{t * 10},{i},1\n" for t, i in rows)
    recording = replay.open_recording(write(tmp_path / "a.csv", text), SETUP)
    got = columns(recording)
    assert got["valid"].tolist() == [True, True, False, False, True, False, False, True]
    assert got["current_a"][got["valid"]].tolist() == [1, 2, 3, 4]
    assert (got["logic"] == 1).all()
    assert recording.end.gaps == (Gap(2, 2, "meter"), Gap(5, 2, "meter"))


@pytest.mark.parametrize(
    "text",
    ["current_a,d0\n,1\n1,\n", "d0,current_a\n1,\n,1\n", "x,current_a,y\n,,\n,1,\n"],
)
def test_empty_cells_wherever_they_are(tmp_path, text):
    path = write(tmp_path / "a.csv", text.replace("1,\n", "1,0\n") if "d0\n" in text else text)
    if text.startswith("d0"):
        with pytest.raises(MeterError, match="D0 is nan at sample 1, expected 0 or 1"):
            replay.open_recording(path, AT_1K)
        return
    got = columns(replay.open_recording(path, AT_1K))
    assert got["valid"].tolist() == [False, True]


def test_a_long_gap_takes_no_memory_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(_replay_file, "CHUNK_SAMPLES", 1000)
    path = write(tmp_path / "a.csv", "sample,current_a\n7,1\n8,1\n100008,2\n")
    recording = replay.open_recording(path, AT_1K)
    assert max(len(chunk) for chunk in recording.chunks()) == 1000
    assert (recording.end.samples, recording.end.lost) == (3, 99_999)


def test_a_clock_that_is_off_is_followed(tmp_path):
    """Steps of 10.0007 us, rounded to 0.01: the rate is that of the whole file."""
    times = np.round(np.arange(20_000) * 10.0007, 2)
    text = "time_us,current_a\n" + "".join(f"{t:.2f},0.5\n" for t in times)
    recording = replay.open_recording(write(tmp_path / "a.csv", text), SETUP)
    assert recording.end.lost == 0
    assert recording.spec.sample_hz == pytest.approx(1e6 / 10.0007, rel=1e-7)


def test_the_apps_export(tmp_path):
    """nRF Connect Power Profiler: a bit string, an X where an input changed within a mean."""
    path = write(
        tmp_path / "a.csv",
        "Timestamp(ms),Current(uA),D0-D7,D0,D1,D2,D3,D4,D5,D6,D7\n"
        "0,12.500,00000001,0,0,0,0,0,0,0,1\n"
        "1,13.000,X0000001,X,0,0,0,0,0,0,1\n"
        "2,14.000,10000001,1,0,0,0,0,0,0,1\n"
        "3,14.000,X000000X,X,0,0,0,0,0,0,X\n",
    )
    recording = replay.open_recording(path, SETUP)
    got = columns(recording)
    assert got["logic"].tolist() == [128, 128, 129, 129]
    np.testing.assert_allclose(got["current_a"], [12.5e-6, 13e-6, 14e-6, 14e-6])
    assert recording.spec.sample_hz == 1000


def test_our_own_export(tmp_path):
    export_csv = pytest.importorskip("hilbench.runs.export_csv").export_csv
    source = write(
        tmp_path / "a.csv",
        "# somebody, SYNTHETIC: an emulated meter\ntime_s,current_a,voltage_v,d0\n"
        "0,0.001,3,1\n0.001,,3,1\n0.002,0.003,3.1,0\n",
    )
    first = replay.open_recording(source, SETUP)
    export_csv(first, tmp_path / "b.csv")
    second = replay.open_recording(tmp_path / "b.csv", SETUP)
    assert second.identity.emulated
    for name, values in columns(first).items():
        np.testing.assert_array_equal(columns(second)[name], values)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no row of names"),
        ("# only\n#\n", "has no row of names"),
        (
            "a,b\n1,2\n",
            "no current among the columns 'a', 'b'; call it current_a, current_ma, current_ua or "
            "current_na",
        ),
        ("current\n1\n", "column 'current' has no unit; call it current_a"),
        ("time,current_a\n1,2\n", "column 'time' has no unit; call it time_s"),
        (
            "current_a,current_ma\n1,2\n",
            "two columns for the current: 'current_a' and 'current_ma'",
        ),
        ("current_a\n", "holds no sample"),
        ("current_a\n\n", "holds no sample"),
        ("time_s,current_a\n0,1\n", "its times do not rise from row to row; two rows and the "
         "resolution of a sample are needed"),
        ("time_s,current_a\n0,1\n0,1\n0,1\n", "its times do not rise from row to row; two rows and "
         "the resolution of a sample are needed"),
        (
            "time_s,current_a\n0,1\n1,1\n2.5,1\n3.5,1\n",
            "row 3 is 1.500 samples after the one before it, expected whole ones, 1 to 16777216",
        ),
        (
            "time_s,current_a\n0,1\n1,1\n2,1\n1,1\n",
            "row 4 is -1.000 samples after the one before it, expected whole ones, 1 to 16777216",
        ),
        ("current_a\n1\ninf\n", "an infinite value at sample 1"),
        ("current_a,d3\n1,0\n1,0.5\n", "D3 is 0.5 at sample 1, expected 0 or 1"),
        (
            "current_a\n1\nx\n",
            "lines 2 to 3 are no rows of numbers (could not convert string 'x' to float64 at row "
            "1, column 1.)",
        ),
    ],
)  # fmt: skip
def test_tables_that_are_none(tmp_path, text, says):
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(MeterError) as error:
        replay.open_recording(path, MeterSetup(3.3, supplies=False, sample_hz=1.0))
    assert str(error.value) == f"{path}: {says}; record or export it again"


def test_rows_of_other_lengths(tmp_path):
    path = write(tmp_path / "a.csv", "x,current_a\n1,2\n3\n")
    with pytest.raises(MeterError, match=r"lines 2 to 3 are no rows of numbers \(invalid column"):
        replay.open_recording(path, AT_1K)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"current_a\n\xff\xfe\n")
    with pytest.raises(MeterError, match=r"a.csv: cannot be read \('utf-8' codec"):
        replay.open_recording(tmp_path / "a.csv", AT_1K)


def test_a_rate_nobody_says(tmp_path):
    path = write(tmp_path / "a.csv", "current_a\n1\n")
    with pytest.raises(ConfigError) as error:
        replay.open_recording(path, SETUP)
    assert str(error.value) == (
        f"{path}: has no column time_s and sample_hz is not said; say the rate in Hz"
    )


def test_a_rate_that_is_not_the_files(tmp_path):
    path = write(tmp_path / "a.csv", "time_s,current_a\n0,1\n0.001,1\n")
    with pytest.raises(ConfigError) as error:
        replay.open_recording(path, MeterSetup(3.3, supplies=False, sample_hz=500.0))
    assert str(error.value) == (
        "replay: sample_hz = 500, the file has 1000 samples/s; leave sample_hz out, files are not "
        "resampled"
    )


def test_what_a_table_does_not_say_is_nan_or_argued(tmp_path):
    path = write(tmp_path / "a.csv", "current_a\n1\n")
    spec = replay.open_recording(path, AT_1K).spec
    assert math.isnan(spec.clock_limit)
    assert math.isnan(spec.ranges[0].gain_limit)
    args = with_args(gain_limit="0.02", clock_limit="1e-4").args
    spec = replay.open_recording(
        path, MeterSetup(3.3, supplies=False, sample_hz=1e3, args=args)
    ).spec
    assert spec.ranges[0].gain_limit == 0.02
    assert spec.clock_limit == 1e-4
    assert math.isnan(spec.voltage_limit)
    assert spec.source == (
        "CSV does not say how good its meter was; gain_limit, clock_limit as configured"
    )


def test_parquet_as_csv(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet  # noqa: PLC0415

    current = np.random.default_rng(3).random(100_000)
    table = pa.table(
        {
            "note": ["x"] * len(current),
            "time_s": np.arange(len(current)) / 1e5,
            "current_ma": pa.array([None, *current[1:]]),
            "d0": np.arange(len(current)) % 2,
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    recording = replay.open_recording(tmp_path / "a.parquet", SETUP)
    got = columns(recording)
    assert recording.spec.sample_hz == 100_000
    assert not got["valid"][0]
    np.testing.assert_allclose(got["current_a"][1:], current[1:] * 1e-3)
    assert got["logic"][1:].tolist() == [k % 2 for k in range(1, len(current))]


def test_parquet_that_is_none(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(MeterError, match=r"a.parquet: no Parquet \("):
        replay.open_recording(tmp_path / "a.parquet", SETUP)


def test_pyarrow_is_missing(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "pyarrow":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ToolMissingError) as error:
        replay.open_recording(tmp_path / "a.parquet", SETUP)
    assert str(error.value) == (
        f"{tmp_path}/a.parquet: Parquet needs pyarrow; install it with: pip install "
        f"'hilbench[parquet]'"
    )
