"""Bytes and counts: integers against budget and allowance. No statistics. Pure."""

from __future__ import annotations

from typing import Literal

from hilbench.metrics import Direction


def decide_exact(
    baseline: float, now: float, allowance: float, direction: Direction
) -> Literal["PASS", "FAIL", "IMPROVED"]:
    """Compare two exact values.

    Args:
        baseline: what was accepted.
        now: what the run has.
        allowance: change for the worse that passes, in the metric's unit.
        direction: which change is better; "exact": any beyond the allowance fails.
    """
    worse = now - baseline if direction != "higher" else baseline - now
    if direction == "exact":
        return "PASS" if abs(worse) <= allowance else "FAIL"
    if worse > allowance:
        return "FAIL"
    return "IMPROVED" if worse < 0 else "PASS"


def relative(baseline: float, now: float) -> float | None:
    """Return the relative change; None from 0."""
    return now / baseline - 1 if baseline else None
