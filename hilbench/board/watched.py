"""A link that hears why a board is silent: its emulator died, or a person has interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable

from hilbench.interfaces import Link

_LOOK_S = 0.25


class WatchedLink:
    """Asks ``check`` whenever the line is quiet; it raises what ends the waiting."""

    def __init__(self, link: Link, check: Callable[[], None]) -> None:
        self._link = link
        self._check = check

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all bytes; see interfaces.Link."""
        self._link.write(data, timeout_s)

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived within ``timeout_s``; see interfaces.Link.

        Raises:
            BoardError: what ``check`` says.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = deadline_s - time.monotonic()
            if data := self._link.read(max(0.0, min(left_s, _LOOK_S))):
                return data
            if left_s <= _LOOK_S:
                return b""
            self._check()

    def close(self) -> None:
        """Close; may be called twice."""
        self._link.close()
