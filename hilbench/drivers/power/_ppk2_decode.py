"""Words of a PPK2 to current, logic and range; and what to do about its range switches.

The first samples after a change of range are taken while the amplifier settles. The vendor replaces
them by a running mean of what was before, which is wrong by per cents in a window that is as short
as an inference. Here they take the value of the first settled sample after them ("hold"); the
vendor's filter is there for comparison, and because the difference of both is how well the charge
of a switch is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hilbench.drivers.power import _ppk2_words as w

Filter = Literal["hold", "vendor"]

SETTLING = 3  # samples, with the one that shows the new range
REACH = (
    64  # samples ahead that a settled one is looked for; in worse chatter a sample stays as it is
)

_ALPHA, _ALPHA_TOP = 0.18, 0.06  # the vendor's, of all ranges and of the last
_TOP_RANGE = 4
_TOP_SKIPS = 2  # samples after a change into the last range that its running means leave out
_TAPS, _TAPS_TOP = 190, 600  # weights below 1e-16 are left out
_ROWS = 256  # gathered at once, so that chatter does not need memory


@dataclass(frozen=True)
class Decoded:
    """Samples of consecutive words."""

    words: w.Words
    current_a: NDArray[np.float64]
    vendor_a: NDArray[np.float64]  # by the vendor's filter
    logic: NDArray[np.uint8]
    range: NDArray[np.uint8]
    valid: NDArray[np.bool_]


class Decoder:
    """Decodes words as they come; how they are split does not matter.

    Args:
        table: float64 [131072], ampere by the low 17 bits of a word.
        filter_: what becomes of unsettled samples.
    """

    def __init__(self, table: NDArray[np.float64], filter_: Filter = "hold") -> None:
        self._table, self._filter = table, filter_
        self._held = np.empty(0, w.DTYPE)
        self._changes = _Changes()
        self._vendor = VendorFilter()

    def feed(self, words: w.Words) -> Decoded:
        """Decode what can be; unsettled samples at the end wait for those that settle them."""
        return self._decode(words, last=False)

    def end(self) -> Decoded:
        """Decode what is left: unsettled samples at the very end stay as they came."""
        return self._decode(np.empty(0, w.DTYPE), last=True)

    def _decode(self, words: w.Words, *, last: bool) -> Decoded:
        if len(self._held):
            words = np.concatenate((self._held, words))
        current = self._table.take(words & w.TABLE_MASK, mode="clip")
        valid = current == current  # noqa: PLR0124 - NaN, in half of isnan's time
        ranges = w.range_of(words)
        blocked = np.empty(0, np.intp)  # lost or unsettled
        if not valid.all():
            blocked = np.flatnonzero(~valid)
            ranges[blocked] = words[blocked] & 7
        unsettled, _ = self._changes.unsettled(ranges)
        cut = len(words)
        if len(unsettled):
            blocked = np.union1d(unsettled, blocked)
            unsettled = unsettled[valid[unsettled]]
            if not last:
                cut = _decidable(unsettled, blocked, len(words))
        self._held = words[cut:]
        words, current, valid, ranges = words[:cut], current[:cut], valid[:cut], ranges[:cut]
        self._changes.advance(ranges)
        vendor = self._vendor(current, ranges, valid)
        if self._filter == "vendor":
            current = vendor
        elif len(unsettled):
            current = _hold_forward(current, unsettled, blocked)
        return Decoded(words, current, vendor, w.logic_of(words), ranges, valid)


def _decidable(unsettled: NDArray[np.intp], blocked: NDArray[np.intp], count: int) -> int:
    """Return how many samples have all they need: the first that may yet be settled ends them."""
    settled_by = _next_free(unsettled, blocked)
    waiting = unsettled[(settled_by >= count) & (unsettled >= count - REACH)]
    return int(waiting[0]) if len(waiting) else count


def _next_free(of: NDArray[np.intp], blocked: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the first sample after each that is not blocked; ``of`` is part of ``blocked``."""
    run_ends = np.append(np.flatnonzero(np.diff(blocked) != 1), len(blocked) - 1)
    at = np.searchsorted(blocked, of)
    last: NDArray[np.intp] = blocked[run_ends[np.searchsorted(run_ends, at)]]
    return last + 1


def _hold_forward(
    current: NDArray[np.float64], unsettled: NDArray[np.intp], blocked: NDArray[np.intp]
) -> NDArray[np.float64]:
    source = _next_free(unsettled, blocked)
    found = (source < len(current)) & (source - unsettled <= REACH)
    held = current.copy()
    held[unsettled[found]] = current[source[found]]
    return held


class _Changes:
    """Changes of range, across the borders of what is fed."""

    def __init__(self) -> None:
        self._range: int | None = None  # of the last sample
        self._since = SETTLING  # samples since the last change, as seen by the next one

    def _find(self, ranges: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Return where the range changes; negative: before what is fed."""
        changes = np.flatnonzero(ranges[1:] != ranges[:-1]) + 1
        if len(ranges) and self._range is not None and ranges[0] != self._range:
            changes = np.insert(changes, 0, 0)
        return changes if self._since >= SETTLING else np.insert(changes, 0, -self._since)

    def unsettled(self, ranges: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the samples that are not settled, and how many samples ago the range changed."""
        changes = self._find(ranges)
        if not len(changes):
            return changes, changes
        after = np.unique(changes[:, None] + np.arange(SETTLING))
        after = after[(after >= 0) & (after < len(ranges))]
        return after, after - changes[np.searchsorted(changes, after, "right") - 1]

    def advance(self, ranges: NDArray[np.uint8]) -> None:
        """Take samples for granted."""
        if not len(ranges):
            return
        changes = self._find(ranges)
        since = len(ranges) - int(changes[-1]) if len(changes) else SETTLING
        self._since = min(since, SETTLING)
        self._range = int(ranges[-1])


class VendorFilter:
    """The filter of the vendor's app: two running means over all samples, exponentially weighted.

    They replace the samples that are not settled; that of the last range is slower, and both leave
    the first samples in the last range out. Lost samples are as if they had never been.
    """

    def __init__(self) -> None:
        self._changes = _Changes()
        self._history: NDArray[np.float64] | None = None  # [_TAPS_TOP] of what the means are over

    def __call__(
        self, current: NDArray[np.float64], ranges: NDArray[np.uint8], valid: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return the filtered current of samples that follow those of the last call."""
        if valid.all():
            return self._filtered(current, ranges)
        out = np.full_like(current, np.nan)
        out[valid] = self._filtered(current[valid], ranges[valid])
        return out

    def _filtered(
        self, current: NDArray[np.float64], ranges: NDArray[np.uint8]
    ) -> NDArray[np.float64]:
        if not len(current):
            return current
        if self._history is None:  # a mean over what was always the first sample is that sample
            self._history = np.full(_TAPS_TOP, current[0])
        unsettled, since = self._changes.unsettled(ranges)
        self._changes.advance(ranges)
        if not len(unsettled):
            self._history = np.concatenate((self._history, current[-_TAPS_TOP:]))[-_TAPS_TOP:]
            return current
        on_top = ranges[unsettled] == _TOP_RANGE
        skipped = unsettled[on_top & (since < _TOP_SKIPS)]
        series = np.concatenate((self._history, np.delete(current, skipped)))
        self._history = series[-_TAPS_TOP:]
        last = _TAPS_TOP + unsettled - np.searchsorted(skipped, unsettled, "right")
        out = current.copy()
        out[unsettled[~on_top]] = _running_mean(series, last[~on_top], _ALPHA, _TAPS)
        out[unsettled[on_top]] = _running_mean(series, last[on_top], _ALPHA_TOP, _TAPS_TOP)
        return out


def _running_mean(
    series: NDArray[np.float64], last: NDArray[np.intp], alpha: float, taps: int
) -> NDArray[np.float64]:
    """Return the exponentially weighted mean of all up to and with ``last``, for each of these."""
    weights = alpha * (1 - alpha) ** np.arange(taps - 1, -1, -1)
    windows = sliding_window_view(series, taps)
    means = np.empty(len(last))
    for k in range(0, len(last), _ROWS):
        rows = slice(k, k + _ROWS)
        # Not with @: the threads of a BLAS would spin for hundreds of microseconds after it.
        means[rows] = np.einsum("ij,j->i", windows[last[rows] - (taps - 1)], weights)
    return means
