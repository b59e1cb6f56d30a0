"""Outputs of a board against outputs of an oracle, bit by bit. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import MeasurementError

FLOAT_TOLERANCE = 1e-5  # of max|y| over all outputs: float32 rounding in another summation order


@dataclass(frozen=True)
class Agreement:
    """How well outputs agree with an oracle's."""

    oracle: str  # name and version
    vectors: int
    identical: int  # vectors whose whole output is equal bit by bit
    lsb_histogram: tuple[tuple[int, int], ...] | None  # (board - oracle, elements); int8 only
    lsb_max: int | None  # largest |board - oracle| in LSB; int8 only
    relative_max: float | None  # max|board - oracle| / max|oracle|; float32 only

    @property
    def fraction(self) -> float:
        """Share of vectors whose output is identical."""
        return self.identical / self.vectors

    @property
    def agrees(self) -> bool:
        """int8: every vector identical; float32: within 1e-5 of max|oracle|."""
        if self.relative_max is not None:
            return self.relative_max <= FLOAT_TOLERANCE
        return self.identical == self.vectors


def agreement(
    outputs: NDArray[np.generic], expected: NDArray[np.generic], oracle: str
) -> Agreement:
    """Compare [n, ...] outputs of int8 or float32 with an oracle's of the same shape and dtype.

    Raises:
        MeasurementError: shapes or dtypes differ, there are no outputs, or one is not finite.
    """
    if outputs.shape != expected.shape or outputs.dtype != expected.dtype:
        raise MeasurementError(
            f"outputs are {outputs.dtype} {list(outputs.shape)}, {oracle} gives "
            f"{expected.dtype} {list(expected.shape)}; compare the same vectors and the same model"
        )
    if len(outputs) == 0:
        raise MeasurementError(f"no outputs to compare with {oracle}; run at least 1 vector")
    board, truth = outputs.reshape(len(outputs), -1), expected.reshape(len(expected), -1)
    identical = int((board == truth).all(axis=1).sum())
    if outputs.dtype.kind == "f":
        relative = _relative_max(board, truth, oracle)
        return Agreement(oracle, len(outputs), identical, None, None, relative)
    difference = board.astype(np.int64) - truth.astype(np.int64)
    steps, counts = np.unique(difference, return_counts=True)
    histogram = tuple((int(s), int(c)) for s, c in zip(steps, counts, strict=True))
    lsb_max = int(np.abs(difference).max(initial=0))
    return Agreement(oracle, len(outputs), identical, histogram, lsb_max, None)


def _relative_max(board: NDArray[np.generic], truth: NDArray[np.generic], oracle: str) -> float:
    a, b = board.astype(np.float64), truth.astype(np.float64)
    for name, values in (("the board", a), (oracle, b)):
        if not np.isfinite(values).all():
            vector = int(np.argmin(np.isfinite(values).all(axis=1)))
            raise MeasurementError(
                f"output of vector {vector} from {name} is not finite; the model divides by zero"
            )
    largest = float(np.abs(b).max(initial=0.0))
    difference = float(np.abs(a - b).max(initial=0.0))
    if difference == 0.0:
        return 0.0
    if largest == 0.0:
        raise MeasurementError(
            f"{oracle} gives only zeros, the board up to {difference:g}; no relative difference"
        )
    return difference / largest
