"""Many cells at once: Holm on the FAIL side, and plans that can never fail. Pure.

The PASS side needs no correction: "every cell is non-inferior" is an intersection-union test
(Berger 1982, Technometrics 24:295).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilbench.errors import UsageError


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted after Holm (1979, Scand. J. Stat. 6:65).

    Args:
        p: [..., family]; the last axis is a family.
    """
    values = np.asarray(p, dtype=np.float64)
    size = values.shape[-1]
    if size == 0:
        return values
    order = np.argsort(values, axis=-1)
    steps = np.take_along_axis(values, order, axis=-1) * np.arange(size, 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(steps, axis=-1), 1.0)
    result = np.empty_like(adjusted)
    np.put_along_axis(result, order, adjusted, axis=-1)
    return result


def bonferroni(p: ArrayLike) -> NDArray[np.float64]:
    """Return p-values times the size of the last axis, at most 1."""
    values = np.asarray(p, dtype=np.float64)
    return np.minimum(values * values.shape[-1], 1.0)


def check_can_fail(smallest_p: Mapping[str, float], alpha: float) -> None:
    """Refuse a plan in which a cell can never fail, whatever is measured.

    Args:
        smallest_p: cell to the smallest p that its test can reach.
        alpha: of the family.

    Raises:
        UsageError: names the first such cell.
    """
    limit = alpha / max(1, len(smallest_p))
    for cell, p in smallest_p.items():
        if p > limit:
            raise UsageError(
                f"{cell} can never fail: the smallest p of its test is {p:.3g}, limit "
                f"{limit:.3g} in a family of {len(smallest_p)}; measure more of it, or gate fewer "
                f"metrics"
            )
