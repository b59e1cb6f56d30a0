"""Who listens to the bytes of links: nobody, unless asked for a byte log."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Literal

from hilbench.interfaces import Link

Way = Literal[">", "<"]  # to the board, from the board
Listener = Callable[[str, Way, bytes], None]
"""Told board id, direction and bytes, in the thread that moves them."""

_listeners: list[Listener] = []


@contextlib.contextmanager
def tap(listener: Listener) -> Iterator[None]:
    """Tell ``listener`` the bytes of every link that is opened meanwhile, in this process."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tapped(link: Link, board_id: str) -> Link:
    """Return the link, telling its bytes to whoever listens now."""
    for listener in _listeners:
        link = _TappedLink(link, board_id, listener)
    return link


class _TappedLink:
    def __init__(self, link: Link, board_id: str, listener: Listener) -> None:
        self._link = link
        self._board_id = board_id
        self._listener = listener

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all bytes; see interfaces.Link."""
        self._listener(self._board_id, ">", data)
        self._link.write(data, timeout_s)

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived; see interfaces.Link."""
        data = self._link.read(timeout_s)
        if data:
            self._listener(self._board_id, "<", data)
        return data

    def close(self) -> None:
        """Close; may be called twice."""
        self._link.close()
