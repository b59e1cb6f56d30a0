"""Layout floors: by hand, refused where they would say nothing, and enough to hold alpha."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hilbench.errors import UsageError
from hilbench.gate.cycles import decide, log_ratio
from hilbench.gate.layout import check_time_base, layout_floor


def test_by_hand():
    """Means of ln: 0, 0.02, 0.04, two sessions 0.002 apart in each link."""
    found = layout_floor(np.exp([[-0.001, 0.001], [0.019, 0.021], [0.039, 0.041]]))
    assert found.sd == pytest.approx(0.02)
    assert found.session_sd == pytest.approx(0.002 / math.sqrt(2))
    assert (found.lowest, found.highest) == pytest.approx((math.expm1(-0.02), math.expm1(0.02)))
    assert found.builds == 3
    # Student's t of 2 degrees of freedom, 2.920, over the difference of two links.
    assert found.sees == pytest.approx(math.expm1(2.91999 * math.sqrt(2) * 0.02), rel=1e-5)


def test_one_session_each_leaves_their_scatter_unknown():
    assert layout_floor([[1.0], [1.0], [1.0]]).session_sd is None
    assert layout_floor([[5.0], [5.0], [5.0]]).sd == 0


def test_links_that_scatter_as_their_sessions_do_are_noise():
    """F of 2 and 3 degrees of freedom: its upper 5 % point is 9.552 (NIST, table of F)."""
    away = math.sqrt(9.552 / 2) * 0.01  # of the links' sd, so that F is just there

    def links(sd):
        return layout_floor(
            np.exp([[m - 0.01 / math.sqrt(2), m + 0.01 / math.sqrt(2)] for m in (-sd, 0, sd)])
        )

    assert links(0.99 * away).is_noise
    assert not links(1.01 * away).is_noise
    assert not layout_floor([[5.0, 5.0], [5.0, 5.0], [5.0, 5.0]]).is_noise
    assert not layout_floor([[5.0], [6.0], [5.0]]).is_noise  # nobody knows


def test_too_few_links():
    with pytest.raises(UsageError) as caught:
        layout_floor([[1.0, 2.0], [1.0, 2.0]])
    assert str(caught.value) == (
        "--builds is 2, limit 3: fewer say nothing of a scatter; take 8 or more"
    )


def test_instructions_are_counted_the_same_wherever_they_lie():
    for time_base in ("cycles", "host", "time"):
        check_time_base("uno", time_base)
    with pytest.raises(UsageError) as caught:
        check_time_base("m4", "instructions")
    assert str(caught.value) == (
        "board m4 counts instructions, and where code lies does not change how many there are: a "
        "floor of 0 would be no fact about a chip; measure on hardware, or on a board that counts "
        "cycles"
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("builds", [4, 8])
def test_an_estimated_floor_holds_5_percent(builds):
    """One link a side, 1.5 % between links, the floor itself from few of them; nearly no margin."""
    rng = np.random.default_rng(6)
    tries, sessions = 4000, 6

    def linked(links):
        moved = rng.normal(0, 0.015, (tries, links, 1))
        return 1e6 * np.exp(moved + rng.normal(0, 0.0005, (tries, links, sessions)))

    sd = np.std(np.log(linked(builds)).mean(axis=-1), axis=-1, ddof=1)
    a, b = linked(1)[:, 0], linked(1)[:, 0]
    known = log_ratio(a, b, 1.0, sd, builds - 1)
    assert (known.p_worse < 0.05).mean() < 0.058
    fails = decide(known, 0.01, known.p_worse, 0.05) == "FAIL"
    assert fails.mean() <= 0.05
    # Without degrees of freedom, an estimate would be taken for the truth.
    assert (log_ratio(a, b, 1.0, sd).p_worse < 0.05).mean() > 0.06
