"""Figures as tables show them."""

from __future__ import annotations

import math

import pytest

from hilbench.metrics import show


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("latency_median", 1.18, "1.180"), ("latency_median", 1.1859, "1.186"),
        ("latency_median", 2, "2"), ("latency_median", 250.0, "250"),
        ("latency_median", 250.5, "250.5"), ("latency_median", 1250.5, "1,250"),
        ("latency_median", 823411.0, "823,411"), ("latency_us", 0.01234567, "0.01235"),
        ("latency_us", 12345.67, "12,345.7"), ("energy_uj", 0.0123456, "0.01235"),
        ("energy_uj", 10.0, "10.00"), ("accuracy", 0.9911111, "0.9911"),
        ("accuracy", 0.000012345, "0.00001234"), ("agreement_tflm", 0.00001, "0.0000"),
        ("plan_bytes", 38000, "38,000"), ("latency_us", None, "-"), ("latency_us", math.nan, "-"),
        ("accuracy", 0.0, "0.0000"), ("energy_uj", math.inf, "inf"),
    ],
)  # fmt: skip
def test_four_digits_at_least_of_what_is_measured(name, value, text):
    assert show(name, value) == text


def test_a_change_of_the_margin_is_seen():
    """0.5 % of 1.18 us on a fast host."""
    assert show("latency_median", 1.18) != show("latency_median", 1.18 * 1.005)
