"""JLS files (Joulescope), through pyjls: ``current`` in A, ``voltage`` in V, one-bit inputs.

The inputs are called as their signals (``gpi[0]``), in our own exports as on the meter (``D0``).
NaN are lost samples; JLS fills omitted ones with them. The file says rate, model and serial number;
how good the instrument was it does not say, and the range signal is not read.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilbench.drivers.power import _replay_file as file
from hilbench.errors import ConfigError, ToolMissingError
from hilbench.power import Chunk, MeterSetup

_FLOATS = {"F32": 0x2004, "F64": 0x4004}  # the low 16 bits of a data type
_ONE_BIT = 0x0103
_TYPE_BITS = 0xFFFF
_MAX_INPUTS = 8


def open_file(path: Path, setup: MeterSetup) -> file.FileRecording:
    """Open a JLS file.

    Raises:
        ToolMissingError: pyjls is not installed.
        MeterError: unreadable, damaged, or without a current.
        ConfigError: several sources and none is chosen; the supply is said by nobody.
    """
    with _reader(path) as reader:
        source_id = _source(path, setup, reader)
        signals = _Signals.find(path, reader, source_id)
        source = reader.sources[source_id]
        notes = _notes(reader)
    measured = signals.voltage is not None
    supply_v = setup.supply_v if measured else file.declared_v(path, setup)
    spec = file.spec(
        setup,
        float(signals.current.sample_rate),
        _names([signal.name for signal in signals.inputs], notes.get("inputs")),
        "measured" if measured else "declared",
        source="JLS does not say how good its meter was",
    )
    who = file.identity(
        path,
        setup,
        source.model or source.name or "",
        source.serial_number or "",
        source.version or "",
    )

    if notes.get("emulated") is True:
        who = replace(who, emulated=True)

    def read() -> Iterator[Chunk]:
        with _reader(path) as reader:
            yield from signals.chunks(path, reader, supply_v)

    return file.FileRecording(who, spec, setup, read)


@contextlib.contextmanager
def _reader(path: Path) -> Iterator[Any]:
    try:
        from pyjls import Reader  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ToolMissingError(
            f"{path}: JLS needs pyjls; install it with: pip install 'hilbench[joulescope]'"
        ) from error
    try:
        with path.open("rb"):  # pyjls says EMPTY of a file that is not there
            pass
    except OSError as error:
        raise file.unreadable(path, error) from error
    try:
        reader = Reader(str(path))
    except (RuntimeError, ValueError) as error:
        raise file.damaged(path, f"no whole JLS file ({_line(error)})") from error
    try:
        yield reader
    finally:
        reader.close()


def _notes(reader: Any) -> dict[str, Any]:
    """Return what our own export says besides; {} of others' files."""
    texts: list[str] = []
    reader.user_data(lambda _, data: texts.append(data) if isinstance(data, str) else None)
    for text in texts:
        with contextlib.suppress(ValueError, RecursionError):
            values = json.loads(text)
            if isinstance(values, dict) and isinstance(values.get("hilbench"), dict):
                return dict(values["hilbench"])
    return {}


def _names(signals: list[str], noted: Any) -> tuple[str, ...]:
    if isinstance(noted, list) and len(noted) == len(signals):
        return tuple(str(name) for name in noted)
    return tuple(signals)


def _source(path: Path, setup: MeterSetup, reader: Any) -> int:
    """Return the id of the source whose current is meant."""
    ids = sorted({s.source_id for s in reader.signals.values() if s.name == "current"})
    names = {k: reader.sources[k].name for k in ids}
    chosen = dict(setup.args).get("source")
    if chosen is not None:
        ids = [k for k in ids if names[k] == chosen]
    if not names:
        found = ", ".join(repr(s.name) for s in reader.signals.values() if s.signal_id)
        raise file.damaged(path, f"has no signal 'current', but {found or 'none at all'}")
    if len(ids) != 1:
        raise ConfigError(
            f"{path}: has currents of the sources {', '.join(repr(n) for n in names.values())}, "
            f"source = {chosen!r}; say which one in the arguments"
        )
    return int(ids[0])


@dataclass(frozen=True)
class _Signals:
    current: Any  # pyjls.SignalDef
    voltage: Any | None
    inputs: tuple[Any, ...]
    begin: int  # sample id
    samples: int

    @classmethod
    def find(cls, path: Path, reader: Any, source_id: int) -> _Signals:
        mine = [s for s in reader.signals.values() if s.source_id == source_id]
        named = {s.name: s for s in mine}
        current, voltage = named["current"], named.get("voltage")
        inputs = [s for s in mine if s.data_type & _TYPE_BITS == _ONE_BIT and s.length]
        inputs = sorted(inputs, key=lambda s: str(s.name))[:_MAX_INPUTS]
        for signal, unit in ((current, "A"), (voltage, "V")):
            if signal is None:
                continue
            if signal.units != unit or signal.data_type & _TYPE_BITS not in _FLOATS.values():
                raise file.damaged(
                    path,
                    f"signal {signal.name!r} is not in {unit} as floating point, but in {signal.units!r}",
                )
        used = [s for s in (current, voltage, *inputs) if s is not None]
        for signal in used:
            if signal.sample_rate != current.sample_rate:
                raise file.damaged(
                    path,
                    f"{signal.name} has {signal.sample_rate} samples/s, current {current.sample_rate}",
                )
        begin = max(s.sample_id_offset for s in used)
        end = min(s.sample_id_offset + s.length for s in used)
        return cls(current, voltage, tuple(inputs), begin, max(0, end - begin))

    def chunks(self, path: Path, reader: Any, supply_v: float) -> Iterator[Chunk]:
        for start in range(0, self.samples, file.CHUNK_SAMPLES):
            n = min(file.CHUNK_SAMPLES, self.samples - start)
            at = self.begin + start
            try:
                current = _floats(reader, self.current, at, n)
                voltage = supply_v if self.voltage is None else _floats(reader, self.voltage, at, n)
                logic = np.zeros(n, np.uint8)
                for bit, signal in enumerate(self.inputs):
                    logic |= _bits(reader, signal, at, n) << np.uint8(bit)
            except (RuntimeError, ValueError) as error:
                raise file.damaged(
                    path, f"cannot be read at sample {start} ({_line(error)})"
                ) from error
            yield file.chunk(start, current, voltage, logic)


def _floats(reader: Any, signal: Any, at: int, n: int) -> NDArray[np.float64]:
    values = reader.fsr(signal.signal_id, at - signal.sample_id_offset, n)
    return np.asarray(values, np.float64)


def _bits(reader: Any, signal: Any, at: int, n: int) -> NDArray[np.uint8]:
    """Read from a whole byte on: pyjls returns whole bytes, whatever it is asked for."""
    first = at - signal.sample_id_offset
    whole = first // 8 * 8
    length = min(first - whole + n, signal.length - whole)
    packed = reader.fsr(signal.signal_id, whole, length)
    return np.unpackbits(packed, bitorder="little")[first - whole : first - whole + n]


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
