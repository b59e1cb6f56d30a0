"""Every interface between rooms, on one page. Drivers are modules; each kind says what it exports."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hilbench.power import (
    CaptureEnd,
    Chunk,
    InjectedWindow,
    MeterIdentity,
    MeterSetup,
    MeterSpec,
)
from hilbench.records import BoardConfig, Edge, Image, TimeBase


class Link(Protocol):
    """A byte pipe to a board. ``drivers/links/<name>.py`` exports ``open_link(address, baud)``."""

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all bytes.

        Raises:
            LinkError: closed, unplugged, or not accepted within ``timeout_s``.
        """

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived, waiting at most ``timeout_s`` for the first byte; ``b""`` if none.

        Raises:
            LinkError: closed or unplugged.
        """

    def close(self) -> None:
        """Close; may be called twice."""


class MemoryProbe(Protocol):
    """A debug probe that can write the board's memory."""

    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes while the core may be running."""


class EmulatedBoard(MemoryProbe, Protocol):
    """A running emulator.

    ``drivers/emulators/<name>.py`` exports ``start(board, timeout_s)`` and ``missing_tool() -> str``:
    what is not installed and the line that adds it, or "".

    ``start`` returns with the emulator running but without firmware; ``flash`` puts it there.
    """

    link_address: str  # PTY path, constant for the board's life
    emulator: str  # name and version
    time_base: TimeBase
    has_probe: bool  # write_memory works
    probe_address: str | None  # where a real flasher finds the emulated probe, e.g. a gdb port
    # File to which the emulator appends "<CLOCK_MONOTONIC ns> <0|1>\n" at every marker edge, and
    # "<ns> 1 idle\n" when the board goes to sleep while it is up; None where device time is not
    # host time.
    edges_path: str | None

    def units_per_tick(self, counter_hz: int) -> float:
        """Return how many units of the time base (instructions, us, cycles) one tick is."""

    def flash(self, image: Image) -> None:
        """Put the image into the board and start it.

        Raises:
            FlashError: not written, or read back differently.
        """

    def reset(self) -> None:
        """Reset; the firmware starts again."""

    def marker_edges(self) -> tuple[Edge, ...]:
        """Return all edges of the marker pin since start, in device time.

        Raises:
            BoardError: this emulator does not see the pin as it is configured; says what to set.
        """

    def check_alive(self) -> None:
        """Raise BoardError with exit status and last words when the emulator has died."""

    def stop(self) -> None:
        """End the emulator and everything it started; may be called twice."""


class Flasher(Protocol):
    """``drivers/flashers/<name>.py`` exports ``flash(board, image, emulated, timeout_s)``."""

    def __call__(
        self, board: BoardConfig, image: Image, emulated: EmulatedBoard | None, timeout_s: float
    ) -> None:
        """Put the image onto the board or raise FlashError."""


class PowerSwitch(Protocol):
    """``drivers/switches/<name>.py`` exports ``open_switch(board)``."""

    def set_power(self, *, on: bool, timeout_s: float) -> None:
        """Switch the board's supply.

        Raises:
            BoardError: the switch did not do it; names it and what it said.
            ToolMissingError: its program is not installed.
        """

    def cycle(self, off_s: float, timeout_s: float) -> None:
        """Off, ``off_s`` seconds, on again; each switching within ``timeout_s``.

        Raises:
            BoardError, ToolMissingError: as ``set_power``.
        """


class PowerMeter(Protocol):
    """An instrument that delivers samples.

    ``drivers/power/<name>.py`` exports ``open_meter(config, address, timeout_s) -> PowerMeter``,
    which stops whatever stream it finds and identifies the instrument; ``find() -> list[tuple[str,
    str]]``: address and serial number of those plugged in; ``INSTRUMENTS``: how its ports are known
    on USB (drivers/_usb.py), so that nobody flashes them; and ``decode(raw, identity, setup,
    start) -> Iterator[Chunk]``: chunks again from the ``raw`` of consecutive ones. A driver without
    samples exports ``estimate(board) -> EnergyEstimate`` instead.

    One thread at a time, but for close(). The board's supply is off until ``set_supply`` and after
    ``close``, where the meter is the supply.
    """

    identity: MeterIdentity
    spec: MeterSpec  # as configured last

    def configure(self, setup: MeterSetup) -> None:
        """Prepare a capture; not while one runs.

        Raises:
            ConfigError: the meter cannot do what ``setup`` asks; states its limits.
            MeterError: silent, unplugged, or refuses.
        """

    def set_supply(self, *, on: bool) -> None:
        """Switch the board's supply, where ``setup.supplies``.

        Raises:
            MeterError: silent, unplugged, or refuses.
        """

    def start(self) -> None:
        """Begin a capture at index 0.

        Raises:
            MeterError: silent, unplugged, or refuses.
        """

    def read(self, timeout_s: float) -> Chunk | None:
        """Return what has arrived as one chunk; None when nothing did within ``timeout_s``.

        Raises:
            MeterError: unplugged, or the stream makes no sense and cannot be resynchronised.
        """

    def stop(self) -> tuple[Chunk | None, CaptureEnd]:
        """End the capture; return the last chunk and the account of what was lost.

        Raises:
            MeterError: it does not stop, or is unplugged.
        """

    def close(self) -> None:
        """Switch the supply off, release the instrument; may be called twice."""


class EnergyEstimate(Protocol):
    """Energy without samples: none at all, or a constant current. See ``PowerMeter``."""

    energy_source: str  # "none", "synthetic"

    def energy_uj(self, duration_us: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return energy per inference in microjoule for inference durations, or None (no meter)."""


class EmulatedMeter(Protocol):
    """A process that speaks an instrument's protocol, fed by an emulated board's marker edges.

    ``drivers/emulated_meters/<name>.py`` exports ``start(board, edges_path, timeout_s)``; the module
    runs by itself, too: ``python -m hilbench.drivers.emulated_meters.<name> --help``.
    """

    address: str  # PTY path, constant for the meter's life

    def truth(self) -> tuple[InjectedWindow, ...]:
        """Return what the board was made to draw in every marker window that has ended.

        Raises:
            MeterError: the process has died, or its board's edges came too late to be emulated.
        """

    def stop(self) -> None:
        """End the process; may be called twice."""
