"""Captures from files, as a meter and as recordings: another tool's, or our own evidence.

===================== ============================================================================
``.npz``              hilbench's evidence; decoded by the driver that recorded it
``.jls``              Joulescope, through pyjls (hilbench[joulescope]): current, voltage, GPIO
``.ppk2``             nRF Connect Power Profiler
``.csv``              columns in ``_replay_columns``; also the CSV of nRF Connect Power Profiler
``.parquet``          the same columns, through pyarrow (hilbench[parquet])
``.json``             results of MLPerf Tiny's runner in energy mode; argument ``trial``
===================== ============================================================================

Arguments (``args`` in boards.toml): ``file``; ``lsb_a``, ``gain_limit``, ``offset_limit_a``,
``top_a``, ``clock_limit``, ``voltage_limit`` of the instrument, which files do not say;
``emulated`` = "true" of a trace that no instrument measured; ``trial``; ``source`` of a JLS file
with several; ``logic_order`` of a ``.ppk2`` file of another program.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hilbench.drivers.power import _replay_file as file
from hilbench.errors import ConfigError, MeterError
from hilbench.power import CaptureEnd, Chunk, Gap, MeterIdentity, MeterSetup, MeterSpec, Recording
from hilbench.recordings import load_evidence
from hilbench.recordings.samples import decode
from hilbench.records import MeterConfig

__all__ = ["decode", "find", "open_meter", "open_recording"]

_FORMATS = {
    ".jls": "jls",
    ".ppk2": "ppk2",
    ".csv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".json": "mlperf",
}


def open_recording(path: Path, setup: MeterSetup) -> Recording:
    """Open a file of samples by its ending.

    Args:
        path: of the file.
        setup: what the file does not say: the supply, the rate of a table without times, limits.
            Evidence says all of that itself.

    Raises:
        ConfigError: an unknown ending or argument, or something is said by nobody.
        MeterError: unreadable or damaged.
        StoreError: damaged evidence.
        ToolMissingError: the format's package is not installed.
    """
    file.check_args(setup)
    ending = path.suffix.lower()
    if ending == ".npz":
        return load_evidence(path)
    if ending not in _FORMATS:
        raise ConfigError(
            f"{path}: no file of samples by its ending; known: .npz, {', '.join(_FORMATS)}"
        )
    module = importlib.import_module(f"{__package__}._replay_{_FORMATS[ending]}")
    recording: Recording = module.open_file(path, setup)
    return recording


def find() -> list[tuple[str, str]]:
    """Return none: files are not plugged in."""
    return []


def open_meter(config: MeterConfig, address: str, timeout_s: float) -> Replay:  # noqa: ARG001
    """Return a meter that delivers a file: ``address``, or the argument ``file``.

    Raises:
        ConfigError: no file is named.
        MeterError: there is no such file.
    """
    name = address or dict(config.args).get("file", "")
    if not name:
        raise ConfigError('meter "replay" needs a file; add args.file = "trace.jls" to its table')
    if not Path(name).is_file():
        raise MeterError(f"{name}: cannot be read (no such file)")
    return Replay(Path(name))


class Replay:
    """A meter that delivers a file as fast as it is read, in the time of its samples.

    Who it was is known after ``configure``, which says what the file does not.
    """

    def __init__(self, path: Path) -> None:
        self.identity = MeterIdentity("replay", path.suffix, "", "", str(path), False, "")
        self.spec = MeterSpec(math.nan, math.nan, (), (), "declared", math.nan, "not opened yet")
        self._path = path
        self._recording: Recording | None = None
        self._chunks: Iterator[Chunk] | None = None
        self._delivered = 0  # samples, lost ones included
        self._lost = 0

    def configure(self, setup: MeterSetup) -> None:
        """Open the file.

        Raises:
            ConfigError: it shall supply the board, or nobody says how good its meter was.
            HilbenchError: as ``open_recording``.
        """
        if setup.supplies:
            raise ConfigError(
                f'{self._path}: a file supplies no board; remove supplies from meter "replay"'
            )
        recording = open_recording(self._path, setup)
        unknown = [
            name
            for name in file.LIMITS
            if any(
                math.isnan(getattr(part, name, 0.0))
                for part in (recording.spec, *recording.spec.ranges)
            )
        ]
        if unknown:
            raise ConfigError(
                f"{self._path}: {recording.spec.source}; say {', '.join(unknown)} in the arguments"
            )
        self._recording = recording
        self.identity, self.spec = recording.identity, recording.spec

    def set_supply(self, *, on: bool) -> None:
        """Do nothing: a file is in series with nothing."""

    def start(self) -> None:
        """Begin at the file's first sample.

        Raises:
            MeterError: not configured.
        """
        if self._recording is None:
            raise MeterError(f"{self._path}: not configured; call configure before start")
        self._chunks = self._recording.chunks()
        self._delivered = self._lost = 0

    def read(self, timeout_s: float) -> Chunk | None:  # noqa: ARG002 - interface
        """Return the next chunk; None at the end of the file.

        Raises:
            MeterError: not started, or the file has changed.
        """
        if self._chunks is None:
            raise MeterError(f"{self._path}: not started; call start before read")
        chunk = next(self._chunks, None)
        if chunk is not None:
            self._delivered += len(chunk)
            self._lost += len(chunk) - int(chunk.valid.sum())
        return chunk

    def stop(self) -> tuple[Chunk | None, CaptureEnd]:
        """End; the account is of what was delivered.

        Raises:
            MeterError: not started.
        """
        if self._recording is None or self._chunks is None:
            raise MeterError(f"{self._path}: not started; call start before stop")
        rest = next(self._chunks, None)
        self._chunks = None
        end = self._recording.end
        if rest is None:
            return None, end
        return None, replace(
            end,
            samples=self._delivered - self._lost,
            lost=self._lost,
            gaps=_until(end.gaps, self._delivered),
            notes=(*end.notes, f"stopped after {self._delivered} samples of the file"),
        )

    def close(self) -> None:
        """Forget the file; may be called twice."""
        self._recording = self._chunks = None


def _until(gaps: tuple[Gap, ...], samples: int) -> tuple[Gap, ...]:
    return tuple(
        replace(gap, samples=min(gap.samples, samples - gap.start))
        for gap in gaps
        if gap.start < samples
    )
