"""Losses that the PPK2's counter cannot see: multiples of 64 samples, by the times of arrival.

A sample arrives some delay after it was taken: never less than a floor, and again and again hardly
more. On the floor, arrival time is a straight line over the sample's index (its slope: the meter's
clock against the host's). After a loss the line is higher by the time that was lost, a multiple of
640 us; a late reading is above the line, too, but the next ones come back to it. So a reading on the
floor proves that nothing was lost before it, and what came before is let go; where nothing comes
back to the floor for a while, the lowest readings tell how much was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.drivers.power import _ppk2_floor as floor
from hilbench.drivers.power import _ppk2_words as w
from hilbench.drivers.power._ppk2_floor import NEAR_S, STEP_S

_START_S = 1.0  # until the slope is known well enough
_START_KNOWN_S = 0.2
_START_LONGEST_S, _SCATTER_S = 2.0, 1.5e-4  # where the lowest readings scatter more than this
_START_AGAIN_S = 0.25
_SHORTEST_S, _FEWEST = 0.1, 10  # of a capture whose clock can be looked at
_DOUBT_S, _DOUBT_READINGS = 0.5, 16  # off the floor: then samples are lost
_DOUBT_UNSEEN_S = 1.5  # where the counter saw no loss at all: a load of the host is more likely
_DOUBT_LONGEST_S = 2.0
_CLEAR = 0.25  # of a step: how near a rise of the floor has to be to a multiple
_SHARED = 4  # readings that make a new floor
_SHARP, _SHARP_SEEN = 0.08, 0.02  # share of readings on a new floor: others are only late
_BLIND_S = 4.0
_END_S, _END_READINGS = 0.1, 8  # of a capture: too short to tell late from lost
_FLOOR_SLOTS = 80  # 4 s
_PASSES = 3
_LOOK_BACK_POINTS = 64


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
        slope: of the line, where an earlier capture has shown it: then there is less to wait for.

    Attributes:
        certain: up to here on the counter's time line all losses are found.
        insertions: the losses, in order.
        uncertain: samples whose loss, or presence, cannot be told.
        notes: about these.
    """

    def __init__(
        self, place: Callable[[float, float], int | None], slope: float | None = None
    ) -> None:
        self.certain = 0.0
        self.insertions: list[Insertion] = []
        self.uncertain = 0
        self.notes: list[str] = []
        self._place = place
        self._known_slope = slope
        self._start_s = _START_S if slope is None else _START_KNOWN_S
        self._waiting: list[Reading] = []  # until the slope is known
        self._doubtful: list[Reading] = []  # since the floor was seen last
        self._inserted = 0
        self._blind_s = 0.0  # since the floor was seen last, of what was let go
        self._line: floor.Line | None = None
        self._floor = floor.Lowest(0.0, _FLOOR_SLOTS)
        self._rate = floor.Lowest(0.0)

    def feed(self, readings: Sequence[Reading]) -> None:
        """Take readings."""
        for reading in readings:
            self._step(reading)

    def _wait(self, reading: Reading) -> None:
        """Keep a reading until there are enough to take a line from."""
        self._waiting.append(reading)
        span_s = reading.before_s - self._waiting[0].before_s
        if span_s >= self._start_s:
            self._start(final=span_s >= _START_LONGEST_S)

    def end(self) -> None:
        """Decide about what is still in doubt."""
        if self._line is None:
            begun_s = self._waiting[0].before_s if self._waiting else 0.0
            if len(self._waiting) < _FEWEST or self._waiting[-1].before_s - begun_s < _SHORTEST_S:
                if self.certain:
                    return
                self.notes.append(
                    f"the capture is shorter than {_SHORTEST_S:g} s: losses of multiples of "
                    f"{w.COUNTS} samples cannot be seen"
                )
                return
            self._start(final=True)
        self._look_back()
        if len(self._doubtful) >= _DOUBT_READINGS:
            self._decide(final=True)
        doubt = self._doubtful
        if self._line is None or len(doubt) < _END_READINGS:
            return
        if doubt[-1].before_s - doubt[0].before_s < _END_S:
            return
        samples = max(1, round(min(map(self._above, doubt)) / STEP_S)) * w.COUNTS
        self.uncertain += samples
        self.notes.append(
            f"the last {doubt[-1].before_s - doubt[0].before_s:.2f} s arrived late: up to "
            f"{samples} samples may be missing there"
        )

    def _look_back(self) -> None:
        """Look for losses that are seen now that the slope is known, or that were none."""
        points = self._rate.points()
        size = -(-len(points) // _LOOK_BACK_POINTS)
        if len(points) < _END_READINGS:
            return
        slope, _ = floor.fit(*np.array(points).T)
        lowest = [
            min(points[k : k + size], key=lambda p: p[1] - slope * p[0])
            for k in range(0, len(points), size)
        ]
        times_s, delays_s = np.array(lowest).T
        explained = floor.explained(times_s, delays_s, falls=True, level=False)
        steps = np.diff(np.rint((delays_s - explained) / STEP_S))
        if samples := int(np.abs(steps).sum()) * w.COUNTS:
            self.uncertain += samples
            self.notes.append(
                f"seen from its end, {samples} samples of the capture may be lost that are not "
                f"counted, or counted that are not lost"
            )

    def rate(self) -> tuple[float, float] | None:
        """Return the meter's rate by the host's clock, Hz, and its relative standard uncertainty."""
        points = np.array(self._rate.points())
        if len(points) < 3 or (span_s := float(np.ptp(points[:, 0]))) < _START_S:  # noqa: PLR2004
            return None
        line = floor.through(points[:, 0], points[:, 1])
        above_s = points[:, 1] - line.at(points[:, 0])
        return w.SAMPLE_HZ * (1 - line.slope), float(np.sqrt(np.mean(above_s**2))) / span_s

    def _delay(self, reading: Reading) -> float:
        """Return how late a reading is, but for a constant, at the nominal rate."""
        return reading.before_s - (reading.index + self._inserted) / w.SAMPLE_HZ

    def _points(self, readings: Sequence[Reading]) -> list[tuple[float, float]]:
        return [(r.before_s, self._delay(r)) for r in readings]

    def _above(self, reading: Reading) -> float:
        assert self._line is not None
        return self._delay(reading) - self._line.at(reading.before_s)

    def _start(self, *, final: bool) -> None:
        """Take a first line, though samples may have been lost below it."""
        slope = self._known_slope or 0.0
        for _ in range(_PASSES):  # what is lowest depends on the slope
            points = floor.lowest_of(self._points(self._waiting), slope)
            points = floor.without_late(
                points, slope if self._known_slope else floor.usual_slope(points)
            )
            explained = floor.without_rises(*points.T)
            line = floor.through(points[:, 0], explained)
            slope = self._known_slope or line.slope
        if not final and floor.fit(points[:, 0], explained)[1] > len(points) * _SCATTER_S**2:
            self._start_s += _START_AGAIN_S
            return
        middle_s = float(points[:, 0].mean())
        self._line = floor.Line(slope, line.at(middle_s) - slope * middle_s)
        self._floor, self._rate = floor.Lowest(slope, _FLOOR_SLOTS), floor.Lowest(slope)
        waiting, self._waiting = self._waiting, []
        for reading in waiting:
            self._step(reading)

    def _step(self, reading: Reading) -> None:
        if self._line is None:
            self._wait(reading)
            return
        above_s = self._above(reading)
        looked_s = reading.after_s - reading.before_s
        if above_s < -NEAR_S:
            if above_s + looked_s >= -NEAR_S:
                return  # put off between the clock and the port
            self._lower(above_s)
        if above_s >= NEAR_S:
            self._doubtful.append(reading)
            first = self._doubtful[0]
            if (
                len(self._doubtful) >= _DOUBT_READINGS
                and reading.before_s - first.before_s >= _DOUBT_S
            ):
                self._decide(final=reading.before_s - first.before_s >= _DOUBT_LONGEST_S)
            return
        self._doubtful.clear()
        self._blind_s = 0.0
        self.certain = max(self.certain, reading.index)
        self._add(reading)

    def _add(self, reading: Reading) -> None:
        delay_s = self._delay(reading)
        self._rate.add(reading.before_s, delay_s)
        if self._floor.add(reading.before_s, delay_s) and self._floor.span_s >= _START_S:
            self._line = floor.through(*np.array(self._floor.points()).T)

    def _lower(self, by_s: float) -> None:
        """The floor was not the floor; where samples were inserted, they may have been too many."""
        assert self._line is not None
        steps = round(-by_s / STEP_S)
        self._line = floor.Line(self._line.slope, self._line.offset + by_s)
        if steps * w.COUNTS <= self._inserted and abs(-by_s / STEP_S - steps) < _CLEAR:
            self.uncertain += steps * w.COUNTS
            self.notes.append(
                f"{steps * w.COUNTS} samples that were taken for lost may have been late instead"
            )
            self._floor = floor.Lowest(self._line.slope, _FLOOR_SLOTS)

    def _decide(self, *, final: bool) -> None:
        """Nothing came back to the floor: find how much was lost."""
        rises_s = np.array([self._above(r) for r in self._doubtful])
        rise_s = self._new_floor(rises_s)
        # What was read earlier came before the loss, late.
        after = int(np.argmax(np.abs(rises_s - rise_s) < _CLEAR * STEP_S))
        seen_at = self._place(self.certain, self._doubtful[after].index)
        span_s = self._doubtful[-1].before_s - self._doubtful[0].before_s
        sharp = float(np.mean(np.abs(rises_s[after:] - rise_s) < _CLEAR * STEP_S))
        if sharp < (_SHARP if seen_at is None else _SHARP_SEEN):
            self._let_go(span_s)
            return
        if seen_at is None and span_s < _DOUBT_UNSEEN_S and not final:
            return
        steps = round(rise_s / STEP_S)
        if abs(rise_s / STEP_S - steps) > _CLEAR:
            if not final:
                return
            steps = self._unclear(rise_s, seen=seen_at is not None)
        if steps:
            at = int(self.certain) if seen_at is None else seen_at
            self.insertions.append(Insertion(at, steps * w.COUNTS))
            self._inserted += steps * w.COUNTS
        again, self._doubtful = self._doubtful[after:], []
        for reading in again:
            self._step(reading)

    def _let_go(self, span_s: float) -> None:
        """Where the host is too busy to tell late from lost, take nothing for lost, and go on."""
        if span_s < _DOUBT_UNSEEN_S:
            return
        self.certain = self._doubtful[-1].index
        self._blind_s += span_s
        self._doubtful = self._doubtful[len(self._doubtful) // 2 :]
        if self._blind_s > _BLIND_S:  # the line may be what is wrong
            self._blind_s = 0.0
            self.uncertain += w.COUNTS
            self.notes.append(
                f"for {_BLIND_S:g} s the host was too busy to tell late samples from lost ones: "
                f"{w.COUNTS} or more may be missing there"
            )
            self._waiting, self._doubtful, self._line = self._doubtful, [], None
            self._known_slope, self._start_s = None, _START_S

    def _new_floor(self, rises_s: NDArray[np.float64]) -> float:
        """Return the rise of the floor; a single late reading before a loss is no floor."""
        assert self._line is not None
        ordered = np.sort(rises_s)
        shared = ordered[_SHARED - 1 :] - ordered[: len(ordered) - _SHARED + 1] < _CLEAR * STEP_S
        lowest_s = float(ordered[np.argmax(shared)])
        points = floor.lowest_of(self._points(self._doubtful), self._line.slope)
        slots_s = points[:, 1] - self._line.at(points[:, 0])
        return float(np.median([*slots_s[np.abs(slots_s - lowest_s) < NEAR_S], lowest_s]))

    def _unclear(self, rise_s: float, *, seen: bool) -> int:
        """Take a rise that is no multiple as what it is more likely, and say so.

        Where the counter saw nothing, a load of the host is; else a loss is known at that place.
        """
        assert self._line is not None
        steps = round(rise_s / STEP_S) if seen else int(rise_s / STEP_S + _CLEAR)
        self._line = floor.Line(self._line.slope, self._line.offset + rise_s - steps * STEP_S)
        self._floor = floor.Lowest(self._line.slope, _FLOOR_SLOTS)
        self.uncertain += w.COUNTS
        self.notes.append(
            f"samples arrive {rise_s * 1e3:.2f} ms later than before, which is no multiple of "
            f"{STEP_S * 1e3:g} ms: {steps * w.COUNTS} samples are taken for lost, {w.COUNTS} more "
            f"or less"
        )
        return steps
