"""What all files of samples share: who they are, what they do not say, and the typed errors."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import ConfigError, MeterError
from hilbench.power import (
    CaptureEnd,
    Chunk,
    MeterIdentity,
    MeterSetup,
    MeterSpec,
    RangeSpec,
    VoltageSource,
)
from hilbench.recordings import account
from hilbench.recordings.memory import check_follows

CHUNK_SAMPLES = 1 << 16
_RATE_LIMIT = 1e-3  # between the rate that is asked for and a file's
LIMITS = ("lsb_a", "gain_limit", "offset_limit_a", "top_a", "clock_limit", "voltage_limit")
"""Arguments that say how good the instrument was; what a file does not say is NaN without them."""
OTHERS = ("file", "emulated", "trial", "source", "logic_order")


class FileRecording:
    """A recording that is read from its file again for every pass. See ``Recording``.

    Opening it reads the whole file once: damage is found then, and the account is complete.
    """

    def __init__(
        self,
        identity: MeterIdentity,
        spec: MeterSpec,
        setup: MeterSetup,
        read: Callable[[], Iterator[Chunk]],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.identity = identity
        self.spec = spec
        self.setup = setup
        self._read = read
        self.end: CaptureEnd = account(self._checked(), notes=notes)
        if self.end.samples == 0:
            raise MeterError(f"{identity.address}: holds no sample; record it again")

    def chunks(self) -> Iterator[Chunk]:
        """Yield all chunks from index 0 on, without holes between them.

        Raises:
            MeterError: the file has changed since it was opened.
        """
        return self._checked()

    def _checked(self) -> Iterator[Chunk]:
        at = 0
        for chunk in self._read():
            check_follows(chunk, at)
            at += len(chunk)
            yield chunk


def identity(
    path: Path,
    setup: MeterSetup,
    model: str,
    serial_number: str = "",
    firmware: str = "",
) -> MeterIdentity:
    """Return who recorded a file."""
    emulated = dict(setup.args).get("emulated", "false")
    if emulated not in {"true", "false"}:
        raise ConfigError(f'replay: emulated = "{emulated}"; write "true" or "false"')
    return MeterIdentity(
        "replay", model, serial_number, firmware, str(path), emulated == "true", ""
    )


def spec(
    setup: MeterSetup,
    sample_hz: float,
    logic_inputs: tuple[str, ...],
    voltage: VoltageSource,
    *,
    source: str,
    ranges: tuple[RangeSpec, ...] = (),
) -> MeterSpec:
    """Return what a file delivers; limits in ``setup.args`` go before those of ``ranges``.

    Raises:
        ConfigError: an argument is no number, or asks for another rate than the file has.
    """
    given = {name: number(setup, name) for name in LIMITS if name in dict(setup.args)}
    nan = math.nan
    base = ranges or (RangeSpec(nan, nan, nan, nan),)
    changed = tuple(
        RangeSpec(*(given.get(name, getattr(r, name)) for name in LIMITS[:4])) for r in base
    )
    words = f"{source}; {', '.join(given)} as configured" if given else source
    return MeterSpec(
        checked_rate(setup, sample_hz),
        given.get("clock_limit", nan),
        changed,
        logic_inputs,
        voltage,
        given.get("voltage_limit", nan),
        words,
    )


def checked_rate(setup: MeterSetup, sample_hz: float) -> float:
    """Return a file's rate, NaN as long as it is not known.

    Raises:
        ConfigError: another one was asked for.
    """
    asked = setup.sample_hz
    if asked is not None and abs(asked - sample_hz) > _RATE_LIMIT * sample_hz:
        raise ConfigError(
            f"replay: sample_hz = {asked:g}, the file has {sample_hz:.10g} samples/s; "
            f"leave sample_hz out, files are not resampled"
        )
    return sample_hz


def number(setup: MeterSetup, name: str) -> float:
    """Return an argument as a number of 0 or more.

    Raises:
        ConfigError: it is none.
    """
    text = dict(setup.args)[name]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ConfigError(f'replay: {name} = "{text}"; it must be a number of 0 or more')
    return value


def check_args(setup: MeterSetup) -> None:
    """Refuse arguments that nobody would look at.

    Raises:
        ConfigError: names the nearest that exists.
    """
    known = LIMITS + OTHERS
    for name, _ in setup.args:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
            raise ConfigError(f"replay: no argument {name!r}{hint}")


def declared_v(path: Path, setup: MeterSetup) -> float:
    """Return the supply of a file that holds no voltage.

    Raises:
        ConfigError: setup has none either.
    """
    if not (math.isfinite(setup.supply_v) and setup.supply_v > 0):
        raise ConfigError(
            f"{path}: holds no voltage and supply_v is {setup.supply_v:g}; say the supply in V"
        )
    return setup.supply_v


def unreadable(path: Path, error: Exception) -> MeterError:
    """Return what to say of a file that the system does not give."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return MeterError(f"{path}: cannot be read ({reason})")


def damaged(path: Path, what: str) -> MeterError:
    """Return what to say of a file that is not what its name says."""
    return MeterError(f"{path}: {what}; record or export it again")


def chunk(
    start: int,
    current_a: NDArray[np.floating[Any]],
    voltage_v: NDArray[np.floating[Any]] | float,
    logic: NDArray[np.uint8],
    ranges: NDArray[np.uint8] | None = None,
) -> Chunk:
    """Return a chunk whose NaN are lost samples."""
    n = len(current_a)
    current: NDArray[np.float64] = np.asarray(current_a, np.float64)
    valid = ~np.isnan(current)
    if isinstance(voltage_v, np.ndarray):
        valid &= ~np.isnan(voltage_v)
        voltage_v = np.where(valid, np.asarray(voltage_v, np.float64), np.nan)
        current = np.where(valid, current, np.nan)
    ranges = np.zeros(n, np.uint8) if ranges is None else ranges
    return Chunk(start, current, voltage_v, logic, valid, ranges)
