"""What a session refuses to call a measurement."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from hilbench.bench.session import _check_loaded, _steps, check_fits, check_wrap
from hilbench.errors import BoardError, MeasurementError, ModelTooLargeError
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


def variant(arena_bytes):
    plan = SimpleNamespace(
        data=bytes(1001),
        arena_bytes=arena_bytes,
        input_bytes=64,
        output_bytes=10,
    )
    return SimpleNamespace(plan=plan, config=SimpleNamespace(name="int8"))


@pytest.mark.parametrize(
    ("arena_bytes", "pool_bytes", "needs"),
    [
        (500, 1507, "needs 1,508 bytes of memory (plan 1,008 + arena 500), the board has 1,507"),
        (
            None,
            1007,
            "needs at least 1,008 bytes of memory (model 1,008, and the arena that it plans itself), "
            "the board has 1,007",
        ),
    ],
)
def test_a_model_that_cannot_fit_is_not_sent(arena_bytes, pool_bytes, needs):
    ready = variant(arena_bytes)
    check_fits("m4", ready, SimpleNamespace(pool_bytes=pool_bytes + 1), resident=False)
    sentence = f"board m4: variant int8 {needs}; take a smaller variant or a larger board"
    with pytest.raises(ModelTooLargeError, match=f"^{re.escape(sentence)}$"):
        check_fits("m4", ready, SimpleNamespace(pool_bytes=pool_bytes), resident=False)


def test_an_arena_that_the_board_planned_itself_is_not_compared():
    loaded = SimpleNamespace(input_bytes=64, output_bytes=10, arena_bytes=700)
    _check_loaded("m4", variant(None), loaded)
    with pytest.raises(BoardError, match="64, 10 and 700 bytes, planned were 64, 10 and 500"):
        _check_loaded("m4", variant(500), loaded)
