"""Requantisation by other constants than the model's, proved equal over all sums a channel can have.

Trained models have channels whose weights are all zero or nearly so: their biases and shifts are
huge, and their outputs take one or two values. Kernels that keep sums in fewer bits can still run
them: the result is a staircase over the sum, and so two sets of constants are equal where they are
equal on both sides of each stair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hilbench.models.planner.quantise import INT8_MAX, INT8_MIN

_INT32: Final = range(-(1 << 31), 1 << 31)
_STEP: Final = 24  # a bias of k * 2^24 moves sum * multiplier / 2^24 by a whole number
_SUMS: Final = range(-(1 << 23), 1 << 23)  # that are kept times 2^8


def _clamp(x: int) -> int:
    return min(max(x, INT8_MIN), INT8_MAX)


@dataclass(frozen=True)
class Reference:
    """Double rounding as PLAN.md has it: a staircase that rises, while nothing wraps."""

    multiplier: int
    shift: int
    zero_point: int

    def __call__(self, total: int) -> int:
        """Return the int8 result of a sum."""
        high = ((total << max(self.shift, 0)) * self.multiplier + (1 << 30)) >> 31
        right = max(-self.shift, 0)
        mask = (1 << right) - 1
        half = (mask >> 1) + (high < 0)
        return _clamp((high >> right) + ((high & mask) > half) + self.zero_point)


@dataclass(frozen=True)
class Fitted:
    """Constants of device_firmware/runtimes/plan/kernels/dsp/dsp.h."""

    bias: int  # to subtract from the channel's
    multiplier: int
    addend: int
    shift: int

    def result(self, total: int, *, linear: bool) -> int | None:
        """Return what the kernel makes of a sum, or None where a number overflows."""
        kept = total - self.bias
        scaled = (kept * self.multiplier >> _STEP) + self.addend
        if linear and kept < 0:
            scaled -= 128
        if scaled not in _INT32 or (self.multiplier != 0 and kept not in _SUMS):
            return None
        return _clamp(scaled >> self.shift)


def fit(reference: Reference, low: int, high: int, *, linear: bool) -> Fitted | None:
    """Return constants that give the reference's result for every sum of low to high, or None.

    Args:
        reference: what the model says.
        low: the smallest sum of the channel.
        high: the largest sum.
        linear: whether the kernel subtracts 2^7 from scaled sums below 0.
    """
    left = max(reference.shift, 0)
    if low << left not in _INT32 or high << left not in _INT32:
        return None
    first, last = reference(low), reference(high)
    if first == last:
        # 192 - 128 still rounds to the same result
        return Fitted(bias=low, multiplier=0, addend=256 * first + 192, shift=8)
    stairs = [_first(reference, value, low, high) for value in range(first + 1, last + 1)]
    sums = {low, high, *stairs, *(stair - 1 for stair in stairs)}
    middle = stairs[len(stairs) // 2]
    steps = (middle + (1 << (_STEP - 1))) >> _STEP
    right = -reference.shift
    if right < 0:
        return None
    addend = (((1 << right) >> 1) + (reference.zero_point << right)) * 128 + 64
    addend += steps * reference.multiplier
    for fewer in range(right + 8):  # bits of the product
        for nudge in (0, 1, -1, 2, -2):
            fitted = Fitted(
                steps << _STEP,
                reference.multiplier >> fewer,
                (addend >> fewer) + nudge,
                right + 7 - fewer,
            )
            if all(fitted.result(s, linear=linear) == reference(s) for s in sums):
                return fitted
    return None


def _first(staircase: Callable[[int], int], value: int, low: int, high: int) -> int:
    """Return the smallest sum whose result is at least ``value``; that of ``high`` is."""
    while low < high:
        middle = (low + high) // 2
        if staircase(middle) >= value:
            high = middle
        else:
            low = middle + 1
    return low
