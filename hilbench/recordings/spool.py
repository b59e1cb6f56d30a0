"""A capture on the disk: codes as they came, decoded again whenever somebody reads.

A spooled capture takes memory of one block, whatever its length. Its driver's ``decode`` is given
runs of consecutive chunks, not the whole capture: ``raw`` of a chunk holds whole codes, and what a
decoder needs of its past and future (range switches) it finds in ``CONTEXT_SAMPLES`` around. Which
samples were lost is kept beside the codes, because who delivered them knew more than the codes
tell: a counter modulo 64 does not see that 64 samples are gone.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilbench import plugins
from hilbench.errors import MeterError, StoreError
from hilbench.power import CaptureEnd, Chunk, MeterIdentity, MeterSetup, MeterSpec
from hilbench.recordings import samples
from hilbench.recordings.memory import check_follows, false_runs, lost_chunk

BLOCK_SAMPLES = 1 << 17  # decoded at once, if chunks are not longer
CONTEXT_SAMPLES = 2048  # decoded before and after a block and thrown away: 300 suffice for any
# filter that a meter's vendor publishes, and a held sample is never more than 3 away

Decode = Callable[[bytes, MeterIdentity, MeterSetup, int], Iterator[Chunk]]


class Row(NamedTuple):
    """A chunk without its samples."""

    start: int
    samples: int
    lost: int
    raw_bytes: int


class Codes:
    """Codes of chunks, one after the other in a file without a name, and where they belong.

    Raises:
        StoreError: no file can be made below ``folder``.
    """

    def __init__(self, driver: str, folder: Path | None = None) -> None:
        self.driver = driver
        self.rows: list[Row] = []
        self.gaps: list[tuple[int, int]] = []  # first lost sample, and the one behind the last
        self.file = _temporary_file(folder)
        weakref.finalize(self, self.file.close)  # recordings are handed around: the last one closes
        self.decoder: str | None = None  # the driver, or samples.NAME; None: nothing to decode

    def add(self, chunk: Chunk) -> None:
        """Take a chunk. Of a meter that gives no codes, the samples are kept as they are.

        Raises:
            MeterError: its codes are missing, though earlier chunks had theirs.
            StoreError: the disk is full.
        """
        raw = self._raw(chunk)
        self.write(raw)
        lost = 0
        for start, end in false_runs(chunk.valid):
            self.gaps.append((chunk.start + start, chunk.start + end))
            lost += end - start
        self.rows.append(Row(chunk.start, len(chunk), lost, len(raw)))

    def _raw(self, chunk: Chunk) -> bytes:
        if not chunk.valid.any() and not chunk.raw:  # lost, and no code tells of it
            return b""
        if self.decoder is None:
            self.decoder = self.driver if chunk.raw else samples.NAME
        if self.decoder == samples.NAME:
            return samples.pack(chunk)
        if not chunk.raw:
            raise MeterError(
                f"{self.driver} gave no codes with sample {chunk.start}, but with earlier ones; a "
                f"driver gives them always or never"
            )
        return chunk.raw

    def write(self, raw: bytes) -> None:
        """Append codes alone.

        Raises:
            StoreError: the disk is full.
        """
        try:
            self.file.write(raw)
        except OSError as error:
            raise _cannot_spool(error) from error

    def flush(self) -> None:
        """Make everything readable from the file.

        Raises:
            StoreError: the disk is full.
        """
        try:
            self.file.flush()
        except OSError as error:
            raise _cannot_spool(error) from error

    def close(self) -> None:
        """Give the file back; may be called twice."""
        self.file.close()


class Spooled:
    """A capture that has ended, read from a file. See ``Recording``."""

    def __init__(
        self,
        identity: MeterIdentity,
        spec: MeterSpec,
        setup: MeterSetup,
        end: CaptureEnd,
        codes: Codes,
    ) -> None:
        self.identity = identity
        self.spec = spec
        self.setup = setup
        self.end = end
        self.rows = tuple(codes.rows)
        self._codes = codes

    def chunks(self) -> Iterator[Chunk]:
        """Yield all chunks from index 0 on, as they were delivered, with their codes.

        Raises:
            MeterError: the driver decodes its codes to another number of samples.
        """
        decode = _decoder(self._codes.decoder or samples.NAME)
        before: Chunk | None = None
        offset = first = 0
        while first < len(self.rows):
            last = _extend(self.rows, first + 1, BLOCK_SAMPLES - self.rows[first].samples)
            for chunk in self._block(decode, slice(first, last), offset, before):
                before = chunk
                yield chunk
            offset += _raw_bytes(self.rows[first:last])
            first = last

    def _block(
        self, decode: Decode, block: slice, offset: int, before: Chunk | None
    ) -> Iterator[Chunk]:
        """Decode a block of rows among their neighbours; ``offset``: of the block's codes."""
        begin = _extend_back(self.rows, block.start)
        around = self.rows[begin : _extend(self.rows, block.stop, CONTEXT_SAMPLES)]
        lead, rows = self.rows[begin : block.start], self.rows[block]
        lead_bytes = _raw_bytes(lead)
        raw = os.pread(self._codes.file.fileno(), _raw_bytes(around), offset - lead_bytes)
        delivered = _Delivered.of(list(decode(raw, self.identity, self.setup, around[0].start)))
        expected = _delivered(around)
        if len(delivered.current_a) != expected:
            raise MeterError(
                f"{self.identity.driver} decodes {len(delivered.current_a)} samples from codes that "
                f"were {expected} samples from {around[0].start} on; the file is of another version "
                f"of the driver, or damaged"
            )
        at, raw_at = _delivered(lead), lead_bytes
        for row in rows:
            chunk = lost_chunk(row.start, row.samples, before, self.spec, self.setup)
            # Of a meter that gives no codes the samples stand in the file, and are none either.
            codes = raw[raw_at : raw_at + row.raw_bytes] if decode is not samples.decode else b""
            before = delivered.fill(chunk, at, self._valid(row), codes)
            yield before
            at += row.samples - row.lost
            raw_at += row.raw_bytes

    def _valid(self, row: Row) -> NDArray[np.bool_]:
        valid = np.ones(row.samples, np.bool_)
        gaps, end = self._codes.gaps, row.start + row.samples
        for k in range(bisect_right(gaps, (row.start, row.start)), len(gaps)):
            if gaps[k][0] >= end:
                break
            valid[gaps[k][0] - row.start : gaps[k][1] - row.start] = False
        return valid

    def close(self) -> None:
        """Give the file back; may be called twice. Nothing can be read afterwards."""
        self._codes.close()


class Spool:
    """A capture that goes on.

    Raises:
        StoreError: no file can be made below ``folder``.
    """

    def __init__(
        self,
        identity: MeterIdentity,
        spec: MeterSpec,
        setup: MeterSetup,
        folder: Path | None = None,  # None: the system's for temporary files
    ) -> None:
        self.identity = identity
        self.spec = spec
        self.setup = setup
        self.samples = 0  # so far, lost ones included
        self._codes = Codes(identity.driver, folder)

    def append(self, chunk: Chunk) -> None:
        """Take the next chunk.

        Raises:
            MeterError: it does not begin where the last one ended, or its codes are missing.
            StoreError: the disk is full.
        """
        check_follows(chunk, self.samples)
        if len(chunk) or chunk.raw:
            self._codes.add(chunk)
            self.samples += len(chunk)

    def finish(self, end: CaptureEnd) -> Spooled:
        """Return the capture as a recording, which has the file from now on.

        Raises:
            StoreError: the disk is full.
        """
        self._codes.flush()
        return Spooled(self.identity, self.spec, self.setup, end, self._codes)

    def close(self) -> None:
        """Give the file back without a recording; may be called twice."""
        self._codes.close()


def _temporary_file(folder: Path | None) -> IO[bytes]:
    """Open a file that has no name and vanishes when closed.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        return tempfile.TemporaryFile(dir=folder, prefix="hilbench-")
    except OSError as error:
        raise _cannot_spool(error) from error


def _cannot_spool(error: OSError) -> StoreError:
    """Return what to say when the disk takes no more."""
    return StoreError(
        f"a capture cannot be spooled ({error.strerror}); free the disk below "
        f"{tempfile.gettempdir()}, or set TMPDIR to another one"
    )


class _Delivered(NamedTuple):
    """Samples as the meter delivered them, without those that were lost."""

    current_a: NDArray[np.float64]
    voltage_v: NDArray[np.float64] | float
    logic: NDArray[np.uint8]
    range: NDArray[np.uint8]
    vendor_a: NDArray[np.float64] | None

    @classmethod
    def of(cls, parts: Sequence[Chunk]) -> _Delivered:
        if not parts:
            none = np.empty(0, np.uint8)
            return cls(np.empty(0), np.nan, none, none, None)
        voltage = parts[-1].voltage_v
        if isinstance(voltage, np.ndarray):
            voltage = np.concatenate([np.asarray(part.voltage_v)[part.valid] for part in parts])
        vendor = [part.vendor_a[part.valid] for part in parts if part.vendor_a is not None]
        return cls(
            np.concatenate([part.current_a[part.valid] for part in parts]),
            voltage,
            np.concatenate([part.logic[part.valid] for part in parts]),
            np.concatenate([part.range[part.valid] for part in parts]),
            np.concatenate(vendor) if len(vendor) == len(parts) else None,
        )

    def fill(self, lost: Chunk, first: int, valid: NDArray[np.bool_], raw: bytes) -> Chunk:
        """Return a chunk of lost samples with those that were delivered, from ``first`` on."""
        n = int(valid.sum())
        if n == 0:
            return replace(lost, raw=raw)
        part = slice(first, first + n)
        order = np.cumsum(valid) - 1  # which of the delivered is the last at each sample
        seen = order >= 0
        for column, values in ((lost.logic, self.logic), (lost.range, self.range)):
            column[seen] = values[part][order[seen]]
        return Chunk(
            lost.start,
            _scatter(self.current_a[part], valid),
            _scatter(self.voltage_v[part], valid)
            if isinstance(self.voltage_v, np.ndarray)
            else self.voltage_v,
            lost.logic,
            valid,
            lost.range,
            raw,
            None if self.vendor_a is None else _scatter(self.vendor_a[part], valid),
        )


def _scatter(values: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    if len(values) == len(valid):
        return values
    filled = np.full(len(valid), np.nan)
    filled[valid] = values
    return filled


def _decoder(name: str) -> Decode:
    if name == samples.NAME:
        return samples.decode
    decode: Decode = plugins.load("power", name).decode
    return decode


def _raw_bytes(rows: Sequence[Row]) -> int:
    return sum(row.raw_bytes for row in rows)


def _delivered(rows: Sequence[Row]) -> int:
    return sum(row.samples - row.lost for row in rows)


def _extend(rows: Sequence[Row], first: int, limit: int) -> int:
    """Return the row behind those that go on at ``first`` without a hole and fill ``limit``."""
    last, total = first, 0
    while last < len(rows) and total < limit and _goes_on(rows, last):
        total += rows[last].samples
        last += 1
    return last


def _extend_back(rows: Sequence[Row], first: int) -> int:
    begin, total = first, 0
    while begin and total < CONTEXT_SAMPLES and _goes_on(rows, begin):
        begin -= 1
        total += rows[begin].samples
    return begin


def _goes_on(rows: Sequence[Row], row: int) -> bool:
    return rows[row].start == rows[row - 1].start + rows[row - 1].samples
