"""Student's t and the binomial distribution, so that a gate needs no scipy.

Scalars, and arrays of them (:func:`t_sf_array`). Sources: NIST Digital Library
of Mathematical Functions 8.17.22 (continued fraction of the incomplete beta function, evaluated
after Lentz 1976, Appl. Opt. 15:668), 8.17.4 (its symmetry); Abramowitz & Stegun 26.7.1 (Student's
t from it). Relative error below 1e-10 where tests compare with tables.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TINY = 1e-300
_EPSILON = 1e-15
_MOST_TERMS = 10_000
_FEW = 32  # values, for which arrays are slower than a loop
_NORMAL_DOF = 1e7  # beyond, t and normal differ by less than 1e-7 relative
_NORMAL = NormalDist()


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), 0 <= x <= 1."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    log_front = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return math.exp(log_front) / a * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """DLMF 8.17.22, after Lentz."""
    c, d = 1.0, 1.0 / _away_from_0(1.0 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _away_from_0(1.0 + term * d)
            c = _away_from_0(1.0 + term / c)
            result *= c * d
        if abs(c * d - 1.0) < _EPSILON:
            break
    return result


def _away_from_0(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def t_sf(t: float, dof: float) -> float:
    """Return P(T > t) for Student's t with ``dof`` > 0 degrees of freedom; inf is the normal."""
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    if dof > _NORMAL_DOF:
        return 0.5 * math.erfc(t / math.sqrt(2))
    tail = 0.5 * incomplete_beta(dof / 2, 0.5, dof / (dof + t * t))
    return tail if t >= 0 else 1.0 - tail


def t_sf_array(t: ArrayLike, dof: ArrayLike) -> NDArray[np.float64]:
    """Return :func:`t_sf` of arrays that broadcast."""
    values, freedom = np.broadcast_arrays(
        np.asarray(t, dtype=np.float64), np.asarray(dof, dtype=np.float64)
    )
    if values.size < _FEW:
        found: Any = np.frompyfunc(t_sf, 2, 1)(values, freedom)
        return np.asarray(found, dtype=np.float64)
    few = (freedom <= _NORMAL_DOF) & np.isfinite(values)
    nu = np.where(few, freedom, 1.0)
    squared = np.where(few, values, 0.0) ** 2
    tail = 0.5 * _beta_half(nu / 2, nu / (nu + squared), squared / (nu + squared))
    normal: Any = np.frompyfunc(t_sf, 2, 1)(np.where(few, 0.0, values), np.inf)
    signed = np.where(values >= 0, tail, 1.0 - tail)
    return np.where(few, signed, np.asarray(normal, dtype=np.float64))


def _beta_half(
    a: NDArray[np.float64], x: NDArray[np.float64], rest: NDArray[np.float64]
) -> NDArray[np.float64]:
    """I_x(a, 1/2) of arrays, as :func:`incomplete_beta`; rest is 1 - x without cancellation."""
    half = np.full_like(a, 0.5)
    turned = x > (a + 1) / (a + 2.5)
    p, q = np.where(turned, half, a), np.where(turned, a, half)
    at, other = np.where(turned, rest, x), np.where(turned, x, rest)
    lgamma: Any = np.frompyfunc(math.lgamma, 1, 1)
    unique, where = np.unique(a, return_inverse=True)  # constant data share their freedom
    scale = np.asarray(lgamma(unique + 0.5) - lgamma(unique), dtype=np.float64)
    with np.errstate(divide="ignore"):
        log_front = scale[where].reshape(a.shape) - math.lgamma(0.5) + p * np.log(at)
        log_front += q * np.log(other)
    found = np.where(at > 0, np.exp(log_front) / p * _fractions(p, q, at), 0.0)
    return np.where(turned, 1.0 - found, found)


def _fractions(
    a: NDArray[np.float64], b: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """:func:`_fraction` of arrays: all of them until the slowest has settled."""

    def away(value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(np.abs(value) > _TINY, value, _TINY)

    c, d = np.ones_like(x), 1.0 / away(1.0 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / away(1.0 + term * d)
            c = away(1.0 + term / c)
            result = result * c * d
        if (np.abs(c * d - 1.0) < _EPSILON).all():
            break
    return result


@lru_cache(maxsize=4096)
def t_quantile(p: float, dof: float) -> float:
    """Return t with P(T <= t) = p, 0 < p < 1."""
    if p < 0.5:  # noqa: PLR2004 - symmetry
        return -t_quantile(1 - p, dof)
    if dof > _NORMAL_DOF:
        return _NORMAL.inv_cdf(p)
    low, high = 0.0, 1.0
    while t_sf(high, dof) > 1 - p:
        low, high = high, 2 * high
    log_scale = math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2) - math.log(dof * math.pi) / 2
    t = min(max(_NORMAL.inv_cdf(p), low), high)
    while high - low > 1e-12 * high:  # Newton's steps, bisection where one leaves the bracket
        excess = t_sf(t, dof) - (1 - p)
        low, high = (t, high) if excess > 0 else (low, t)
        density = math.exp(log_scale - (dof + 1) / 2 * math.log1p(t * t / dof))
        step = excess / density
        if abs(step) <= 1e-13 * t:
            break
        t = t + step if low < t + step < high else (low + high) / 2
    return t


def binomial_sf(k: int, n: int, p: float) -> float:
    """Return P(X >= k) for X ~ Bin(n, p), 0 < p < 1 (Abramowitz & Stegun 26.5.24)."""
    if k <= 0:
        return 1.0
    return 0.0 if k > n else incomplete_beta(k, n - k + 1, p)


def z_quantile(p: float) -> float:
    """Return the standard normal quantile."""
    return _NORMAL.inv_cdf(p)
