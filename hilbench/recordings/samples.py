"""Raw form of samples whose meter has no codes of its own: the columns of a chunk as they are.

A block is ``<BI`` (kind, samples), then current (f8), voltage (f8: one, or one per sample), logic
(u1), valid (u1), range (u1), all little endian. Blocks follow one another.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from hilbench.errors import MeterError
from hilbench.power import Chunk, MeterIdentity, MeterSetup

NAME = "samples"  # in place of a driver's
_HEAD = struct.Struct("<BI")
_ONE_VOLTAGE, _VOLTAGES = 0, 1


def pack(chunk: Chunk) -> bytes:
    """Return a chunk as one block."""
    each = isinstance(chunk.voltage_v, np.ndarray)
    return b"".join(
        (
            _HEAD.pack(_VOLTAGES if each else _ONE_VOLTAGE, len(chunk)),
            np.asarray(chunk.current_a, "<f8").tobytes(),
            np.asarray(chunk.voltage_v, "<f8").tobytes(),
            np.asarray(chunk.logic, np.uint8).tobytes(),
            np.asarray(chunk.valid, np.uint8).tobytes(),
            np.asarray(chunk.range, np.uint8).tobytes(),
        )
    )


def decode(
    raw: bytes,
    identity: MeterIdentity,  # noqa: ARG001 - as drivers' decode
    setup: MeterSetup,  # noqa: ARG001
    start: int,
) -> Iterator[Chunk]:
    """Yield the chunks of consecutive blocks.

    Raises:
        MeterError: not blocks that ``pack`` made.
    """
    at = 0
    while at < len(raw):
        if len(raw) - at < _HEAD.size:
            raise _damaged(at)
        kind, n = _HEAD.unpack_from(raw, at)
        volts = n if kind == _VOLTAGES else 1
        size = _HEAD.size + 8 * n + 8 * volts + 3 * n
        if kind not in {_ONE_VOLTAGE, _VOLTAGES} or len(raw) - at < size:
            raise _damaged(at)
        at += _HEAD.size
        current = np.frombuffer(raw, "<f8", n, at).astype(np.float64)
        voltage = np.frombuffer(raw, "<f8", volts, at + 8 * n).astype(np.float64)
        at += 8 * (n + volts)
        logic, valid, ranges = np.frombuffer(raw, np.uint8, 3 * n, at).reshape(3, n)
        at += 3 * n
        yield Chunk(
            start,
            current,
            voltage if kind == _VOLTAGES else float(voltage[0]),
            logic,
            valid.astype(np.bool_),
            ranges,
        )
        start += n


def _damaged(at: int) -> MeterError:
    return MeterError(
        f"raw samples are damaged at byte {at}; restore the file, or decode it with the driver "
        f"that wrote it"
    )
