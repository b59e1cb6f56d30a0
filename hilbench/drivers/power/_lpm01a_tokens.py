"""The LPM01A's two data formats, taken apart into what they say; any split of the bytes will do.

Ref: ST UM2269. ASCII: ``6409-07`` is 6409e-7; between samples stand ``TimeStamp: 003s 000ms, buff
01%`` and ``event 00 ris``. Binary: big-endian words m * 16**-e, e in the top four bits; e = 15 is
none, so that F0 begins what is no sample: F0F1 error text, F0F2 information, F0F3 time stamp (u32 ms,
u8 load in percent), F0F4 end, F0F5 overcurrent, F0F6 supply off, F0F7 voltage; all end with FFFF.
A time stamp has nine bytes: what follows is aligned to it and to nothing before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Samples:
    """Consecutive samples in A or J, and their exponents."""

    values: NDArray[np.float64]
    exponents: NDArray[np.uint8]


@dataclass(frozen=True)
class Stamp:
    """Time since the acquisition began, and how full the meter's transmit buffer is."""

    ms: int
    load_percent: int


@dataclass(frozen=True)
class Event:
    """An edge of D7 between two samples."""

    number: int  # counts modulo 100
    rising: bool


@dataclass(frozen=True)
class Say:
    """What the meter says with words."""

    kind: Literal["error", "overcurrent", "supply off", "info", "end"]
    text: str


class Damage:
    """Bytes that make no sense here."""


Token = Samples | Stamp | Event | Say | Damage


class Splitter(Protocol):
    """Bytes in, tokens with their bytes out."""

    def feed(self, data: bytes) -> Iterator[tuple[Token, bytes]]:
        """Take what has arrived; yield what is complete."""

    @property
    def rest(self) -> bytes:
        """Return what is not complete."""


_SAMPLE_BYTES = 8  # without its carriage return
_SAMPLES = re.compile(rb"(?:\d{4}[+-]\d\d\n)+")
_STAMP = re.compile(rb"TimeStamp: (\d+)s (\d+)ms, buff (\d+)%")
_EVENT = re.compile(rb"event (\d+) (ris|fal)")
_END = re.compile(rb"PowerShield > |Acquisition completed|summary beg|end$")
_INFO = re.compile(rb"pwr (on|off)|(PowerShield > )?(ack .*)?$")
_TEN = np.array([float(f"1e{e}") for e in range(100)])  # the nearest of each, exact up to 1e22


class AsciiSplitter:
    """ASCII samples. Carriage returns and the zeros that follow a time stamp are left out."""

    def __init__(self) -> None:
        self._buffer = b""

    @property
    def rest(self) -> bytes:
        """Return the line that is not complete."""
        return self._buffer

    def feed(self, data: bytes) -> Iterator[tuple[Token, bytes]]:
        """Take what has arrived; yield what is complete."""
        self._buffer += data.translate(None, b"\0\r")
        complete = self._buffer.rfind(b"\n") + 1
        lines, self._buffer = self._buffer[:complete], self._buffer[complete:]
        at = 0
        while at < complete:
            if run := _SAMPLES.match(lines, at):
                yield _ascii_samples(run[0]), run[0]
                at = run.end()
                continue
            end = lines.index(b"\n", at) + 1
            if token := _ascii_line(lines[at : end - 1].strip()):
                yield token, lines[at:end]
            at = end


def _ascii_samples(lines: bytes) -> Samples:
    digits = np.frombuffer(lines, np.uint8).reshape(-1, _SAMPLE_BYTES).astype(np.int64) - ord("0")
    mantissa = digits[:, :4] @ np.array([1000, 100, 10, 1])
    power = digits[:, 5:7] @ np.array([10, 1])
    negative = digits[:, 4] == ord("-") - ord("0")
    # A quotient of exact numbers is rounded once: the double nearest to the decimal number.
    values = np.where(negative, mantissa / _TEN[power], mantissa * _TEN[power])
    return Samples(values, np.where(negative, power, 0).astype(np.uint8))


def _ascii_line(line: bytes) -> Token | None:
    if stamp := _STAMP.fullmatch(line):
        seconds, ms, load = map(int, stamp.groups())
        return Stamp(seconds * 1000 + ms, load)
    if event := _EVENT.fullmatch(line):
        return Event(int(event[1]), event[2] == b"ris")
    text = line.decode("ascii", "replace")
    if "overcurrent" in text.casefold():
        return Say("overcurrent", text)
    if "error" in text.casefold():
        return Say("error", text.removeprefix("PowerShield > "))
    if _INFO.fullmatch(line):
        return None
    return Say("end", text) if _END.match(line) else Damage()


_META = 0xF000
_TEXT_LIMIT = 512  # no message of the meter is longer
_TEXT = re.compile(rb"\xf0[\xf1\xf2]([\t\n\r -~]{0,%d})\xff\xff" % _TEXT_LIMIT, re.DOTALL)
_MESSAGES: Mapping[int, Literal["error", "info"]] = {0xF1: "error", 0xF2: "info"}
_STAMP_KIND, _END_KIND, _VOLTAGE_KIND = 0xF3, 0xF4, 0xF7
_FIXED = {_STAMP_KIND: 9, _END_KIND: 4, 0xF5: 4, 0xF6: 4, _VOLTAGE_KIND: 6}  # bytes in all
_ANCHOR = re.compile(
    rb"\xf0(?:\xf3.{5}|\xf1[\t\n\r -~]{0,%d}|[\xf4\xf5\xf6])\xff\xff" % _TEXT_LIMIT, re.DOTALL
)
_TIME_MASK = 0x7FFF_FFFF  # the top bit says that the counter went over
_SIXTEEN = 16.0 ** -np.arange(16)


class BinarySplitter:
    """Binary samples. After damage it begins again at the next time stamp or message."""

    def __init__(self, *, aligned: bool = False) -> None:
        """Begin at a time stamp; ``aligned``: at a sample."""
        self._buffer = b""
        self._lost = not aligned  # where words begin
        self._before = b""  # the byte before the buffer
        self._ended = False

    @property
    def rest(self) -> bytes:
        """Return the bytes that are not complete."""
        return self._buffer

    def feed(self, data: bytes) -> Iterator[tuple[Token, bytes]]:
        """Take what has arrived; yield what is complete."""
        self._buffer += data
        while self._buffer and not self._ended:
            step = self._search() if self._lost else self._next()
            if step is None:
                return
            yield step
        if self._ended:
            self._buffer = b""  # words in ASCII follow

    def _search(self) -> tuple[Token, bytes] | None:
        anchor = _ANCHOR.search(self._buffer)
        if anchor is None:
            # An anchor that is not complete may begin in the last bytes.
            at = len(self._buffer) - _TEXT_LIMIT - 4
            return self._take(Damage(), at) if at > _TEXT_LIMIT else None
        self._lost = False
        if anchor.start():
            return self._take(Damage(), anchor.start())
        return self._next()

    def _next(self) -> tuple[Token, bytes] | None:
        words = np.frombuffer(self._buffer, ">u2", len(self._buffer) // 2)
        meta = np.flatnonzero(words >= _META)
        count = int(meta[0]) if len(meta) else len(words)
        if count:
            exponents = (words[:count] >> 12).astype(np.uint8)
            values = (words[:count] & 0xFFF) * _SIXTEEN[exponents]
            return self._take(Samples(values, exponents), 2 * count)
        return self._metadata() if len(words) else None

    def _metadata(self) -> tuple[Token, bytes] | None:
        data = self._buffer
        kind = data[1] if data[0] == _META >> 8 else 0
        if kind in _MESSAGES:
            return self._message(_MESSAGES[kind])
        size = _FIXED.get(kind, 0)
        if len(data) < size:
            return None
        if not size or data[size - 2 : size] != b"\xff\xff":
            return self._damaged()
        self._ended = kind == _END_KIND
        return self._take(_fixed(kind, data[2 : size - 2]), size)

    def _message(self, kind: Literal["error", "info"]) -> tuple[Token, bytes] | None:
        if text := _TEXT.match(self._buffer):
            words = " ".join(text[1].decode("ascii").split())
            return self._take(Say(kind, words), text.end())
        return None if len(self._buffer) <= _TEXT_LIMIT else self._damaged()

    def _damaged(self) -> tuple[Token, bytes]:
        # Where a byte is missing, the F0 of a time stamp was taken for the end of a word.
        self._lost = True
        self._buffer = self._before + self._buffer
        return self._take(Damage(), 0)

    def _take(self, token: Token, size: int) -> tuple[Token, bytes]:
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        self._before = taken[-1:]
        return token, taken


def _fixed(kind: int, content: bytes) -> Token:
    """Return what metadata of a fixed length say."""
    if kind == _STAMP_KIND:
        return Stamp(int.from_bytes(content[:4], "big") & _TIME_MASK, content[4])
    if kind == _VOLTAGE_KIND:
        return Say("info", f"{int.from_bytes(content, 'big')} mV")
    if kind == _END_KIND:
        return Say("end", "")
    word: Literal["overcurrent", "supply off"] = "overcurrent" if kind == 0xF5 else "supply off"  # noqa: PLR2004 - see the module's text
    return Say(word, word)
