"""Evidence: the codes of a capture around its windows, in a file that decodes again.

The file is an ``.npz``, so that numpy alone can open it:

========== ============ ==========================================================================
``header`` uint8 [n]    JSON: format, version, decoder, margin_s (null: everything was kept), and
                        the records identity (with the calibration text), spec, setup, end, windows.
                        A limit that nobody knows is NaN, which Python's json reads and writes
``rows``   int64 [n, 4] of each chunk that was kept: start, samples, how many of these are lost,
                        bytes of its codes
``gaps``   int64 [n, 2] first lost sample and the one behind the last, within chunks that were kept
``raw``    uint8 [n]    codes of these chunks, one after the other, as the instrument sent them
========== ============ ==========================================================================
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
import struct
import zipfile
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hilbench.codec import decode as from_json
from hilbench.codec import encode as to_json
from hilbench.errors import StoreError
from hilbench.power import (
    CaptureEnd,
    Chunk,
    MeterIdentity,
    MeterSetup,
    MeterSpec,
    Recording,
    Window,
)
from hilbench.recordings.memory import lost_chunk
from hilbench.recordings.samples import NAME
from hilbench.recordings.spool import (
    CONTEXT_SAMPLES,
    Codes,
    Row,
    Spooled,
)

FORMAT = "hilbench evidence"
VERSION = 1
MARGIN_S = 0.02  # 20 time constants of the longest RC tail that is corrected, 1 ms
_COPY_BYTES = 1 << 20
_FILL_SAMPLES = 1 << 16  # in one chunk of samples that were not kept
_MAX_SMALL_BYTES = 1 << 28  # header, rows
# Of deflate: 1.7 bytes a sample of a PPK2 at 20 MS/s; level 6 makes 1.3 bytes at 4 MS/s.
_COMPRESSION = 1

# What zipfile and the .npy header raise on bytes that are neither.
_CORRUPT = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError, struct.error,
    NotImplementedError, RuntimeError, OSError, SyntaxError, OverflowError,
)  # fmt: skip


@dataclass(frozen=True)
class _Header:
    format: str
    version: int
    decoder: str
    margin_s: float | None
    identity: MeterIdentity
    spec: MeterSpec
    setup: MeterSetup
    end: CaptureEnd
    windows: tuple[Window, ...]
    samples: int  # of the whole capture, lost ones included


class Evidence:
    """A recording of what was kept. See ``Recording``.

    Samples that were not kept are as lost ones are (valid False, NaN): ``kept`` tells which those
    are, ``end.gaps`` which were lost by the meter.
    """

    def __init__(self, header: _Header, codes: Codes) -> None:
        self.identity = header.identity
        self.spec = header.spec
        self.setup = header.setup
        self.end = header.end
        self.windows = header.windows
        self.margin_s = header.margin_s  # None: everything was kept
        self._samples = header.samples
        self.kept = _stretches(codes.rows)  # first sample, and the one behind the last
        self._spooled = Spooled(header.identity, header.spec, header.setup, header.end, codes)

    def chunks(self) -> Iterator[Chunk]:
        """Yield all chunks from index 0 on, without holes between them.

        Raises:
            MeterError: the driver decodes its codes to another number of samples.
        """
        before: Chunk | None = None
        at = 0
        for chunk in self._spooled.chunks():
            yield from self._fill(at, chunk.start, before)
            yield chunk
            at, before = chunk.start + len(chunk), chunk
        yield from self._fill(at, self._samples, before)

    def _fill(self, at: int, end: int, before: Chunk | None) -> Iterator[Chunk]:
        for start in range(at, end, _FILL_SAMPLES):
            samples = min(end - start, _FILL_SAMPLES)
            yield lost_chunk(start, samples, before, self.spec, self.setup)

    def kept_chunks(self) -> Iterator[Chunk]:
        """Yield the chunks that were kept; between them are holes."""
        return self._spooled.chunks()

    def close(self) -> None:
        """Give the memory on the disk back; may be called twice."""
        self._spooled.close()


def write_evidence(
    path: Path,
    recording: Recording,
    windows: Sequence[Window] = (),
    margin_s: float | None = MARGIN_S,
) -> str:
    """Keep the chunks that touch a window or the margin around it; ``margin_s`` None: all.

    The windows are decoded from what was kept and compared with the recording before the file
    takes its name: it is there whole or not at all.

    Returns:
        Its SHA-256, hex.

    Raises:
        StoreError: not written, or what was kept does not decode to what was measured.
        MeterError: the driver cannot decode its own codes.
    """
    wanted = _wanted(windows, recording.spec.sample_hz, margin_s)
    codes = Codes(recording.identity.driver)
    try:
        samples = _select(recording, wanted, codes)
        header = _Header(
            FORMAT, VERSION, codes.decoder or NAME, margin_s, recording.identity, recording.spec,
            recording.setup, recording.end, tuple(windows), samples,
        )  # fmt: skip
        with _renamed_when_done(path) as file:
            _write(file, header, codes)
            with closing(load_evidence(Path(file.name))) as kept:
                _compare(path, recording, kept, wanted)
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()
    finally:
        codes.close()


def load_evidence(path: Path) -> Evidence:
    """Open an evidence file; its codes are unpacked to the disk and checked.

    Raises:
        StoreError: absent, damaged, or of a newer version.
    """
    codes = Codes("")
    try:
        with zipfile.ZipFile(path) as archive:
            header = _read_header(archive)
            codes.driver, codes.decoder = header.identity.driver, header.decoder
            _read_rows(archive, codes, header.samples)
            _unpack(archive, codes)
    except StoreError as error:  # of the header's fields
        codes.close()
        raise StoreError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        codes.close()
        raise StoreError(f"{path}: cannot be read (no such file)") from error
    except _CORRUPT as error:
        codes.close()
        raise StoreError(
            f"{path}: not whole evidence of hilbench ({type(error).__name__}: {error}); restore "
            f"the file, the run's journal has its SHA-256"
        ) from error
    return Evidence(header, codes)


def _wanted(
    windows: Sequence[Window], sample_hz: float, margin_s: float | None
) -> list[tuple[int, int]]:
    """Return what shall decode again as sample ranges, merged; margin None: everything."""
    if margin_s is None:
        return [(0, np.iinfo(np.int64).max)]
    margin = margin_s * sample_hz
    merged: list[tuple[int, int]] = []
    for window in sorted(windows, key=lambda window: window.start):
        start, end = math.floor(window.start - margin), math.ceil(window.end + margin)
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((max(start, 0), end))
    return merged


def _overlapping(
    wanted: Sequence[tuple[int, int]], first: int, last: int
) -> Sequence[tuple[int, int]]:
    """Return those of sorted ranges that do not touch that have a sample in [first, last)."""
    begin = bisect_right(wanted, first, key=lambda stretch: stretch[1])
    return wanted[begin : bisect_left(wanted, last, key=lambda stretch: stretch[0])]


def _select(recording: Recording, wanted: Sequence[tuple[int, int]], codes: Codes) -> int:
    """Spool the chunks that are wanted and their context; return the capture's length."""
    at = 0
    for chunk in recording.chunks():
        first, last = chunk.start - CONTEXT_SAMPLES, chunk.start + len(chunk) + CONTEXT_SAMPLES
        if _overlapping(wanted, first, last):
            codes.add(chunk)
        at = chunk.start + len(chunk)
    codes.flush()
    return at


def _write(file: IO[bytes], header: _Header, codes: Codes) -> None:
    text = json.dumps(to_json(header), ensure_ascii=False).encode()
    rows = np.array(codes.rows, np.int64).reshape(-1, len(Row._fields))
    gaps = np.array(codes.gaps, np.int64).reshape(-1, 2)
    codes.file.seek(0)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
        _write_array(archive, "header", np.frombuffer(text, np.uint8), io.BytesIO(text))
        _write_array(archive, "rows", rows, io.BytesIO(rows.tobytes()))
        _write_array(archive, "gaps", gaps, io.BytesIO(gaps.tobytes()))
        raw = np.broadcast_to(np.uint8(0), sum(row.raw_bytes for row in codes.rows))
        _write_array(archive, "raw", raw, codes.file)
    file.flush()


def _write_array(archive: zipfile.ZipFile, name: str, like: NDArray[Any], data: IO[bytes]) -> None:
    """Write ``data`` as an array of the shape and type of ``like``, in pieces."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
        descr = np.lib.format.dtype_to_descr(like.dtype)  # type: ignore[no-untyped-call]
        fields = {"descr": descr, "fortran_order": False, "shape": like.shape}
        np.lib.format.write_array_header_1_0(entry, fields)  # type: ignore[no-untyped-call]
        shutil.copyfileobj(data, entry, _COPY_BYTES)


@contextmanager
def _open_array(archive: zipfile.ZipFile, name: str, dtype: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open an array's entry behind its header, and say how many elements it has."""
    with archive.open(f"{name}.npy") as entry:
        version = np.lib.format.read_magic(entry)  # type: ignore[no-untyped-call]
        if version != (1, 0):
            raise ValueError(f"{name}: unknown version of npy")
        head = np.lib.format.read_array_header_1_0(entry)  # type: ignore[no-untyped-call]
        shape, fortran, found = head
        if found != np.dtype(dtype) or fortran:
            raise ValueError(f"{name} is {found}, expected {dtype}")
        yield entry, math.prod(shape)


def _read_small(archive: zipfile.ZipFile, name: str, dtype: str) -> bytes:
    with _open_array(archive, name, dtype) as (entry, elements):
        size = elements * np.dtype(dtype).itemsize
        if size > _MAX_SMALL_BYTES:
            raise ValueError(f"{name} has {size} bytes")
        data = entry.read(size + 1)  # to its end: there zipfile checks the CRC
    if len(data) != size:
        raise ValueError(f"{name} has {len(data)} of {size} bytes")
    return data


def _read_header(archive: zipfile.ZipFile) -> _Header:
    values = json.loads(_read_small(archive, "header", "u1"))
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError("its header does not say so")
    if values.get("version") != VERSION:
        raise StoreError(
            f"version {values.get('version')!r} of the evidence format, this hilbench reads "
            f"{VERSION}; install the one that wrote it"
        )
    return from_json(_Header, values, "header")


def _read_table(archive: zipfile.ZipFile, name: str, columns: int) -> list[list[int]]:
    data = np.frombuffer(_read_small(archive, name, "<i8"), "<i8")
    if data.size and data.min() < 0:
        raise ValueError(f"{name} holds {data.min()}")
    rows: list[list[int]] = data.reshape(-1, columns).tolist()
    return rows


def _read_rows(archive: zipfile.ZipFile, codes: Codes, samples: int) -> None:
    """Read where chunks and gaps are, and check that they can be."""
    codes.rows = [Row(*row) for row in _read_table(archive, "rows", len(Row._fields))]
    codes.gaps = [(start, end) for start, end in _read_table(archive, "gaps", 2)]
    at = 0
    for row in codes.rows:
        if row.start < at or row.lost > row.samples:
            raise ValueError(f"chunks overlap at sample {row.start}")
        at = row.start + row.samples
    if at > samples:
        raise ValueError(f"chunks end at sample {at}, the capture at {samples}")
    lost = [0] * len(codes.rows)
    for start, end in codes.gaps:
        k = bisect_right(codes.rows, start, key=lambda row: row.start) - 1
        if k < 0 or not start < end <= codes.rows[k].start + codes.rows[k].samples:
            raise ValueError(f"gap {start} to {end} is in no chunk")
        lost[k] += end - start
    if codes.gaps != sorted(codes.gaps) or lost != [row.lost for row in codes.rows]:
        raise ValueError("gaps are not the chunks' lost samples")


def _unpack(archive: zipfile.ZipFile, codes: Codes) -> None:
    size, written = sum(row.raw_bytes for row in codes.rows), 0
    with _open_array(archive, "raw", "u1") as (entry, elements):
        if elements != size:
            raise ValueError(f"{elements} bytes of codes, its chunks have {size}")
        while data := entry.read(_COPY_BYTES):
            written += len(data)
            if written > size:
                break
            codes.write(data)
    if written != size:
        raise ValueError(f"{written} bytes of codes, its chunks have {size}")
    codes.flush()


def _compare(
    path: Path, recording: Recording, kept: Evidence, wanted: Sequence[tuple[int, int]]
) -> None:
    """Refuse evidence that does not decode to what was measured where it is wanted."""
    decoded = kept.kept_chunks()
    other = next(decoded, None)
    for chunk in recording.chunks():
        if other is None:
            break
        if other.start != chunk.start or len(other) != len(chunk):
            continue
        for start, end in _overlapping(wanted, chunk.start, chunk.start + len(chunk)):
            part = slice(max(start - chunk.start, 0), max(end - chunk.start, 0))
            if not _equal(chunk, other, part):
                raise StoreError(
                    f"{path}: {kept.identity.driver} does not decode its codes to what was measured "
                    f"between samples {chunk.start} and {chunk.start + len(chunk)}; keep the whole "
                    f"capture (margin_s None) and report the driver"
                )
        other = next(decoded, None)
    if other is not None:
        raise StoreError(f"{path}: the recording changed while it was kept; nothing was written")


def _equal(a: Chunk, b: Chunk, part: slice) -> bool:
    return (
        _close(a.current_a[part], b.current_a[part])
        and _close(_volts(a)[part], _volts(b)[part])
        and (a.vendor_a is None) == (b.vendor_a is None)
        and (a.vendor_a is None or _close(a.vendor_a[part], np.asarray(b.vendor_a)[part]))
        and np.array_equal(a.logic[part], b.logic[part])
        and np.array_equal(a.valid[part], b.valid[part])
        and np.array_equal(a.range[part], b.range[part])
    )


def _close(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    """Compare up to the rounding of a recursive filter that began elsewhere."""
    return bool(np.allclose(a, b, rtol=1e-12, atol=1e-15, equal_nan=True))


def _volts(chunk: Chunk) -> NDArray[np.float64]:
    return np.broadcast_to(np.asarray(chunk.voltage_v, np.float64), len(chunk))


def _stretches(rows: Sequence[Row]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for row in rows:
        if merged and merged[-1][1] == row.start:
            merged[-1] = (merged[-1][0], row.start + row.samples)
        else:
            merged.append((row.start, row.start + row.samples))
    return tuple(merged)


@contextmanager
def _renamed_when_done(path: Path) -> Iterator[io.BufferedRandom]:
    """Open a temporary file beside ``path`` that becomes it, synced, unless something is raised.

    Raises:
        StoreError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w+b") as file:
            try:
                yield file
                os.fsync(file.fileno())
                temporary.replace(path)
            except BaseException:
                temporary.unlink()
                raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
