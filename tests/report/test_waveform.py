"""Waveforms hold what was measured; what was not is left open."""

from __future__ import annotations

import builtins
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench.errors import ToolMissingError, UsageError
from hilbench.power import Chunk, Marked, MeterIdentity, MeterSetup, MeterSpec, RangeSpec, Window
from hilbench.recordings import InMemory, load_evidence, write_evidence
from hilbench.report import _decimate, waveform
from hilbench.report._decimate import decimate
from hilbench.report.waveform import plot_waveform

RATE_HZ = 10_000.0
SPEC = MeterSpec(RATE_HZ, 1e-4, (RangeSpec(1e-6, 0.1, 1e-6, 1.0),), ("D0",), "set", 0.01, "a test")
IDENTITY = MeterIdentity("somewhat", "PPK2", "C0FFEE", "1.2", "a", emulated=False, calibration="")
SETUP = MeterSetup(3.3, supplies=True)


def recording(current, chunk=777, identity=IDENTITY):
    current = np.asarray(current, float)
    valid = ~np.isnan(current)
    byte = np.zeros(len(current), np.uint8)
    chunks = [
        Chunk(k, current[k : k + chunk], 3.3, byte[k : k + chunk], valid[k : k + chunk],
              byte[k : k + chunk])
        for k in range(0, len(current), chunk)
    ]  # fmt: skip
    return InMemory(identity, SPEC, SETUP, chunks)


def window(start, end, kind):
    return Window(Marked(kind, 5, (end - start) / RATE_HZ, 1e-6), start, end, "gpio", 0.4)


WINDOWS = (
    window(1000, 5000, "idle"),
    window(8000, 20_000, "run"),
    window(22_000, 26_000, "idle"),
)


@pytest.fixture
def current():
    values = np.random.default_rng(8).normal(1e-3, 1e-5, 30_000)
    values[8000:20_000] += 6e-3
    values[12_000:13_000] = np.nan
    values[25_000:25_003] = np.nan
    return values


@settings(max_examples=40)
@given(
    samples=st.integers(1, 9000), chunk=st.integers(1, 4000), lost=st.floats(0, 1), seed=st.integers(0, 99)
)  # fmt: skip
def test_columns_are_what_numpy_says_of_their_samples(samples, chunk, lost, seed):
    rng = np.random.default_rng(seed)
    current = np.where(rng.random(samples) < lost, np.nan, rng.normal(0, 1, samples))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_decimate, "COLUMNS", 50)
        got = decimate(recording(current, chunk))
    assert got.samples == samples
    assert len(got.low_a) == -(-samples // got.width)
    assert len(got.low_a) <= 101
    assert samples < 100 or len(got.low_a) >= 50
    for k in range(len(got.low_a)):
        part = current[k * got.width : (k + 1) * got.width]
        part = part[~np.isnan(part)]
        if len(part):
            assert (got.low_a[k], got.high_a[k]) == (part.min(), part.max())
            assert got.mean_a[k] == pytest.approx(part.mean())
        else:
            assert np.isnan([got.low_a[k], got.mean_a[k], got.high_a[k]]).all()


def drawn(source, windows, board=""):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    waveform._draw(figure, source, windows, decimate(source), board)
    return figure.axes[0]


def spans(axes, label):
    """Return the colour, hatch, and begin and end of the stretches that are shaded together."""
    (found,) = [c for c in axes.collections if c.get_label() == label]
    ends = [(p.vertices[:, 0].min(), p.vertices[:, 0].max()) for p in found.get_paths()]
    return found.get_facecolor()[0].tolist(), found.get_hatch(), ends


def test_windows_are_shaded_where_they_are_by_their_kind(current):
    axes = drawn(recording(current), WINDOWS)
    run, _, at = spans(axes, "run window (1)")
    assert at == [pytest.approx((0.8, 2.0))]
    idle, _, at = spans(axes, "idle windows (2)")
    assert at == [pytest.approx((0.1, 0.5)), pytest.approx((2.2, 2.6))]
    assert run != idle


def test_currents_fill_the_height_whatever_is_shaded(current):
    low, high = drawn(recording(current * 1e-3), WINDOWS).get_ylim()  # uA
    assert (low, high) == pytest.approx((-0.56, 7.6), abs=0.1)


def test_what_was_lost_is_no_line(current):
    axes = drawn(recording(current), WINDOWS)
    line, marks = axes.lines
    times, values = line.get_data()
    lost = (times > 1.2) & (times < 1.3)
    assert lost.sum() > 50
    assert np.isnan(values[lost]).all()
    assert np.isfinite(values[~lost]).all()
    # 3 samples are less than a column: the mark at the bottom shows them
    assert marks.get_xdata().tolist() == pytest.approx([1.25, 2.50015])
    assert marks.get_label() == "lost (1,003 samples in 2 gaps)"


def test_axes_have_units_and_a_title_that_says_who_measured(current):
    axes = drawn(recording(current), WINDOWS, "m4")
    assert axes.get_xlabel() == "time (s)"
    assert axes.get_ylabel() == "current (mA)"
    assert np.nanmax(axes.lines[0].get_ydata()) == pytest.approx(7, rel=0.05)
    assert axes.get_title("left") == "PPK2 C0FFEE, m4"
    assert axes.get_title("right") == "3.3 V set, 10 000 samples/s, 3 s"
    assert not axes.texts


def test_small_currents_and_short_times():
    axes = drawn(recording(np.full(50, 2e-7)), ())
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (ms)", "current (nA)")


def test_nothing_valid_is_still_drawn():
    axes = drawn(recording(np.full(500, np.nan)), ())
    assert axes.lines[1].get_label() == "lost (500 samples in 1 gap)"


def test_a_measured_voltage_is_no_single_one(current):
    source = recording(current)
    source.spec = replace(SPEC, voltage="measured")
    assert drawn(source, ()).get_title("right").startswith("voltage measured, ")


def test_an_emulated_meter_is_synthetic_all_over(current):
    axes = drawn(recording(current, identity=replace(IDENTITY, emulated=True)), WINDOWS)
    assert [text.get_text() for text in axes.texts] == ["SYNTHETIC"]
    assert axes.texts[0].get_fontsize() > 60
    assert axes.get_title("right").endswith(", SYNTHETIC")


def test_what_evidence_did_not_keep_is_hatched(current, tmp_path):
    write_evidence(tmp_path / "e.npz", recording(current, 100), WINDOWS[1:2], 0.0)
    kept = load_evidence(tmp_path / "e.npz")
    _, hatch, at = spans(drawn(kept, WINDOWS), "not kept")
    assert hatch
    assert at == [
        pytest.approx((0, kept.kept[0][0] / RATE_HZ)),
        pytest.approx((kept.kept[0][1] / RATE_HZ, 3)),
    ]


def test_png_and_svg(current, tmp_path):
    pytest.importorskip("matplotlib")
    emulated = recording(current, identity=replace(IDENTITY, emulated=True))
    for name in ("a.svg", "b.svg", "a.png"):
        plot_waveform(emulated, WINDOWS, tmp_path / name, "m4")
    text = (tmp_path / "a.svg").read_text()
    assert (tmp_path / "b.svg").read_text() == text  # the same file from the same data
    for word in (
        "PPK2 C0FFEE, m4",
        "idle windows (2)",
        "run window (1)",
        "time (s)",
        ">SYNTHETIC<",
    ):
        assert word in text
    png = (tmp_path / "a.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") == 1800


def test_another_ending(current, tmp_path):
    with pytest.raises(UsageError) as error:
        plot_waveform(recording(current), (), tmp_path / "a.pdf")
    assert str(error.value) == f"{tmp_path}/a.pdf: a waveform is drawn as .png or .svg; name it so"


def test_an_empty_recording(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(UsageError) as error:
        plot_waveform(recording([]), (), tmp_path / "a.png")
    assert str(error.value) == (f"{tmp_path}/a.png: nothing to draw, the recording holds no sample")


def test_matplotlib_is_missing(current, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "matplotlib":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ToolMissingError) as error:
        plot_waveform(recording(current), (), tmp_path / "a.png")
    assert str(error.value) == (
        f"{tmp_path}/a.png: plots need matplotlib; install it with: pip install 'hilbench[plots]'"
    )
