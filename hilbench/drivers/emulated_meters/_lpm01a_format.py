"""Numbers as the LPM01A reads and writes them."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

_NUMBER = re.compile(r"(?P<digits>\d+(?:\.\d+)?)(?:(?P<unit>[numkM])|(?P<power>[+-]\d{1,2}))?")
_UNITS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6}
_ASCII_MAX = 9999
_ZERO_POWER = -9
_BINARY_MAX = 4095
_EXPONENT_MAX = 14  # 15 begins what is no sample
ASCII_BYTES, BINARY_BYTES = 9, 2  # of a sample


def number(text: str) -> float:
    """Return the value of e.g. "2m", "2-3" or "100k".

    Raises:
        ValueError: it is none.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError(text)
    power = found["power"] or _UNITS.get(found["unit"], 0)
    return float(f"{found['digits']}e{power}")  # rounded once: 3300m is not above 3.3


def ascii_samples(values: NDArray[np.float64]) -> bytes:
    """Return each value as four digits and a power of ten, e.g. 640.9e-6 as "6409-07"."""
    positive = values > 0
    safe = np.where(positive, values, 1.0)
    power = np.floor(np.log10(safe)).astype(int) - 3
    digits = np.rint(safe * 10.0**-power).astype(int)
    over = digits > _ASCII_MAX  # 9999.7 is 1000 of the next power
    digits, power = np.where(over, 1000, digits), power + over
    digits, power = np.where(positive, digits, 0), np.where(positive, power, _ZERO_POWER)
    pairs = zip(digits.tolist(), power.tolist(), strict=True)
    return "".join(f"{d:04d}{p:+03d}\r\n" for d, p in pairs).encode()


def binary_samples(values: NDArray[np.float64]) -> bytes:
    """Return each value as m * 16**-e: a big-endian word with e in the top four bits."""
    safe = np.maximum(values, 1e-30)
    exponent = np.floor(-np.log2(safe / (_BINARY_MAX + 0.5)) / 4)
    exponent = np.clip(exponent, 0, _EXPONENT_MAX).astype(int)
    mantissa = np.clip(np.rint(safe * 16.0**exponent), 0, _BINARY_MAX).astype(int)
    words: NDArray[np.uint16] = ((exponent << 12) | mantissa).astype(">u2")
    return words.tobytes()


def ascii_stamp(ms: int, load_percent: int) -> bytes:
    """Return the line that comes before every 1000th sample."""
    return f"TimeStamp: {ms // 1000:03d}s {ms % 1000:03d}ms, buff {load_percent:02d}%\r\n".encode()


def binary_stamp(ms: int, load_percent: int) -> bytes:
    """Return the nine bytes that come before every 1000th sample: words are not aligned to them."""
    return b"\xf0\xf3" + ms.to_bytes(4, "big") + bytes([load_percent]) + b"\xff\xff"
