"""Scales, marks, shades and paths against what they are made from."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench import plugins
from hilbench.power import Marked, Window
from hilbench.recordings import InMemory
from hilbench.report import charts
from hilbench.report._decimate import Waveform
from hilbench.report.charts import Bar, Grid, HeatCell, bars, heat_map, luminance, shades
from hilbench.report.charts_pareto import Point, front
from hilbench.report.charts_strips import Strip, strips
from hilbench.report.charts_waveform import RUN, Trace, merged, path, waveform
from hilbench.report.contents import compact, exact, read_contents, short, tick
from hilbench.report.html import html_report
from hilbench.report.svg import COLOURS, Canvas, Mark, Scale, attribute
from hilbench.runs.evidence import save_evidence
from hilbench.runs.schema import EnergyRecord
from tests.recordings import counting_meter as meter
from tests.report import report_examples as ex

positive = st.floats(1e-6, 1e9)


@settings(deadline=None)
@given(st.lists(positive, min_size=1, max_size=20), st.booleans())
def test_a_scale_holds_its_values_and_its_ticks(values, log):
    scale = Scale.around(values, 10.0, 210.0, log=log)
    assert all(10 <= scale(v) <= 210.001 for v in values)
    ticks = scale.ticks(5)
    assert len(ticks) <= 6
    assert all(9.99 <= scale(t) <= 210.01 for t in ticks)
    assert ticks == sorted(ticks)


def test_a_scale_is_logarithmic_only_where_values_lie_far_apart():
    assert not Scale.around([100, 200], 0, 1, log=True).log
    assert Scale.around([100, 600], 0, 1, log=True).log
    assert not Scale.around([0, 600], 0, 1, log=True).log


def test_a_mark_without_a_place_is_not_drawn_at_zero():
    with pytest.raises(ValueError, match="a mark without a place was drawn"):
        attribute(float("nan"))


def test_the_first_56_marks_differ():
    assert len({(Mark.number(k).colour, Mark.number(k).shape) for k in range(56)}) == 56


def hexed(colour):
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@settings(deadline=None)
@given(st.floats(-1, 1), st.booleans())
def test_letters_on_shades_have_contrast(shade, diverging):
    fill, ink = charts._fill(shade, diverging=diverging)
    assert contrast(hexed(fill), (255, 255, 255) if ink == "#fff" else (0, 0, 0)) >= 4.5


@pytest.mark.parametrize("colour", COLOURS)
def test_letters_on_bars_have_contrast(colour):
    ink = charts._ink(hexed(colour))
    assert contrast(hexed(colour), (255, 255, 255) if ink == "#fff" else (0, 0, 0)) >= 4.5


def test_luminance_is_wcags():
    assert luminance((255, 255, 255)) == pytest.approx(1.0)
    assert contrast((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)  # #767676


@settings(deadline=None)
@given(st.lists(st.none() | positive, min_size=1, max_size=9), st.booleans())
def test_shades_go_from_best_to_worst_and_unknown_has_none(values, lower):
    got = shades(values, lower_is_better=lower)
    assert [g is None for g in got] == [v is None for v in values]
    known = sorted((v, g) for v, g in zip(values, got, strict=True) if v is not None)
    if known and known[0][0] != known[-1][0]:
        worst = min(1.0, (known[-1][0] / known[0][0] - 1) / 0.1)
        ends = (known[0][1], known[-1][1])
        assert ends == pytest.approx((0, worst) if lower else (worst, 0))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12),
    st.booleans(),
)
def test_the_front_is_what_nothing_beats_in_both(places, lower):
    points = [Point(f"v{k}", x, y, None, None, None) for k, (x, y) in enumerate(places)]
    sign = -1 if lower else 1
    beaten = {
        p.variant for p in points for q in points
        if q.x <= p.x and sign * q.y >= sign * p.y and (q.x, q.y) != (p.x, p.y)
    }  # fmt: skip
    best = front(points, lower_is_better=lower)
    assert {(p.x, p.y) for p in best} == {(p.x, p.y) for p in points if p.variant not in beaten}


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 300)), min_size=2, max_size=50))
def test_a_path_in_steps_comes_back(points):
    text = path(points)
    head, _, tail = text.partition("l")
    x, y = (float(v) for v in head[1:].split())
    numbers = [float(v) for v in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", tail)]
    got = [(x, y)]
    for dx, dy in zip(numbers[0::2], numbers[1::2], strict=True):
        got.append((got[-1][0] + dx, got[-1][1] + dy))
    assert len(got) == len(points)
    assert np.allclose(got, points, atol=0.051 + 1e-6)


def test_merged_columns_keep_extremes_and_holes():
    low = np.array([1, 2, np.nan, np.nan, 5, 0.5, 9])
    data = Waveform(70, 10, low, low + 1, low + 2)
    got = merged(data, 4)
    assert got.width == 20
    assert np.array_equal(got.low_a, [1, np.nan, 0.5, 9], equal_nan=True)
    assert np.array_equal(got.mean_a, [2.5, np.nan, 3.75, 10], equal_nan=True)
    assert np.array_equal(got.high_a, [4, np.nan, 7, 11], equal_nan=True)


def trace(emulated=True):
    level = np.where(np.arange(100) < 50, 1e-3, 5e-3)
    level[70:75] = np.nan
    windows = (Window(Marked("run", 3, 0.05, 1e-6), 50, 100, "gpio", 0.4),)
    data = Waveform(100, 1, level, level, level)
    return Trace(
        "m4", "int8", 1, "energy/x.npz", emulated, 1000.0, 100, 5, data, windows, ((0, 100),)
    )


def test_a_waveform_leaves_holes_open_and_shades_its_windows():
    drawn = ET.fromstring(waveform(trace(), "t"))
    lines = [
        p for p in drawn.iter("path") if p.get("fill") == "none" and p.get("d").count("l") == 1
    ]
    assert len(lines) == 2  # before and behind the lost samples
    (run,) = [p for p in drawn.iter("path") if p.get("fill") == "#E69F00"]
    begins, wide = re.match(r"M([\d.]+) [\d.]+h([\d.]+)", run.get("d")).groups()
    assert float(begins) == pytest.approx(64 + (1080 - 30 - 64) / 2, abs=0.1)
    assert float(wide) == pytest.approx((1080 - 30 - 64) / 2, abs=0.1)


@pytest.mark.parametrize("emulated", [True, False])
def test_synthetic_stands_across_an_emulated_waveform_only(emulated):
    words = "".join(ET.fromstring(waveform(trace(emulated), "t")).itertext())
    assert ("SYNTHETIC" in words) is emulated


def test_bars_are_as_long_as_their_numbers():
    rows = [Bar("a", ((0, 3.0), (1, 1.0)), "4"), Bar("b", ((0, 1.0),), "1"), Bar("c", (), "-")]
    drawn = ET.fromstring(bars("t", "d", "id", rows))
    boxes = [float(w) for p in drawn.iter("path") for w in re.findall(r"h([\d.]+)v", p.get("d"))]
    assert [round(b / boxes[1], 2) for b in boxes] == [3, 1, 1]  # by series: 3, 1 and then 1


def test_shades_do_not_make_much_of_little():
    assert shades([100.0, 101.0]) == pytest.approx([0.0, 0.1])  # 1 % of the 10 % for the darkest
    assert shades([100.0, 110.0]) == pytest.approx([0.0, 1.0])
    assert shades([0.0, 1e-9]) == [0.0, 1.0]  # from 0 there is no share


def test_ticks_that_would_read_alike_are_told_in_full():
    canvas = Canvas(400, 200, "t", "d", "id")
    x, y = Scale.around([249_980.0, 250_020.0], 40.0, 390.0), Scale.around([0.0, 1.0], 160.0, 40.0)
    canvas.axes(x, y, ("x", "y"), lambda _, value: tick(value))
    words = [t.text for t in ET.fromstring(canvas.render()).iter("text")]
    assert "250,000" in words
    assert "250 k" not in words
    assert "0.5" in words


def test_a_heat_map_leaves_unknown_cells_unshaded():
    grid = Grid(["v"], [("a",), ("b",)], [[HeatCell("5", 0.5), HeatCell("-", None)]])
    drawn = ET.fromstring(heat_map("t", "d", "id", grid))
    assert len(list(drawn.iter("path"))) == 1
    assert [t.text for t in drawn.iter("text")][-2:] == ["5", "-"]


def test_of_a_long_capture_the_part_with_windows_is_drawn():
    level = np.full(1000, 1e-3)
    level[500:520] = 5e-3
    windows = (Window(Marked("run", 3, 0.02, 1e-6), 500, 520, "gpio", 0.4),)
    short_one = trace()
    long_one = replace(
        short_one, samples=1000, windows=windows, waveform=Waveform(1000, 1, level, level, level)
    )
    hz = short_one.sample_hz
    assert long_one.shown == pytest.approx((498 / hz, 522 / hz))
    assert short_one.shown == (0.0, 100 / hz)  # half of it is windows
    assert replace(short_one, windows=()).shown == (0.0, 100 / hz)
    drawn = ET.fromstring(waveform(long_one, "id"))
    shade = next(p for p in drawn.iter("path") if p.get("fill") == RUN)
    left, width = re.match(r"M([\d.]+) [\d.]+h([\d.]+)v", shade.get("d")).groups()
    room = 1080 - 64 - 30
    assert float(width) == pytest.approx(room * 20 / 24, abs=0.2)
    assert float(left) == pytest.approx(64 + room * 2 / 24, abs=0.2)


def test_strips_lie_by_their_distance_from_the_median():
    drawn = strips_of(Strip("v", 0, (0.99, 1.0, 1.01)))
    left, middle, right = (float(u.get("x")) for u in drawn.iter("use"))
    assert middle - left == pytest.approx(right - middle, abs=0.11)


def strips_of(*rows):
    return ET.fromstring(strips("t", "d", "id", rows, reference="the baseline's median"))


def test_the_baselines_sessions_are_hollow_above_this_runs():
    drawn = strips_of(Strip("v", 0, (1.02,), (0.99, 1.01)), Strip("new", 1, (1.0,)))
    old, new, alone = [u for u in drawn.iter("use") if u.get("fill") == "none"], [], []
    new, alone = [u for u in drawn.iter("use") if u.get("fill") != "none"]
    places = [float(u.get("x")) for u in (*old, alone, new)]
    assert (places[0] + places[1]) / 2 == pytest.approx(places[2], abs=0.11)  # 1 is their middle
    assert places[3] - places[2] == pytest.approx(places[1] - places[0], abs=0.21)  # 2 %, 2 %
    assert {float(u.get("y")) for u in old} == {float(new.get("y")) - 14}


def test_strips_that_lie_far_apart_are_ratios_on_a_logarithmic_axis():
    drawn = strips_of(Strip("v", 0, (0.5, 1.0, 2.0, 16.0)))
    places = [float(u.get("x")) for u in drawn.iter("use")]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.11)
    assert places[3] - places[2] == pytest.approx(3 * (places[2] - places[1]), abs=0.3)
    words = [t.text for t in drawn.iter("text")]
    assert "times the baseline's median, logarithmic" in words
    assert "× 1" in words


def test_captures_of_one_session_have_ids_of_their_own(metered):
    """A session with operators marked has two captures."""
    contents = read_contents(metered)
    (record,) = contents.records
    (file,) = record.files
    other = file.replace(".npz", "-operators.npz")
    (metered / other).write_bytes((metered / file).read_bytes())
    two = replace(record, files={file: record.files[file], other: record.files[file]})
    page = html_report(replace(contents, records=(two,)))
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "current of m4 int8, session 1, operators marked" in page


def test_numbers_as_people_read_them():
    nan = float("nan")
    assert [compact(v) for v in (None, nan, 0.0, 12.3456, 1234.0, 2.5e6)] == [
        "-", "-", "0", "12.35", "1.234 k", "2.500 M",
    ]  # fmt: skip
    assert [tick(v) for v in (0.05, 10.0, 1e4, 2.5e6)] == ["0.05", "10", "10 k", "2.5 M"]
    assert tick(0.0, "A") == "0 A"
    assert tick(2e-3, "A") == "2 mA"
    assert exact("latency_median", 1.184) == "1.184"  # a microsecond is not rounded off
    assert exact("latency_median", 123_456.4) == "123,456"
    assert short("accuracy", 0.98) == "0.9800"
    assert short("plan_bytes", None) == "-"


@pytest.fixture
def metered(tmp_path, monkeypatch):
    """One session with evidence and a budget of which one component is not known."""
    monkeypatch.setattr(plugins, "load", meter.load)
    chunks, end = meter.capture(1, 2000, 500)
    recording = InMemory(
        replace(meter.IDENTITY, emulated=True), meter.SPEC, meter.SETUP, chunks, end
    )
    windows = (Window(Marked("run", 3, 0.05, 1e-6), 500, 1000, "gpio", 0.4),)
    files = save_evidence(tmp_path / "kept", "m4/int8-1", recording, windows, None)
    known = {"energy_u_gain_uj": 0.3, "energy_u_offset_uj": 0.4, "energy_absolute_uj": 1.0}
    record = ex.session(1)
    energy = EnergyRecord(
        known,
        {"energy_meter": "device time (emulated)", "energy_warnings": "64 samples late"},
        (6.0,),
        (10.0,),
    )
    record = replace(record, files=files, energy=energy, session=1)
    folder = ex.write_run(
        tmp_path, [("m4", "int8")], boards=[ex.BOARD], variants=[ex.VARIANT],
        sessions=[(record, {})],
    )  # fmt: skip
    (tmp_path / "kept" / "energy").rename(folder / "energy")
    return folder


def test_a_metered_run_shows_current_and_budget(metered):
    page = html_report(read_contents(metered))
    assert "current of m4 int8, session 1" in page
    assert "SYNTHETIC, not a current of a chip." in page
    assert "<p>Energy of m4[int8]: 64 samples late.</p>" in page
    table = re.search(r'<table id="budget-.*?</table>', page, re.DOTALL).group()
    cells = re.findall(r"<td>(.*?)</td>", table)
    assert cells[:5] == ["6", "1", "-", "0.3", "0.4"]
    assert set(cells[5:]) == {"-"}  # components that nobody told are not 0
    chart = re.search(
        r"<svg[^>]*>\s*<title>share of the variance.*?</svg>", page, re.DOTALL
    ).group()
    assert re.findall(r">([^<]*)</text></g>", chart)[-1] == "-"
    assert "0.3" in chart  # the number itself: shares of an incomplete sum are not shares
