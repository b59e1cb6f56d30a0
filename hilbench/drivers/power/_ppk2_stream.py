"""What a PPK2 sends to words on one time line without holes, and the account of what was lost."""

from __future__ import annotations

import numpy as np

from hilbench.drivers.power import _ppk2_words as w
from hilbench.drivers.power._ppk2_align import Aligner, CounterGap
from hilbench.drivers.power._ppk2_clock import Clock, Reading
from hilbench.power import CaptureEnd, Gap

_COVERAGE = 3
CLOCK_LIMIT = 5e-3  # the vendor states none; any crystal keeps it by far


class Stream:
    """Takes bytes and when they were read; gives words once it is certain where they belong.

    Pure: no port, no clock of its own. Words wait until the times of arrival prove that nothing was
    lost before them (the first second of a capture, then some milliseconds).

    Args:
        address: for error sentences.
        rate_hz: of the meter by the host's clock, where an earlier capture has shown it.
    """

    def __init__(self, address: str, rate_hz: float | None = None) -> None:
        self._aligner = Aligner(address)
        self._clock = Clock(self._place, None if rate_hz is None else 1 - rate_hz / w.SAMPLE_HZ)
        self._looks: list[tuple[float, float, int]] = []  # before, after, position in the stream
        self._position = 0
        self._data: list[bytes] = []
        self._words: list[w.Words] = []  # aligned, not yet given
        self._given = 0  # on the counter's time line
        self._before: int | None = None  # the last word given
        self._inserted = 0  # of the clock's insertions, those given
        self._samples = self._lost = 0

    def add(self, data: bytes, before_s: float, after_s: float) -> None:
        """Take what one look at the port gave, and the host's time before and after it."""
        self.add_rest(data)
        self._looks.append((before_s, after_s, self._position))

    def add_rest(self, data: bytes) -> None:
        """Take what came after the stop, when the meter may hand out what it had kept back."""
        self._data.append(data)
        self._position += len(data)

    def take(self, *, last: bool = False) -> w.Words:
        """Return the words that are certain now; with ``last``, all.

        Raises:
            MeterError: no alignment makes the counter run.
        """
        data, self._data = b"".join(self._data), []
        self._words.append(self._aligner.feed(data, last=last))
        self._clock.feed(self._readings())
        if last:
            self._clock.end()
        words = np.concatenate(self._words)
        count = len(words) if last else max(0, int(self._clock.certain) - self._given)
        self._words = [words[count:]]
        return self._give(words[:count])

    def _readings(self) -> list[Reading]:
        readings: list[Reading] = []
        for k, (before_s, after_s, position) in enumerate(self._looks):
            index = self._aligner.index_of(position)
            if index is None:
                self._looks = self._looks[k:]
                return readings
            readings.append(Reading(before_s, after_s, index))
        self._looks = []
        return readings

    def _place(self, after: float, up_to: float) -> int | None:
        """Return where in a span a loss belongs: behind the largest one that the counter saw."""
        seen = [g for g in self._aligner.gaps if after <= g.start + g.samples <= up_to]
        if not seen:
            return None
        largest = max(seen, key=lambda g: g.samples)
        return largest.start + largest.samples

    def _give(self, words: w.Words) -> w.Words:
        """Put the clock's insertions into words that leave."""
        parts = []
        end = self._given + len(words)
        for insertion in self._clock.insertions[self._inserted :]:
            if insertion.at > end:
                break
            cut = insertion.at - self._given
            head, words = words[:cut], words[cut:]
            if len(head):
                parts.append(head)
                self._before = int(head[-1])
            parts.append(w.lost(insertion.samples, self._before))
            self._given = insertion.at
            self._inserted += 1
        parts.append(words)
        self._given = end
        out: w.Words = np.concatenate(parts)
        if len(words):
            self._before = int(words[-1])
        lost = int(np.count_nonzero(w.is_lost(out)))
        self._lost += lost
        self._samples += len(out) - lost
        return out

    def end(self) -> CaptureEnd:
        """Return the account, after the last ``take``."""
        rate = self._clock.rate()
        notes, uncertain = list(self._clock.notes), self._clock.uncertain
        aligner = self._aligner
        if aligner.shifts:
            notes.append(f"bytes were lost inside of samples {aligner.shifts} times")
        if aligner.skipped_bytes:
            notes.append(f"{aligner.skipped_bytes} bytes belong to no sample")
        if aligner.impossible:
            notes.append(
                f"{aligner.impossible} samples were in a range that does not exist and are lost"
            )
        if rate is not None and (
            abs(error := rate[0] / w.SAMPLE_HZ - 1) > CLOCK_LIMIT + _COVERAGE * rate[1]
        ):
            samples = round(abs(error) * (self._samples + self._lost))
            uncertain += samples
            notes.append(
                f"{rate[0]:.0f} samples arrived a second, {error:+.2%} from {w.SAMPLE_HZ:.0f}, limit "
                f"{CLOCK_LIMIT:.1%}: {samples} samples are unaccounted for"
            )
        return CaptureEnd(
            self._samples,
            self._lost,
            _gaps(aligner.gaps, self._clock),
            None if rate is None else rate[0],
            None if rate is None else rate[1],
            tuple(notes),
            uncertain,
            w.COUNTS,
        )


def _gaps(seen: list[CounterGap], clock: Clock) -> tuple[Gap, ...]:
    """Return all losses on the whole time line, in order."""
    gaps = []
    shift = 0
    insertions = list(clock.insertions)
    for gap in [*seen, None]:
        while insertions and (gap is None or insertions[0].at <= gap.start):
            insertion = insertions.pop(0)
            gaps.append(Gap(insertion.at + shift, insertion.samples, "clock"))
            shift += insertion.samples
        if gap is not None:
            gaps.append(Gap(gap.start + shift, gap.samples, gap.by))
    return tuple(gaps)
