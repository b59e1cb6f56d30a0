"""The PPK2's ADC: which code it sends for a current.

A sample is 32 bits: ADC code 0-13, range 14-16, counter 18-23, D0 to D7 24-31. What the host
computes from it (calibration in the metadata, V: volt at the board):

    x = (4 code - O) (1.8 / 163840) / R;   current = UG (x (GS x + GI) + S V + I)

Here that is solved for the code. The user's gain UG is the host's correction: codes do not have it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

SAMPLE_HZ = 100_000
UNSETTLED = 3  # samples after a range switch that are not to be believed
_VOLT_PER_COUNT = 1.8 / 163840
_CODE_MAX = 0x3FFF
_COUNTS_PER_CODE = 4

# A little below the round numbers that people write into boards.toml: none sits on the fence.
TOPS_A = np.array([48e-6, 480e-6, 4.8e-3, 58e-3])
"""The range goes up above these ..."""
_DOWN_A = TOPS_A * 0.85  # ... and down again below these
LARGEST_A = 1.0

# A made-up unit with the deviations that real ones have.
CALIBRATION: Mapping[str, tuple[float, ...]] = {
    "R": (1001.284, 101.173, 10.2619, 0.95712, 0.05721),
    "GS": (0.0, 97.42, 16.8803, 2.31574, 0.08126),
    "GI": (1.0, 0.97214, 0.96433, 0.95578, 0.96127),
    "O": (109.4711, 78.2319, 66.9124, 52.1147, 84.9523),
    "S": (0.000000045, 0.000000571, 0.000005042, 0.000060844, 0.002811327),
    "I": (-0.000000098, -0.000001388, 0.000033871, -0.000361907, -0.009110512),
}


def metadata(vdd_mv: int, mode: int, gains: list[float], changed: Mapping[str, str]) -> str:
    """Return the metadata as the instrument prints them, up to END."""
    lines = {"Calibrated": "0"}
    for key, values in CALIBRATION.items():
        lines |= {f"{key}{r}": f"{value:.9f}" for r, value in enumerate(values)}
        if key == "O":
            lines |= {"VDD": str(vdd_mv), "HW": "9173", "mode": str(mode)}
    lines |= {f"UG{r}": f"{gain:.2f}" for r, gain in enumerate(gains)}
    lines["IA"] = "56"
    return "".join(f"{key}: {changed.get(key, value)}\n" for key, value in lines.items())


class Ranges:
    """The automatic range: up at once, down with hysteresis; the next samples are unsettled."""

    def __init__(self, spike: float) -> None:
        """Take the relative error of the first unsettled sample; each further one has half of it."""
        self._spikes = 1 + spike * 0.5 ** np.arange(UNSETTLED)
        self.reset()

    def reset(self) -> None:
        """Begin a stream, settled."""
        self._range = self._shown = -1
        self._since_switch = UNSETTLED

    def follow(
        self, current_a: NDArray[np.float64], raised: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return range and reading of each sample.

        Args:
            current_a: [n]
            raised: [n] samples that chatter makes one range higher; None where there is none
        """
        low = np.searchsorted(TOPS_A, current_a)
        high = np.searchsorted(_DOWN_A, current_a)
        if self._range < 0:
            self._range = self._shown = int(low[0])
        chosen, at, now = np.empty(len(current_a), np.int64), 0, self._range
        while at < len(current_a):
            out = (low[at:] > now) | (high[at:] < now)
            stay = int(out.argmax()) if out.any() else len(out)
            chosen[at : at + stay] = now
            at += stay
            if at < len(current_a):
                now = min(max(now, int(low[at])), int(high[at]))
        self._range = now
        if raised is not None:
            chosen = np.minimum(chosen + raised, 4)
        return chosen.astype(np.uint8), self._transient(current_a, chosen)

    def _transient(
        self, current_a: NDArray[np.float64], chosen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        index = np.arange(len(chosen))
        switched = np.diff(chosen, prepend=self._shown) != 0
        self._shown = int(chosen[-1])
        if not switched.any() and self._since_switch >= UNSETTLED:
            return current_a
        # A switch of an earlier block lies that far before this block's first sample.
        last = np.maximum.accumulate(np.where(switched, index, -1 - self._since_switch))
        since = index - last
        self._since_switch = int(since[-1])
        reading = current_a.copy()
        young = since < UNSETTLED
        reading[young] *= self._spikes[since[young]]
        return reading


def encode(
    reading_a: NDArray[np.float64],
    ranges: NDArray[np.uint8],
    logic: NDArray[np.uint8],
    counter: int,
    voltage_v: float,
) -> NDArray[np.uint32]:
    """Return the samples as the instrument sends them, little endian.

    Args:
        reading_a: [n]
        ranges: [n]
        logic: [n] D0 to D7
        counter: of the first sample
        voltage_v: at the board
    """
    codes = np.empty(len(reading_a))
    present = np.flatnonzero(np.bincount(ranges, minlength=5))
    for r in present:
        picked = slice(None) if len(present) == 1 else ranges == r
        codes[picked] = _code(reading_a[picked], int(r), voltage_v)
    words = np.clip(np.rint(codes), 0, _CODE_MAX).astype("<u4")
    words |= ranges.astype("<u4") << 14
    words |= ((counter + np.arange(len(words))) & 63).astype("<u4") << 18
    words |= logic.astype("<u4") << 24
    return words


def _code(current_a: NDArray[np.float64], r: int, voltage_v: float) -> NDArray[np.float64]:
    shunt, gs, gi, o, s, i = (CALIBRATION[key][r] for key in ("R", "GS", "GI", "O", "S", "I"))
    y = current_a - (s * voltage_v + i)
    # The root that stays exact for small and zero GS.
    x = 2 * y / (gi + np.sqrt(np.maximum(gi * gi + 4 * gs * y, 0)))
    codes: NDArray[np.float64] = (x * shunt / _VOLT_PER_COUNT + o) / _COUNTS_PER_CODE
    return codes
