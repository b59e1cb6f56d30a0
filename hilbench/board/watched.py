"""A link to an emulated board that hears of the emulator's death, not of the silence after it."""

from __future__ import annotations

import time

from hilbench.interfaces import EmulatedBoard, Link

_LOOK_S = 0.25


class WatchedLink:
    """Looks after the emulator whenever the line is quiet."""

    def __init__(self, link: Link, emulated: EmulatedBoard) -> None:
        self._link = link
        self._emulated = emulated

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all bytes; see interfaces.Link."""
        self._link.write(data, timeout_s)

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived within ``timeout_s``; see interfaces.Link.

        Raises:
            BoardError: the emulator has died.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = deadline_s - time.monotonic()
            if data := self._link.read(max(0.0, min(left_s, _LOOK_S))):
                return data
            if left_s <= _LOOK_S:
                return b""
            self._emulated.check_alive()

    def close(self) -> None:
        """Close; may be called twice."""
        self._link.close()
