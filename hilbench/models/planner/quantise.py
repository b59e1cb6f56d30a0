"""Fixed-point constants as TensorFlow Lite computes them, on the host, in double precision.

Source of the arithmetic: TensorFlow Lite 8-bit quantisation specification; Jacob et al. 2018,
section 2.2. device_firmware/runtimes/plan/kernels/portable/requantise.h is the other half.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

INT8_MIN: Final = -128
INT8_MAX: Final = 127
MIN_SHIFT: Final = -31
MAX_SHIFT: Final = 30

_ACTIVATIONS: Final[dict[str, tuple[float, float]]] = {
    "NONE": (-math.inf, math.inf),
    "RELU": (0.0, math.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
ACTIVATIONS: Final = tuple(_ACTIVATIONS)


def round_half_away(x: float) -> int:
    """Return x rounded to nearest, ties away from zero (Python's round takes ties to even)."""
    whole = math.trunc(x)
    return whole + int(math.copysign(1, x)) if abs(x - whole) >= 0.5 else whole  # noqa: PLR2004


def quantise_multiplier(real: float) -> tuple[int, int]:
    """Return (multiplier, shift) with real ≈ multiplier * 2^(shift - 31).

    ``multiplier`` is in [2^30, 2^31), or (0, 0) where the factor is 0 or below 2^-32.

    Raises:
        ValueError: negative, not finite, or 2^30 and above, which a kernel could not apply.
    """
    if not math.isfinite(real) or real < 0:
        raise ValueError(f"requantisation factor {real} is not a non-negative number")
    mantissa, shift = math.frexp(real)
    multiplier = round_half_away(mantissa * (1 << 31))
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < MIN_SHIFT:
        return 0, 0
    if shift > MAX_SHIFT:
        raise ValueError(f"requantisation factor {real:g} is above the limit of 2^{MAX_SHIFT}")
    return multiplier, shift


def activation_range_f32(activations: tuple[str, ...]) -> tuple[float, float]:
    """Return the range that all of these activations leave."""
    ranges = [_ACTIVATIONS[name] for name in activations]
    return max([lo for lo, _ in ranges] + [-math.inf]), min([hi for _, hi in ranges] + [math.inf])


def activation_range_s8(
    activations: tuple[str, ...], scale: float, zero_point: int
) -> tuple[int, int]:
    """Return the int8 range that all of these activations leave, at the output's quantisation."""

    def quantised(value: float) -> int:
        steps = value / scale
        if abs(steps) > INT8_MAX - INT8_MIN:  # from any zero point; infinities, too
            return INT8_MIN if steps < 0 else INT8_MAX
        # The reference divides in float32: these are float32 numbers, and the same is rounded.
        q = zero_point + round_half_away(float(np.float32(steps)))
        return min(max(q, INT8_MIN), INT8_MAX)

    lo, hi = activation_range_f32(activations)
    return quantised(lo), quantised(hi)


def mean_multiplier(real: float, count: int) -> tuple[int, int]:
    """Return (multiplier, shift) of real / count, as the reference divides the integer multiplier.

    The division truncates, so this differs from quantise_multiplier(real / count) in the last bit.
    """
    multiplier, shift = quantise_multiplier(real)
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << extra) // count, shift - extra


SOFTMAX_DIFF_BITS: Final = 5  # integer bits of the scaled difference to the largest logit


def softmax_constants(beta: float, scale: float) -> tuple[int, int, int]:
    """Return (multiplier, shift, diff_min): differences below diff_min have probability 0.

    Raises:
        ValueError: beta * scale is too small to be scaled up.
    """
    fraction = 31 - SOFTMAX_DIFF_BITS
    real = min(beta * scale * (1 << fraction), (1 << 31) - 1.0)
    if real <= 1:
        raise ValueError(f"beta * scale is {beta * scale:g}, the limit is 2^-{fraction}")
    multiplier, shift = math.frexp(real)
    fixed = round_half_away(multiplier * (1 << 31))
    if fixed == 1 << 31:
        fixed //= 2
        shift += 1
    largest = ((1 << SOFTMAX_DIFF_BITS) - 1) << fraction
    return fixed, shift, -(largest >> shift)
