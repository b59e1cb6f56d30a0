"""The LPM01A's commands and answers.

Ref: ST UM2269. A command ends with CR LF; the answer is ``ack <command>`` or ``error <command>`` and
``Error detail: <text>``, behind the prompt ``PowerShield > ``. What a query answers stands on the
line of its ack or on the next.
"""

from __future__ import annotations

import re
import time
from typing import Protocol

from hilbench.errors import MeterError

REPLY_S = 5.0
_DETAIL_S = 0.5  # the line "Error detail" follows at once
_QUIET_S = 0.05  # a stream that says nothing for so long has ended
_POLL_S = 0.05
CALIBRATION_S = 10.0  # takes about 1.5 s
FIRMWARE_MIN = (1, 0, 6)
_PROMPT = b"PowerShield > "


class Bytes(Protocol):
    """What is used of the port."""

    address: str

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived within ``timeout_s``."""

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all bytes."""


class Dialogue:
    """Commands to one meter, while no capture runs."""

    def __init__(self, port: Bytes) -> None:
        self._port = port
        self._received = bytearray()

    def silence(self, timeout_s: float) -> None:
        """Stop whatever stream runs and drop what is left of it.

        Raises:
            MeterError: it goes on sending, or is unplugged.
        """
        deadline_s = time.monotonic() + timeout_s
        # The empty line ends half a command that somebody left.
        self._port.write(b"\r\nstop\r\n", timeout_s)
        while self._port.read(_QUIET_S):
            if time.monotonic() > deadline_s:
                raise MeterError(
                    f"the LPM01A at {self._port.address} goes on sending {timeout_s:g} s after "
                    f"'stop'; press its reset button"
                )
        self._received.clear()

    def command(self, command: str, timeout_s: float = REPLY_S) -> None:
        """Send a command and wait for its ack.

        Raises:
            MeterError: refused, with the meter's own words; silent; or unplugged.
        """
        self._acknowledge(command, time.monotonic() + timeout_s, timeout_s)

    def ask(self, command: str, pattern: str, timeout_s: float = REPLY_S) -> re.Match[str]:
        """Send a query and return what of its answer matches.

        Raises:
            MeterError: as ``command``, or nothing in the answer matches.
        """
        deadline_s = time.monotonic() + timeout_s
        rest = self._acknowledge(command, deadline_s, timeout_s)
        while (found := re.search(pattern, rest)) is None:
            line = self._line(deadline_s)
            if line is None:
                raise MeterError(
                    f"the LPM01A at {self._port.address} answers {command!r} with {rest.strip()!r}, "
                    f"which makes no sense; is the port that of an LPM01A?"
                )
            rest += f" {line}"
        return found

    def wait(self, timeout_s: float) -> None:
        """Keep what arrives within a time."""
        self._received += self._port.read(timeout_s)

    def take(self) -> bytes:
        """Return what has arrived after the last answer."""
        data = bytes(self._received)
        self._received.clear()
        return data

    def _acknowledge(self, command: str, deadline_s: float, timeout_s: float) -> str:
        """Send a command; return what stands behind it on the line of its ack."""
        self._port.write(f"{command}\r\n".encode("ascii"), timeout_s)
        while (line := self._line(deadline_s)) is not None:
            for word in ("ack", "error"):
                head, found, rest = line.partition(f"{word} {command}")
                if not found or head.strip():
                    continue
                if word == "error":
                    raise MeterError(
                        f"the LPM01A at {self._port.address} refuses {command!r}: "
                        f"{self._detail() or rest.strip() or 'it gives no reason'}"
                    )
                return rest.lstrip(": ")
        raise MeterError(
            f"the LPM01A at {self._port.address} does not answer {command!r} within {timeout_s:g} s; "
            f"is the port that of an LPM01A, and the LPM01A powered?"
        )

    def _detail(self) -> str:
        deadline_s = time.monotonic() + _DETAIL_S
        while (line := self._line(deadline_s)) is not None:
            if line.startswith("Error detail:"):
                return line.removeprefix("Error detail:").strip()
        return ""

    def _line(self, deadline_s: float) -> str | None:
        """Return the next line that is not empty, without its prompt; None at the deadline."""
        while True:
            end = self._received.find(b"\n")
            if end >= 0:
                raw = bytes(self._received[: end + 1])
                del self._received[: end + 1]
                if line := _text(raw):
                    return line
                continue
            data = self._port.read(max(0.0, deadline_s - time.monotonic()))
            if not data and time.monotonic() >= deadline_s:
                return None
            self._received += data


def _text(raw: bytes) -> str:
    return raw.replace(_PROMPT, b"").decode("ascii", "replace").strip("\0 \r\n\t")


def identify(dialogue: Dialogue, address: str, timeout_s: float) -> tuple[str, str]:
    """Take control and return serial number and firmware version.

    Raises:
        MeterError: no LPM01A, its firmware is too old, or it reports an error of its own.
    """
    dialogue.command("htc", timeout_s)
    number = dialogue.ask("powershield", r"[0-9A-Za-z-]*\d[0-9A-Za-z-]*", timeout_s)[0]
    version = dialogue.ask("version", r"(\d+)\.(\d+)\.(\d+)", timeout_s)
    if tuple(map(int, version.groups())) < FIRMWARE_MIN:
        raise MeterError(
            f"the LPM01A at {address} has firmware {version[0]}, which cannot switch the supply off "
            f"('error pwr off'); at least {'.'.join(map(str, FIRMWARE_MIN))} is needed: update it "
            f"with ST's STSW-POWERSHIELD"
        )
    # A query clears the error that it tells: one of the session before counts no more.
    if dialogue.ask("status", r"\b(ok|error)\b", timeout_s)[1] == "error":
        status = dialogue.ask("status", r"\b(ok|error\b.*)", timeout_s)[1]
        if status != "ok":
            raise MeterError(
                f"the LPM01A at {address} reports {status!r}; press its reset button, and take the "
                f"board off it if that does not help"
            )
    return number, version[0]


def set_voltage(dialogue: Dialogue, address: str, supply_v: float, limit: float) -> float:
    """Set the supply, wait for the calibration that this starts, and return what the meter reads.

    Raises:
        MeterError: refused, the calibration does not end, or the supply is off by more than
            ``limit``, relative.
    """
    deadline_s = time.monotonic() + CALIBRATION_S
    dialogue.command(f"volt {round(supply_v * 1000)}m", CALIBRATION_S)
    while True:
        try:
            left_s = max(0.0, deadline_s - time.monotonic())
            found = dialogue.ask("volt get", r"(\d{4})([+-]\d\d)", left_s)
            break
        except MeterError as error:
            if time.monotonic() >= deadline_s:
                raise MeterError(
                    f"the LPM01A at {address} does not end its calibration within "
                    f"{CALIBRATION_S:g} s after 'volt': {error}"
                ) from error
            dialogue.wait(_POLL_S)
    is_v = float(f"{found[1]}e{found[2]}")
    if abs(is_v - supply_v) > limit * supply_v:
        raise MeterError(
            f"the LPM01A at {address} reads {is_v:.3f} V of its own supply where {supply_v:.3f} V is "
            f"set, more than {limit * 100:g} % off; is the board's other supply taken away?"
        )
    return is_v
