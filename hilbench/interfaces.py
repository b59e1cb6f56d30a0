"""Every interface between rooms, on one page. Drivers are modules; each kind says what it exports."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hilbench.records import BoardConfig, Image, TimeBase


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

    def units_per_tick(self, counter_hz: int) -> float:
        """Return how many units of the time base (instructions, us, cycles) one tick is."""

    def flash(self, image: Image) -> None:
        """Put the image into the board and start it.

        Raises:
            FlashError: not written, or read back differently.
        """

    def reset(self) -> None:
        """Reset; the firmware starts again."""

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
    """``drivers/power/<name>.py`` exports ``open_meter(board)``."""

    energy_source: str  # "none", "synthetic", or the instrument

    def energy_uj(self, duration_us: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return energy per inference in microjoule for inference durations, or None (no meter)."""

    def close(self) -> None:
        """Release the instrument; may be called twice."""
