"""Area under the ROC curve: the same vectors before and now, paired. Pure.

A vector's placement is the share of the other class that it stands on the right side of, ties
counted half. Loss = AUC before - AUC now is the mean difference of placements of either class; its
variance, in which the pairing is kept, is that of DeLong, DeLong and Clarke-Pearson (1988,
Biometrics 44:837), with degrees of freedom after Welch and Satterthwaite.

DeLong's normal test alone passes in up to 16 % at loss = margin where areas are near 1 and in 60 %
where no misplaced vector happened to be drawn. So PASS asks for the larger of two p, as accuracy.py
does: that of DeLong with a correction of half a vector of the smaller class, and the exact binomial
test of the margin as a share of that class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.gate.accuracy import HALF, POWER
from hilbench.gate.student import binomial_sf, t_quantile, t_sf

LEAST_OF_A_CLASS = 2  # one vector has no scatter
_ROUNDING = 1e-9  # vectors


@dataclass(frozen=True)
class AreaLoss:
    """Loss of area between two sets of scores of the same vectors."""

    before: float
    now: float
    u: float  # standard, of the difference
    dof: float
    fewest: int  # vectors of the smaller class
    moved: int  # vectors whose placement changed
    n: int

    @property
    def loss(self) -> float:
        """Positive is worse."""
        return self.before - self.now


def area_loss(
    before: NDArray[np.generic], now: NDArray[np.generic], positive: NDArray[np.bool_]
) -> AreaLoss:
    """Compare scores.

    Args:
        before: [n] scores, larger means more positive; only their order counts.
        now: [n] of the same vectors.
        positive: [n], both classes present at least twice.
    """
    sides = [_placements(scores, positive) for scores in (before, now)]
    moves = [a - b for a, b in zip(*sides, strict=True)]  # of positives, of negatives
    parts = [float(np.var(d, ddof=1)) / len(d) for d in moves]
    squares = sum(v * v / (len(d) - 1) for v, d in zip(parts, moves, strict=True))
    areas = [float(placed[0].mean()) for placed in sides]
    return AreaLoss(
        before=areas[0],
        now=areas[1],
        u=math.sqrt(sum(parts)),
        dof=sum(parts) ** 2 / squares if squares > 0 else math.inf,
        fewest=min(map(len, moves)),
        moved=int(sum(np.count_nonzero(d) for d in moves)),
        n=len(positive),
    )


def _placements(
    scores: NDArray[np.generic], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return placements of the positives and of the negatives."""
    high, low = np.sort(scores[positive]), np.sort(scores[~positive])

    def below(values: NDArray[np.generic], others: NDArray[np.generic]) -> NDArray[np.float64]:
        strictly, at_most = (np.searchsorted(others, values, side) for side in ("left", "right"))
        return np.asarray((strictly + at_most) / (2 * len(others)))

    return below(scores[positive], low), 1 - below(scores[~positive], high)


def worse_p(found: AreaLoss) -> float:
    """One-sided p of "not worse".

    At least 1 / 2^moved: so often would equal models give the moves all in one direction.
    """
    least: float = 0.5**found.moved
    return max(_score_p(found, 0.0, -1.0), least)


def non_inferior_p(found: AreaLoss, margin: float) -> float:
    """P of H0: loss >= margin; small where the loss is surely below it.

    Args:
        found: the loss.
        margin: difference of areas; below 0 for a gain that is to be shown.
    """
    # At a gain the binomial test has no case to guard against.
    guard = 0.0
    if margin > 0:
        lost = math.ceil(found.loss * found.fewest - _ROUNDING)
        guard = 1.0 - binomial_sf(lost + 1, found.fewest, margin)
    return max(1.0 - _score_p(found, margin, 1.0), guard)


def _score_p(found: AreaLoss, loss: float, correction: float) -> float:
    """P(T > t) of the loss against ``loss``, corrected by halves of a vector where any moved."""
    half = HALF * correction / found.fewest if found.moved else 0.0
    distance = found.loss + half - loss
    if found.u > 0:
        return t_sf(distance / found.u, found.dof)
    return 0.0 if distance > 0 else 1.0


def loss_bounds(found: AreaLoss, alpha: float) -> tuple[float, float]:
    """One-sided bounds of the loss, each at 1 - alpha, by inverting the tests."""
    swapped = AreaLoss(
        found.now, found.before, found.u, found.dof, found.fewest, found.moved, found.n
    )
    return -_upper(swapped, alpha), _upper(found, alpha)


def _upper(found: AreaLoss, alpha: float) -> float:
    """Return the smallest loss that is rejected, by bisection."""
    low, high = found.loss, 1.0
    while high - low > 1e-9:  # noqa: PLR2004 - share of area
        middle = (low + high) / 2
        low, high = (low, middle) if non_inferior_p(found, middle) < alpha else (middle, high)
    return high


def smallest_loss_seen(found: AreaLoss, alpha: float) -> float:
    """Smallest loss that would be seen with 80 % power: (t_{1-alpha} + t_{0.8}) u, half a vector more.

    u is at least what one vector of the smaller class would bring.
    """
    u = max(found.u, 1 / found.fewest)
    t = t_quantile(1 - alpha, found.dof) + t_quantile(POWER, found.dof)
    return t * u + HALF / found.fewest
