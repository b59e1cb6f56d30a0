"""How far an operator's output may overlap its input.

A kernel works in steps. While it goes forward through both tensors, what it has consumed may be
overwritten; so the output may begin only ``distance`` bytes before the input, instead of a whole
tensor apart. Blacker, Bridges, Hadfield, "Diagonal Memory Optimisation for Machine Learning on
Micro-controllers", 2020; here the distance is exact for the order in which our kernels go.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hilbench.models.planner.layout import Number


def element_distance(count: int, in_bytes: int, out_bytes: int) -> int:
    """Return the distance of an elementwise operator: element i is read, then result i is written."""
    return max(count * (out_bytes - in_bytes), 0) if out_bytes > in_bytes else 0


def row_distance(rows: int, in_row_bytes: int, out_row_bytes: int) -> int:
    """Return the distance of an operator that reads a row while it writes that row's results."""
    done = np.arange(1, rows + 1, dtype=np.int64)
    return int(np.max(done * out_row_bytes - (done - 1) * in_row_bytes))


def window_distance(
    window: Mapping[str, Number],
    element_bytes: int = 1,
    *,
    step: int = 1,
    within_row: bool = False,
    buffered: bool = False,
) -> int:
    """Return the distance of a convolution or a pool that goes through output pixels in order.

    Args:
        window: fields of layout.WINDOW.
        element_bytes: of input and output.
        step: output pixels per step, ``out_w`` for whole rows.
        within_row: a step ends with its row, even when it has fewer pixels.
        buffered: a step reads all that it needs before it writes; otherwise it may write its first
            byte before it has read its last.

    A distance below 0 means that the output may even begin behind the input.
    """
    w = {name: int(value) for name, value in window.items()}
    ends = _ends(w["out_h"], w["out_w"], step, within_row=within_row)
    first = _first_reads(w)
    of_step = np.minimum.reduceat(first, np.concatenate(([0], ends[:-1])))
    later = np.minimum.accumulate(of_step[::-1])[::-1] * w["in_c"]
    if buffered:
        later = np.append(later[1:], w["in_h"] * w["in_w"] * w["in_c"])
    return int(np.max(ends * w["out_c"] - later)) * element_bytes


def _ends(rows: int, columns: int, step: int, *, within_row: bool) -> NDArray[np.int64]:
    """Return how many output pixels are done after each step."""
    length = columns if within_row else rows * columns
    ends = np.append(np.arange(step, length, step, dtype=np.int64), length)
    if not within_row:
        return ends
    return np.concatenate([row * columns + ends for row in range(rows)])


def _first_reads(w: dict[str, int]) -> NDArray[np.int64]:
    """Return, for every output pixel, a pixel of the input that is not behind its first read."""
    rows = np.maximum(np.arange(w["out_h"]) * w["stride_h"] - w["pad_top"], 0)
    columns = np.maximum(np.arange(w["out_w"]) * w["stride_w"] - w["pad_left"], 0)
    return np.add.outer(rows * w["in_w"], columns).astype(np.int64).ravel()
