"""Flash an AVR with avrdude: through its bootloader by default, through a programmer by ``args``.

``flasher.target`` is avrdude's name of the chip (``-p``); ``args`` are its own options, for example
``["-c", "usbasp", "-P", "usb"]`` or ``["-b", "57600"]`` for an older bootloader.

Ref: avrdude 7.1 manual, chapter 2 "Command Line Options".
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import termios
from pathlib import Path

from hilbench.drivers.flashers._files import intel_hex, load_segments
from hilbench.drivers.flashers._ports import bootloader_port
from hilbench.drivers.flashers._run import Sign, judge, run_tool
from hilbench.errors import (
    ConfigError,
    FlashBusyError,
    FlashNotFoundError,
    FlashTimeoutError,
    FlashVerifyError,
    FlashWriteError,
    FlashWrongChipError,
)
from hilbench.interfaces import EmulatedBoard
from hilbench.records import BoardConfig, FlasherConfig, Image

PROGRAM = "avrdude"
INSTALL = "apt-get install avrdude"
DEFAULT_PROGRAMMER = "arduino"
BOOTLOADER_BAUD = 115200  # optiboot on an Uno; the firmware's own baud is another matter
_FLASH_END = 0x800000  # avr-gcc puts RAM, EEPROM and fuses above; see avr-libc, "Memory Sections"
_HIDES_FAULTS = {"-V": "it skips the read-back", "-F": "it overrides the chip's signature"}

PROOF = r"bytes of flash verified"
PROOF_OF_WRITING = r"bytes of flash written"
SIGNS = (
    Sign(
        r"cannot open port .*(No such|No medium)|did not find any USB device|cannot open device",
        FlashNotFoundError,
        "is the board plugged in? ports: hilbench boards scan",
    ),
    Sign(
        r"(Permission denied|EACCES)",
        FlashNotFoundError,
        "join the port's group and log in again: usermod -aG dialout $USER",
    ),
    Sign(
        r"(Device or resource busy|EBUSY|Resource temporarily unavailable)",
        FlashBusyError,
        "end what has it open",
    ),
    Sign(
        r"expected signature for|signature .*(does not|doesn't) match|double check chip",
        FlashWrongChipError,
        "correct flasher.target, or is another board on this port?",
    ),
    Sign(
        r"verification (error|mismatch)|verify error",
        FlashVerifyError,
        "flash it again; if it stays, the chip's flash is worn out",
        always=True,
    ),
    Sign(
        r"(?s)writing.*(not in sync|not responding|protocol error|write.* failed|unable to write)",
        FlashWriteError,
        "reset the board and flash it again",
    ),
    Sign(
        r"not in sync|not responding|initialization failed|unable to open programmer",
        FlashNotFoundError,
        "reset the board; is its bootloader there, and its baud right (args: -b)?",
    ),
)


def flash(
    board: BoardConfig, image: Image, emulated: EmulatedBoard | None, timeout_s: float
) -> None:
    """Write the image's program flash, read it back, and let the bootloader start it.

    Raises:
        ConfigError: no chip, no port, or an option that hides faults.
        FlashError: the typed outcome.
        ToolMissingError: avrdude is not installed.
    """
    config = board.flasher or FlasherConfig(PROGRAM)
    _check_options(board.id, config)
    parts = [part for part in load_segments(board, image) if part[0] < _FLASH_END]
    port = None if "-P" in config.args else bootloader_port(board, emulated)
    with tempfile.TemporaryDirectory(prefix="hilbench-") as folder:
        (path := Path(folder) / "image.hex").write_text(intel_hex(parts), encoding="ascii")
        try:
            result = run_tool(board.id, PROGRAM, _command(config, port, path), timeout_s, INSTALL)
        except FlashTimeoutError:
            if port is not None:
                _restore_hang_up(port)
            raise
    judge(board.id, PROGRAM, result, SIGNS, PROOF if config.verify else PROOF_OF_WRITING)


def _check_options(board_id: str, config: FlasherConfig) -> None:
    if config.target is None:
        raise ConfigError(
            f"board {board_id}: avrdude needs the chip; "
            f'add target = "atmega328p" to [board.{board_id}.flasher]'
        )
    if "-P" in config.args and any(word.startswith("/") for word in config.args):
        raise ConfigError(  # there it is checked to be the board's, free, and no instrument
            f"board {board_id}: avrdude's -P is for programmers without a serial port (-P usb); "
            f"a serial port stands in serial of [board.{board_id}]"
        )
    for option, why in _HIDES_FAULTS.items():
        if option in config.args:
            raise ConfigError(
                f"board {board_id}: avrdude's {option} is not taken, {why}; "
                f"remove it from args{' (verify = false says so openly)' if option == '-V' else ''}"
            )


def _command(config: FlasherConfig, port: str | None, path: Path) -> list[str]:
    defaults = {"-c": DEFAULT_PROGRAMMER, "-b": str(BOOTLOADER_BAUD)}
    given = set(config.args)
    return [
        *(PROGRAM, "-p", str(config.target)),
        *(() if port is None else ("-P", port)),
        *(
            word
            for option in defaults
            if option not in given
            for word in (option, defaults[option])
        ),
        *config.args,
        *(() if config.verify else ("-V",)),
        *("-D", "-U", f"flash:w:{path}:i"),  # -D: a bootloader erases each page as it writes it
    ]


def _restore_hang_up(port: str) -> None:
    """Let closing the port drop DTR again, which resets an Uno; a killed avrdude leaves it off."""
    with contextlib.suppress(OSError, termios.error):  # the board may be gone: that is the news
        handle = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            settings = termios.tcgetattr(handle)
            settings[2] |= termios.HUPCL
            termios.tcsetattr(handle, termios.TCSANOW, settings)
        finally:
            os.close(handle)
