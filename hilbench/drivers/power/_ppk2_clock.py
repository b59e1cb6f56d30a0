"""Losses that the PPK2's counter cannot see: multiples of 64 samples, by the times of arrival.

A sample arrives some delay after it was taken: never less than a floor, and again and again hardly
more. On the floor, arrival time is a straight line over the sample's index (its slope: the meter's
clock against the host's). After a loss the line is higher by the time that was lost, a multiple of
640 us; a late reading is above the line, too, but the next ones come back to it. So a reading on the
floor proves that nothing was lost before it, and what came before is let go; where nothing comes
back to the floor for a while, the lowest readings tell how much was lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hilbench.drivers.power import _ppk2_words as w

Times = TypeVar("Times", float, NDArray[np.float64])

STEP_S = w.COUNTS / w.SAMPLE_HZ
_NEAR_S = STEP_S / 2  # of the floor
_START_S = 1.0  # until the slope is known well enough
_SHORTEST_S, _FEWEST = 0.1, 10  # of a capture whose clock can be looked at
_DOUBT_S, _DOUBT_READINGS = 0.5, 16  # off the floor: then samples are lost
_DOUBT_LONGEST_S = 2.0
_CLEAR = 0.25  # of a step: how near a rise of the floor has to be to a multiple
_SHARED = 4  # readings that make a new floor
_END_S, _END_READINGS = 0.02, 4  # of a capture: too short to tell late from lost
_SLOT_S = 0.05  # of which the lowest reading is kept
_FLOOR_SLOTS = 80  # 4 s
_LOW = 0.2  # quantile of the lowest readings that is taken for the floor
_RATE_POINTS = 1024


@dataclass(frozen=True)
class Reading:
    """What had arrived when the host looked. The look took place between both times."""

    before_s: float
    after_s: float
    index: float  # samples on the counter's time line


@dataclass(frozen=True)
class Insertion:
    """Samples that the counter did not see."""

    at: int  # on the counter's time line: the earliest that it can be
    samples: int


class Clock:
    """Finds losses from readings in the order of time.

    Args:
        place: given the span (after, up to) in which samples were lost, where in it, or None.

    Attributes:
        certain: up to here on the counter's time line all losses are found.
        insertions: the losses, in order.
        uncertain: samples whose loss, or presence, cannot be told.
        notes: about these.
    """

    def __init__(self, place: Callable[[float, float], int | None]) -> None:
        self.certain = 0.0
        self.insertions: list[Insertion] = []
        self.uncertain = 0
        self.notes: list[str] = []
        self._place = place
        self._waiting: list[Reading] = []  # until the slope is known
        self._doubtful: list[Reading] = []  # since the floor was seen last
        self._inserted = 0
        self._line: _Line | None = None
        self._floor = _Lowest(0.0, _FLOOR_SLOTS)
        self._rate = _Lowest(0.0)

    def feed(self, readings: Sequence[Reading]) -> None:
        """Take readings."""
        if self._line is not None:
            for reading in readings:
                self._step(reading)
            return
        self._waiting += readings
        if self._waiting and self._waiting[-1].before_s - self._waiting[0].before_s >= _START_S:
            self._start()

    def end(self) -> None:
        """Decide about what is still in doubt."""
        if self._line is None:
            begun_s = self._waiting[0].before_s if self._waiting else 0.0
            if len(self._waiting) < _FEWEST or self._waiting[-1].before_s - begun_s < _SHORTEST_S:
                self.notes.append(
                    f"the capture is shorter than {_SHORTEST_S:g} s: losses of multiples of "
                    f"{w.COUNTS} samples cannot be seen"
                )
                return
            self._start()
        doubt = self._doubtful
        if len(doubt) < _END_READINGS or doubt[-1].before_s - doubt[0].before_s < _END_S:
            return
        if len(doubt) >= _DOUBT_READINGS:
            self._decide(final=True)
            return
        samples = max(1, round(min(map(self._above, doubt)) / STEP_S)) * w.COUNTS
        self.uncertain += samples
        self.notes.append(
            f"the last {doubt[-1].before_s - doubt[0].before_s:.2f} s arrived late: up to "
            f"{samples} samples may be missing there"
        )

    def rate(self) -> tuple[float, float] | None:
        """Return the meter's rate by the host's clock, Hz, and its relative standard uncertainty."""
        points = np.array(self._rate.points())
        if len(points) < 3 or (span_s := float(np.ptp(points[:, 0]))) < _START_S:  # noqa: PLR2004
            return None
        line = _floor_of(points)
        above_s = points[:, 1] - line.at(points[:, 0])
        return w.SAMPLE_HZ * (1 - line.slope), float(np.sqrt(np.mean(above_s**2))) / span_s

    def _delay(self, reading: Reading) -> float:
        """Return how late a reading is, but for a constant, at the nominal rate."""
        return reading.before_s - (reading.index + self._inserted) / w.SAMPLE_HZ

    def _above(self, reading: Reading) -> float:
        assert self._line is not None
        return self._delay(reading) - self._line.at(reading.before_s)

    def _start(self) -> None:
        """Take a first line: the slope of most pairs of slots, so that a loss does not tilt it."""
        slope = 0.0
        for _ in range(2):  # what is lowest depends on the slope
            lowest = _Lowest(slope)
            for reading in self._waiting:
                lowest.add(reading.before_s, self._delay(reading))
            points = np.array(lowest.points())
            slope = _slope_but_for_rises(points)
        begin = points[: max(1, len(points) // 4)]
        self._line = _Line(slope, float(np.min(begin[:, 1] - slope * begin[:, 0])))
        self._floor, self._rate = _Lowest(slope, _FLOOR_SLOTS), _Lowest(slope)
        waiting, self._waiting = self._waiting, []
        for reading in waiting:
            self._step(reading)

    def _step(self, reading: Reading) -> None:
        above_s = self._above(reading)
        looked_s = reading.after_s - reading.before_s
        if above_s < -_NEAR_S:
            if above_s + looked_s >= -_NEAR_S:
                return  # put off between the clock and the port
            self._lower(above_s)
        if above_s >= _NEAR_S:
            self._doubtful.append(reading)
            first = self._doubtful[0]
            if (
                len(self._doubtful) >= _DOUBT_READINGS
                and reading.before_s - first.before_s >= _DOUBT_S
            ):
                self._decide(final=reading.before_s - first.before_s >= _DOUBT_LONGEST_S)
            return
        self._doubtful.clear()
        self.certain = reading.index
        self._add(reading)

    def _add(self, reading: Reading) -> None:
        delay_s = self._delay(reading)
        self._rate.add(reading.before_s, delay_s)
        if self._floor.add(reading.before_s, delay_s) and self._floor.span_s >= _DOUBT_S:
            self._line = _floor_of(np.array(self._floor.points()))

    def _lower(self, by_s: float) -> None:
        """The floor was not the floor; where samples were inserted, they may have been too many."""
        assert self._line is not None
        steps = min(round(-by_s / STEP_S), self._inserted // w.COUNTS)
        if steps:
            self.uncertain += steps * w.COUNTS
            self.notes.append(
                f"{steps * w.COUNTS} samples that were taken for lost may have been late instead"
            )
        self._line = _Line(self._line.slope, self._line.offset + by_s)
        self._floor = _Lowest(self._line.slope, _FLOOR_SLOTS)

    def _decide(self, *, final: bool) -> None:
        """Nothing came back to the floor: find how much was lost."""
        rises_s = np.array([self._above(r) for r in self._doubtful])
        rise_s = _new_floor(rises_s)
        steps = max(1, round(rise_s / STEP_S))
        if abs(rise_s / STEP_S - steps) > _CLEAR:
            if not final:
                return
            self.uncertain += w.COUNTS
            self.notes.append(
                f"arrival was late for good by {rise_s * 1e3:.2f} ms, which is no multiple of "
                f"{STEP_S * 1e3:g} ms: {steps * w.COUNTS} samples are taken for lost, "
                f"{w.COUNTS} more or less"
            )
        # What was read earlier came before the loss, late.
        after = int(np.argmax(np.abs(rises_s - rise_s) < _CLEAR * STEP_S))
        at = self._place(self.certain, self._doubtful[after].index)
        self.insertions.append(Insertion(int(self.certain) if at is None else at, steps * w.COUNTS))
        self._inserted += steps * w.COUNTS
        again, self._doubtful = self._doubtful[after:], []
        for reading in again:
            self._step(reading)


def _new_floor(rises_s: NDArray[np.float64]) -> float:
    """Return the lowest rise that others share: a single late reading before a loss is no floor."""
    ordered = np.sort(rises_s)
    shared = ordered[_SHARED - 1 :] - ordered[: len(ordered) - _SHARED + 1] < _CLEAR * STEP_S
    return float(ordered[np.argmax(shared)])


@dataclass(frozen=True)
class _Line:
    slope: float
    offset: float

    def at(self, time_s: Times) -> Times:
        return self.offset + self.slope * time_s


class _Lowest:
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


def _slope_but_for_rises(points: NDArray[np.float64]) -> float:
    """Return the mean slope of points [n, 2] without the pairs between which samples were lost."""
    times_s, rises_s = np.diff(points, axis=0).T
    slope = float(np.median(rises_s / times_s))
    for _ in range(2):
        level = np.abs(rises_s - slope * times_s) < _NEAR_S
        if not level.any():
            break
        slope = float(rises_s[level].sum() / times_s[level].sum())
    return slope


def _floor_of(points: NDArray[np.float64]) -> _Line:
    """Return the line through points [n, 2] near the floor, as low as the lower ones of them."""
    middle_s = points[:, 0].mean()
    times_s = points[:, 0] - middle_s
    slope = float(times_s @ points[:, 1] / (times_s @ times_s))
    heights_s = points[:, 1] - slope * points[:, 0]
    return _Line(slope, float(np.quantile(heights_s, _LOW)))
