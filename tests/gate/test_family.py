"""Families: Holm by hand, exact metrics, and plans that cannot fail."""

from __future__ import annotations

import numpy as np
import pytest

from hilbench.errors import UsageError
from hilbench.gate.exact import decide_exact, relative
from hilbench.gate.family import check_can_fail, holm


def test_holm_by_hand():
    """Sorted 0.01 0.02 0.03 0.5 times 4 3 2 1, never falling."""
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([]).size == 0
    assert holm([[0.5, 0.6], [0.01, 0.9]])[1] == pytest.approx([0.02, 0.9])


def test_cells_chosen_from_a_larger_family():
    """Three of ten: times 10, 9, 8, as if the others had p = 1."""
    assert holm([0.01, 0.03, 0.02], 10) == pytest.approx([0.1, 0.24, 0.18])
    assert holm([0.01, 0.03, 0.02, *[1.0] * 7])[:3] == pytest.approx([0.1, 0.24, 0.18])
    assert holm([0.01, 0.5], 1) == pytest.approx([0.02, 0.5])


def test_holm_rejects_what_bonferroni_does_and_more():
    p = np.random.default_rng(1).random((200, 20)) ** 3
    assert (holm(p) <= np.minimum(p * 20, 1) + 1e-15).all()


def test_a_plan_that_can_never_fail_is_refused():
    check_can_fail({"a": 0.02, "b": 0.02}, 0.05)
    with pytest.raises(UsageError) as caught:
        check_can_fail({"a": 0.0, "m4[int8]::accuracy": 0.0313}, 0.05)
    check_can_fail({"a": 0.02}, 0.05, 2)
    with pytest.raises(UsageError, match=r"limit 0\.0167 in a family of 3"):
        check_can_fail({"a": 0.02}, 0.05, 3)
    assert str(caught.value) == (
        "m4[int8]::accuracy can never fail: the smallest p of its test is 0.0313, limit 0.025 in a "
        "family of 2; measure more of it, or gate fewer metrics"
    )


@pytest.mark.parametrize(
    ("was", "now", "allowance", "direction", "verdict"),
    [(100, 100, 0, "lower", "PASS"), (100, 101, 0, "lower", "FAIL"), (100, 101, 1, "lower", "PASS"),
     (100, 99, 0, "lower", "IMPROVED"), (0.9, 0.8, 0, "higher", "FAIL"), (0.8, 0.9, 0, "exact", "FAIL"),
     (0.9, 0.9, 0, "exact", "PASS"), (5, 7, 2, "exact", "PASS")],
)  # fmt: skip
def test_exact(was, now, allowance, direction, verdict):
    assert decide_exact(was, now, allowance, direction) == verdict


def test_relative_change_from_nothing_is_unknown():
    assert relative(0, 5) is None
    assert relative(100, 150) == 0.5
