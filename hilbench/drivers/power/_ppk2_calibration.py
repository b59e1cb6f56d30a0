"""What a PPK2 says about itself: its calibration, whether that can be true, and codes to ampere.

The reply is text: lines ``KEY: value``, then ``END``. With the field ``adc`` of a word in range r,
x = (4 adc - O) * 1.8 / 163840 / R and I = UG * (x * (GS * x + GI) + S * VDD + I0), in ampere, with
VDD in volt. All of it depends on 17 bits of a word: one table is the whole calibration.

Limits are wide on purpose: they separate an instrument from one whose memory is corrupt (2e21 A have
been read on such a one), not a good one from a bad one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import CalibrationError
from hilbench.power import RangeSpec

RANGES = 5
CODES = 1 << 14
TOP_A = (50e-6, 500e-6, 5e-3, 50e-3, 1.0)  # where the next range takes over; of the last: the limit
# Typical values of the user guide, for want of limits: there are none.
GAIN_LIMIT = (0.10, 0.10, 0.10, 0.10, 0.15)
OFFSET_LIMIT_A = (0.2e-6, 0.5e-6, 5e-6, 50e-6, 1e-3)
SUPPLY_MIN_V, SUPPLY_MAX_V = 0.8, 5.0

_ADC_STEPS = 4  # per code
_VOLT_PER_STEP = 1.8 / 163840
_FULL_SCALE_V = CODES * _ADC_STEPS * _VOLT_PER_STEP  # 0.72 V across the shunt
_NOMINAL_OHM = (1000.0, 100.0, 10.0, 1.0, 0.05)
_LINE = re.compile(r"([A-Za-z]+)([0-9]*)\s*:\s*(\S.*?)\s*")
_ADVICE = (
    "its memory may be corrupt: check it with the vendor's app, never measure with it as it is"
)


@dataclass(frozen=True)
class RangeConstants:
    """Constants of one range, named as in the vendor's formula."""

    r: float  # shunt, ohm
    gs: float  # gain by current, 1/A
    gi: float  # gain
    o: float  # offset, steps of the converter: four to a code
    s: float  # offset by supply, A/V
    i: float  # offset, A
    ug: float  # the user's own gain


@dataclass(frozen=True)
class Calibration:
    """Five ranges and the text that they come from."""

    text: str
    ranges: tuple[RangeConstants, ...]
    hardware: str  # "" where it does not say

    def current_a(
        self, adc: NDArray[np.float64], range_: int, supply_v: float
    ) -> NDArray[np.float64]:
        """Return the current of codes in one range.

        Args:
            adc: [n] 14-bit codes.
            range_: 0 to 4.
            supply_v: of the board, V.
        """
        c = self.ranges[range_]
        x = (adc * _ADC_STEPS - c.o) * (_VOLT_PER_STEP / c.r)
        return c.ug * (x * (c.gs * x + c.gi) + (c.s * supply_v + c.i))

    def specs(self, supply_v: float) -> tuple[RangeSpec, ...]:
        """Return the ranges as the budget needs them; one code is taken at half the top."""
        specs = []
        for r, top_a in enumerate(TOP_A):
            amperes = self.current_a(np.arange(CODES, dtype=np.float64), r, supply_v)
            k = min(int(np.searchsorted(amperes, top_a / 2)), CODES - 2)
            lsb_a = float(amperes[k + 1] - amperes[k])
            specs.append(RangeSpec(lsb_a, GAIN_LIMIT[r], OFFSET_LIMIT_A[r], top_a))
        return tuple(specs)


@lru_cache(maxsize=4)  # 1 MiB each
def table(calibration: Calibration, supply_v: float) -> NDArray[np.float64]:
    """Return the current in ampere by the low 17 bits of a word: float64 [131072], read-only.

    Ranges that do not exist are NaN, and so is a lost sample (see ``_ppk2_words``).
    """
    currents = np.full((8, CODES), np.nan)
    codes = np.arange(CODES, dtype=np.float64)
    for r in range(RANGES):
        currents[r] = calibration.current_a(codes, r, supply_v)
    flat = currents.ravel()
    flat.flags.writeable = False
    return flat


def parse(reply: bytes, address: str) -> Calibration:
    """Read the instrument's reply, up to and without what follows END.

    Raises:
        CalibrationError: corrupt text, a missing key, or a value that cannot be true; no default
            takes its place.
    """
    text = _text(reply, address)
    values: dict[str, str] = {}
    for line in text.splitlines():
        if line == "END":
            break
        if not line.strip():
            continue
        if (found := _LINE.fullmatch(line)) is None:
            raise CalibrationError(
                f"PPK2 at {address}: calibration line {line[:60]!r} is not 'KEY: value'; {_ADVICE}"
            )
        key = found[1] + found[2]
        if key in values:
            raise CalibrationError(
                f"PPK2 at {address}: calibration has {key} twice, {values[key]} and {found[3]}; "
                f"{_ADVICE}"
            )
        if found[1] in _KEYS and found[2] and int(found[2]) >= RANGES:
            raise CalibrationError(
                f"PPK2 at {address}: calibration has {key}, but a PPK2 has ranges 0 to "
                f"{RANGES - 1}; is it another instrument? this driver does not know it"
            )
        values[key] = found[3]
    ranges = tuple(
        RangeConstants(*(_value(values, key, r, address) for key in _KEYS)) for r in range(RANGES)
    )
    for r, constants in enumerate(ranges):
        _check_slope(constants, r, address)
    return Calibration(text, ranges, values.get("HW", ""))


def _text(reply: bytes, address: str) -> str:
    try:
        text = reply.decode("ascii")
    except UnicodeDecodeError as error:
        raise CalibrationError(
            f"PPK2 at {address}: calibration has byte 0x{reply[error.start]:02x} at offset "
            f"{error.start}, which is no text; unplug it, plug it in and try again"
        ) from error
    return text.replace("\r\n", "\n")


def _limits(key: str, r: int) -> tuple[float, float, str]:
    """Return what a constant of a range may be, with its unit."""
    top_a = TOP_A[r]
    share_a = 0.2 * top_a
    return {
        # The converter's full scale has to reach the top of the range.
        "R": (_NOMINAL_OHM[r] / 3, _FULL_SCALE_V / top_a, " ohm"),
        "GS": (-0.5 / top_a, 0.5 / top_a, " 1/A"),
        "GI": (0.5, 1.5, ""),
        "O": (-2000.0, 2000.0, " steps"),
        "S": (-share_a / SUPPLY_MAX_V, share_a / SUPPLY_MAX_V, " A/V"),
        "I": (-share_a, share_a, " A"),
        "UG": (0.5, 2.0, ""),
    }[key]


_KEYS = ("R", "GS", "GI", "O", "S", "I", "UG")


def _value(values: dict[str, str], key: str, r: int, address: str) -> float:
    name = f"{key}{r}"
    if name not in values:
        raise CalibrationError(
            f"PPK2 at {address}: calibration has no {name}, of {len(_KEYS) * RANGES} constants that "
            f"it needs; unplug it, plug it in and try again"
        )
    try:
        value = float(values[name])
    except ValueError as error:
        raise CalibrationError(
            f"PPK2 at {address}: calibration has {name}: {values[name]!r}, which is no number; "
            f"{_ADVICE}"
        ) from error
    low, high, unit = _limits(key, r)
    if not (math.isfinite(value) and low <= value <= high):
        raise CalibrationError(
            f"PPK2 at {address}: calibration has {name}: {values[name]}, but it is between {low:g} "
            f"and {high:g}{unit} in any PPK2; {_ADVICE}"
        )
    return value


def _check_slope(constants: RangeConstants, r: int, address: str) -> None:
    """More current must give a larger code all over the range."""
    slope = constants.gi + 2 * constants.gs * TOP_A[r]
    if slope <= 0:
        raise CalibrationError(
            f"PPK2 at {address}: calibration has GS{r}: {constants.gs:g} and GI{r}: "
            f"{constants.gi:g}, a gain of {slope:g} at {TOP_A[r]:g} A, limit above 0; {_ADVICE}"
        )
