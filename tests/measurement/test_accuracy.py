"""Accuracy against published examples and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilbench.errors import EXIT_COULD_NOT_MEASURE, MeasurementError
from hilbench.measurement.accuracy import (
    auc,
    correct,
    dequantise,
    evaluate,
    hanley_mcneil,
    mse,
    per_vector,
    positive_scores,
    top1,
    wilson,
)
from hilbench.records import TensorInfo


def sentence(call, *arguments):
    with pytest.raises(MeasurementError) as caught:
        call(*arguments)
    assert caught.value.exit_code == EXIT_COULD_NOT_MEASURE
    return str(caught.value)


# Newcombe (1998), Statistics in Medicine 17:857-872, table I, method 3.
@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(correct, n, low, high):
    assert wilson(correct, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_symmetric_and_holds_the_estimate(pair):
    correct, n = pair
    low, high = wilson(correct, n)
    assert 0 <= low <= correct / n <= high <= 1
    mirrored = wilson(n - correct, n)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-12)


def test_top1_counts_and_ties_go_to_the_lowest_class():
    outputs = np.array([[1, 9, 0], [5, 5, 0], [0, 0, 1], [3, 2, 1]])
    found = top1(outputs, np.array([1, 0, 1, 0], np.uint8))
    assert (found.value, found.correct, found.n) == (0.75, 3, 4)
    assert (found.low, found.high) == wilson(3, 4)


def test_which_vectors_are_right_is_what_top1_counts():
    outputs = np.array([[1, 9, 0], [5, 5, 0], [0, 0, 1], [3, 2, 1]])
    labels = np.array([1, 0, 1, 0], np.uint8)
    assert correct("top1", outputs, labels).tolist() == [True, True, False, True]
    assert correct("auc", outputs[:, :2], labels) is None
    assert correct("none", outputs, None) is None


@pytest.mark.parametrize(("label", "shown"), [(3, "3"), (-1, "-1"), (0.5, "0.5")])
def test_label_that_is_no_class(label, shown):
    assert sentence(top1, np.zeros((2, 3)), np.array([0, label])) == (
        f"label {shown} of vector 1 is not a class; the model has classes 0..2"
    )


def test_auc_and_interval_as_published():
    # Hanley and McNeil (1982), Radiology 143:29-36: 109 CT images rated 1..5 by one reader.
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    scores = np.concatenate(
        [np.repeat(np.arange(1, 6), normal), np.repeat(np.arange(1, 6), abnormal)]
    )
    y = np.array([0] * 58 + [1] * 51)
    found = auc(scores, y)
    assert found.value == pytest.approx(0.893, abs=5e-4)
    assert hanley_mcneil(found.value, 51, 58) == pytest.approx(0.032, abs=5e-4)
    assert found.low == pytest.approx(0.893 - 1.96 * 0.032, abs=2e-3)
    assert found.high == pytest.approx(0.893 + 1.96 * 0.032, abs=2e-3)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40))
def test_auc_is_the_share_of_ordered_pairs(rows):
    positive = [s for s, label in rows if label]
    negative = [s for s, label in rows if not label]
    if not positive or not negative:
        return
    pairs = [(p > q) + (p == q) / 2 for p in positive for q in negative]
    found = auc(np.array([s for s, _ in rows]), np.array([int(label) for _, label in rows]))
    assert found.value == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_auc_of_separable_classes_is_exactly_one():
    assert auc(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 1, 1])).value == 1.0
    assert hanley_mcneil(1.0, 2, 2) == 0.0


def test_auc_sentences():
    assert sentence(auc, np.arange(3), np.array([0, 1, 2])) == "auc needs labels 0 and 1, found 2"
    assert sentence(auc, np.arange(3), np.array([1, 1, 1])) == (
        "auc needs both classes, found 0 negative and 3 positive vectors; take more vectors"
    )
    assert sentence(positive_scores, np.zeros((2, 10))) == (
        "auc needs 1 or 2 outputs, the model has 10; use metric top1"
    )


def test_positive_scores():
    assert positive_scores(np.array([[1], [2]])).tolist() == [1, 2]
    assert positive_scores(np.array([[1, 3], [2, 4]])).tolist() == [3, 4]


def test_mse_by_hand():
    found = mse(np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[1.0, 4.0], [3.0, 4.0]]))
    # errors of the vectors: (0 + 4) / 2 = 2 and (0 + 1) / 2 = 0.5; their sd is 1.5 / sqrt 2
    assert found.value == 1.25
    half = 1.959964 * 1.5 / math.sqrt(2) / math.sqrt(2)
    assert (found.low, found.high) == pytest.approx((max(0, 1.25 - half), 1.25 + half))


def test_mse_of_one_vector_has_no_interval():
    found = mse(np.zeros((1, 2)), np.ones((1, 2)))
    assert (found.value, found.low, found.high) == (1.0, None, None)


def test_mse_of_another_size():
    assert sentence(mse, np.zeros((2, 3)), np.zeros((2, 2))) == (
        "mse needs targets of the outputs' size: 3 values an output, 2 a target"
    )


def test_evaluate_chooses_by_the_suite():
    outputs, y = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([1, 0])
    assert evaluate("none", outputs, None) is None
    assert evaluate("top1", outputs, y).value == 1.0
    assert evaluate("auc", outputs, y).value == 1.0
    assert evaluate("mse", outputs, outputs).value == 0.0


@pytest.mark.parametrize(
    ("y", "outputs", "expected"),
    [
        (None, np.zeros((2, 2)), "top1 needs a label for each output: 2 outputs, 0 labels"),
        (np.zeros(3), np.zeros((2, 2)), "top1 needs a label for each output: 2 outputs, 3 labels"),
        (np.zeros(0), np.zeros((0, 2)), "top1 needs a label for each output: 0 outputs, 0 labels"),
    ],
)
def test_evaluate_wants_labels(y, outputs, expected):
    assert sentence(evaluate, "top1", outputs, y) == expected


def test_evaluate_unknown_metric():
    assert sentence(evaluate, "f1", np.zeros((1, 2)), np.zeros(1)) == (
        "unknown metric 'f1'; known: top1, auc, mse, none"
    )


def test_dequantise():
    tensor = TensorInfo("out", (1, 3), "int8", 0.00390625, -128)
    found = dequantise(np.array([[-128, 0, 127]], np.int8), tensor)
    assert found.tolist() == [[0.0, 0.5, 0.99609375]]
    assert found.dtype == np.float32
    same = np.array([[0.1]], np.float32)
    assert dequantise(same, tensor).tolist() == same.tolist()


def test_what_of_each_vector_a_gate_pairs():
    """The figure of all is made of what is kept of each."""
    rng = np.random.default_rng(3)
    outputs, y = rng.normal(size=(40, 2)).astype(np.float32), np.arange(40) % 2
    kept = per_vector("auc", outputs, y)
    assert {n: a.dtype for n, a in kept.items()} == {"scores": np.float32, "positive": np.bool_}
    assert auc(kept["scores"], kept["positive"]).value == evaluate("auc", outputs, y).value
    targets = rng.normal(size=(40, 2))
    kept = per_vector("mse", outputs, targets)
    assert kept["squared_errors"].mean() == pytest.approx(mse(outputs, targets).value)
    assert per_vector("top1", outputs, y) == per_vector("none", outputs, None) == {}
