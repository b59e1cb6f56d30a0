"""Rate by the host's clock: a line through arrivals, and how well that is known."""

from __future__ import annotations

import numpy as np
import pytest

from hilbench.drivers.power._host_rate import HostRate


def arrivals(rate_hz, delays_s, step_s=0.2):
    line = HostRate()
    for k, delay_s in enumerate(delays_s):
        line.add(1000.0 + k * step_s + delay_s, 7000 + round(k * step_s * rate_hz))
    return line.result()


def test_exact():
    rate_hz, rate_u = arrivals(5000, [0.0] * 20)
    assert rate_hz == pytest.approx(5000, rel=1e-9)
    assert rate_u == pytest.approx(0, abs=1e-6)


def test_interval_contains_the_rate():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        rate_hz, rate_u = arrivals(4990, rng.exponential(0.01, 50))
        inside += abs(rate_hz / 4990 - 1) <= 2 * rate_u
    assert inside >= 285


@pytest.mark.parametrize("points", [0, 1, 4, 5])
def test_too_few_or_too_short(points):
    assert arrivals(5000, [0.0] * points) == (None, None)


def test_nothing_but_time():
    line = HostRate()
    for k in range(10):
        line.add(float(k), 5)
    assert line.result() == (None, None)
