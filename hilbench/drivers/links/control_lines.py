"""Reset a board by the control lines of its serial port, as its own flashing tool does.

Arduino boards reset when DTR becomes active; boards with Espressif's two transistors are held in
reset while RTS is active and DTR is not (esptool, "Boot Mode Selection"). One sequence does both and
never asks for a bootloader.
"""

from __future__ import annotations

import time

import serial

from hilbench.errors import BoardBusyError, BoardError, LinkError

_SETTLE_S = 0.05
_PULSE_S = 0.1
_SEQUENCE = (  # DTR, RTS, then wait
    (False, False, _SETTLE_S),
    (False, True, _PULSE_S),  # Espressif: in reset
    (False, False, _PULSE_S),  # and out of it
    (True, True, _SETTLE_S),  # Arduino: the edge resets
)


def pulse_reset(address: str, baud: int) -> None:
    """Open a port, pulse its lines, close it; takes about 0.3 s. The port must not be open here.

    Args:
        address: device path or pyserial URL.
        baud: bits per second.

    Raises:
        BoardBusyError: another process holds the port.
        BoardError: the port has no control lines (a PTY, ``socket://``).
        LinkError: the port cannot be opened.
    """
    try:
        port = serial.serial_for_url(
            address, baudrate=baud, timeout=0, exclusive=None if "://" in address else True
        )
    except (serial.SerialException, OSError, ValueError) as error:
        if "exclusively lock" in str(error):
            raise BoardBusyError(
                f"port {address} is held by another process; close it (fuser -v {address} names it)"
            ) from error
        raise LinkError(
            f"port {address} cannot be opened: {error}; is the board plugged in?"
        ) from error
    try:
        for dtr, rts, wait_s in _SEQUENCE:
            port.dtr, port.rts = dtr, rts
            time.sleep(wait_s)
    except (serial.SerialException, OSError) as error:  # a PTY says ENOTTY
        raise BoardError(
            f"port {address} has no control lines ({error}); reset the board by its button, a probe "
            "or a power switch"
        ) from error
    finally:
        port.close()
