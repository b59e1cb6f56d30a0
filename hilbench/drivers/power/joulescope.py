"""Joulescope JS110, JS220 and JS320 through the maker's pyjoulescope_driver: current and voltage.

The instrument is in series with the board's supply and measures both; its digital inputs come at the
full rate. It ranges by itself; the limits of its accuracy are not part of what it says, so that the
meter's table has to give them (see ``settings``). Evidence: see ``_joulescope_raw``.

Ref: https://github.com/jetperch/joulescope_driver.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from hilbench.drivers._usb import Instrument
from hilbench.drivers.power import _joulescope_raw
from hilbench.drivers.power._host_rate import HostRate
from hilbench.drivers.power._joulescope_models import Settings, check_driver, settings, split_path
from hilbench.drivers.power._joulescope_streams import Streams
from hilbench.errors import MeterBusyError, MeterError, ToolMissingError
from hilbench.power import CaptureEnd, Chunk, MeterIdentity, MeterSetup, MeterSpec
from hilbench.records import MeterConfig

INSTRUMENTS = (
    Instrument("Joulescope", frozenset({(0x16D0, 0x0E88), (0x16D0, 0x10BA)})),
    Instrument("Joulescope", words=r"joulescope|\bjs(110|220|320)\b"),
)
_REPLY_S = 2.0
_MESSAGES_LIMIT = 20_000  # about a minute of seven streams
_REMOVED = "@/!remove"
_INSTALL = (
    "the meter 'joulescope' needs the package pyjoulescope_driver; run: pip install "
    "'hilbench[joulescope]'"
)


class Driver(Protocol):
    """What is used of ``pyjoulescope_driver.Driver``."""

    def device_paths(self, timeout: float | None = None) -> list[str]:
        """List the instruments that are plugged in."""

    def open(self, device_prefix: str, mode: Any = None, timeout: float | None = None) -> Any:
        """Open one."""

    def close(self, device_prefix: str, timeout: float | None = None) -> Any:
        """Close one."""

    def publish(self, topic: str, value: Any, timeout: float | None = None) -> Any:
        """Set a value."""

    def query(self, topic: str, timeout: float | None = None) -> Any:
        """Return a value."""

    def subscribe(
        self, topic: str, flags: Any, fn: Callable[[str, Any], None], timeout: float | None = None
    ) -> Any:
        """Call ``fn`` from another thread with each value."""

    def unsubscribe(
        self, topic: str, fn: Callable[[str, Any], None], timeout: float | None = None
    ) -> Any:
        """Call it no more."""

    def finalize(self, timeout: float | None = None) -> Any:
        """End the driver."""


class Joulescope:
    """One instrument; see ``PowerMeter``.

    Args:
        driver: an open driver; it is finalized by ``close``.
        version: of its package.
        address: device path or serial number; "" for the only one.
        timeout_s: for each answer while it is opened.
        emulated: the driver is a program's.
    """

    def __init__(
        self,
        driver: Driver,
        version: str,
        address: str,
        timeout_s: float,
        *,
        emulated: bool = False,
    ) -> None:
        self._driver, self._version = driver, version
        self._arrived = threading.Condition()
        self._messages: deque[tuple[float, str, Mapping[str, Any]]] = deque()
        self._failure: str | None = None
        self._closed = False
        self._settings: Settings | None = None
        self._streams: Streams | None = None
        self._topics: list[str] = []
        self._rate = HostRate()
        self._time_maps: list[str] = []
        self._path = address
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._finalize)
            self._path = self._find(address, timeout_s)
            self._model, number = split_path(self._path)
            check_driver(self._model, version)
            self._call("open", driver.open, self._path, "defaults", timeout_s)
            on_failure.callback(self._quietly, driver.close, self._path, timeout_s)
            firmware = self._firmware(timeout_s)
            self._call("subscribe", driver.subscribe, _REMOVED, ["pub"], self._removed, timeout_s)
            on_failure.pop_all()
        self.identity = MeterIdentity(
            driver="joulescope",
            model=self._model.name,
            serial_number=number,
            firmware=firmware,
            address=self._path,
            emulated=emulated,
            calibration="",
        )
        # Until configure(): its best rate.
        self.spec: MeterSpec = settings(self._model, MeterSetup(0.0, supplies=False)).spec

    def configure(self, setup: MeterSetup) -> None:
        """Prepare a capture.

        Raises:
            ConfigError: the meter cannot do it; says what it can.
            MeterError: silent, unplugged, or refuses.
        """
        asked = settings(self._model, setup)
        self._idle("configure")
        self._publish(self._model.range_topic, "auto")
        self._publish("h/fs", asked.sample_hz)
        if asked.vref is not None:
            self._publish("c/gpio/vref", asked.vref)
        self._settings, self.spec = asked, asked.spec

    def set_supply(self, *, on: bool) -> None:  # noqa: ARG002 - interface
        """Refuse.

        Raises:
            MeterError: always: it supplies nothing.
        """
        raise MeterError(
            f"the Joulescope {self._path} supplies nothing and cannot switch the board's supply; set "
            f"supplies = false in the meter's table"
        )

    def start(self) -> None:
        """Begin a capture: index 0 is the first sample of which all streams tell.

        Raises:
            MeterError: silent, unplugged, refuses, not configured, or a capture runs.
        """
        asked = self._configured()
        self._idle("start")
        self._messages.clear()
        self._failure, self._rate, self._time_maps = None, HostRate(), []
        self._streams = Streams(asked.gpi, asked.sample_hz, self._path)
        self._topics = ["s/i", "s/v", *(f"s/gpi/{index}" for index in asked.gpi)]
        for topic in self._topics:
            self._call(
                "subscribe", self._driver.subscribe, f"{self._path}/{topic}/!data", ["pub"],
                self._on_data, _REPLY_S,
            )  # fmt: skip
        for topic in self._topics:
            self._publish(f"{topic}/ctrl", 1)

    def read(self, timeout_s: float) -> Chunk | None:
        """Return what has arrived of all streams; None when there is nothing within ``timeout_s``.

        Raises:
            MeterError: unplugged, one stream is silent, another rate than asked for, or the process
                is too slow.
        """
        streams = self._running("read")
        deadline_s = time.monotonic() + timeout_s
        while True:
            with self._arrived:
                self._arrived.wait_for(self._wakes, max(0.0, deadline_s - time.monotonic()))
            self._check()
            if self._closed:
                return None
            if (chunk := self._take(streams)) is not None:
                return chunk
            if time.monotonic() >= deadline_s:
                return None

    def stop(self) -> tuple[Chunk | None, CaptureEnd]:
        """End the capture.

        Raises:
            MeterError: it does not stop, is unplugged, or as ``read``.
        """
        streams = self._running("stop")
        self._streams = None
        if self._failure is not None:
            self._quietly(self._end_streams)
        self._check()
        self._end_streams()
        last = self._take(streams)
        rate_hz, rate_u = self._rate.result()
        notes = [f"pyjoulescope_driver {self._version}", *self._time_maps[:1]]
        if len(self._time_maps) > 1:
            notes.append(self._time_maps[-1])
        return last, CaptureEnd(
            samples=streams.position - streams.lost,
            lost=streams.lost,
            gaps=tuple(sorted(streams.gaps, key=lambda gap: gap.start)),
            rate_hz=rate_hz,
            rate_u=rate_u,
            notes=tuple(notes),
        )

    def close(self) -> None:
        """Release the instrument; may be called twice. The board's supply is not its affair."""
        with self._arrived:
            if self._closed:
                return
            self._closed = True
            self._arrived.notify_all()
        if self._streams is not None:
            self._streams = None
            self._quietly(self._end_streams)
        self._quietly(self._driver.unsubscribe, _REMOVED, self._removed, _REPLY_S)
        self._quietly(self._driver.close, self._path, _REPLY_S)
        self._finalize()

    # The driver's own thread.

    def _on_data(self, topic: str, message: Mapping[str, Any]) -> None:
        name = topic.removeprefix(f"{self._path}/s/").removesuffix("/!data")
        with self._arrived:
            if len(self._messages) >= _MESSAGES_LIMIT:
                self._failure = (
                    f"the Joulescope {self._path} sends faster than this process reads: "
                    f"{_MESSAGES_LIMIT} messages wait; lower sample_hz, or free the computer"
                )
            else:
                self._messages.append((time.monotonic(), name, message))
            self._arrived.notify_all()

    def _removed(self, _topic: str, value: Any) -> None:
        with self._arrived:
            if value == self._path:
                self._failure = f"the Joulescope {self._path} went away; is its cable plugged in?"
                self._arrived.notify_all()

    # This process.

    def _wakes(self) -> bool:
        return bool(self._messages) or self._failure is not None or self._closed

    def _check(self) -> None:
        if self._failure is not None:
            raise MeterError(self._failure)

    def _take(self, streams: Streams) -> Chunk | None:
        while self._messages:
            host_s, name, message = self._messages.popleft()
            streams.add(name, message)
            if name == "i":
                step = int(message["decimate_factor"])
                self._rate.add(host_s, int(message["sample_id"]) // step + len(message["data"]))
                self._note_time(message["time_map"])
        chunk = streams.take()
        if chunk is None:
            return None
        raw = _joulescope_raw.pack(chunk, len(self._configured().gpi))
        return Chunk(
            chunk.start,
            chunk.current_a,
            chunk.voltage_v,
            chunk.logic,
            chunk.valid,
            chunk.range,
            raw,
        )

    def _note_time(self, time_map: Mapping[str, Any]) -> None:
        text = "time map: " + ", ".join(f"{key} {value}" for key, value in time_map.items())
        if len(self._time_maps) > 1:
            self._time_maps[-1] = text
        elif text not in self._time_maps:
            self._time_maps.append(text)

    def _end_streams(self) -> None:
        for topic in self._topics:
            self._publish(f"{topic}/ctrl", 0)
        for topic in self._topics:
            self._call(
                "unsubscribe", self._driver.unsubscribe, f"{self._path}/{topic}/!data",
                self._on_data, _REPLY_S,
            )  # fmt: skip

    def _find(self, address: str, timeout_s: float) -> str:
        paths = [str(p) for p in self._call("list", self._driver.device_paths, timeout_s)]
        listing = ", ".join(paths) or "none"
        same = [p for p in paths if address in ("", p, p.rpartition("/")[2])]
        if len(same) == 1:
            return same[0]
        if not same:
            raise MeterError(
                f"no Joulescope {address or 'at all'} is plugged in; plugged in: {listing}; plug it "
                f"in, or correct serial of the meter"
            )
        raise MeterError(
            f"{len(same)} Joulescopes are plugged in: {listing}; say which by serial of the meter"
        )

    def _firmware(self, timeout_s: float) -> str:
        words = []
        for what, topic in self._model.firmware_topics.items():
            value = self._call("query", self._driver.query, f"{self._path}/{topic}", timeout_s)
            words.append(f"{what} {_version(value)}")
        return ", ".join(words)

    def _publish(self, topic: str, value: Any) -> None:
        self._call(
            "publish", self._driver.publish, f"{self._path}/{topic}", value, _REPLY_S
        )  # fmt: skip

    def _call(self, what: str, function: Callable[..., Any], *args: Any) -> Any:
        """Call the driver, whose last argument is a timeout."""
        try:
            return function(*args)
        except Exception as error:
            raise _translated(self._path, what, args, error) from error

    @staticmethod
    def _quietly(function: Callable[..., Any], *args: Any) -> None:
        """Do what the end of a session needs; what is gone already needs it no more."""
        with contextlib.suppress(Exception):
            function(*args)

    def _finalize(self) -> None:
        self._quietly(self._driver.finalize)

    def _configured(self) -> Settings:
        if self._settings is None:
            raise MeterError(
                f"the Joulescope {self._path} is not configured; call configure() first"
            )
        return self._settings

    def _idle(self, what: str) -> None:
        self._open(what)
        if self._streams is not None:
            raise MeterError(
                f"the Joulescope {self._path} captures: {what}() has to wait; call stop() first"
            )

    def _running(self, what: str) -> Streams:
        self._open(what)
        if self._streams is None:
            raise MeterError(
                f"the Joulescope {self._path} does not capture: {what}() has nothing to do; call "
                f"start() first"
            )
        return self._streams

    def _open(self, what: str) -> None:
        if self._closed:
            raise MeterError(f"the Joulescope {self._path} is closed: no {what}(); open it again")


def _version(value: Any) -> str:
    """Return a version number, which the driver packs into 32 bits."""
    if isinstance(value, (int, np.integer)):
        return f"{int(value) >> 24}.{int(value) >> 16 & 0xFF}.{int(value) & 0xFFFF}"
    return str(value)


def _translated(path: str, what: str, args: tuple[Any, ...], error: Exception) -> MeterError:
    text = str(error) or type(error).__name__
    if what == "open" and any(word in text.upper() for word in ("IN_USE", "BUSY", "ACCESS")):
        return MeterBusyError(
            f"the Joulescope {path} is held by another process, or may not be opened by this user "
            f"({text}); close the Joulescope UI, or install the maker's udev rules"
        )
    topic = f" {args[0]}" if what in {"publish", "query", "subscribe", "unsubscribe"} else ""
    if isinstance(error, TimeoutError):
        return MeterError(
            f"the Joulescope {path} does not answer {what}{topic} within {args[-1]:g} s ({text}); "
            f"plug it out and in again"
        )
    return MeterError(
        f"the Joulescope {path} refuses {what}{topic}: {text}; plug it out and in again"
    )


def _load() -> tuple[Callable[..., Driver], str]:
    """Return the maker's driver class and its version.

    Raises:
        ToolMissingError: the package is not installed.
    """
    try:
        import pyjoulescope_driver as package  # noqa: PLC0415 - optional

        return package.Driver, str(package.__version__)
    except (ImportError, AttributeError) as error:  # without its binding it has no Driver
        raise ToolMissingError(_INSTALL) from error


def _make(timeout_s: float) -> tuple[Driver, str]:
    driver, version = _load()
    try:
        return driver(timeout_s), version
    except Exception as error:
        raise MeterError(
            f"pyjoulescope_driver {version} does not start: {error}; is libusb there and USB "
            f"allowed?"
        ) from error


def open_meter(config: MeterConfig, address: str, timeout_s: float) -> Joulescope:  # noqa: ARG001 - interface
    """Open and identify an instrument.

    Args:
        config: the meter's table.
        address: device path (u/js220/002557) or serial number; "" for the only one.
        timeout_s: for each answer.

    Raises:
        ToolMissingError: pyjoulescope_driver is absent, or too old for this model.
        MeterBusyError: another process has it.
        MeterError: none, several, silent, or it refuses.
    """
    driver, version = _make(timeout_s)
    return Joulescope(driver, version, address, timeout_s)


def find() -> list[tuple[str, str]]:
    """Return device path and serial number of the Joulescopes that are plugged in.

    Raises:
        ToolMissingError: pyjoulescope_driver is absent.
        MeterError: it does not start.
    """
    driver, _ = _make(_REPLY_S)
    try:
        paths = [str(path) for path in driver.device_paths(_REPLY_S)]
    finally:
        driver.finalize()
    return [(path, path.rpartition("/")[2]) for path in paths]


def decode(
    raw: bytes,
    identity: MeterIdentity,  # noqa: ARG001 - interface
    setup: MeterSetup,  # noqa: ARG001 - interface
    start: int,
) -> Iterator[Chunk]:
    """Yield chunks again from the ``raw`` of consecutive ones.

    Raises:
        MeterError: the evidence is not whole.
    """
    return _joulescope_raw.unpack(raw, start)
