"""A recording at first sight: integrals by hand, lost samples left out, ranges by share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilbench.errors import MeasurementError
from hilbench.measurement.power.overview import overview
from hilbench.power import Chunk
from hilbench.recordings import InMemory
from tests.recordings import counting_meter as meter


def recording(chunks):
    return InMemory(meter.IDENTITY, meter.SPEC, meter.SETUP, chunks)


def chunk(start, current, ranges, voltage=3.0, valid=None):
    n = len(current)
    valid = np.ones(n, bool) if valid is None else np.array(valid)
    current = np.where(valid, np.array(current, float), np.nan)
    return Chunk(start, current, voltage, np.zeros(n, np.uint8), valid, np.array(ranges, np.uint8))


def test_figures_by_hand():
    seen = overview(
        recording([
            chunk(0, [1e-3, 2e-3, 0, 3e-3], [0, 0, 0, 1], valid=[True, True, False, True]),
            chunk(4, [2e-3], [1]),
        ])
    )  # fmt: skip
    assert (seen.samples, seen.missing) == (4, 1)
    assert seen.duration_s == pytest.approx(5e-5)
    assert seen.mean_a == pytest.approx(2e-3)
    assert (seen.min_a, seen.max_a) == (1e-3, 3e-3)
    assert seen.charge_c == pytest.approx(8e-3 * 1e-5)
    assert seen.energy_j == pytest.approx(3 * 8e-3 * 1e-5)
    assert seen.mean_w == pytest.approx(6e-3)
    np.testing.assert_allclose(seen.range_time, [0.5, 0.5, 0, 0])
    np.testing.assert_allclose(seen.range_charge, [3 / 8, 5 / 8, 0, 0])


def test_measured_voltage_counts_sample_by_sample():
    seen = overview(recording([chunk(0, [1e-3, 2e-3], [0, 0], np.array([3.0, 1.0]))]))
    assert seen.energy_j == pytest.approx(5e-3 * 1e-5)  # not mean voltage times charge: 6e-3


def test_chunks_make_no_difference():
    chunks, end = meter.capture(3, gaps=((900, 64), (5_000, 1)))
    many = InMemory(meter.IDENTITY, meter.SPEC, meter.SETUP, chunks, end)
    joined = {
        name: np.concatenate([getattr(c, name) for c in chunks])
        for name in ("current_a", "logic", "valid", "range")
    }
    one = recording([replace(chunks[0], start=0, raw=b"", **joined)])
    assert overview(many).charge_c == pytest.approx(overview(one).charge_c, rel=1e-12)
    assert overview(many).missing == overview(one).missing == 65


def test_no_valid_sample_is_no_zero():
    empty = recording([chunk(0, [0, 0], [0, 0], valid=[False, False])])
    with pytest.raises(
        MeasurementError,
        match=r"^none of 2 samples is valid: there is no current to speak of; capture again$",
    ):
        overview(empty)
