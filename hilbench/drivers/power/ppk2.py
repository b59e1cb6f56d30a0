"""Nordic Power Profiler Kit II: 100 kS/s of current, five ranges, eight logic inputs.

It supplies the board (source meter, 0.8 V to 5 V) or is in series with its supply (ampere meter). It
never measures voltage: what is set, or declared, is what energy is computed with. Samples and
commands: https://github.com/NordicSemiconductor/pc-nrfconnect-ppk, ``src/device``. There are no
acknowledgements; the calibration is all that it ever says of itself.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator

import numpy as np

from hilbench.drivers._usb import Instrument
from hilbench.drivers.power import _ppk2_words as w
from hilbench.drivers.power._ppk2_calibration import (
    SUPPLY_MAX_V,
    SUPPLY_MIN_V,
    Calibration,
    parse,
    table,
)
from hilbench.drivers.power._ppk2_decode import Decoded, Decoder, Filter
from hilbench.drivers.power._ppk2_port import Ppk2Port, find, serial_number_of
from hilbench.drivers.power._ppk2_stream import CLOCK_LIMIT, Stream
from hilbench.errors import CalibrationError, ConfigError, MeterError
from hilbench.power import CaptureEnd, Chunk, MeterIdentity, MeterSetup, MeterSpec
from hilbench.records import MeterConfig

INSTRUMENTS = (Instrument("Nordic Power Profiler Kit II", frozenset({(0x1915, 0xC00A)})),)
__all__ = ["Ppk2", "decode", "find", "open_meter"]

DRIVER = "ppk2"
LOGIC_INPUTS = tuple(f"D{bit}" for bit in range(8))
VOLTAGE_LIMIT = 0.03
_SOURCE = (
    "typical accuracy and resolution of the user guide, taken for limits; no limits of voltage and "
    "clock are published: 3 % and 0.5 % assumed"
)

_START, _STOP, _METADATA = b"\x06", b"\x07", b"\x19"
_POWER, _VOLTAGE, _MODE = b"\x0c", b"\x0d", b"\x11"
_AMPERE, _SOURCE_METER = b"\x01", b"\x02"

_QUIET_S = 0.1  # without a byte: the stream has ended
_STOP_S = 2.0
_DRAIN_S = 0.5
_PACE_S = 0.005  # between looks: the system keeps 4095 bytes, 10 ms, for us
_FULL_BYTES = 4095  # of one look: there may be more
_BLOCK_S = 0.1  # decoded at once
_SILENT_S = 1.0  # a stream that has stopped
_RATE_U = 5e-5  # good enough for the next capture
_DECODE_WORDS = 64_000  # 640 ms


def open_meter(config: MeterConfig, address: str, timeout_s: float) -> Ppk2:
    """Open a PPK2, stop what it streams, read its calibration. The board has no supply.

    Args:
        config: of the board's meter; of ``args``, "filter" is known: see ``Ppk2.configure``.
        address: its measuring port, or the PTY of an emulated one.
        timeout_s: for everything together.

    Raises:
        ConfigError: an argument that this driver does not know.
        MeterBusyError: another process has it.
        CalibrationError: its calibration is incomplete or cannot be true.
        MeterError: not there, no PPK2, or silent.
    """
    _filter(config.args)
    until_s = time.monotonic() + timeout_s
    number, emulated = serial_number_of(address)
    port = Ppk2Port(address)
    try:
        port.write(_STOP + _POWER + b"\x00")
        _until_quiet(port, until_s)
        calibration = parse(_metadata(port, until_s, timeout_s), address)
    except BaseException:
        port.close()
        raise
    model = f"PPK2 HW {calibration.hardware}" if calibration.hardware else "PPK2"
    return Ppk2(
        port,
        calibration,
        MeterIdentity(DRIVER, model, number, "", address, emulated, calibration.text),
    )


def _until_quiet(port: Ppk2Port, until_s: float) -> bytes:
    """Return what still comes of a stream that has been told to end."""
    rest = bytearray()
    begun_s = time.monotonic()
    while port.wait(_QUIET_S):
        rest += port.read()
        if time.monotonic() > until_s:
            raise MeterError(
                f"PPK2 at {port.address} goes on streaming {time.monotonic() - begun_s:.1f} s after "
                f"it was told to stop; unplug it and plug it in again"
            )
    return bytes(rest)


def _metadata(port: Ppk2Port, until_s: float, timeout_s: float) -> bytes:
    port.write(_METADATA)
    reply = bytearray()
    while not reply.rstrip().endswith(b"\nEND"):
        if not port.wait(until_s - time.monotonic()):
            if not reply:
                raise MeterError(
                    f"PPK2 at {port.address} does not answer within {timeout_s:g} s when asked for "
                    f"its calibration; unplug it and plug it in again"
                )
            raise CalibrationError(
                f"PPK2 at {port.address}: calibration stops after {len(reply)} bytes without END, "
                f"limit {timeout_s:g} s; unplug it, plug it in and try again"
            )
        reply += port.read()
    return bytes(reply)


def _filter(args: tuple[tuple[str, str], ...]) -> Filter:
    """Return the filter that the driver's arguments ask for."""
    found: Filter = "hold"
    for key, value in args:
        if key != "filter":
            raise ConfigError(f"meter driver ppk2 has no argument {key!r}; known: filter")
        if value == "vendor":
            found = "vendor"
        elif value != "hold":
            raise ConfigError(
                f"meter driver ppk2: filter = {value!r}; known: hold (samples after a range switch "
                f"take the first settled value), vendor (the running mean of the vendor's app)"
            )
    return found


def _supply_mv(setup: MeterSetup) -> int:
    return round(setup.supply_v * 1000)


def _spec(calibration: Calibration, setup: MeterSetup) -> MeterSpec:
    return MeterSpec(
        w.SAMPLE_HZ,
        CLOCK_LIMIT,
        calibration.specs(_supply_mv(setup) / 1000),
        LOGIC_INPUTS,
        "set" if setup.supplies else "declared",
        VOLTAGE_LIMIT,
        _SOURCE,
    )


def _decoder(calibration: Calibration, setup: MeterSetup) -> Decoder:
    return Decoder(table(calibration, _supply_mv(setup) / 1000), _filter(setup.args))


def _chunk(decoded: Decoded, start: int, setup: MeterSetup) -> Chunk:
    return Chunk(
        start,
        decoded.current_a,
        _supply_mv(setup) / 1000,
        decoded.logic,
        decoded.valid,
        decoded.range,
        decoded.words.tobytes(),
        decoded.vendor_a,
    )


def decode(raw: bytes, identity: MeterIdentity, setup: MeterSetup, start: int) -> Iterator[Chunk]:
    """Decode the ``raw`` of consecutive chunks again; lost samples have their place in it.

    Args:
        raw: four bytes a sample.
        identity: with the calibration.
        setup: of the capture; its argument "filter" may be another one.
        start: index of the first sample.

    Raises:
        CalibrationError: the identity has no calibration that can be true.
        MeterError: ``raw`` is not whole samples.
    """
    if len(raw) % w.SAMPLE_BYTES:
        raise MeterError(
            f"recorded samples of a PPK2 are {len(raw)} bytes, which is no multiple of "
            f"{w.SAMPLE_BYTES}; the recording is damaged"
        )
    decoder = _decoder(parse(identity.calibration.encode(), identity.address), setup)
    words = np.frombuffer(raw, w.DTYPE)
    for k in range(0, len(words), _DECODE_WORDS):
        decoded = decoder.feed(words[k : k + _DECODE_WORDS])
        if len(decoded.words):
            yield _chunk(decoded, start, setup)
            start += len(decoded.words)
    decoded = decoder.end()
    if len(decoded.words):
        yield _chunk(decoded, start, setup)


class Ppk2:
    """A PPK2. See ``PowerMeter``."""

    def __init__(self, port: Ppk2Port, calibration: Calibration, identity: MeterIdentity) -> None:
        self.identity = identity
        self._port = port
        self._calibration = calibration
        self._setup: MeterSetup | None = None
        self._stream: Stream | None = None
        self._decoder: Decoder | None = None
        self._index = 0  # of the next sample that is delivered
        self._heard_s = 0.0
        self._received_bytes = 0
        self._rate_hz: float | None = None  # by the host's clock, once a capture has shown it
        self.spec = _spec(calibration, MeterSetup(SUPPLY_MIN_V, supplies=False))
        self._release = weakref.finalize(self, _power_off, port)  # also when the interpreter ends

    def configure(self, setup: MeterSetup) -> None:
        """Prepare a capture; not while one runs. A change of mode or voltage takes the supply off.

        Args:
            setup: supply_v also enters the calibration; sample_hz None or 100000; of args: filter =
                "hold" (default: after a range switch samples take the first settled value) or
                "vendor" (the running mean of the vendor's app).

        Raises:
            ConfigError: it cannot do that.
            MeterError: unplugged, or a capture runs.
        """
        if self._stream is not None:
            raise MeterError(
                f"PPK2 at {self.identity.address} is capturing; stop it before it is configured"
            )
        _filter(setup.args)
        if setup.sample_hz not in {None, w.SAMPLE_HZ}:
            raise ConfigError(
                f"PPK2 at {self.identity.address}: sample_hz {setup.sample_hz:g} is not possible, "
                f"it samples at {w.SAMPLE_HZ:.0f} Hz only; leave sample_hz out"
            )
        if not SUPPLY_MIN_V <= setup.supply_v <= SUPPLY_MAX_V:  # also NaN
            raise ConfigError(
                f"PPK2 at {self.identity.address}: supply_v {setup.supply_v:g} V is out of its "
                f"limits, {SUPPLY_MIN_V:g} V to {SUPPLY_MAX_V:g} V; correct supply_v of the board"
            )
        before = self._setup
        if before is None or _electrical(before) != _electrical(setup):
            self._port.write(_POWER + b"\x00")
            self._port.write(_MODE + (_SOURCE_METER if setup.supplies else _AMPERE))
            self._port.write(_VOLTAGE + _supply_mv(setup).to_bytes(2, "big"))
            if not setup.supplies:  # the board's own supply goes through the meter's switch
                self._port.write(_POWER + b"\x01")
        self._setup = setup
        self.spec = _spec(self._calibration, setup)

    def set_supply(self, *, on: bool) -> None:
        """Switch the board's supply; in series, the connection to it.

        Raises:
            MeterError: unplugged, or not configured.
        """
        self._configured()
        self._port.write(_POWER + (b"\x01" if on else b"\x00"))
        if not self._port.drain(_DRAIN_S):
            raise MeterError(
                f"PPK2 at {self.identity.address} did not take the command to switch the supply "
                f"{'on' if on else 'off'} within {_DRAIN_S:g} s; unplug it and plug it in again"
            )

    def start(self) -> None:
        """Begin a capture at index 0.

        Raises:
            MeterError: unplugged, not configured, or a capture runs.
        """
        setup = self._configured()
        if self._stream is not None:
            raise MeterError(f"PPK2 at {self.identity.address} is capturing; stop it before")
        _until_quiet(self._port, time.monotonic() + _STOP_S)
        self._decoder = _decoder(self._calibration, setup)
        self._index = self._received_bytes = 0
        self._port.write(_START)
        self._heard_s = time.monotonic()
        self._stream = Stream(self.identity.address, self._rate_hz)

    def read(self, timeout_s: float) -> Chunk | None:
        """Return samples as soon as it is certain where they belong: the first after a second.

        Raises:
            MeterError: unplugged, the stream has stopped, or makes no sense.
        """
        stream, decoder = self._capturing()
        until_s = time.monotonic() + timeout_s
        while True:
            self._receive(stream, min(until_s, time.monotonic() + _BLOCK_S))
            decoded = decoder.feed(stream.take())
            if len(decoded.words):
                return self._deliver(decoded)
            if time.monotonic() >= until_s:
                return None

    def stop(self) -> tuple[Chunk | None, CaptureEnd]:
        """End the capture; the samples on their way are part of it.

        Raises:
            MeterError: it does not stop, or is unplugged.
        """
        stream, decoder = self._capturing()
        self._look(stream)
        self._port.write(_STOP)
        self._heard_s = time.monotonic()
        until_s = time.monotonic() + _STOP_S
        while time.monotonic() < self._heard_s + _QUIET_S:
            if time.monotonic() > until_s:
                self._stream = None
                raise MeterError(
                    f"PPK2 at {self.identity.address} goes on streaming {_STOP_S:.1f} s after it "
                    f"was told to stop; unplug it and plug it in again"
                )
            if data := self._port.read():
                self._heard_s = time.monotonic()
                stream.add_rest(data)
            else:
                self._port.wait(_QUIET_S)
        self._stream = None
        chunks = [decoder.feed(stream.take(last=True)), decoder.end()]
        end = stream.end()
        if end.rate_u is not None and end.rate_u < _RATE_U and not end.uncertain:
            self._rate_hz = end.rate_hz
        return self._deliver(_joined(chunks)), end

    def close(self) -> None:
        """Stop, switch the supply off, release the port; may be called twice."""
        self._stream = None
        self._release()

    def _configured(self) -> MeterSetup:
        if self._setup is None:
            raise MeterError(f"PPK2 at {self.identity.address} is not configured; configure it")
        return self._setup

    def _capturing(self) -> tuple[Stream, Decoder]:
        if self._stream is None or self._decoder is None:
            raise MeterError(f"PPK2 at {self.identity.address} is not capturing; start it")
        return self._stream, self._decoder

    def _receive(self, stream: Stream, until_s: float) -> None:
        """Look at the port now and then.

        After a pause, what comes next is waited for: its time of arrival is the sharpest that there
        is. Every call that waits may cost the interpreter's lock for 5 ms, so there are few.
        """
        while (left_s := until_s - time.monotonic()) > 0:
            if self._port.wait(min(left_s, _PACE_S)):
                self._look(stream)
            if (age_s := time.monotonic() - self._heard_s) > _SILENT_S and not self._look(stream):
                self._stream = None
                what = "its last sample is" if self._received_bytes else "no sample since the start"
                raise MeterError(
                    f"PPK2 at {self.identity.address} has stopped sending: {what} {age_s:.1f} s "
                    f"{'old' if self._received_bytes else 'ago'}, limit {_SILENT_S:g} s; unplug it "
                    f"and plug it in again"
                )
            time.sleep(max(0.0, min(_PACE_S, until_s - time.monotonic())))

    def _look(self, stream: Stream) -> bool:
        """Take what is there; say whether there was anything."""
        while True:
            before_s = time.monotonic()
            data = self._port.read()
            after_s = time.monotonic()
            if not data:
                return False
            self._heard_s = after_s
            self._received_bytes += len(data)
            stream.add(data, before_s, after_s)
            if len(data) < _FULL_BYTES:
                return True

    def _deliver(self, decoded: Decoded) -> Chunk | None:
        if not len(decoded.words):
            return None
        setup = self._configured()
        chunk = _chunk(decoded, self._index, setup)
        self._index += len(chunk)
        return chunk


def _electrical(setup: MeterSetup) -> tuple[bool, int]:
    return setup.supplies, _supply_mv(setup)


def _joined(parts: list[Decoded]) -> Decoded:
    return Decoded(
        *(
            np.concatenate([getattr(part, field) for part in parts])
            for field in Decoded.__dataclass_fields__
        )
    )


def _power_off(port: Ppk2Port) -> None:
    """Leave nothing behind: no stream, no supply; a command that is still queued would be lost."""
    try:
        port.write(_STOP + _POWER + b"\x00")
        port.drain(_DRAIN_S)
    except MeterError:
        pass  # unplugged: its output is off
    finally:
        port.close()
