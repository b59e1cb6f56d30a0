"""How long to wait for an answer. Ref: RFC 6298, with Karn's rule."""

from __future__ import annotations

FIRST_S = 0.1  # before any round trip was seen
SLACK_S = 0.02  # scheduling on both sides
_MOST_DOUBLINGS = 6


class RoundTrip:
    """Smoothed round trip, its deviation, and the backoff after silence.

    Args:
        bytes_per_s: of the line.
    """

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._mean_s: float | None = None
        self._deviation_s = 0.0
        self._doublings = 0

    def measure(self, seconds: float) -> None:
        """Take the time from a packet's only transmission to its answer."""
        if self._mean_s is None:
            self._mean_s, self._deviation_s = seconds, seconds / 2
        else:
            self._deviation_s += (abs(seconds - self._mean_s) - self._deviation_s) / 4
            self._mean_s += (seconds - self._mean_s) / 8

    def heard(self) -> None:
        """Something arrived that was asked for once: end the backoff."""
        self._doublings = 0

    def silent(self) -> None:
        """Nothing came in time: wait twice as long from now on."""
        self._doublings = min(self._doublings + 1, _MOST_DOUBLINGS)

    @property
    def backoff(self) -> float:
        """Factor on every wait."""
        return 2.0**self._doublings

    def wait_s(self, wire_bytes: int) -> float:
        """Return the wait, without backoff, for an answer behind this many bytes on the line."""
        mean_s = FIRST_S if self._mean_s is None else self._mean_s
        return mean_s + 4 * self._deviation_s + wire_bytes / self._bytes_per_s + SLACK_S
