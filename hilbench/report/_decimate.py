"""A recording as a few thousand columns, each with its least, mean and largest current."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.power import Chunk, Recording

COLUMNS = 2000  # at least, of a recording that has as many samples; less than twice as many


@dataclass(frozen=True)
class Waveform:
    """Columns of equal length, one after the other; NaN where a column has no valid sample."""

    samples: int  # of the recording, lost ones included
    width: int  # samples in a column; the last may have less
    low_a: NDArray[np.float64]
    mean_a: NDArray[np.float64]
    high_a: NDArray[np.float64]


def decimate(recording: Recording) -> Waveform:
    """Read a recording once; columns are merged in pairs whenever there are too many."""
    width, at = 1, 0
    low, high, total = (np.empty(0) for _ in range(3))
    valid = np.empty(0)
    for chunk in recording.chunks():
        if len(chunk) == 0:
            continue
        while (at + len(chunk)) > 2 * COLUMNS * width:
            low, high = _pairs(np.fmin, low, np.nan), _pairs(np.fmax, high, np.nan)
            total, valid = _pairs(np.add, total, 0.0), _pairs(np.add, valid, 0.0)
            width *= 2
        columns = _columns(chunk, width)
        shared = 1 if len(low) and at % width else 0  # the last column goes on in this chunk
        if shared:
            low[-1] = np.fmin(low[-1], columns[0][0])
            high[-1] = np.fmax(high[-1], columns[1][0])
            total[-1] += columns[2][0]
            valid[-1] += columns[3][0]
        low, high, total, valid = (
            np.concatenate([old, new[shared:]])
            for old, new in zip((low, high, total, valid), columns, strict=True)
        )
        at += len(chunk)
    mean = np.divide(total, valid, out=np.full(len(total), np.nan), where=valid > 0)
    return Waveform(at, width, low, mean, high)


def _columns(chunk: Chunk, width: int) -> tuple[NDArray[np.float64], ...]:
    """Return low, high, sum and number of valid samples of each column that a chunk touches."""
    first = -chunk.start % width
    starts = np.unique(np.concatenate([[0], np.arange(first, len(chunk), width)]))
    current = np.where(chunk.valid, chunk.current_a, np.nan)
    return (
        np.fmin.reduceat(current, starts),
        np.fmax.reduceat(current, starts),
        np.add.reduceat(np.where(chunk.valid, chunk.current_a, 0.0), starts),
        np.add.reduceat(chunk.valid.astype(np.float64), starts),
    )


def _pairs(merge: np.ufunc, values: NDArray[np.float64], nothing: float) -> NDArray[np.float64]:
    padded = np.append(values, nothing) if len(values) % 2 else values
    merged: NDArray[np.float64] = merge(padded[0::2], padded[1::2])
    return merged
