"""Evidence of a Joulescope's chunk, bit by bit as the samples came, little-endian.

2 bytes  "JS"
u8       1, the format's version
u8       number of logic inputs
u32      number of samples n
f32[n]   current, A; NaN: lost
f32[n]   voltage, V
per logic input, then once for "this sample counts": ceil(n / 8) bytes, bit 0 first
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import MeterError
from hilbench.power import Chunk

_HEAD = struct.Struct("<2sBBI")
_MAGIC, _VERSION = b"JS", 1
_BITS = 8


def pack(chunk: Chunk, inputs: int) -> bytes:
    """Return the evidence of a chunk whose samples came as 32-bit numbers."""
    head = _HEAD.pack(_MAGIC, _VERSION, inputs, len(chunk))
    voltage = np.broadcast_to(np.asarray(chunk.voltage_v), len(chunk))
    return b"".join(
        (
            head,
            chunk.current_a.astype("<f4").tobytes(),
            voltage.astype("<f4").tobytes(),
            *(_packed(chunk.logic >> bit & 1) for bit in range(inputs)),
            _packed(chunk.valid),
        )
    )


def unpack(raw: bytes, start: int) -> Iterator[Chunk]:
    """Yield the chunks again.

    Raises:
        MeterError: the evidence is not whole.
    """
    at = 0
    while at < len(raw):
        if len(raw) - at < _HEAD.size:
            raise _not_whole(start)
        magic, version, inputs, n = _HEAD.unpack_from(raw, at)
        size = _HEAD.size + 8 * n + (inputs + 1) * -(-n // _BITS)
        block = raw[at : at + size]
        if (magic, version) != (_MAGIC, _VERSION) or len(block) != size:
            raise _not_whole(start)
        yield _chunk(block, inputs, n, start)
        at += size
        start += n


def _chunk(block: bytes, inputs: int, n: int, start: int) -> Chunk:
    floats = np.frombuffer(block, "<f4", 2 * n, _HEAD.size)
    bits = np.frombuffer(block, np.uint8, offset=_HEAD.size + 8 * n).reshape(inputs + 1, -1)
    levels = np.unpackbits(bits, axis=1, count=n, bitorder="little")
    logic = np.zeros(n, np.uint8)
    for bit in range(inputs):
        logic |= levels[bit] << bit
    return Chunk(
        start=start,
        current_a=floats[:n].astype(np.float64),
        voltage_v=floats[n:].astype(np.float64),
        logic=logic,
        valid=levels[inputs].astype(np.bool_),
        range=np.zeros(n, np.uint8),
        raw=block,
    )


def _packed(bits: NDArray[np.generic]) -> bytes:
    return np.packbits(bits.astype(np.bool_), bitorder="little").tobytes()


def _not_whole(start: int) -> MeterError:
    return MeterError(
        f"the evidence of the Joulescope is not whole at sample {start}: it was cut or changed; take "
        f"it from the run directory again"
    )
