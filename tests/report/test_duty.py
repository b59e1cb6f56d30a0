"""Duty cycles of a frame: what is taken from which column, and what is refused."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import Console

from hilbench.report.duty import SYNTHETIC, duty_cells, print_duty

NAN = float("nan")
ROW = {
    "board": "desk",
    "variant": "int8",
    "error": "",
    "time_base": "time",
    "unit": "us",
    "energy_uj": 30.0,
    "energy_source": "ppk2",
    "energy_inference_us": 2_000.0,
    "latency_us": 1_900.0,
    "energy_idle_ma": 0.002,
    "supply_v": 3.3,
}


def frame(*changes):
    return pd.DataFrame([ROW | change for change in changes])


def test_measured_sleep_current_and_the_time_that_the_energy_was_spent_in():
    """30 uJ + (1 - 0.002) * 6.6 uW = 36.5868 uW: not with the board's latency of 1.9 ms."""
    (cell,), refused = duty_cells(frame({}), [1.0], None)
    assert not refused
    assert cell.duty.points[0].average_w == pytest.approx(36.5868e-6, rel=1e-9)
    assert (cell.sleep_ma, cell.sleep_from) == (0.002, "measured between windows")
    assert not cell.duty.synthetic


def test_what_is_said_goes_before_what_was_measured():
    (cell,), _ = duty_cells(frame({}), [1.0], 0.0)
    assert cell.duty.points[0].average_w == pytest.approx(30e-6)
    assert cell.sleep_from == "as --sleep-ma says"


def test_without_the_meters_duration_the_boards_counts():
    (cell,), _ = duty_cells(frame({"energy_inference_us": NAN}), [1.0], None)
    assert cell.inference_us == 1_900.0


def test_rates_beyond_the_board_are_left_out_unless_asked_for():
    (cell,), _ = duty_cells(frame({"energy_inference_us": 0.5e6}), None, None)
    assert [p.rate_hz for p in cell.duty.points] == [0.01, 0.1, 1.0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"time_base": "instructions"},
            "its time base counts instructions, which are not a time",
        ),
        (
            {"time_base": "unknown"},
            "its ticks are of a program behind a PTY, and no time that anybody knows",
        ),
        (
            {"energy_uj": NAN},
            "its energy was not measured; give the board a meter in boards.toml",
        ),
        ({"energy_uj": NAN, "error": "MeterError: gone"}, "MeterError: gone"),
        (
            {"latency_us": NAN, "energy_inference_us": NAN, "unit": "cycles"},
            "its latency in cycles is not known as a time",
        ),
        ({"supply_v": NAN}, "its supply voltage is not known; add supply_v in boards.toml"),
        ({"energy_idle_ma": NAN}, "its sleep current was not measured; say one: --sleep-ma"),
    ],
)
def test_what_is_unknown_is_no_number(change, reason):
    cells, (refused,) = duty_cells(frame(change), None, None)
    assert not cells
    assert refused.reason == reason


def printed(*changes, width=140):
    text = io.StringIO()
    cells, refused = duty_cells(frame(*changes), None, None)
    print_duty(cells, refused, Console(file=text, width=width))
    return text.getvalue()


def test_synthetic_and_measured_stand_apart():
    text = printed({"board": "emu", "energy_source": "synthetic"}, {}, {"supply_v": NAN})
    first, second = text.index(SYNTHETIC), text.rindex(SYNTHETIC)
    assert text.index("desk") < first < text.index("emu ") < second
    assert "SYNTHETIC" not in text[:first].replace("/", "")
    assert "desk int8: no duty cycle: its supply voltage" in text


def test_a_battery_that_does_not_bear_it_has_no_life():
    text = printed({"energy_uj": 3_000.0})  # 1.5 W, 455 mA
    assert "no life on CR2032: desk int8: 500.0 mA while it infers, limit of CR2032 15 mA" in text
