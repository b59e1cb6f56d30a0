"""The LPM01A's formats written out by hand from UM2269, one sample at a time."""

from __future__ import annotations

import random
from decimal import Decimal

BLOCK = 1000


def ascii_code(rng: random.Random, top: int = 1300) -> str:
    """A sample of up to 50 mA as text: mantissa and exponent."""
    exponent = rng.choice([5, 6, 7, 8, 9])
    mantissa = rng.randrange(0, top if exponent == 5 else 10000)
    return f"{min(mantissa, 4999 if exponent == 5 else 9999):04d}-{exponent:02d}"


def ascii_value(code: str) -> float:
    return float(Decimal(f"{code[:4]}e{code[4:]}"))


def word(rng: random.Random) -> int:
    """A binary sample of up to 50 mA."""
    exponent = rng.choice([4, 5, 6, 7, 8])
    return exponent << 12 | rng.randrange(0, 3276 if exponent == 4 else 4096)


def word_value(code: int) -> float:
    return float(Decimal(code & 0xFFF) / Decimal(16) ** (code >> 12))


def ascii_stamp(ms: int, load: int = 1) -> bytes:
    return f"TimeStamp: {ms // 1000:03d}s {ms % 1000:03d}ms, buff {load:02d}%\r\n".encode()


def binary_stamp(ms: int, load: int = 1) -> bytes:
    return b"\xf0\xf3" + ms.to_bytes(4, "big") + bytes([load]) + b"\xff\xff"


def ascii_stream(codes, hz, events=(), numbers=0):
    """Stamps every 1000 samples; events: (index of the sample that follows, "ris" or "fal")."""
    out = bytearray()
    pending = list(events)
    for k, code in enumerate(codes):
        if k % BLOCK == 0:
            out += ascii_stamp(k * 1000 // hz)
            if k:
                out += b"\0"  # seen on real ones
        while pending and pending[0][0] == k:
            out += f"event {numbers % 100:02d} {pending.pop(0)[1]}\r\n".encode()
            numbers += 1
        out += f"{code}\r\n".encode()
    if len(codes) % BLOCK == 0:
        out += ascii_stamp(len(codes) * 1000 // hz)
    return bytes(out)


def binary_stream(words, hz):
    out = bytearray()
    for k, code in enumerate(words):
        if k % BLOCK == 0:
            out += binary_stamp(k * 1000 // hz)
        out += code.to_bytes(2, "big")
    if len(words) % BLOCK == 0:
        out += binary_stamp(len(words) * 1000 // hz)
    return bytes(out)
