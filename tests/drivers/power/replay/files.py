"""Files as other programs write them, and what they say."""

from __future__ import annotations

import json
import struct
import zipfile

import numpy as np

from hilbench.power import MeterSetup

SETUP = MeterSetup(3.3, supplies=False)


def with_args(**args):
    return MeterSetup(3.3, supplies=False, args=tuple(args.items()))


def columns(recording):
    """Return a recording's columns, whole."""
    chunks = list(recording.chunks())
    at = 0
    for chunk in chunks:
        assert chunk.start == at
        at += len(chunk)
    names = ("current_a", "voltage_v", "logic", "valid", "range")
    return {
        name: np.concatenate([np.broadcast_to(getattr(c, name), len(c)) for c in chunks])
        for name in names
    }


def pairs(level):
    """Return the app's two bits for each of eight inputs, by its own rule: 01 low, 10 high."""
    return sum((2 if level >> k & 1 else 1) << (2 * k) for k in range(8))


def session(currents_ua, words, order=">"):
    """Return session.raw: float32 little endian, then uint16 as the app's DataView writes it."""
    return b"".join(
        struct.pack("<f", current) + struct.pack(f"{order}H", word)
        for current, word in zip(currents_ua, words, strict=True)
    )


def ppk2(path, raw, rate=100_000, **changes):
    values = {
        "metadata": {"samplesPerSecond": rate, "startSystemTime": 1700000000000},
        "formatVersion": 2,
    } | changes
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("session.raw", raw)
        archive.writestr("metadata.json", json.dumps(values))
        archive.writestr("minimap.raw", b"[]")
    return path
