"""Sessions of nRF Connect Power Profiler (``.ppk2``), as the app's source writes them.

A zip with ``metadata.json`` ({"metadata": {"samplesPerSecond", "startSystemTime"}, "formatVersion":
2}), ``session.raw`` and ``minimap.raw`` (for the app's overview, not read). A sample of session.raw
is 6 bytes: current in uA, float32 little endian; then the logic inputs, uint16 *big* endian, two
bits for each input from D0 in the lowest up: 1 low, 2 high, 3 both (below 100 kS/s, where samples
are means), 0 never. Other programs write the two bytes the other way round, which nothing in the
file tells: ``logic_order = "little"`` reads them. Sources: pc-nrfconnect-ppk, src/globals.ts,
src/actions/deviceActions.ts, src/utils/{saveFileHandler,bitConversion}.ts, as of March 2026.

What the app does to its samples stays done. It stores a lost sample as 0.2 uA with all inputs low,
which is recognised here where samples are no means, but it stores one too few for each gap (none
for gaps of 1, 64, 65 ...), so that the time line is shorter than it was. Below 0.2 uA it stores 0.
After a range switch it has filtered three samples. The range is not in the file: it is told from
the current.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilbench.drivers.power import _replay_file as file
from hilbench.drivers.power._ppk2_calibration import GAIN_LIMIT, OFFSET_LIMIT_A, TOP_A
from hilbench.errors import ConfigError, MeterError
from hilbench.power import Chunk, MeterSetup, RangeSpec

_SAMPLE = np.dtype([("current_ua", "<f4"), ("logic", ">u2")])
_FULL_HZ = 100_000
_LOST_UA = np.float32(0.2)
_ALL_LOW = 0x5555
_LSB_A = (44e-9, 0.43e-6, 4.3e-6, 45.6e-6, 779e-6)  # of one unit's calibration
_HIGH, _BOTH = 2, 3
_INPUTS = tuple(f"D{k}" for k in range(8))
_METADATA_BYTES = 1 << 20

# What zipfile raises on bytes that are no zip.
_CORRUPT = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError,
    ValueError, OSError,
)  # fmt: skip


def open_file(path: Path, setup: MeterSetup) -> file.FileRecording:
    """Open a session.

    Raises:
        MeterError: unreadable, damaged, or of another version.
        ConfigError: the supply is not said; the app does not keep it.
    """
    order = dict(setup.args).get("logic_order", "big")
    if order not in {"big", "little"}:
        raise ConfigError(f'replay: logic_order = "{order}"; write "big" or "little"')
    rate_hz = _rate(path)
    supply_v = file.declared_v(path, setup)
    ranges = tuple(
        RangeSpec(*limits) for limits in zip(_LSB_A, GAIN_LIMIT, OFFSET_LIMIT_A, TOP_A, strict=True)
    )
    words = "typical values of the PPK2's user guide; ranges told from the current"
    spec = file.spec(setup, rate_hz, _INPUTS, "declared", source=words, ranges=ranges)

    session = _Session(path, supply_v, order == "little", rate_hz < _FULL_HZ)
    notes = ["its app drops one sample or more of each gap: the time line may be too short"]
    if rate_hz < _FULL_HZ:
        notes.append("samples are means of 100 kS/s: lost ones are among them, unmarked")
    return file.FileRecording(
        file.identity(path, setup, "PPK2"), spec, setup, session.chunks, tuple(notes)
    )


def _rate(path: Path) -> float:
    try:
        with zipfile.ZipFile(path) as archive, archive.open("metadata.json") as entry:
            values = json.loads(entry.read(_METADATA_BYTES))
    except FileNotFoundError as error:
        raise file.unreadable(path, error) from error
    except _CORRUPT as error:
        raise _no_session(path, error) from error
    version = values.get("formatVersion") if isinstance(values, dict) else None
    if version != 2:  # noqa: PLR2004 - the only one of .ppk2
        raise file.damaged(path, f"formatVersion is {version!r}, known is 2")
    metadata = values.get("metadata")
    rate = metadata.get("samplesPerSecond") if isinstance(metadata, dict) else None
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate <= _FULL_HZ:
        raise file.damaged(path, f"samplesPerSecond is {rate!r}, limit {_FULL_HZ}")
    return float(rate)


@dataclass(frozen=True)
class _Session:
    path: Path
    supply_v: float
    little: bool  # order of the logic inputs' bytes
    means: bool  # samples are means of several

    def chunks(self) -> Iterator[Chunk]:
        start, levels = 0, np.uint8(0)
        size = file.CHUNK_SAMPLES * _SAMPLE.itemsize
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open("session.raw") as entry:
                while data := entry.read(size):
                    if len(data) % _SAMPLE.itemsize:
                        at = start + len(data) // _SAMPLE.itemsize
                        raise file.damaged(self.path, f"session.raw ends within sample {at}")
                    part = self._chunk(start, np.frombuffer(data, _SAMPLE), levels)
                    yield part
                    start, levels = start + len(part), part.logic[-1]
        except _CORRUPT as error:
            raise _no_session(self.path, error) from error

    def _chunk(self, start: int, samples: NDArray[np.void], before: np.uint8) -> Chunk:
        pairs: NDArray[np.uint16] = samples["logic"].astype(np.uint16)
        if self.little:
            pairs = pairs.byteswap()
        current_ua = samples["current_ua"]
        lost = np.zeros(len(samples), np.bool_)
        if not self.means:
            lost = (current_ua == _LOST_UA) & (pairs == _ALL_LOW)
        if np.isinf(current_ua).any():
            at = start + int(np.isinf(current_ua).argmax())
            raise file.damaged(self.path, f"infinite current at sample {at}")
        logic = np.zeros(len(samples), np.uint8)
        for k, name in enumerate(_INPUTS):
            state = (pairs >> np.uint16(2 * k)).astype(np.uint8) & np.uint8(3)
            if not state.all():
                at = start + int(state.argmin())
                raise file.damaged(self.path, f"{name} is neither low nor high at sample {at}")
            known = (state != _BOTH) & ~lost
            logic |= _held(state == _HIGH, known, before=bool(before >> k & 1)) << np.uint8(k)
        current_a = np.where(lost, np.nan, current_ua.astype(np.float64) * 1e-6)
        return file.chunk(start, current_a, self.supply_v, logic, _ranges(current_a))


def _held(high: NDArray[np.bool_], known: NDArray[np.bool_], *, before: bool) -> NDArray[np.uint8]:
    """Hold the last level where none is known: edges are late by up to a sample, all alike."""
    last = np.maximum.accumulate(np.where(known, np.arange(len(high)), -1))
    return np.where(last >= 0, high[last], before).astype(np.uint8)


def _ranges(current_a: NDArray[np.float64]) -> NDArray[np.uint8]:
    tops = np.array(TOP_A[:-1])
    ranges = np.searchsorted(tops, np.nan_to_num(np.abs(current_a)), side="right")
    return ranges.astype(np.uint8)


def _no_session(path: Path, error: Exception) -> MeterError:
    return file.damaged(path, f"no whole session of nRF Connect ({type(error).__name__}: {error})")
