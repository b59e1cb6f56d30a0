"""int8 operators of one element as tables of their 256 results.

They are what TensorFlow Lite Micro's reference kernels compute, bit by bit.

Entry i is the result for the input i - 128. Sources: gemmlowp's fixedpoint.h (Jacob et al. 2018,
section 2.2 and its appendix); Howard et al., "Searching for MobileNetV3", 2019, for HARD_SWISH.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hilbench.models.planner.quantise import INT8_MAX, INT8_MIN, quantise_multiplier


class Mode(IntEnum):
    """enum hb_binary_mode of the kernels."""

    ADD = 0
    SUBTRACT = 1
    SUBTRACT_FROM = 2  # second operand less first
    MULTIPLY = 3
    MAXIMUM = 4
    MINIMUM = 5


Integers = NDArray[np.int64]
Quantisation = tuple[np.float32, int]  # scale, zero point

EVERY_INT8: Final = np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)

_EXTRA_BITS: Final = 20  # of sums
_Q31_ONE: Final = (1 << 31) - 1
_INT16_MIN, _INT16_MAX = -(1 << 15), (1 << 15) - 1
_INPUT_BITS: Final = 4  # integer bits of the input of LOGISTIC and TANH
_48_OVER_17: Final = 1515870810  # Q2.29, start of the Newton-Raphson division
_MINUS_32_OVER_17: Final = -1010580540
_EXP_MINUS_EIGHTH: Final = 1895147668  # Q0.31
_ONE_THIRD: Final = 715827883
# exp(-2^k) as Q0.31, k from -2
_EXP_STEPS: Final = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def rescaled(
    minimum: int, maximum: int, source: Quantisation, target: Quantisation
) -> NDArray[np.int8]:
    """QUANTIZE int8 to int8, RELU: another scale, then a clamp.

    Raises:
        ValueError: the factor between the scales is 2^30 or more.
    """
    fixed = quantise_multiplier(float(source[0]) / float(target[0]))
    return _int8(_scale(EVERY_INT8 - source[1], *fixed) + target[1], minimum, maximum)


def leaky_relu(alpha: float, source: Quantisation, target: Quantisation) -> NDArray[np.int8]:
    """LEAKY_RELU; the reference computes its factors in float64, TensorFlow Lite in float32.

    Raises:
        ValueError: a factor between the scales is 2^30 or more.
    """
    value = EVERY_INT8 - source[1]
    factor = float(source[0]) / float(target[0])
    slope = float(np.float32(alpha)) * factor
    below = _scale(value, *quantise_multiplier(abs(slope)))
    above = _scale(value, *quantise_multiplier(factor))
    below = -below if slope < 0 else below
    return _int8(np.where(value >= 0, above, below) + target[1])


def logistic(source: Quantisation) -> NDArray[np.int8]:
    """LOGISTIC, whose output is always 1/256 * (q + 128).

    Raises:
        ValueError: the input scale is below 2^-28.
    """
    x, saturated = _q4(source)
    y = np.where(x > 0, _logistic_of_negative(-np.abs(x)), 0)
    y = np.where(x < 0, _Q31_ONE - _logistic_of_negative(-np.abs(x)), y)
    y = np.where(x == 0, 1 << 30, y)
    return _int8(np.where(saturated != 0, saturated * 256, _divide_pow2(y, 23) - 128))


def tanh(source: Quantisation) -> NDArray[np.int8]:
    """TANH, whose output is always 1/128 * q.

    Raises:
        ValueError: the input scale is below 2^-28.
    """
    x, saturated = _q4(source)
    half = _half_denominator(_exp_of_negative(-np.abs(x), _INPUT_BITS + 1))
    # 1 / half is (2 / (1 + e)) in Q2.29; less 1 that is (1 - e) / (1 + e)
    positive = _saturate((_reciprocal(half) - (1 << 29)) << 2)
    y = np.where(x == 0, 0, np.sign(x) * positive)
    return _int8(np.where(saturated != 0, saturated * 256, _divide_pow2(y, 24)))


def hard_swish(source: Quantisation, target: Quantisation) -> NDArray[np.int8]:
    """HARD_SWISH, x * relu6(x + 3) / 6, in 16-bit fixed point.

    Raises:
        ValueError: the output scale is not between 1/128 and 512 times the input scale, or that is
            below 3 * 2^-24: the reference's 16 bits are exceeded.
    """
    fine_scale = np.float32(1 / 128) * source[0]
    fixed, out_shift = quantise_multiplier(float(fine_scale / target[0]))
    if out_shift > 0 or out_shift < -15:  # noqa: PLR2004
        raise ValueError("the output scale is not between 1/128 and 512 times the input scale")
    relu_fixed, shift = quantise_multiplier(float(fine_scale / np.float32(3 / 32768)))
    if shift < -15:  # noqa: PLR2004
        raise ValueError(f"the input scale is {source[0]:g}, the limit is 3 * 2^-24")
    fine = (EVERY_INT8 - source[1]) << 7
    on_output_scale = _high_mul16(fine, _to_int16(fixed))
    relu = _saturate16(fine << (shift - 1)) if shift > 0 else fine
    relu = _high_mul16(relu, _to_int16(relu_fixed))
    relu = _saturate16(relu << 1) if shift > 0 else _divide_pow2(relu, -shift)
    relu = (relu + (1 << 15)) >> 1  # from [-1, 1] to [0, 1]
    product = relu * on_output_scale
    product = np.sign(product) * (np.abs(product) >> 15)  # towards zero
    return _int8(_divide_pow2(product, -out_shift) + target[1])


def with_scalar(mode: Mode, record: Mapping[str, int | float], scalar: int) -> NDArray[np.int8]:
    """ADD, SUB, MUL, MAXIMUM, MINIMUM with a constant of one element, as the kernel binary_s8 does.

    Args:
        mode: what it does.
        record: fields of the record binary_s8.
        scalar: the constant, input 2.
    """
    r = {name: int(value) for name, value in record.items()}
    if mode in {Mode.MAXIMUM, Mode.MINIMUM}:
        choose = np.maximum if mode is Mode.MAXIMUM else np.minimum
        return _int8(choose(EVERY_INT8, scalar))
    a = EVERY_INT8 - r["input_zero_point"]
    b = np.array(scalar - r["input_2_zero_point"])
    if mode is Mode.MULTIPLY:
        value = a * b
    else:
        a = _scale(a << _EXTRA_BITS, r["multiplier_1"], r["shift_1"])
        b = _scale(b << _EXTRA_BITS, r["multiplier_2"], r["shift_2"])
        value = {Mode.ADD: a + b, Mode.SUBTRACT: a - b, Mode.SUBTRACT_FROM: b - a}[mode]
    scaled = _scale(value, r["multiplier"], r["shift"])
    return _int8(scaled + r["output_zero_point"], r["minimum"], r["maximum"])


# --- fixed point --------------------------------------------------------------------------------


def _int8(x: Integers, minimum: int = INT8_MIN, maximum: int = INT8_MAX) -> NDArray[np.int8]:
    return np.clip(x, minimum, maximum).astype(np.int8)


def _saturate(x: Integers) -> Integers:
    return np.clip(x, -_Q31_ONE - 1, _Q31_ONE)


def _saturate16(x: Integers) -> Integers:
    return np.clip(x, _INT16_MIN, _INT16_MAX)


def _high_mul(x: Integers, y: Integers | int) -> Integers:
    """Return x * y / 2^31 to nearest, ties upwards."""
    return (x * y + (1 << 30)) >> 31


def _high_mul16(x: Integers, y: int) -> Integers:
    return (x * y + (1 << 14)) >> 15


def _divide_pow2(x: Integers, exponent: int) -> Integers:
    """Return x / 2^exponent to nearest, ties away from zero."""
    half = 1 << exponent >> 1
    rounded: Integers = np.sign(x) * ((np.abs(x) + half) >> exponent)
    return rounded


def _scale(x: Integers, multiplier: int, shift: int) -> Integers:
    """MultiplyByQuantizedMultiplier; a left shift wraps in 32 bits."""
    left = ((x << max(shift, 0)) + (1 << 31)) % (1 << 32) - (1 << 31)
    return _divide_pow2(_high_mul(left, multiplier), max(-shift, 0))


def _to_int16(multiplier: int) -> int:
    return min((multiplier + (1 << 15)) >> 16, _INT16_MAX)


def _q4(source: Quantisation) -> tuple[Integers, Integers]:
    """Return the real inputs as Q4.27, and where they are beyond: -1 or 1."""
    multiplier, shift = _fixed(float(source[0]) * (1 << (31 - _INPUT_BITS)))
    if shift < 0:
        raise ValueError(f"the input scale is {source[0]:g}, the limit is 2^-{32 - _INPUT_BITS}")
    radius = math.floor(((1 << _INPUT_BITS) - 1) * (1 << (31 - _INPUT_BITS)) / 2.0**shift)
    value = EVERY_INT8 - source[1]
    saturated = np.where(value <= -radius, -1, np.where(value >= radius, 1, 0))
    return _scale(np.where(saturated == 0, value, 0), multiplier, min(shift, 31)), saturated


def _fixed(real: float) -> tuple[int, int]:
    mantissa, shift = math.frexp(real)
    return math.floor(mantissa * (1 << 31) + 0.5), shift


def _logistic_of_negative(x: Integers) -> Integers:
    """1 / (1 + exp(x)) for Q4.27 x <= 0, as Q0.31."""
    half = _half_denominator(_exp_of_negative(x, _INPUT_BITS))
    return _saturate(_reciprocal(half) << 1)


def _half_denominator(e: Integers) -> Integers:
    """(1 + e) / 2 for Q0.31 e in [0, 1], ties upwards."""
    return (e + _Q31_ONE + 1) // 2


def _reciprocal(half_denominator: Integers) -> Integers:
    """1 / x for Q0.31 x in [1/2, 1], as Q2.29: three Newton-Raphson steps."""
    x = _48_OVER_17 + _high_mul(half_denominator, _MINUS_32_OVER_17)
    for _ in range(3):
        rest = (1 << 29) - _high_mul(half_denominator, x)
        x = x + _saturate(_high_mul(x, rest) << 2)
    return x


def _exp_of_negative(x: Integers, integer_bits: int) -> Integers:
    """exp(x) for x <= 0 with so many integer bits, as Q0.31."""
    fraction = 31 - integer_bits
    quarter = 1 << (fraction - 2)
    rest = (x & (quarter - 1)) - quarter  # in [-1/4, 0)
    result = _exp_of_last_quarter(rest << integer_bits)
    remainder = rest - x
    for k, factor in enumerate(_EXP_STEPS[: integer_bits + 2], start=-2):
        step = (remainder & (1 << (fraction + k))) != 0
        result = np.where(step, _high_mul(result, factor), result)
    return np.where(x == 0, _Q31_ONE, result)


def _exp_of_last_quarter(a: Integers) -> Integers:
    """exp(a) for Q0.31 a in [-1/4, 0): Taylor polynomial of order 4 around -1/8."""
    x = a + (1 << 28)
    x2 = _high_mul(x, x)
    x3, x4 = _high_mul(x2, x), _high_mul(x2, x2)
    higher = _high_mul(_divide_pow2(x4, 2) + x3, _ONE_THIRD) + x2
    return _EXP_MINUS_EIGHTH + _high_mul(x + _divide_pow2(higher, 1), _EXP_MINUS_EIGHTH)
