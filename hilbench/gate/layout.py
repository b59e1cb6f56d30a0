"""Code layout: how much latency scatters because the same code lies elsewhere. Pure.

Caches, flash lines and branch predictors make latency depend on addresses, so that a change far from
the kernels can move it. Links of the same objects in random order are a sample of what a relink
does; its standard deviation, with links - 1 degrees of freedom, enters the comparison of two images
(cycles.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hilbench.errors import UsageError
from hilbench.gate.student import incomplete_beta, t_quantile

LEAST_BUILDS = 3
_ALPHA = 0.05
TIMELESS = "instructions"
"""Time base in which where code lies changes nothing."""


@dataclass(frozen=True)
class LayoutFloor:
    """Scatter of one cell's latency between links."""

    sd: float  # of ln latency between links; holds what is left of the sessions' scatter
    session_sd: float | None  # within a link; None: one session each
    lowest: float  # of the links to their mean, relative
    highest: float
    builds: int
    sessions: int  # of each link

    @property
    def is_noise(self) -> bool:
        """Say whether links scatter no more than their sessions do: F test at 5 %, one-sided."""
        if self.session_sd is None or self.session_sd == 0:
            return False
        between, within = self.builds - 1, self.builds * (self.sessions - 1)
        f = self.sessions * (self.sd / self.session_sd) ** 2
        p = incomplete_beta(within / 2, between / 2, within / (within + between * f))
        return p >= _ALPHA

    @property
    def sees(self) -> float:
        """Relative change between two images from which on alpha 5 %, one-sided, is reached."""
        return math.expm1(t_quantile(1 - _ALPHA, self.builds - 1) * math.sqrt(2) * self.sd)


def layout_floor(medians: ArrayLike) -> LayoutFloor:
    """Estimate the floor.

    Args:
        medians: [builds, sessions] latency of each session of each link, above 0.

    Raises:
        UsageError: fewer than 3 builds.
    """
    logs = np.log(np.asarray(medians, dtype=np.float64))
    builds, sessions = logs.shape
    if builds < LEAST_BUILDS:
        raise UsageError(
            f"--builds is {builds}, limit {LEAST_BUILDS}: fewer say nothing of a scatter; take 8 or more"
        )
    means = logs.mean(axis=1)
    away = np.expm1(means - means.mean())
    within = math.sqrt(float(np.mean(np.var(logs, axis=1, ddof=1)))) if sessions > 1 else None
    return LayoutFloor(
        float(np.std(means, ddof=1)), within, float(away.min()), float(away.max()), builds, sessions
    )


def check_time_base(board: str, time_base: str) -> None:
    """Refuse a board on which layout cannot show.

    Raises:
        UsageError: it counts instructions.
    """
    if time_base == TIMELESS:
        raise UsageError(
            f"board {board} counts instructions, and where code lies does not change how many there "
            f"are: a floor of 0 would be no fact about a chip; measure on hardware, or on a board "
            f"that counts cycles"
        )
