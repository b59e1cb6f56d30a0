"""Many cells at once: Holm on the FAIL side, and plans that can never fail. Pure.

The PASS side needs no correction: "every cell is non-inferior" is an intersection-union test
(Berger 1982, Technometrics 24:295).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilbench.errors import UsageError


def holm(p: ArrayLike, size: int = 0) -> NDArray[np.float64]:
    """Return p-values adjusted after Holm (1979, Scand. J. Stat. 6:65).

    Args:
        p: [..., family]; the last axis is a family.
        size: of a larger family, of which these were chosen by an earlier look at it: the others
            have p = 1. 0: there are no others.
    """
    values = np.asarray(p, dtype=np.float64)
    count = values.shape[-1]
    if count == 0:
        return values
    most = max(size, count)
    order = np.argsort(values, axis=-1)
    factors = np.arange(most, most - count, -1)
    steps = np.take_along_axis(values, order, axis=-1) * factors
    adjusted = np.minimum(np.maximum.accumulate(steps, axis=-1), 1.0)
    result = np.empty_like(adjusted)
    np.put_along_axis(result, order, adjusted, axis=-1)
    return result


def check_can_fail(smallest_p: Mapping[str, float], alpha: float, size: int = 0) -> None:
    """Refuse a plan in which a cell can never fail, whatever is measured.

    Args:
        smallest_p: cell to the smallest p that its test can reach.
        alpha: of the family.
        size: as :func:`holm`'s.

    Raises:
        UsageError: names the first such cell.
    """
    most = max(1, len(smallest_p), size)
    limit = alpha / most
    for cell, p in smallest_p.items():
        if p > limit:
            raise UsageError(
                f"{cell} can never fail: the smallest p of its test is {p:.3g}, limit "
                f"{limit:.3g} in a family of {most}; measure more of it, or gate fewer "
                f"metrics"
            )
