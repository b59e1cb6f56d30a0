"""One board's power meter: found, identified, its supply within what the board bears, off at the end."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Protocol

import numpy as np

from hilbench import plugins
from hilbench.board.capture import Capture, LiveFigures
from hilbench.errors import BoardUnpoweredError, ConfigError, MeterError
from hilbench.interfaces import EmulatedBoard, EmulatedMeter, PowerMeter
from hilbench.power import InjectedWindow, MeterIdentity, MeterSetup, MeterSpec, Recording
from hilbench.recordings import Spool
from hilbench.records import BoardConfig, Edge, MeterConfig, SerialMatch

OnFigures = Callable[[LiveFigures], None]
_FLOOR_S = 0.5  # a supply settles, and a boot loader ends, within less
_OFFSETS = 3.0  # as many offset limits away from 0 A is more than nothing


class Metering(Protocol):
    """A meter on a board while its session is open: captures, one after the other."""

    setup: MeterSetup

    @property
    def identity(self) -> MeterIdentity:
        """Who measures."""

    @property
    def spec(self) -> MeterSpec:
        """What it delivers."""

    def start(self, on_figures: OnFigures | None = None) -> None:
        """Begin a capture.

        Raises:
            MeterError: it does not.
        """

    def stop(self) -> Recording:
        """End the capture.

        Raises:
            MeterError: the capture failed on the way.
        """

    def abandon(self) -> None:
        """End a capture that nobody wants any more; nothing without one."""

    def failure(self) -> MeterError | None:
        """Return what ended a capture early: nothing more is measured with this meter."""

    def truth(self) -> tuple[InjectedWindow, ...] | None:
        """Return what an emulated board was made to draw; None of a real one."""

    def close(self) -> None:
        """Switch the supply off, whatever another thread captures; may be called twice."""


class LiveMetering:
    """An instrument, or the process that emulates one."""

    def __init__(
        self, config: BoardConfig, meter: PowerMeter, emulated_meter: EmulatedMeter | None
    ) -> None:
        self._config = config
        self._meter = meter
        self._emulated = emulated_meter
        self._capture: Capture | None = None
        self._failure: MeterError | None = None
        self.setup = setup_of(config)

    @property
    def identity(self) -> MeterIdentity:
        """Who measures."""
        return self._meter.identity

    @property
    def spec(self) -> MeterSpec:
        """What it delivers."""
        return self._meter.spec

    def power_on(self) -> None:
        """Configure, switch the supply on where the meter is it, and see that the board draws current.

        Raises:
            ConfigError: the supply is above what the board bears, or the meter cannot do it.
            BoardUnpoweredError: less current than a board that has power draws.
            MeterError.
        """
        check_supply(self._config)
        self._meter.configure(self.setup)
        if self.setup.supplies:
            self._meter.set_supply(on=True)
        self._check_powered()

    def start(self, on_figures: OnFigures | None = None) -> None:
        """Begin a capture.

        Raises:
            MeterError: it does not.
        """
        spool = Spool(self.identity, self.spec, self.setup)
        self._capture = Capture(self._meter, spool, on_figures)
        with self._remembered():
            self._capture.start(self._config.timeouts.start_s)

    def stop(self) -> Recording:
        """End the capture.

        Raises:
            MeterError: the capture failed on the way.
        """
        capture, self._capture = self._capture, None
        if capture is None:
            raise MeterError(f"board {self._config.id}: no capture runs; start one first")
        with self._remembered():
            return capture.stop()

    def abandon(self) -> None:
        """End a capture that nobody wants any more; nothing without one."""
        capture, self._capture = self._capture, None
        if capture is not None and isinstance(error := capture.abandon(), MeterError):
            self._failure = self._failure or error

    def failure(self) -> MeterError | None:
        """Return what ended a capture early: nothing more is measured with this meter."""
        return self._failure

    @contextlib.contextmanager
    def _remembered(self) -> Iterator[None]:
        try:
            yield
        except MeterError as error:
            self._failure = self._failure or error
            raise

    def truth(self) -> tuple[InjectedWindow, ...] | None:
        """Return what an emulated board was made to draw; None of a real one."""
        return None if self._emulated is None else self._emulated.truth()

    def _check_powered(self) -> None:
        """The trap: a supply that is off gives files that look right but for their current."""
        floor_ma = self._config.powered_ma
        if floor_ma is None:
            limit_a, why = self._least_a(), "which cannot be told from none"
        else:
            limit_a, why = floor_ma / 1e3, f"powered_ma says at least {floor_ma:g} mA"
        mean_a = self._settled_mean_a()
        if not mean_a >= limit_a:
            raise BoardUnpoweredError(
                f"board {self._config.id}: draws {mean_a * 1e3:.4g} mA through the "
                f"{self.identity.model}, {why}; check supply, wiring and jumpers, and that no USB "
                "cable powers the board"
            )

    def _least_a(self) -> float:
        """Return the least current that is more than the meter's offset."""
        known = [limit_a for r in self.spec.ranges if not math.isnan(limit_a := r.offset_limit_a)]
        if not known:
            raise ConfigError(
                f"{self._config.source}: [board.{self._config.id}] has no powered_ma, and the "
                f"{self.identity.model} states no limit of its offset; say the least current in mA "
                "that the board draws"
            )
        return _OFFSETS * min(known)

    def _settled_mean_a(self) -> float:
        """Return the mean current of the second half of a short capture."""
        self.start()
        try:
            assert self._capture is not None
            self._capture.wait(_FLOOR_S)
            recording = self.stop()
        finally:
            self.abandon()
        half = (recording.end.samples + recording.end.lost) // 2
        total, count = 0.0, 0
        for chunk in recording.chunks():
            late = chunk.valid & (np.arange(chunk.start, chunk.start + len(chunk)) >= half)
            total, count = total + float(chunk.current_a[late].sum()), count + int(late.sum())
        if count == 0:
            raise MeterError(
                f"board {self._config.id}: the {self.identity.model} gave no valid sample within "
                f"{_FLOOR_S:g} s; unplug it and plug it in again"
            )
        return total / count

    def close(self) -> None:
        """Switch the supply off and release the instrument."""
        try:
            self.abandon()
        finally:
            self._meter.close()


class DeviceTimeMetering:
    """A trace made from the marker edges of an emulated board that is not paced, in its own time."""

    def __init__(self, config: BoardConfig, emulated: EmulatedBoard) -> None:
        self._config = config
        self._emulated = emulated
        self._tracer = plugins.load("emulated_meters", str(config.meter.emulator))
        self._before: int | None = None
        self._truth: tuple[InjectedWindow, ...] = ()
        self.setup = setup_of(config)
        self.identity: MeterIdentity = self._tracer.identity(config)
        self.spec: MeterSpec = self._tracer.spec(config)

    def start(self, on_figures: OnFigures | None = None) -> None:  # noqa: ARG002 - nothing is live
        """Remember where the board's edges are.

        Raises:
            BoardError: the emulator does not see the pin as it is configured.
        """
        self._before = len(self._emulated.marker_edges())

    def stop(self) -> Recording:
        """Return the trace of all edges since start().

        Raises:
            MeterError: no capture runs.
        """
        before, self._before = self._before, None
        if before is None:
            raise MeterError(f"board {self._config.id}: no capture runs; start one first")
        edges: tuple[Edge, ...] = self._emulated.marker_edges()[before:]
        recording: Recording
        recording, truth = self._tracer.trace(self._config, edges)
        self._truth += truth
        return recording

    def abandon(self) -> None:
        """Forget a capture that nobody wants any more."""
        self._before = None

    def failure(self) -> None:
        """Return None: nothing runs that could fail."""

    def close(self) -> None:
        """Do nothing: nothing runs."""

    def truth(self) -> tuple[InjectedWindow, ...]:
        """Return what the board was made to draw."""
        return self._truth


@contextlib.contextmanager
def open_metering(
    config: BoardConfig, emulated: EmulatedBoard | None, on_state: Callable[[str], None]
) -> Iterator[Metering | None]:
    """Open a board's meter and power the board through it; None where its driver has no samples.

    Args:
        config: the board's table.
        emulated: its emulator, which runs already; None of a real board.
        on_state: told each step, for people.

    Raises:
        ConfigError: no supply said, or above the board's ceiling; nothing was touched.
        BoardUnpoweredError, MeterError, ToolMissingError.
    """
    driver = plugins.load("power", config.meter.driver)
    if not hasattr(driver, "open_meter"):
        yield None
        return
    setup_of(config)
    check_supply(config)
    with contextlib.ExitStack() as stack:
        emulated_meter: EmulatedMeter | None = None
        if config.meter.emulator is not None:
            assert emulated is not None  # config.boards refuses an emulated meter on a real board
            emulator = plugins.load("emulated_meters", config.meter.emulator)
            if hasattr(emulator, "trace"):
                yield DeviceTimeMetering(config, emulated)
                return
            on_state("meter")
            emulated_meter = _start(emulator, config, emulated)
            stack.callback(emulated_meter.stop)
            address = emulated_meter.address
        else:
            on_state("meter")
            address = meter_address(config.id, config.meter)
        meter: PowerMeter = driver.open_meter(config.meter, address, config.timeouts.start_s)
        metering = LiveMetering(config, meter, emulated_meter)
        stack.callback(metering.close)
        metering.power_on()
        yield metering


def _start(emulator: ModuleType, config: BoardConfig, emulated: EmulatedBoard) -> EmulatedMeter:
    if emulated.edges_path is None:
        raise ConfigError(
            f"board {config.id}: its emulator is not paced to real time, so the emulated meter "
            f'{config.meter.emulator!r} cannot watch it; use emulator = "device_time" in '
            f'[board.{config.id}.meter], with driver = "replay"'
        )
    meter: EmulatedMeter = emulator.start(config, emulated.edges_path, config.timeouts.start_s)
    return meter


def setup_of(config: BoardConfig) -> MeterSetup:
    """Return what is asked of a board's meter.

    Raises:
        ConfigError: the board's table does not say its supply.
    """
    if config.supply_v is None:
        raise ConfigError(
            f"{config.source}: [board.{config.id}] has a meter but no supply_v; energy is voltage "
            "times charge, say the supply in V"
        )
    return MeterSetup(config.supply_v, config.meter.supplies, args=config.meter.args)


def check_supply(config: BoardConfig) -> None:
    """Refuse a supply that the board does not bear, before the supply is touched.

    Raises:
        ConfigError: names both voltages.
    """
    if not config.meter.supplies:
        return
    if config.supply_max_v is None:
        raise ConfigError(
            f"{config.source}: [board.{config.id}] is supplied by its meter but has no "
            "supply_max_v; say the highest voltage in V that the board bears"
        )
    if config.supply_v is not None and not config.supply_v <= config.supply_max_v:  # also NaN
        raise ConfigError(
            f"{config.source}: [board.{config.id}] supply_v = {config.supply_v:g} V is above "
            f"supply_max_v = {config.supply_max_v:g} V; nothing was powered"
        )


def meter_address(who: str, config: MeterConfig) -> str:
    """Return where a meter is: as its table says, or the only one of its kind.

    Args:
        who: the board, for the sentences.
        config: the meter's table.

    Raises:
        ConfigError: its table tells it by what a meter is not found by.
        MeterError: none, or several; lists those that are plugged in.
    """
    if isinstance(config.serial, str):
        return config.serial
    if isinstance(config.serial, SerialMatch) and config.serial.serial_number is None:
        raise ConfigError(
            f"board {who}: a meter is found by serial_number or port, and serial in "
            f"[board.{who}.meter] has neither; `hilbench meter list` shows both"
        )
    found: list[tuple[str, str]] = plugins.load("power", config.driver).find()
    listing = ", ".join(f"{address} ({number or 'no number'})" for address, number in found)
    wanted = config.serial.serial_number if isinstance(config.serial, SerialMatch) else None
    if wanted is not None:
        same = wanted.lstrip("0").lower()
        found = [(a, n) for a, n in found if n.lstrip("0").lower() == same]
    if len(found) == 1:
        return found[0][0]
    if not found and not listing:
        raise MeterError(
            f"board {who}: no {config.driver} is plugged in; `hilbench meter list` shows what is"
        )
    if not found:
        raise MeterError(
            f"board {who}: no {config.driver} has the serial number {wanted}; plugged in: {listing}; "
            f"correct it in [board.{who}.meter]"
        )
    raise MeterError(
        f"board {who}: several {config.driver} are plugged in: {listing}; say which by "
        f"serial = {{ serial_number = ... }} in [board.{who}.meter]"
    )


def probe_warning(config: BoardConfig) -> str:
    """Return what a person should know of a debug probe beside an energy window; "" without one."""
    if config.emulator is not None or config.flasher is None:
        return ""
    tool = plugins.load("flashers", config.flasher.tool)
    if not (config.flasher.probe_serial or getattr(tool, "USES_PROBE", False)):
        return ""
    return (
        f"the debug probe of {config.flasher.tool} is still attached: it may feed the board or keep "
        "its debug logic awake; compare with the probe unplugged"
    )
