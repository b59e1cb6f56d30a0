"""The floor of delays: the line through the lowest readings, and where it rises by a loss."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hilbench.drivers.power import _ppk2_words as w

Times = TypeVar("Times", float, NDArray[np.float64])
Points = Sequence[tuple[float, float]]  # time and delay

STEP_S = w.COUNTS / w.SAMPLE_HZ  # of what the counter cannot see
NEAR_S = STEP_S / 2  # of the floor
_SLOT_S = 0.05  # of which the lowest reading is kept
_RATE_POINTS = 1024
_RISES = 8  # that are looked for, at most
_BETTER = 0.7  # of the squares without the rise
_NEIGHBOURS = 4  # slots
_FAR_LESS = 0.5
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Line:
    slope: float
    offset: float

    def at(self, time_s: Times) -> Times:
        return self.offset + self.slope * time_s


class Lowest:
    """The lowest reading of each slot of time.

    Args:
        slope: of the line against which they are lower or higher.
        slots: that are kept; None: all, in slots that grow.
    """

    def __init__(self, slope: float, slots: int | None = None) -> None:
        self._slope = slope
        self._points: deque[tuple[float, float]] = deque(maxlen=slots)
        self._slot_s = _SLOT_S
        self._until_s = -np.inf
        self._bounded = slots is not None

    @property
    def span_s(self) -> float:
        return self._points[-1][0] - self._points[0][0] if self._points else 0.0

    def _height(self, point: tuple[float, float]) -> float:
        return point[1] - self._slope * point[0]

    def add(self, time_s: float, delay_s: float) -> bool:
        """Take a reading; say whether a slot begins with it."""
        point = (time_s, delay_s)
        if time_s < self._until_s:
            if self._height(point) < self._height(self._points[-1]):
                self._points[-1] = point
            return False
        self._until_s = time_s + self._slot_s
        self._points.append(point)
        if not self._bounded and len(self._points) >= _RATE_POINTS:
            pairs = list(self._points)
            self._points = deque(
                min(pair, key=self._height) for pair in zip(pairs[::2], pairs[1::2], strict=True)
            )
            self._slot_s *= 2
        return True

    def points(self) -> list[tuple[float, float]]:
        return list(self._points)


def lowest_of(readings: Points, slope: float) -> NDArray[np.float64]:
    """Return time and delay of the lowest reading in each slot: [n, 2]."""
    lowest = Lowest(slope)
    for time_s, delay_s in readings:
        lowest.add(time_s, delay_s)
    return np.array(lowest.points())


def usual_slope(points: NDArray[np.float64]) -> float:
    """Return the median slope between points [n, 2] up to a third of all apart."""
    n = len(points)
    lags = range(1, max(2, n // 3))
    slopes = [(points[k:, 1] - points[:-k, 1]) / (points[k:, 0] - points[:-k, 0]) for k in lags]
    return float(np.median(np.concatenate(slopes)))


def without_rises(
    times_s: NDArray[np.float64], delays_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return delays without what losses raised them by, whatever the slope.

    Slope and losses look alike for a while. Most crystals are good, so a level line with losses is
    taken, unless a slope leaves far less unexplained.
    """
    level, sloped = (
        explained(times_s, delays_s, falls=False, level=is_level) for is_level in (True, False)
    )
    return sloped if fit(times_s, sloped)[1] < _FAR_LESS * fit(times_s, level)[1] else level


def explained(
    times_s: NDArray[np.float64], delays_s: NDArray[np.float64], *, falls: bool, level: bool
) -> NDArray[np.float64]:
    """Return delays with the clearest rise taken out, and the next, as long as they are clear.

    A rise is taken for a loss when a line with it is clearly nearer to the points than one without.
    """
    for _ in range(_RISES):
        cost = _cost(times_s, delays_s, level=level)
        tried = [
            _with_rise(times_s, delays_s, k, falls=falls, level=level)
            for k in range(1, len(times_s))
        ]
        costs = [_cost(times_s, t, level=level) for t in tried]
        if not costs or min(costs) > _BETTER * cost:
            break
        delays_s = tried[int(np.argmin(costs))]
    return delays_s


def without_late(points: NDArray[np.float64], slope: float) -> NDArray[np.float64]:
    """Leave points out that are late: lower ones are shortly before and shortly after.

    At the beginning and at the end, one side has to do.
    """
    heights_s = points[:, 1] - slope * points[:, 0]
    padded = np.pad(heights_s, _NEIGHBOURS, constant_values=np.inf)
    around = sliding_window_view(padded, _NEIGHBOURS)  # [k]: those before k; [k + N + 1]: after
    before_s, after_s = around.min(axis=1)[: len(points)], around.min(axis=1)[_NEIGHBOURS + 1 :]
    before_s[0] = after_s[-1] = -np.inf
    late = heights_s > np.maximum(before_s, after_s) + NEAR_S
    return points[~late] if np.count_nonzero(~late) > 2 else points  # noqa: PLR2004 - for a line


def fit(times_s: NDArray[np.float64], delays_s: NDArray[np.float64]) -> tuple[float, float]:
    """Return the slope of the least squares line, and the sum of these squares."""
    x, y = times_s - times_s.mean(), delays_s - delays_s.mean()
    slope = float(x @ y / max(float(x @ x), _TINY))
    rest = y - slope * x
    return slope, float(rest @ rest)


def _cost(times_s: NDArray[np.float64], delays_s: NDArray[np.float64], *, level: bool) -> float:
    """Return the squares that the best line, or the best level one, leaves."""
    return float(np.var(delays_s)) * len(delays_s) if level else fit(times_s, delays_s)[1]


def _with_rise(
    times_s: NDArray[np.float64],
    delays_s: NDArray[np.float64],
    first: int,
    *,
    falls: bool,
    level: bool,
) -> NDArray[np.float64]:
    """Return the delays without the best multiple of a step from a point on."""
    x, step = times_s - times_s.mean(), (np.arange(len(times_s)) >= first).astype(np.float64)
    step -= step.mean()
    if not level:
        step -= x * float(x @ step / max(float(x @ x), _TINY))
    rise_s = float(step @ (delays_s - delays_s.mean()) / max(float(step @ step), _TINY))
    raised = delays_s.copy()
    raised[first:] -= max(0 if not falls else -_RISES, round(rise_s / STEP_S)) * STEP_S
    return raised


def through(times_s: NDArray[np.float64], delays_s: NDArray[np.float64]) -> Line:
    """Return the least squares line."""
    slope, _ = fit(times_s, delays_s)
    return Line(slope, float(np.mean(delays_s - slope * times_s)))
