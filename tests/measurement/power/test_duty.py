"""Average power and battery life, by hand and by simulating the discharge."""

from __future__ import annotations

import pytest

from hilbench.errors import UsageError
from hilbench.measurement.power.duty import (
    BATTERIES,
    DAY_S,
    YEAR_S,
    Battery,
    duty_cycle,
    life_s,
)

ENERGY_J, INFERENCE_S, SLEEP_A, SUPPLY_V = 1188e-6, 0.03, 10e-6, 3.3


def at(*rates, **options):
    return duty_cycle(ENERGY_J, INFERENCE_S, SLEEP_A, SUPPLY_V, rates, **options)


def test_average_power():
    once, ten = at(1, 10).points
    assert once.average_w == pytest.approx(1188e-6 + 0.97 * 33e-6)
    assert ten.average_w == pytest.approx(11.88e-3 + 0.7 * 33e-6)
    assert once.active_share == pytest.approx(0.03)
    assert once.inference_share == pytest.approx(1188 / (1188 + 0.97 * 33))
    assert (once.below_tinyml, at(0.5).points[0].below_tinyml) == (False, True)


def test_all_the_time_is_the_power_of_inferring():
    assert at(1 / INFERENCE_S).points[0].average_w == pytest.approx(ENERGY_J / INFERENCE_S)


def test_break_even_rate_draws_1_mw():
    found = at()
    assert at(found.break_even_hz).points[0].average_w == pytest.approx(1e-3)
    assert found.says == "below 1 mW up to 0.815 inferences/s"
    assert found.max_hz == pytest.approx(33.33, abs=0.01)


def test_boards_without_a_break_even_rate():
    awake = duty_cycle(ENERGY_J, INFERENCE_S, 0.005, SUPPLY_V, [1.0])
    assert awake.break_even_hz is None
    assert awake.says == "above 1 mW at any rate: sleep alone takes 16.5 mW"
    frugal = duty_cycle(10e-6, 0.03, 1e-6, SUPPLY_V, [1.0])
    assert frugal.break_even_hz is None
    assert frugal.says == "below 1 mW at any rate: inferring all the time takes 0.333 mW"


def test_rates_that_the_board_can_keep_up_with():
    slow = duty_cycle(0.1, 30.0, SLEEP_A, SUPPLY_V)
    assert [p.rate_hz for p in slow.points] == pytest.approx([1 / 3600, 1 / 60])
    with pytest.raises(UsageError) as caught:
        at(1, 40)
    assert str(caught.value) == (
        "40 inferences/s of 30 ms keep the board busy for 120 % of the time, limit 100 %; at most "
        "33.3333 inferences/s"
    )


@pytest.mark.parametrize(
    ("quantities", "expected"),
    [
        ((0.0, 0.03, 0.0, 3.0), "energy is 0 J, limit > 0 J; measure it first"),
        ((1e-3, -1.0, 0.0, 3.0), "duration is -1 s, limit > 0 s; measure it first"),
        ((1e-3, 0.03, 0.0, float("inf")), "supply is inf V, limit > 0 V; measure it first"),
        (
            (1e-3, 0.03, -1e-6, 3.0),
            "sleep current is -1e-06 A, limit >= 0 A; measure idle windows with an offset below it",
        ),
    ],
)
def test_quantities_that_cannot_be(quantities, expected):
    with pytest.raises(UsageError) as caught:
        duty_cycle(*quantities)
    assert str(caught.value) == expected


def test_battery_that_keeps_its_charge():
    ideal = Battery("ideal", 0.225, 3.0, 0.0, 1.0, 1.0, "")
    assert life_s(ideal, 1e-3) == pytest.approx(0.225 * 3600 * 3.0 / 1e-3)


@pytest.mark.parametrize("power_w", [1e-6, 1e-4, 1e-3])
def test_battery_that_discharges_itself(power_w):
    """Against a day by day simulation."""
    cell = Battery("cell", 0.225, 3.0, 0.10, 1.0, 1.0, "")
    left_j, days = 0.225 * 3600 * 3.0, 0
    kept = (1 - 0.10) ** (DAY_S / YEAR_S)
    while left_j > 0:
        left_j = left_j * kept - power_w * DAY_S
        days += 1
    assert life_s(cell, power_w) / DAY_S == pytest.approx(days, rel=0.002, abs=1)


def test_batteries_are_named_with_where_their_figures_come_from():
    lives = at(0.5).points[0].lives
    assert [life.battery.name for life in lives] == ["CR2032", "2 x AA alkaline", "LiPo 1000 mAh"]
    assert all(life.battery.source and 0 < life.battery.self_discharge < 1 for life in lives)
    assert all(life.days is not None and not life.reason for life in lives)
    assert lives[0].days < lives[1].days
    assert BATTERIES[0].capacity_ah == 0.225
    assert "lossless" in at(1).assumptions


def test_coin_cells_do_not_bear_every_board():
    hungry = duty_cycle(0.001, 0.01, SLEEP_A, SUPPLY_V, [1.0]).points[0].lives
    assert hungry[0].days is None
    assert hungry[0].reason == "33.3 mA while it infers, limit of CR2032 15 mA"
    assert hungry[1].days is not None
    busy = at(20).points[0].lives[0]
    assert busy.reason == "7.9 mA on average, limit of CR2032 3 mA"


def test_synthetic_is_carried_to_the_renderer():
    assert at(1, synthetic=True).synthetic
    assert not at(1).synthetic
