"""Outputs and labels to accuracy with a 95 % confidence interval. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import MeasurementError
from hilbench.records import TensorInfo

Z95 = 1.959963984540054  # standard normal quantile at 0.975
BINARY = 2


@dataclass(frozen=True)
class Accuracy:
    """One accuracy figure; top1 and auc in 0..1, mse in squared units of the output."""

    metric: str
    value: float
    low: float | None  # 95 % confidence interval; None where n is too small for one
    high: float | None
    n: int  # vectors
    correct: int | None  # top1 only


def dequantise(outputs: NDArray[np.generic], tensor: TensorInfo) -> NDArray[np.float32]:
    """Return real values, float32: (q - zero point) * scale; float outputs are returned as float32."""
    if outputs.dtype.kind == "f":
        return outputs.astype(np.float32)
    q = outputs.astype(np.int32) - np.int32(tensor.zero_point)
    return (q * np.float32(tensor.scale)).astype(np.float32)


def evaluate(
    metric: str, outputs: NDArray[np.generic], y: NDArray[np.generic] | None
) -> Accuracy | None:
    """Return the accuracy by the suite's metric ("top1", "auc", "mse"), None for "none".

    Args:
        metric: as in suite.toml.
        outputs: [n, ...] real values (see :func:`dequantise`).
        y: [n] labels, for mse [n, ...] targets.

    Raises:
        MeasurementError: outputs and labels do not belong together.
    """
    if metric == "none":
        return None
    if y is None or len(y) != len(outputs) or len(outputs) == 0:
        labels = 0 if y is None else len(y)
        raise MeasurementError(
            f"{metric} needs a label for each output: {len(outputs)} outputs, {labels} labels"
        )
    if metric == "top1":
        return top1(outputs, y)
    if metric == "auc":
        return auc(positive_scores(outputs), y)
    if metric == "mse":
        return mse(outputs, y)
    raise MeasurementError(f"unknown metric {metric!r}; known: top1, auc, mse, none")


def wilson(correct: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Return Wilson's score interval for a proportion (Wilson 1927, JASA 22:209)."""
    p = correct / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends one bound is exactly 0 or 1; rounding would leave it 1e-17 beside.
    low = 0.0 if correct == 0 else (centre - half) / scale
    high = 1.0 if correct == n else (centre + half) / scale
    return low, high


def top1(outputs: NDArray[np.generic], y: NDArray[np.generic]) -> Accuracy:
    """Share of vectors whose largest output is the label; a tie goes to the lowest class.

    Raises:
        MeasurementError: a label is not a class of the model.
    """
    scores = outputs.reshape(len(outputs), -1)
    classes = scores.shape[1]
    labels = np.asarray(y, dtype=np.float64).reshape(-1)
    outside = np.flatnonzero((labels < 0) | (labels >= classes) | (labels != np.floor(labels)))
    if len(outside):
        first = int(outside[0])
        raise MeasurementError(
            f"label {labels[first]:g} of vector {first} is not a class; "
            f"the model has classes 0..{classes - 1}"
        )
    n = len(labels)
    correct = int((scores.argmax(axis=1) == labels).sum())
    low, high = wilson(correct, n)
    return Accuracy("top1", correct / n, low, high, n, correct)


def correct(
    metric: str, outputs: NDArray[np.generic], y: NDArray[np.generic] | None
) -> NDArray[np.bool_] | None:
    """Return [n]: which vectors are right, as :func:`top1` counts them; None for other metrics."""
    if metric != "top1" or y is None:
        return None
    scores = outputs.reshape(len(outputs), -1)
    return np.asarray(scores.argmax(axis=1) == np.asarray(y, dtype=np.float64).reshape(-1))


def per_vector(
    metric: str, outputs: NDArray[np.generic], y: NDArray[np.generic] | None
) -> dict[str, NDArray[np.generic]]:
    """Return what of each vector a gate needs to compare two runs pair by pair, [n] each.

    Args:
        metric: as in suite.toml.
        outputs: [n, ...] real values, float32.
        y: as :func:`evaluate` takes it.

    Returns:
        auc: ``scores`` float32 and ``positive`` bool; mse: ``squared_errors`` float32, mean over the
        vector's elements; else nothing (of top1 see :func:`correct`).
    """
    if y is None:
        return {}
    if metric == "auc":
        scores = positive_scores(outputs).astype(np.float32)
        return {"scores": scores, "positive": np.asarray(y).reshape(-1) == 1}
    if metric == "mse":
        return {"squared_errors": squared_errors(outputs, y).astype(np.float32)}
    return {}


def positive_scores(outputs: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return [n] scores of the positive class: the only output, or output 1 of two.

    Raises:
        MeasurementError: the model has more than two outputs.
    """
    scores = outputs.reshape(len(outputs), -1).astype(np.float64)
    if scores.shape[1] > BINARY:
        raise MeasurementError(
            f"auc needs 1 or 2 outputs, the model has {scores.shape[1]}; use metric top1"
        )
    return scores[:, -1]


def auc(scores: NDArray[np.generic], y: NDArray[np.generic]) -> Accuracy:
    """Area under the ROC curve: P(positive > negative) + P(equal) / 2, exact, ties counted half.

    The interval is Hanley and McNeil's (1982, Radiology 143:29), cut to 0..1.

    Args:
        scores: [n], larger means more positive.
        y: [n] of 0 and 1.

    Raises:
        MeasurementError: labels other than 0 and 1, or only one class present.
    """
    values, labels = np.asarray(scores, dtype=np.float64).reshape(-1), np.asarray(y).reshape(-1)
    if not np.isin(labels, (0, 1)).all():
        wrong = labels[~np.isin(labels, (0, 1))][0]
        raise MeasurementError(f"auc needs labels 0 and 1, found {wrong}")
    positive, negative = values[labels == 1], np.sort(values[labels == 0])
    if len(positive) == 0 or len(negative) == 0:
        raise MeasurementError(
            f"auc needs both classes, found {len(negative)} negative and {len(positive)} positive "
            f"vectors; take more vectors"
        )
    below = np.searchsorted(negative, positive, side="left")
    below_or_equal = np.searchsorted(negative, positive, side="right")
    twice = int(below.sum() + below_or_equal.sum())  # integer: exact at any size
    area = twice / (2 * len(positive) * len(negative))
    error = hanley_mcneil(area, len(positive), len(negative))
    low, high = max(0.0, area - Z95 * error), min(1.0, area + Z95 * error)
    return Accuracy("auc", area, low, high, len(values), None)


def hanley_mcneil(area: float, positive: int, negative: int) -> float:
    """Return the standard error of an AUC from its value and the class sizes."""
    q1 = area / (2 - area)
    q2 = 2 * area * area / (1 + area)
    variance = (
        area * (1 - area)
        + (positive - 1) * (q1 - area * area)
        + (negative - 1) * (q2 - area * area)
    ) / (positive * negative)
    return math.sqrt(max(0.0, variance))  # 0 up to rounding at area 1


def mse(outputs: NDArray[np.generic], y: NDArray[np.generic]) -> Accuracy:
    """Mean squared error over all elements; normal interval over the vectors' own errors.

    Raises:
        MeasurementError: targets do not have the outputs' size.
    """
    errors = squared_errors(outputs, y)
    n, value = len(errors), float(errors.mean())
    if n == 1:
        return Accuracy("mse", value, None, None, n, None)
    half = Z95 * float(errors.std(ddof=1)) / math.sqrt(n)
    return Accuracy("mse", value, max(0.0, value - half), value + half, n, None)


def squared_errors(outputs: NDArray[np.generic], y: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return [n]: each vector's squared error, mean over its elements.

    Raises:
        MeasurementError: targets do not have the outputs' size.
    """
    n = len(outputs)
    predicted, target = outputs.reshape(n, -1).astype(np.float64), y.reshape(n, -1)
    if predicted.shape != target.shape:
        raise MeasurementError(
            f"mse needs targets of the outputs' size: {predicted.shape[1]} values an output, "
            f"{target.shape[1]} a target"
        )
    return np.asarray(((predicted - target.astype(np.float64)) ** 2).mean(axis=1))
