"""Latency: log-ratio of session medians with a term for the counter's ticks. Pure.

The session is the unit of replication. On the log scale, worse is positive:

    d   = mean ln now - mean ln baseline
    u^2 = s_A^2 / n_A + s_B^2 / n_B + u_qA^2 + u_qB^2 + 2 s_layout^2

with u_q = tick / (sqrt(12) y). A median of equal ticks is rounded in the same way in each session,
so u_q is not divided by n; it keeps constant data finite: a change of one tick is no regression,
and one of 2 % is. Degrees of freedom after Welch and Satterthwaite: links less one for s_layout,
without limit for u_q.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilbench.gate.student import t_quantile, t_sf_array

Side = Literal["PASS", "FAIL", "INCONCLUSIVE", "IMPROVED"]
LEAST_SESSIONS = 2  # one session has no scatter
POWER = 0.8


@dataclass(frozen=True)
class Estimate:
    """A log-ratio, positive is worse, with its standard uncertainty; arrays of one shape."""

    d: NDArray[np.float64]
    u: NDArray[np.float64]  # above 0
    dof: NDArray[np.float64]

    @property
    def p_worse(self) -> NDArray[np.float64]:
        """One-sided p of "not worse": small where it is worse."""
        return t_sf_array(self.d / self.u, self.dof)

    @property
    def p_better(self) -> NDArray[np.float64]:
        """One-sided p of "not better"."""
        return t_sf_array(-self.d / self.u, self.dof)

    def p_inferior(self, margin: ArrayLike) -> NDArray[np.float64]:
        """One-sided p of "worse by at least margin" (relative): small where non-inferior."""
        return t_sf_array((np.log1p(margin) - self.d) / self.u, self.dof)

    def bounds(self, alpha: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """One-sided bounds of the relative change, each at 1 - alpha."""
        t: Any = np.frompyfunc(lambda dof: t_quantile(1 - alpha, float(dof)), 1, 1)(self.dof)
        half = np.asarray(t, dtype=np.float64) * self.u
        return np.expm1(self.d - half), np.expm1(self.d + half)

    def mde(self, alpha: float) -> NDArray[np.float64]:
        """Smallest relative change seen with 80 % power: (t_{1-alpha} + t_{0.8}) u."""
        t: Any = np.frompyfunc(
            lambda dof: t_quantile(1 - alpha, float(dof)) + t_quantile(POWER, float(dof)), 1, 1
        )(self.dof)
        return np.asarray(np.expm1(np.asarray(t, dtype=np.float64) * self.u))


def log_ratio(
    baseline: ArrayLike,
    now: ArrayLike,
    tick: ArrayLike,
    layout_sd: ArrayLike = 0.0,
    layout_dof: ArrayLike = np.inf,
) -> Estimate:
    """Compare session medians.

    Args:
        baseline: [..., sessions], above 0, at least 2 sessions.
        now: [..., sessions], likewise; another number of sessions is fine.
        tick: [...] resolution of the counter in the unit of the medians, above 0.
        layout_sd: [...] standard deviation of ln latency over links of the same source; 0 where
            the image is the same.
        layout_dof: [...] degrees of freedom of layout_sd: links less one.
    """
    a, b = np.asarray(baseline, dtype=np.float64), np.asarray(now, dtype=np.float64)
    parts = [
        np.var(np.log(y), axis=-1, ddof=1) / y.shape[-1] for y in (a, b)
    ]  # type A of either mean
    rounding = [(np.asarray(tick) / (np.sqrt(12) * y.mean(axis=-1))) ** 2 for y in (a, b)]
    random = parts[0] + parts[1]
    squares = parts[0] ** 2 / (a.shape[-1] - 1) + parts[1] ** 2 / (b.shape[-1] - 1)
    layout = 2 * np.square(np.asarray(layout_sd))
    squares = squares + layout**2 / np.asarray(layout_dof)
    total = random + rounding[0] + rounding[1] + layout
    with np.errstate(divide="ignore"):  # constant data: no limit
        dof = np.where(squares > 0, total**2 / np.where(squares > 0, squares, 1), np.inf)
    d = np.log(b).mean(axis=-1) - np.log(a).mean(axis=-1)
    return Estimate(np.asarray(d), np.asarray(np.sqrt(total)), np.asarray(dof))


def decide(
    estimate: Estimate, margin: ArrayLike, p_adjusted: ArrayLike, alpha: float
) -> NDArray[np.str_]:
    """Return PASS, FAIL, INCONCLUSIVE or IMPROVED for each.

    FAIL: worse at the adjusted level, and by more than the margin. PASS: the upper bound is below
    the margin. IMPROVED: a PASS that is better, and by more than the margin. Else INCONCLUSIVE.

    Args:
        estimate: [...].
        margin: [...] relative, 0.01 is 1 %.
        p_adjusted: [...] of ``estimate.p_worse``, over the family.
        alpha: one-sided level.
    """
    change, margins = np.expm1(estimate.d), np.asarray(margin)
    passes = estimate.p_inferior(margins) < alpha
    better = passes & (change < -margins) & (estimate.p_better < alpha)
    fails = (np.asarray(p_adjusted) < alpha) & (change > margins)
    return np.select([fails, better, passes], ["FAIL", "IMPROVED", "PASS"], default="INCONCLUSIVE")
