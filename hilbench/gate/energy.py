"""Energy: paired blocks A B B A of one run, else a stored number of the same meter. Pure.

Blocks: D = (ln B1 + ln B2 - ln A1 - ln A2) / 2, in which a linear drift cancels; Student's t over
blocks, and what does not scatter (quantisation, loss, switches, tail, restore) in quadrature.

Stored: sessions of the baseline against sessions of now, on the log scale, with what does not scatter
of both sides in quadrature: the comparative part where charge lies in the same ranges of the same
meter, so that its gain cancels, else all of it (JCGM 100:2008, 5.1.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilbench.gate.cycles import Estimate
from hilbench.measurement.power.budget import SAME_RANGES, coverage_factor

LEAST_BLOCKS = 2
_BLOCK = 2  # sessions of each variant in A B B A


@dataclass(frozen=True)
class EnergySide:
    """Gross energy of one cell, session by session."""

    uj: tuple[float, ...]
    comparative_u: float | None  # standard, relative, beyond scatter; None: nobody knows
    absolute_u: float | None  # the same with gain, offset, supply and clock
    range_shares: tuple[float, ...]  # of the energy, by the meter's range


def blocks(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return D of each whole block A B B A.

    Args:
        a: [..., sessions] energy of A in the order measured, above 0.
        b: [..., sessions] of B, in turn with A; an odd last session of each is left out.

    Returns:
        [..., sessions // 2], positive where B takes more.
    """
    logs = np.log(np.asarray(b, dtype=np.float64)) - np.log(np.asarray(a, dtype=np.float64))
    whole = logs.shape[-1] // _BLOCK
    pairs = logs[..., : whole * _BLOCK].reshape(*logs.shape[:-1], whole, _BLOCK)
    return np.asarray(pairs.mean(axis=-1))


def paired(a: ArrayLike, b: ArrayLike, systematic_u: ArrayLike = 0.0) -> Estimate:
    """Compare by blocks.

    Args:
        a: [..., sessions] of the baseline variant, at least 4.
        b: [..., sessions] of the candidate.
        systematic_u: relative, what scatter does not show.
    """
    found = blocks(a, b)
    count = found.shape[-1]
    random = np.var(found, axis=-1, ddof=1) / count
    # Equal numbers are possible on an emulated meter; nothing is known to better than this.
    total = random + np.square(systematic_u) + np.finfo(np.float64).eps ** 2
    with np.errstate(divide="ignore"):
        dof = (count - 1) * (total / np.where(random > 0, random, np.nan)) ** 2
    return Estimate(
        np.asarray(found.mean(axis=-1)),
        np.asarray(np.sqrt(total)),
        np.asarray(np.where(random > 0, dof, np.inf)),
    )


def from_ratio(ratio: float, expanded: float, coverage_k: float) -> Estimate:
    """Return the estimate that a stored comparison stands for.

    Args:
        ratio: of A, the baseline variant, to B.
        expanded: half-width of the 95.45 % interval, relative.
        coverage_k: Student's factor of it.
    """
    return Estimate(
        np.asarray(-math.log(ratio)),
        np.asarray(expanded / coverage_k),
        np.asarray(_dof_of(coverage_k)),
    )


def _dof_of(coverage_k: float) -> float:
    """Invert the table of coverage factors."""
    if coverage_k <= coverage_factor(math.inf):
        return math.inf
    low, high = 1.0, 1e6
    for _ in range(80):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if coverage_factor(middle) > coverage_k else (low, middle)
    return low


def stored(baseline: EnergySide, now: EnergySide) -> tuple[Estimate, str] | None:
    """Compare with sessions of another day; None where an uncertainty is not known.

    Returns:
        The estimate, and which uncertainty was taken, for the reason.
    """
    moved = _moved(baseline.range_shares, now.range_shares)
    cancels = moved is not None and moved <= SAME_RANGES
    sides = [s.comparative_u if cancels else s.absolute_u for s in (baseline, now)]
    if None in sides:
        return None
    logs = [np.log(np.array(s.uj)) for s in (baseline, now)]
    random = [float(np.var(x, ddof=1)) / len(x) for x in logs]
    total = sum(random) + sum(u * u for u in sides if u is not None)
    total += float(np.finfo(np.float64).eps) ** 2
    squares = sum(v * v / (len(x) - 1) for v, x in zip(random, logs, strict=True))
    estimate = Estimate(
        np.asarray(logs[1].mean() - logs[0].mean()),
        np.asarray(math.sqrt(total)),
        np.asarray(total**2 / squares if squares > 0 else math.inf),
    )
    return estimate, "comparative uncertainty" if cancels else "absolute uncertainty"


def _moved(a: tuple[float, ...], b: tuple[float, ...]) -> float | None:
    """Share of the energy that moved between ranges; None when they are not known."""
    if not a or len(a) != len(b):
        return None
    return sum(abs(x - y) for x, y in zip(a, b, strict=True)) / 2
