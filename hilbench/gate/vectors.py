"""What pairing the vectors of two runs says, by the suite's metric. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hilbench.gate import accuracy, auc, squared_error
from hilbench.gate.snapshot import AccuracySide


@dataclass(frozen=True)
class Paired:
    """A change between two runs over the same vectors; positive is worse."""

    says: str  # what became of the vectors
    change: float  # top1, auc: lost; mse: relative
    p: float  # one-sided, of "not worse"
    smallest_p: float  # that any result could have
    non_inferior_p: Callable[[float], float]  # of "worse by at least the margin"
    bounds: Callable[[float], tuple[float, float]]  # one-sided, each at 1 - alpha; inf: none
    seen: Callable[[float], float]  # smallest change seen with 80 % power at alpha


def pair(was: AccuracySide, now: AccuracySide, margin: float) -> Paired | str:
    """Compare two sides that hold figures of each vector.

    Args:
        was: baseline.
        now: run, of the same metric and vectors.
        margin: of the cell; one of all there is to lose can never fail.

    Returns:
        The change, or why there is none.
    """
    return _PAIRS[now.metric](was, now, margin)


def _top1(was: AccuracySide, now: AccuracySide, margin: float) -> Paired:
    right = was.bits("correct")
    found = accuracy.discordance(right, now.bits("correct"))
    hopeless = margin >= right.mean()
    return Paired(
        f"{found.lost} of {found.n} vectors lost, {found.won} won",
        found.loss,
        accuracy.mcnemar_p(found),
        1.0 if hopeless else accuracy.smallest_mcnemar_p(int(right.sum())),
        lambda m: accuracy.non_inferior_p(found, m),
        lambda alpha: accuracy.loss_bounds(found, alpha),
        lambda alpha: accuracy.smallest_loss_seen(found, alpha),
    )


def _auc(was: AccuracySide, now: AccuracySide, margin: float) -> Paired | str:
    positive = now.bits("positive")
    fewest = int(min(positive.sum(), (~positive).sum()))
    if fewest < auc.LEAST_OF_A_CLASS:
        return (
            f"outputs changed, and a class has {fewest} vector, limit {auc.LEAST_OF_A_CLASS}: an "
            f"area of that has no scatter; take more vectors"
        )
    found = auc.area_loss(was.floats("scores"), now.floats("scores"), positive)
    return Paired(
        f"AUC {found.before:.4f} to {found.now:.4f}, {found.moved} of {found.n} vectors moved",
        found.loss,
        auc.worse_p(found),
        1.0 if margin >= found.before else float(0.5**found.n),
        lambda m: auc.non_inferior_p(found, m),
        lambda alpha: auc.loss_bounds(found, alpha),
        lambda alpha: auc.smallest_loss_seen(found, alpha),
    )


def _mse(was: AccuracySide, now: AccuracySide, _: float) -> Paired | str:
    found = squared_error.SquaredErrors(was.floats("squared_errors"), now.floats("squared_errors"))
    if found.n < squared_error.LEAST_VECTORS:
        return "outputs changed, and one vector's error has no scatter; take more vectors"
    if not found.before.any():
        return (
            "outputs changed, and the baseline's mse is 0, of which nothing is a share; give "
            "accuracy a [[budget]]"
        )
    changed = int(np.count_nonzero(found.now != found.before))
    return Paired(
        f"mse {was.value:.4g} to {now.value:.4g}, errors of {changed} of {found.n} vectors changed",
        found.change,
        squared_error.worse_p(found),
        float(0.5**found.n),
        lambda m: squared_error.non_inferior_p(found, m),
        lambda alpha: squared_error.change_bounds(found, alpha),
        lambda alpha: squared_error.smallest_change_seen(found, alpha),
    )


_PAIRS: Mapping[str, Callable[[AccuracySide, AccuracySide, float], Paired | str]] = {
    "top1": _top1,
    "auc": _auc,
    "mse": _mse,
}
