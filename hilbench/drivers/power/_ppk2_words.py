"""The PPK2's sample, a word of 32 bits, little endian; and the word that stands for a lost one.

======  =============================
bits    field
======  =============================
0-13    code of the converter
14-16   range, 0 to 4
17      unused
18-23   counter, modulo 64
24-31   logic inputs D0 to D7
======  =============================

A lost sample has bits 3 to 17 set: range 7, which no PPK2 has. Its code carries the range before it
in the lowest 3 bits, its logic the last known one, so that any slice of words can be decoded alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

SAMPLE_BYTES = 4
SAMPLE_HZ = 100_000.0
COUNTS = 64  # of the counter, then it wraps: it is blind to losses of multiples of it
DTYPE = np.dtype("<u4")

TABLE_MASK = 0x1FFFF
LOST = 0x3FFF8
_RANGE_SHIFT, _COUNTER_SHIFT, _LOGIC_SHIFT = 14, 18, 24


def counter(words: Words) -> NDArray[np.int64]:
    """Return the counter of each word."""
    return ((words >> _COUNTER_SHIFT) & (COUNTS - 1)).astype(np.int64)


def counter_of(word: int) -> int:
    """Return the counter of one word."""
    return (word >> _COUNTER_SHIFT) & (COUNTS - 1)


def is_lost(words: Words) -> NDArray[np.bool_]:
    """Say which words stand for lost samples."""
    return np.asarray((words & LOST) == LOST)


def range_of(words: Words) -> NDArray[np.uint8]:
    """Return the range of each word, 7 for lost ones."""
    return ((words >> _RANGE_SHIFT) & 7).astype(np.uint8)


def logic_of(words: Words) -> NDArray[np.uint8]:
    """Return the logic inputs of each word."""
    return words.view(np.uint8)[3::SAMPLE_BYTES].copy()


def lost(count: int, before: int | None) -> Words:
    """Return words for ``count`` lost samples that follow the word ``before``."""
    if before is None:
        before = 0
    word = int(before)
    last_range = word & 7 if word & LOST == LOST else (word >> _RANGE_SHIFT) & 7
    first = ((word >> _COUNTER_SHIFT) + 1) & (COUNTS - 1)
    counters = ((first + np.arange(count)) & (COUNTS - 1)).astype(DTYPE) << np.uint32(
        _COUNTER_SHIFT
    )
    return np.asarray(counters | np.uint32(word & 0xFF000000 | LOST | last_range), DTYPE)
