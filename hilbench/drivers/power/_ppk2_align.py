"""Bytes of a PPK2 to words on the time line of its counter.

The stream has no frame but the counter in every word. Where it does not go on by one, either
samples are lost, or a byte is and all that follows is shifted: the alignment that makes the counter
run again tells which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hilbench.drivers.power import _ppk2_words as w
from hilbench.errors import MeterError

_LOOK = 16  # words that decide on an alignment
_STEPS = _LOOK - 1
_RIGHT = (2, 3)  # of these steps at least; any other alignment has hardly one
_GIVE_BACK = 2  # words before a shift that may have been read wrongly
_SEARCH_BYTES = 8192
_TOP_RANGE = 4
_WORD = w.SAMPLE_BYTES


@dataclass(frozen=True)
class CounterGap:
    """Samples that the counter, or an impossible word, says are lost."""

    start: int  # on the counter's time line
    samples: int
    by: Literal["counter", "meter"] = "counter"


class Aligner:
    """Aligns bytes as they come; how they are split does not matter.

    Attributes:
        gaps: found so far, in order.
        shifts: how often the alignment changed because bytes were lost or came in.
        skipped_bytes: that belong to no sample.
        impossible: words whose range no PPK2 has; they are lost samples.
    """

    def __init__(self, address: str) -> None:
        self.gaps: list[CounterGap] = []
        self.shifts = 0
        self.skipped_bytes = 0
        self.impossible = 0
        self._address = address
        self._rest = b""
        self._rest_at = 0  # its position in the stream
        self._before: int | None = None  # the last word
        self._length = 0  # of the time line
        self._marks: list[tuple[int, int]] = []  # positions in the stream and on the time line
        self._known_to = 0  # position in the stream up to which ``index_of`` can tell

    def feed(self, data: bytes, *, last: bool = False) -> w.Words:
        """Return the words that are certain, lost ones among them.

        Raises:
            MeterError: no alignment makes the counter run.
        """
        buffer = self._rest + data
        parts: list[w.Words] = []
        self._marks = [(self._rest_at, self._length)]
        at = self._align(buffer, parts, last=last)
        if last:
            self.skipped_bytes += len(buffer) - at
            at = len(buffer)
        self._rest = buffer[at:]
        self._rest_at += at
        return np.concatenate(parts) if parts else np.empty(0, w.DTYPE)

    def index_of(self, position: int) -> float | None:
        """Return the place of a position in the stream on the time line; None: not known yet."""
        if position > self._known_to:
            return None
        byte, index = next(m for m in reversed(self._marks) if m[0] <= position)
        return index + (position - byte) / _WORD

    def _align(self, buffer: bytes, parts: list[w.Words], *, last: bool) -> int:
        """Take what is certain; return where the rest begins."""
        at = 0
        self._known_to = self._rest_at
        if self._before is None:
            found = _find(buffer, 0, last=last)
            if found is None:
                self._check_search(len(buffer))
                return 0
            at = self._skip(0, found)
        while True:
            words = np.frombuffer(buffer, w.DTYPE, (len(buffer) - at) // _WORD, at)
            count = self._running(words)
            if count == len(words):
                self._known_to = self._rest_at + len(buffer)
                return at + self._take(words if last else words[:-_GIVE_BACK], parts)
            here = at + count * _WORD
            if len(buffer) - here < (_LOOK + 1) * _WORD and not last:
                self._known_to = self._rest_at + here
                return at + self._take(words[: max(0, count - _GIVE_BACK)], parts)
            if _is_aligned(buffer, here):
                self._take(words[:count], parts)
                at = here
            elif (found := _find(buffer, here + 1, last=last)) is not None:
                at = self._shift(buffer, at, here, found, parts)
            else:
                self._check_search(len(buffer) - here)
                self._known_to = self._rest_at + here
                return at + self._take(words[: max(0, count - _GIVE_BACK)], parts)
            if len(buffer) - at < _WORD:
                return at
            self._bridge(int.from_bytes(buffer[at : at + _WORD], "little"), parts)
            self._marks.append((self._rest_at + at, self._length))

    def _running(self, words: w.Words) -> int:
        """Return how many words go on by one from the last."""
        if not len(words):
            return 0
        counter = w.counter(words)
        if self._before is not None and counter[0] != self._expected():
            return 0
        wrong = (np.diff(counter) & (w.COUNTS - 1)) != 1
        return int(np.argmax(wrong)) + 1 if wrong.any() else len(words)

    def _expected(self) -> int:
        assert self._before is not None
        return (w.counter_of(self._before) + 1) % w.COUNTS

    def _take(self, words: w.Words, parts: list[w.Words]) -> int:
        """Put words on the time line; return their bytes."""
        if not len(words):
            return 0
        bad = np.flatnonzero(w.range_of(words) > _TOP_RANGE)
        taken = words
        if len(bad):
            taken = words.copy()
            for k in bad:
                before = taken[k - 1] if k else self._before
                taken[k] = w.lost(1, before)[0]
                self.gaps.append(CounterGap(self._length + int(k), 1, "meter"))
            self.impossible += len(bad)
        parts.append(taken)
        self._before = int(taken[-1])
        self._length += len(taken)
        return len(words) * _WORD

    def _bridge(self, word: int, parts: list[w.Words]) -> None:
        """Put lost samples between the last word and this one; say so to the counter."""
        if self._before is None:
            return
        missing = (w.counter_of(word) - self._expected()) % w.COUNTS
        if missing:
            self.gaps.append(CounterGap(self._length, missing))
            self._take_lost(missing, parts)

    def _take_lost(self, count: int, parts: list[w.Words]) -> None:
        words = w.lost(count, self._before)
        parts.append(words)
        self._before = int(words[-1])
        self._length += count

    def _shift(self, buffer: bytes, at: int, here: int, found: int, parts: list[w.Words]) -> int:
        """Change the alignment; words that both alignments claim are given up.

        A byte that is lost may leave the counter of its word intact, and other bytes look like a
        counter once in 64. The first word of the new alignment is given up, too: its beginning may
        be what was lost.
        """
        first = found
        while first - _WORD >= max(at, here - _GIVE_BACK * _WORD) and _steps(buffer, first - _WORD):
            first -= _WORD
        given_up = max(0, -(-(here - first) // _WORD))
        start = first + (given_up + 1) * _WORD
        good = np.frombuffer(buffer, w.DTYPE, (here - at) // _WORD, at)
        self._take(good[: max(0, len(good) - given_up)], parts)
        self.shifts += 1
        return self._skip(here - given_up * _WORD, start)

    def _skip(self, at: int, to: int) -> int:
        self.skipped_bytes += to - at
        return to

    def _check_search(self, searched: int) -> None:
        if searched > _SEARCH_BYTES:
            raise MeterError(
                f"PPK2 at {self._address}: in {searched} bytes no alignment makes the sample "
                f"counter run, limit {_SEARCH_BYTES} bytes; is the port its measuring port? unplug "
                f"it, plug it in and try again"
            )


def _counters(buffer: bytes, offset: int) -> NDArray[np.uint8]:
    """Return what the counter would be of a word at each offset."""
    third_bytes = np.frombuffer(buffer, np.uint8, offset=min(len(buffer), offset + 2))[:-1]
    return np.right_shift(third_bytes, 2, dtype=np.uint8)


def _steps(buffer: bytes, offset: int) -> bool:
    """Say whether the words at and after an offset have successive counters."""
    return ((buffer[offset + _WORD + 2] >> 2) - (buffer[offset + 2] >> 2)) % w.COUNTS == 1


def _is_aligned(buffer: bytes, offset: int) -> bool:
    """Say whether the counter runs from an offset on, except for a few gaps."""
    counters = _counters(buffer, offset)[: _LOOK * _WORD : _WORD]
    right = int(np.count_nonzero((np.diff(counters) & (w.COUNTS - 1)) == 1))
    return len(counters) > 1 and right * _RIGHT[1] >= (len(counters) - 1) * _RIGHT[0]


def _find(buffer: bytes, offset: int, *, last: bool) -> int | None:
    """Return the first offset from which on the counter runs."""
    counters = _counters(buffer, offset)
    steps = ((counters[_WORD:] - counters[:-_WORD]) & (w.COUNTS - 1)) == 1
    right = np.zeros(len(steps), np.int64)
    for k in range(_STEPS):
        right[: max(0, len(steps) - k * _WORD)] += steps[k * _WORD :]
    there = np.minimum(_STEPS, (len(steps) - np.arange(len(steps)) + _WORD - 1) // _WORD)
    good = steps & (right * _RIGHT[1] >= there * _RIGHT[0])
    if not last:
        good &= there == _STEPS
    return offset + int(np.argmax(good)) if good.any() else None
