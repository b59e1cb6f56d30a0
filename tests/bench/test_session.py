"""What a session refuses to call a measurement."""

from __future__ import annotations

import re

import pytest

from hilbench.bench.session import _steps, check_wrap
from hilbench.errors import MeasurementError
from hilbench.records import ClockInfo


def test_ticks_that_may_have_lost_a_turn_are_refused():
    clock = ClockInfo("host", "us", 0.001, 1_000_000_000, "declared")
    check_wrap("native", clock, 32, 4.2)
    sentence = (
        "board native: the timed inferences took 4.3 s, the counter (32 bits at 1,000,000,000 Hz) "
        "wraps after 4.3 s, so an inference may be longer than its ticks say; use fewer iterations "
        "or a slower counter"
    )
    with pytest.raises(MeasurementError, match=re.escape(sentence)):
        check_wrap("native", clock, 32, 4.295)


def test_virtual_time_is_not_compared_with_host_time():
    check_wrap("m4", ClockInfo("instructions", "instr", 0.625, 25_000_000, "declared"), 32, 1e4)


def test_totals_become_steps():
    steps = []
    told = _steps(steps.append)
    for total in (4, 8, 10):
        told(total)
    assert steps == [4, 4, 2]
