"""Accuracy: the same vectors before and now, paired. Pure.

b vectors were right and are wrong now, c the other way round; loss = (b - c) / n. FAIL side:
McNemar's exact test. PASS side: non-inferiority, H0: loss >= margin, by the larger of two p:
the score test of Tango (1998, Stat. Med. 17:891), which finds the nuisance p_c by maximum
likelihood under H0, with a continuity correction of half a vector, without which it passes in up to
5.3 % at loss = margin; and the exact binomial test at p_c = 0, where the score test alone passes in
6.6 %. Repeats on a deterministic device add nothing: n is the number of vectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.gate.student import binomial_sf, t_sf, z_quantile

POWER = 0.8
HALF = 0.5  # vector: continuity correction


@dataclass(frozen=True)
class Discordance:
    """What became of vectors that were right, and of those that were wrong."""

    lost: int  # b: right before, wrong now
    won: int  # c: wrong before, right now
    n: int

    @property
    def loss(self) -> float:
        """Net share of vectors lost."""
        return (self.lost - self.won) / self.n


def discordance(before: NDArray[np.bool_], now: NDArray[np.bool_]) -> Discordance:
    """Count over the same vectors, [n] each."""
    lost, won = int(np.sum(before & ~now)), int(np.sum(~before & now))
    return Discordance(lost, won, len(before))


def mcnemar_p(found: Discordance) -> float:
    """One-sided exact p of "not worse": P(X >= b), X ~ Bin(b + c, 1/2) (McNemar 1947)."""
    return binomial_sf(found.lost, found.lost + found.won, 0.5)


def smallest_mcnemar_p(right_before: int) -> float:
    """The smallest p that any result can have: every vector that was right is lost."""
    return float(0.5**right_before)


def tango_z(found: Discordance, loss: float, correction: float = 0.0) -> float:
    """Tango's score statistic of H0: loss = ``loss``; very negative where the loss is smaller.

    ``correction`` is added to b - c, in vectors.
    """
    b, c, n = found.lost, found.won, found.n
    linear = (2 * n - b + c) * loss - b - c
    root = math.sqrt(max(0.0, linear**2 + 8 * n * c * loss * (1 - loss)))
    # The larger root; written so that nothing cancels.
    p_c = (root - linear) / (4 * n) if linear < 0 else (
        0.0 if c == 0 else 2 * c * loss * (1 - loss) / (root + linear)
    )  # fmt: skip
    variance = n * (2 * p_c + loss * (1 - loss))
    return (b - c + correction - n * loss) / math.sqrt(variance) if variance > 0 else 0.0


def non_inferior_p(found: Discordance, margin: float) -> float:
    """P of H0: loss >= margin; small where the loss is surely below it.

    Args:
        found: counts.
        margin: share, above 0 and below 1.
    """
    # No discordant vector at all: the exact test below is the most that can be said.
    half = HALF if found.lost + found.won else 0.0
    score = t_sf(-tango_z(found, margin, half), math.inf)
    # P(X <= b - c) for X ~ Bin(n, margin)
    exact = 1.0 - binomial_sf(found.lost - found.won + 1, found.n, margin)
    return max(score, exact)


def loss_bounds(found: Discordance, alpha: float) -> tuple[float, float]:
    """One-sided bounds of the loss, each at 1 - alpha, by inverting the tests."""
    swapped = Discordance(found.won, found.lost, found.n)
    return -_upper(swapped, alpha), _upper(found, alpha)


def _upper(found: Discordance, alpha: float) -> float:
    """Return the smallest loss that is rejected, by bisection; negative for a sure gain."""
    low, high = found.loss, 1.0
    while high - low > 1e-9:  # noqa: PLR2004 - share of vectors
        middle = (low + high) / 2
        p = non_inferior_p(found, middle) if middle > 0 else _gain_p(found, middle)
        low, high = (low, middle) if p < alpha else (middle, high)
    return high


def _gain_p(found: Discordance, loss: float) -> float:
    """P of H0: loss >= ``loss`` where that is a gain: the score test from the other side."""
    swapped = Discordance(found.won, found.lost, found.n)
    return t_sf(tango_z(swapped, -loss, -HALF), math.inf)


def smallest_loss_seen(found: Discordance, alpha: float) -> float:
    """Smallest loss that would be seen with 80 % power, at the share of discordant vectors found.

    (z_{1-alpha} + z_{0.8}) sqrt(psi / n), psi at least what no discordant vector leaves possible.
    """
    psi = max(found.lost + found.won, 1) / found.n
    return (z_quantile(1 - alpha) + z_quantile(POWER)) * math.sqrt(psi / found.n)
