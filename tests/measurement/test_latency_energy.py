"""Ticks to latency and energy, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilbench.drivers.power import none, synthetic
from hilbench.errors import ConfigError, MeasurementError
from hilbench.measurement.energy import duration_us, session_energy_uj
from hilbench.measurement.latency import (
    latency,
    latency_us,
    operator_shares,
    session_spread,
    summarise,
)
from hilbench.records import BoardConfig, ClockInfo, RunResult

QEMU = ClockInfo("instructions", "instructions", 2.5, 25_000_000, "declared")
NATIVE = ClockInfo("host", "us", 0.001, 1_000_000_000, "declared")


def run(ticks, cold=None, equal=True, restore=0, **told):
    ticks = np.array(ticks, np.uint32)
    values = {
        "inferences": len(ticks),
        "ticks_sum": int(ticks.sum()),
        "ticks_min": int(ticks.min(initial=2**32 - 1)),
        "ticks_max": int(ticks.max(initial=0)),
    } | told
    return RunResult(
        ticks=ticks,
        cold_ticks=cold,
        restore_ticks_sum=restore,
        outputs_equal=equal,
        outputs=None,
        **values,
    )


def sentence(call, *arguments, kind=MeasurementError):
    with pytest.raises(kind) as caught:
        call(*arguments)
    return str(caught.value)


def test_session_of_several_runs():
    found = summarise([run([10, 30], cold=99, restore=4), run([20, 40, 1000], restore=5)])
    assert (found.inferences, found.stored, found.median) == (5, 5, 30.0)
    assert (found.minimum, found.maximum, found.sum) == (10, 1000, 1100)
    assert (found.cold, found.restore_sum, found.outputs_equal) == (99, 9, True)
    assert not summarise([run([1]), run([1], equal=False)]).outputs_equal


def test_full_buffer_gives_no_median():
    found = summarise([run([10, 30], inferences=5, ticks_sum=200, ticks_min=10, ticks_max=90)])
    assert (found.median, found.stored, found.sum, found.maximum) == (None, 2, 200, 90)
    assert latency(found, QEMU).median is None
    assert latency(found, QEMU).mean == 100.0
    assert latency_us(found, NATIVE) is None


def test_sum_of_many_large_ticks_does_not_wrap():
    big = [2**32 - 1] * 4
    assert summarise([run(big, ticks_sum=4 * (2**32 - 1))]).sum == 4 * (2**32 - 1)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"ticks_sum": 41}, "RUN 0: ticks give sum, min, max (40, 10, 30), the board says (41, 10, 30); rerun the session"),
        ({"ticks_min": 9}, "RUN 0: ticks give sum, min, max (40, 10, 30), the board says (40, 9, 30); rerun the session"),
        ({"ticks_max": 31}, "RUN 0: ticks give sum, min, max (40, 10, 30), the board says (40, 10, 31); rerun the session"),
        ({"inferences": 1}, "RUN 0: 2 ticks for 1 inferences; rerun the session"),
    ],
)  # fmt: skip
def test_contradictions(told, expected):
    assert sentence(summarise, [run([10, 30], **told)]) == expected


@pytest.mark.parametrize("runs", [[], [run([])]])
def test_nothing_timed(runs):
    assert sentence(summarise, runs) == (
        "session holds no timed inference; ask for at least 1 iteration"
    )


def test_latency_in_the_unit_of_the_board():
    found = latency(summarise([run([10, 30, 20], cold=50)]), QEMU)
    assert (found.unit, found.median, found.minimum, found.maximum) == ("instructions", 50, 25, 75)
    assert (found.mean, found.cold, found.resolution) == (50, 125, 2.5)


def test_instructions_are_no_microseconds():
    ticks = summarise([run([1000, 3000, 2000])])
    assert latency_us(ticks, QEMU) is None
    cycles = ClockInfo("cycles", "cycles", 1, 16_000_000, "declared")
    assert latency_us(ticks, cycles) == pytest.approx(ticks.median / 16)
    assert latency_us(ticks, NATIVE) == pytest.approx(2.0)
    assert latency_us(ticks, ClockInfo("time", "us", 0.0125, 80_000_000, "register")) == 25.0


def test_session_spread():
    assert session_spread([100.0]) is None
    assert session_spread([100.0, 104.0, 98.0]) == pytest.approx(0.06)
    assert session_spread([7.0, 7.0]) == 0.0
    assert session_spread([0.0, 0.0]) == 0.0
    assert session_spread([0.0, 0.0, 1.0]) is None


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=60).filter(any))
def test_shares_sum_to_100(ticks):
    shares = operator_shares(ticks)
    assert sum(shares) == pytest.approx(100)
    assert all(0 <= s <= 100 for s in shares)


def test_shares_of_nothing():
    assert operator_shares([1, 3]) == (25.0, 75.0)
    assert sentence(operator_shares, [0, 0]) == (
        "profile of 2 operators holds 0 ticks; the counter is too slow for it"
    )


BOARD = BoardConfig("b", "p", supply_v=3.0, active_ma=2.0, source="boards.toml")


def test_synthetic_energy_by_hand():
    # 3 V x 2 mA = 6 mW; 25,000 ticks of 25 MHz = 1000 us; 6 mW x 1 ms = 6 uJ
    ticks = summarise([run([20_000, 30_000])])
    meter = synthetic.estimate(BOARD)
    assert meter.energy_source == "synthetic"
    assert session_energy_uj(meter, ticks, QEMU) == pytest.approx(6.0)


def test_no_meter_is_unknown_not_zero():
    meter = none.estimate(BOARD)
    assert meter.energy_source == "none"
    assert session_energy_uj(meter, summarise([run([5])]), QEMU) is None


@pytest.mark.parametrize(
    ("known", "missing"),
    [
        ({"supply_v": 3.3}, "active_ma, the current in mA"),
        ({"active_ma": 2.0}, "supply_v, the supply in V"),
    ],
)
def test_synthetic_meter_makes_no_figure_up(known, missing):
    board = BoardConfig("b", "p", source="boards.toml", **known)
    assert sentence(synthetic.estimate, board, kind=ConfigError) == (
        f'boards.toml: [board.b] meter = "synthetic" needs {missing} while an inference runs; add '
        'it, or use meter = "none"'
    )


def test_counter_without_a_rate():
    clock = ClockInfo("time", "us", 1, 0, "register")
    assert sentence(duration_us, 5, clock) == (
        "counter rate is 0 Hz, so ticks have no duration; fix the port"
    )


def test_meter_that_gives_nonsense():
    class Broken:
        energy_source = "broken"

        def energy_uj(self, duration_us):
            return np.array([np.nan])

        def close(self):
            pass

    assert sentence(session_energy_uj, Broken(), summarise([run([25])]), QEMU) == (
        "meter 'broken' gives nan uJ for 1 us; check the meter"
    )


def test_a_counter_that_stands_still_is_not_a_latency_of_zero():
    assert sentence(summarise, [run([0, 0, 0])]) == (
        "3 timed inferences took 0 ticks; the board's counter stands still or is too slow for this "
        "model: fix hb_port_counter, and see `hilbench doctor`"
    )
