"""Flash an AVR with avrdude: through its bootloader by default, through a programmer by ``args``.

``flasher.target`` is avrdude's name of the chip (``-p``); ``args`` are its own options, for example
``["-c", "usbasp", "-P", "usb"]`` or ``["-b", "57600"]`` for an older bootloader.

Ref: avrdude 7.1 manual, chapter 2 "Command Line Options".
"""

from __future__ import annotations

import contextlib
import getopt
import os
import tempfile
import termios
from pathlib import Path

from hilbench.drivers.flashers._files import intel_hex, load_segments
from hilbench.drivers.flashers._ports import bootloader_port, refuse_emulated
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
# avrdude's own getopt string, so that -VF and -P/dev/ttyACM9 are read here as they are there.
_OPTIONS = "?Ab:B:c:C:DeE:Fi:l:np:OP:qstU:uvVx:yY:"
# Programmers that write to the port that they are given; a usbasp takes the first on the USB.
_ON_THE_PORT = frozenset(
    {
        *("arduino", "wiring", "urclock", "stk500", "stk500v1", "stk500v2"),
        *("avr109", "avr911", "butterfly", "butterfly_mk"),
    }
)
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
        ConfigError: no chip, no port, an option that hides faults or is none of avrdude's, or an
            emulated board and a programmer that only real ones have.
        FlashError: the typed outcome.
        ToolMissingError: avrdude is not installed.
    """
    config = board.flasher or FlasherConfig(PROGRAM)
    options = _options(board.id, config)
    if emulated is not None and (
        "-P" in options or options.get("-c", DEFAULT_PROGRAMMER) not in _ON_THE_PORT
    ):
        refuse_emulated(board, "real programmers only with these args")
    parts = [part for part in load_segments(board, image) if part[0] < _FLASH_END]
    port = None if "-P" in options else bootloader_port(board, emulated)
    with tempfile.TemporaryDirectory(prefix="hilbench-") as folder:
        (path := Path(folder) / "image.hex").write_text(intel_hex(parts), encoding="ascii")
        try:
            result = run_tool(
                board.id, PROGRAM, _command(config, options, port, path), timeout_s, INSTALL
            )
        except FlashTimeoutError:
            if port is not None:
                _restore_hang_up(port)
            raise
    judge(board.id, PROGRAM, result, SIGNS, PROOF if config.verify else PROOF_OF_WRITING)


def _options(board_id: str, config: FlasherConfig) -> dict[str, str]:
    """Return the options of ``args`` with their values, checked."""
    if config.target is None:
        raise ConfigError(
            f"board {board_id}: avrdude needs the chip; "
            f'add target = "atmega328p" to [board.{board_id}.flasher]'
        )
    try:
        pairs, _ = getopt.gnu_getopt(list(config.args), _OPTIONS)
    except getopt.GetoptError as error:
        raise ConfigError(
            f"board {board_id}: avrdude does not take these args ({error}); correct args in "
            f"[board.{board_id}.flasher]"
        ) from None
    if any(option == "-P" and "/" in value for option, value in pairs):
        raise ConfigError(  # there it is checked to be the board's, free, and no instrument
            f"board {board_id}: avrdude's -P is for programmers without a serial port (-P usb); "
            f"a serial port stands in serial of [board.{board_id}]"
        )
    for option, why in _HIDES_FAULTS.items():
        if option in dict(pairs):
            raise ConfigError(
                f"board {board_id}: avrdude's {option} is not taken, {why}; "
                f"remove it from args{' (verify = false says so openly)' if option == '-V' else ''}"
            )
    return dict(pairs)


def _command(
    config: FlasherConfig, options: dict[str, str], port: str | None, path: Path
) -> list[str]:
    defaults = {"-c": DEFAULT_PROGRAMMER, "-b": str(BOOTLOADER_BAUD)}
    return [
        *(PROGRAM, "-p", str(config.target)),
        *(() if port is None else ("-P", port)),
        *(
            word
            for option in defaults
            if option not in options
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
