"""Agreement with an oracle."""

from __future__ import annotations

import numpy as np
import pytest

from hilbench.errors import MeasurementError
from hilbench.measurement.agreement import agreement


def sentence(*arguments):
    with pytest.raises(MeasurementError) as caught:
        agreement(*arguments)
    return str(caught.value)


def test_int8_histogram():
    truth = np.array([[-128, 127], [0, 0], [5, 5]], np.int8)
    board = np.array([[127, -128], [0, 1], [5, 5]], np.int8)
    found = agreement(board, truth, "TFLM")
    assert found.lsb_histogram == ((-255, 1), (0, 3), (1, 1), (255, 1))  # no wrap at 8 bits
    assert (found.lsb_max, found.identical, found.vectors) == (255, 1, 3)
    assert found.fraction == pytest.approx(1 / 3)
    assert not found.agrees
    assert agreement(truth, truth, "TFLM").agrees


@pytest.mark.parametrize(("difference", "agrees"), [(1e-4, True), (1.5e-4, False), (0.0, True)])
def test_float_limit_is_relative_to_the_largest_output(difference, agrees):
    truth = np.array([[0.0, 8.0], [1.0, -16.0]], np.float32)  # limit 1e-5 * 16
    board = truth.copy()
    board[0, 0] += np.float32(difference * 1.125)
    found = agreement(board, truth, "host")
    assert found.agrees is agrees
    assert found.lsb_histogram is None
    assert found.relative_max == pytest.approx(difference * 1.125 / 16, rel=1e-5)


def test_all_zeros_agree_with_zeros_only():
    zeros = np.zeros((2, 2), np.float32)
    assert agreement(zeros, zeros, "host").relative_max == 0.0
    assert sentence(zeros + 1, zeros, "host") == (
        "host gives only zeros, the board up to 1; no relative difference"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite_names_vector_and_side(value):
    good, bad = np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)
    bad[2, 1] = value
    expected = "output of vector 2 from {} is not finite; the model divides by zero"
    assert sentence(bad, good, "host") == expected.format("the board")
    assert sentence(good, bad, "host") == expected.format("host")
    assert sentence(bad, bad, "host") == expected.format("the board")


def test_other_shape_or_dtype():
    a = np.zeros((2, 3), np.int8)
    assert sentence(a, np.zeros((2, 4), np.int8), "TFLM") == (
        "outputs are int8 [2, 3], TFLM gives int8 [2, 4]; compare the same vectors and the same model"
    )
    assert "int8 [2, 3], TFLM gives uint8 [2, 3]" in sentence(a, a.astype(np.uint8), "TFLM")
    assert sentence(a[:0], a[:0], "TFLM") == (
        "no outputs to compare with TFLM; run at least 1 vector"
    )
