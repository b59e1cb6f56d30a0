"""A meter's sample rate by the host's clock, from when samples arrived."""

from __future__ import annotations

import math

_POINTS_MIN = 5
_SPAN_MIN_S = 1.0


class HostRate:
    """Straight line through (host time, samples so far), in constant memory."""

    def __init__(self) -> None:
        self._n = 0
        self._origin = (0.0, 0)
        self._sums = [0.0] * 5  # t, k, tt, tk, kk
        self._span_s = 0.0

    def add(self, host_s: float, samples: int) -> None:
        """Say that ``samples`` had arrived at ``host_s`` of a monotonic clock."""
        if not self._n:
            self._origin = (host_s, samples)
        t, k = host_s - self._origin[0], float(samples - self._origin[1])
        self._n += 1
        self._span_s = t
        for i, value in enumerate((t, k, t * t, t * k, k * k)):
            self._sums[i] += value

    def result(self) -> tuple[float | None, float | None]:
        """Return rate in Hz and its relative standard uncertainty; None: too few or too short.

        Delays of the transport are taken as fully correlated, as if each end of the line had one.
        """
        if self._n < _POINTS_MIN or self._span_s < _SPAN_MIN_S:
            return None, None
        t, k, tt, tk, kk = (value / self._n for value in self._sums)
        s_tt, s_tk, s_kk = tt - t * t, tk - t * k, kk - k * k
        if s_tk <= 0:
            return None, None
        rate_hz = s_tk / s_tt
        residual_s = math.sqrt(max(0.0, s_kk - rate_hz * s_tk)) / rate_hz
        return rate_hz, math.sqrt(2.0) * residual_s / self._span_s
