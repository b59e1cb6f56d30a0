"""A meter whose decoder needs its past: a counter tells of lost codes, a range switch is held.

A code is u32: value in uA (bits 0-15), range (16-17), marker (18), counter modulo 64 (24-29). The
first two codes of a new range show the third one's value.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from hilbench.power import CaptureEnd, Chunk, Gap, MeterIdentity, MeterSetup, MeterSpec, RangeSpec

RATE_HZ = 100_000.0
SPEC = MeterSpec(
    RATE_HZ,
    1e-4,
    tuple(RangeSpec(1e-6 * 10**r, 0.02, 1e-6, 1e-3 * 10**r) for r in range(4)),
    ("D0",),
    "set",
    0.01,
    "a test",
)
IDENTITY = MeterIdentity("counting", "C1", "77", "1.0", "/dev/none", True, "R0: 1000.5\nEND\n")
SETUP = MeterSetup(3.0, True)
HELD = 2


def decode(raw, identity, setup, start):
    """Yield two chunks, as drivers that decode in blocks do."""
    codes = np.frombuffer(raw, "<u4").astype(np.int64)
    if not len(codes):
        return
    counter = codes >> 24 & 63
    at = np.concatenate([[0], np.cumsum((np.diff(counter) - 1) % 64 + 1)])
    n = int(at[-1]) + 1
    ranges = codes >> 16 & 3
    values = (codes & 0xFFFF) * 1e-6
    switched = np.flatnonzero(np.diff(ranges)) + 1
    for k in switched[::-1]:
        values[k : k + HELD] = values[min(k + HELD, len(values) - 1)]
    valid = np.zeros(n, bool)
    valid[at] = True
    last = np.maximum.accumulate(np.where(valid, np.arange(n), 0))
    current = np.full(n, np.nan)
    current[at] = values
    filled = np.zeros(n, np.int64)
    filled[at] = np.arange(len(codes))
    logic, wide = (codes >> 18 & 1)[filled[last]], ranges[filled[last]]
    half = n // 2
    for part in (slice(0, half), slice(half, n)):
        yield Chunk(
            start + part.start,
            current[part],
            setup.supply_v,
            logic[part].astype(np.uint8),
            valid[part],
            wide[part].astype(np.uint8),
        )


def load(kind, name):
    """Stand in for plugins.load."""
    assert (kind, name) == ("power", "counting")
    return SimpleNamespace(decode=decode)


def capture(seed, samples=20_000, chunk=700, gaps=(), marker=()):
    """Return chunks as a driver delivers them, each with its codes, and the account."""
    rng = np.random.default_rng(seed)
    index = np.arange(samples)
    ranges = np.cumsum(rng.random(samples) < 0.002) % 4
    high = np.zeros(samples, np.int64)
    for start, end in marker:
        high[start:end] = 1
    values = rng.integers(0, 60_000, samples)
    codes = (values | ranges << 16 | high << 18 | (index & 63) << 24).astype("<u4")
    valid = np.ones(samples, bool)
    for start, n in gaps:
        valid[start : start + n] = False
    decoded = _joined(list(decode(codes[valid].tobytes(), IDENTITY, SETUP, 0)))
    seen = decoded.pop("valid")
    last = np.maximum(np.cumsum(valid) - 1, 0)  # of a lost sample: the last
    whole = {name: values[seen][last] for name, values in decoded.items()}
    whole["current_a"][~valid] = np.nan
    whole["valid"] = valid
    chunks, at = [], 0
    delivered = np.flatnonzero(valid)
    for k in range(0, len(delivered), chunk):
        part = delivered[k : k + chunk]
        end = int(part[-1]) + 1
        chunks.append(_cut(whole, at, end, codes[part].tobytes()))
        at = end
    account = tuple(Gap(start, n, "counter") for start, n in gaps)
    lost = sum(n for _, n in gaps)
    return chunks, CaptureEnd(samples - lost, lost, account, RATE_HZ * 1.00001, 1e-5, ("a note",))


def _joined(chunks):
    names = ("current_a", "logic", "valid", "range")
    return {name: np.concatenate([getattr(c, name) for c in chunks]) for name in names}


def _cut(whole, start, end, raw):
    part = slice(start, end)
    return Chunk(
        start,
        whole["current_a"][part],
        SETUP.supply_v,
        whole["logic"][part],
        whole["valid"][part],
        whole["range"][part],
        raw,
    )
