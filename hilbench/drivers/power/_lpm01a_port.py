"""The LPM01A's serial port: bytes in, bytes out, each with a deadline."""

from __future__ import annotations

import os
import select
import time

import serial

from hilbench.errors import MeterBusyError, MeterError

BAUD = 3_686_400
_READ_BYTES = 1 << 16


class Port:
    """An open port that belongs to this process alone.

    Raises:
        MeterBusyError: another process holds it.
        MeterError: it cannot be opened.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.gone = False  # unplugged
        try:
            # A pseudo-terminal takes any rate.
            self._port = serial.Serial(address, BAUD, timeout=0, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise _open_error(address, error) from error
        self._fd: int = self._port.fileno()
        os.set_blocking(self._fd, False)

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived, waiting at most ``timeout_s`` for the first byte; ``b""`` if none.

        Raises:
            MeterError: unplugged.
        """
        try:
            if not select.select([self._fd], [], [], max(0.0, timeout_s))[0]:
                return b""
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:
            raise self._gone(error) from error
        if not data:
            raise self._gone(None)
        return data

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all bytes.

        Raises:
            MeterError: unplugged, or not accepted within ``timeout_s``.
        """
        deadline_s = time.monotonic() + timeout_s
        rest = data
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
                continue
            except BlockingIOError:
                pass
            except (OSError, ValueError) as error:
                raise self._gone(error) from error
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([], [self._fd], [], left_s)[1]:
                raise MeterError(
                    f"the LPM01A at {self.address} takes no bytes within {timeout_s:g} s; "
                    f"plug it out and in again"
                )

    def _gone(self, error: Exception | None) -> MeterError:
        self.gone = True
        code = error.errno if isinstance(error, OSError) else None
        why = os.strerror(code) if code else "end of file"
        return MeterError(
            f"the LPM01A at {self.address} went away ({why}); is its cable plugged in?"
        )

    def close(self) -> None:
        """Release the port; may be called twice."""
        self._port.close()


def _open_error(address: str, error: Exception) -> MeterError:
    text = str(error)
    if "exclusively lock" in text:
        return MeterBusyError(
            f"the LPM01A at {address} is held by another process; close it "
            f"(fuser -v {address} names it)"
        )
    if "Permission denied" in text:
        return MeterError(
            f"the LPM01A at {address} may not be opened by this user; "
            f"run: sudo usermod -aG dialout $USER, then log in again"
        )
    if "No such file" in text:
        return MeterError(
            f"the LPM01A at {address} does not exist; plug it in or correct serial of the meter"
        )
    return MeterError(
        f"the LPM01A at {address} cannot be opened: {text}; correct serial of the meter"
    )
