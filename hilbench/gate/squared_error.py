"""Mean squared error: the same vectors before and now, paired. Pure.

Changes are relative to the mse before. For a change r, the difference w = error now - (1 + r) error
before of each vector has mean 0 (Fieller's way to a ratio, 1954, J. R. Stat. Soc. B 16:175), so one
sample is tested. Squared errors are skewed, which makes Student's t pass too often: 11 % at
change = margin where 2 % of the vectors carry it. So the larger of two p counts: that of
t, and that of t after the transformation of Hall (1992, J. R. Stat. Soc. B 54:221), which removes
the skewness but is too bold where tails are heavy and even. PASS asks in addition that vectors as
bad as the worst one seen, enough of them to make up the margin, would have shown up.

No test of a mean can exclude errors that are larger than any seen and rarer than one in n (Bahadur
and Savage 1956, Ann. Math. Stat. 27:1115).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.gate.accuracy import POWER
from hilbench.gate.student import t_sf, z_quantile

LEAST_VECTORS = 2  # one has no scatter
_MOST_CHANGE = 1e6
_FINE = 1e-9  # of bounds, relative


@dataclass(frozen=True)
class SquaredErrors:
    """Squared errors of the same vectors, mean over the elements of each."""

    before: NDArray[np.float64]  # [n], mean above 0
    now: NDArray[np.float64]  # [n]

    @property
    def n(self) -> int:
        """Vectors."""
        return len(self.before)

    @property
    def change(self) -> float:
        """Of the mse, relative; positive is worse."""
        return float(self.now.mean() / self.before.mean()) - 1


def worse_p(found: SquaredErrors) -> float:
    """One-sided p of "not worse".

    At least 1 / 2^k for k vectors that changed: so often would equal models change all for the worse.
    """
    least: float = 0.5 ** int(np.count_nonzero(found.now != found.before))
    return max(_negative_p(found.before - found.now), least)


def non_inferior_p(found: SquaredErrors, margin: float) -> float:
    """P of H0: change >= margin; small where the change is surely below it.

    Args:
        found: errors.
        margin: relative; below 0 for a gain that is to be shown.
    """
    missing = margin - found.change
    if missing <= 0:
        return 1.0
    # Share of vectors that would make up what is missing, each as bad as the worst one seen.
    share = missing * float(found.before.mean()) / _worst(found)
    unseen = (1 - min(1.0, share)) ** found.n if margin > 0 else 0.0
    return max(_negative_p(found.now - (1 + margin) * found.before), unseen)


def _negative_p(w: NDArray[np.float64]) -> float:
    """P of H0: mean >= 0, the larger of Student's and Hall's."""
    n, mean, sd = len(w), float(w.mean()), float(w.std())
    if sd <= np.finfo(np.float64).eps * float(np.abs(w).max()):  # no scatter but rounding
        return 0.0 if mean < 0 else 1.0
    s = mean / sd
    g = float(np.mean((w - mean) ** 3)) / sd**3
    hall = s + g * s**2 / 3 + g**2 * s**3 / 27 + g / (6 * n)
    return max(
        t_sf(-s * math.sqrt(n - 1), n - 1), t_sf(-hall * math.sqrt(n), n - 1)
    )  # sd is the population's


def change_bounds(found: SquaredErrors, alpha: float) -> tuple[float, float]:
    """One-sided bounds of the change, each at 1 - alpha, by inverting the tests; inf: no bound."""

    def rejected_above(change: float) -> bool:
        return non_inferior_p(found, change) < alpha

    def rejected_below(change: float) -> bool:
        return _negative_p((1 + change) * found.before - found.now) < alpha

    high = max(0.01, 2 * found.change)
    while not rejected_above(high) and high < _MOST_CHANGE:
        high *= 2
    upper = _turn(found.change, high, rejected_above) if rejected_above(high) else math.inf
    return -_turn(-found.change, 1.0, lambda change: rejected_below(-change)), upper


def _turn(kept: float, rejected: float, rejects: Callable[[float], bool]) -> float:
    """Return the change from which on a test rejects, by bisection."""
    while rejected - kept > _FINE * max(1.0, abs(rejected)):
        middle = (kept + rejected) / 2
        kept, rejected = (kept, middle) if rejects(middle) else (middle, rejected)
    return rejected


def smallest_change_seen(found: SquaredErrors, alpha: float) -> float:
    """Smallest change that would be seen with 80 % power: (z_{1-alpha} + z_{0.8}) u.

    At least what :func:`non_inferior_p` asks for where nothing scatters.
    """
    mean = float(found.before.mean())
    u = float(np.std(found.now - found.before, ddof=1)) / math.sqrt(found.n) / mean
    unseen: float = (1 - alpha ** (1 / found.n)) * _worst(found) / mean
    return max((z_quantile(1 - alpha) + z_quantile(POWER)) * u, unseen)


def _worst(found: SquaredErrors) -> float:
    return max(float(found.before.max()), float(found.now.max()))
