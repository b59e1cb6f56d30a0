"""Numbers with units as people read them: four significant digits, an SI prefix, ASCII."""

from __future__ import annotations

import math
import re

_DIGITS = 4
_PREFIXES = {-5: "f", -4: "p", -3: "n", -2: "u", -1: "m", 0: "", 1: "k", 2: "M", 3: "G"}


def si(value: float | None, unit: str) -> str:
    """Return e.g. "6.751 mA"; "-" for an unknown value.

    Args:
        value: in ``unit``.
        unit: without prefix: "A", "W", "C", "J", "s", "V", "Hz".
    """
    if value is None or math.isnan(value):
        return "-"
    if value == 0 or math.isinf(value):
        return f"{value:g} {unit}"
    # Rounding comes first: 999.96 mA is 1.000 A, not 1000 mA.
    exponent = int(f"{value:.{_DIGITS - 1}e}".partition("e")[2])
    power = min(max(exponent // 3, min(_PREFIXES)), max(_PREFIXES))
    decimals = max(0, _DIGITS - 1 - (exponent - 3 * power))
    return f"{value / 1000.0**power:.{decimals}f} {_PREFIXES[power]}{unit}"


def span(seconds: float) -> str:
    """Return a stretch of time in the largest fitting unit: "3.2 h", "41 days", "2.6 years"."""
    for limit, size, name in (
        (60.0, 1.0, "s"),
        (3600.0, 60.0, "min"),
        (86400.0, 3600.0, "h"),
        (2 * 365.25 * 86400.0, 86400.0, "days"),
        (math.inf, 365.25 * 86400.0, "years"),
    ):
        if abs(seconds) < limit:
            return f"{seconds / size:.3g} {name}"
    return "for ever" if seconds > 0 else "-"


def kernel_kind(kernel: str) -> str:
    """Return what a kernel does, whatever its type of number and its set: conv of conv_s8_dsp."""
    return re.split(r"_(?:s8|s16|f32)(?=_|$)", kernel)[0]
