"""Export of a recording as JLS, the format of Joulescope's programs, through pyjls.

Written are ``current`` (A) and ``voltage`` (V) as float32, which rounds by 6e-8 of the value, and one
bit for each logic input, ``gpi[0]`` .. ``gpi[7]``, as Joulescope's own recorder does. Lost samples
are NaN. Read back by pyjls; opening it in the Joulescope UI was not tried.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import StoreError, ToolMissingError
from hilbench.power import Recording

_SOURCE, _CURRENT, _VOLTAGE, _FIRST_INPUT = 1, 1, 2, 3
_CHECKED_SAMPLES = 1024
_BLOCK_SAMPLES = 1 << 16  # whole bytes of bits


def export_jls(recording: Recording, path: Path) -> None:
    """Write a recording as a JLS file.

    Raises:
        ToolMissingError: pyjls is not installed.
        StoreError: not written, or its rate is no whole number of samples per second.
    """
    try:
        from pyjls import Writer  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ToolMissingError(
            "JLS needs pyjls; install it with: pip install 'hilbench[joulescope]'"
        ) from error
    rate_hz = round(recording.spec.sample_hz)
    if rate_hz != recording.spec.sample_hz:
        raise StoreError(
            f"{path}: JLS knows whole rates only, this capture has {recording.spec.sample_hz:.10g} "
            f"samples/s; keep it as evidence (.npz)"
        )
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        writer = Writer(str(temporary))
        try:
            _define(writer, recording, rate_hz)
            _copy(writer, recording)
        finally:
            writer.close()
        _check(temporary, path)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreError(f"{path}: cannot be written ({reason})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _define(writer: Any, recording: Recording, rate_hz: int) -> None:
    from pyjls import DataType, SignalType  # noqa: PLC0415

    who = recording.identity
    writer.source_def(
        source_id=_SOURCE,
        name=f"{who.model}-{who.serial_number}".strip("-") or who.driver,
        vendor="",
        model=who.model,
        version=who.firmware,
        serial_number=who.serial_number,
    )
    notes = {"driver": who.driver, "emulated": who.emulated, "inputs": recording.spec.logic_inputs}
    writer.user_data(0, json.dumps({"hilbench": notes}))
    signals = [("current", "A", DataType.F32), ("voltage", "V", DataType.F32)]
    signals += [(f"gpi[{k}]", "", DataType.U1) for k in range(len(recording.spec.logic_inputs))]
    for signal_id, (name, units, data_type) in enumerate(signals, start=_CURRENT):
        writer.signal_def(
            signal_id=signal_id,
            source_id=_SOURCE,
            signal_type=SignalType.FSR,
            data_type=data_type,
            sample_rate=rate_hz,
            name=name,
            units=units,
        )


def _check(written: Path, path: Path) -> None:
    """Refuse a file that its own library cannot read: pyjls 0.10 with less than 1024 samples."""
    from pyjls import Reader, __version__  # noqa: PLC0415

    reader = Reader(str(written))
    try:
        for signal in list(reader.signals.values())[1:]:
            reader.fsr(signal.signal_id, 0, min(signal.length, _CHECKED_SAMPLES))
    except RuntimeError as error:
        raise StoreError(
            f"{path}: pyjls {__version__} cannot read the {signal.length} samples that it wrote, "
            f"1024 are its least; keep them as evidence (.npz)"
        ) from error
    finally:
        reader.close()


def _copy(writer: Any, recording: Recording) -> None:
    """Write blocks of whole bytes of bits: what is left of a chunk goes with the next."""
    inputs = len(recording.spec.logic_inputs)
    at = held = 0
    waiting: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]] = []
    for chunk in recording.chunks():
        voltage = np.broadcast_to(np.asarray(chunk.voltage_v, np.float32), len(chunk))
        waiting.append((chunk.current_a.astype(np.float32), voltage, chunk.logic))
        held += len(chunk)
        if held >= _BLOCK_SAMPLES:
            at, waiting = _flush(writer, at, waiting, inputs, held // 8 * 8)
            held %= 8
    _flush(writer, at, waiting, inputs, held)


def _flush(
    writer: Any,
    at: int,
    waiting: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]],
    inputs: int,
    samples: int,
) -> tuple[int, list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]]]:
    if not samples:
        return at, []
    current, voltage, logic = (np.concatenate(columns) for columns in zip(*waiting, strict=True))
    writer.fsr(_CURRENT, at, np.ascontiguousarray(current[:samples]))
    writer.fsr(_VOLTAGE, at, np.ascontiguousarray(voltage[:samples]))
    for bit in range(inputs):
        level = logic[:samples] >> np.uint8(bit) & np.uint8(1)
        writer.fsr(_FIRST_INPUT + bit, at, np.packbits(level, bitorder="little"))
    rest = (current[samples:], voltage[samples:], logic[samples:])
    return at + samples, [rest] if len(rest[0]) else []
