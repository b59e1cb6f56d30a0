"""Flash an ESP chip with esptool, as a program of its own (its licence is GPL).

``flasher.target`` is esptool's name of the chip, with the flash offset of the application if it is
not the one of ESP-IDF's partition table: ``esp32``, ``esp32c3@0x20000``. ``args`` are its global
options, e.g. ``["--baud", "921600"]``, or ``["--no-stub", "--before", "no-reset"]``.

Ref: esptool 5 documentation, "Basic Commands"; ESP-IDF, "Partition Tables".
"""

from __future__ import annotations

import importlib.util
import re
import sys
import tempfile
import time
from pathlib import Path

from hilbench.drivers.flashers._files import load_segments
from hilbench.drivers.flashers._ports import bootloader_port
from hilbench.drivers.flashers._run import Sign, judge, run_tool
from hilbench.errors import (
    ConfigError,
    FlashBusyError,
    FlashNotFoundError,
    FlashVerifyError,
    FlashWriteError,
    FlashWrongChipError,
    ToolMissingError,
)
from hilbench.interfaces import EmulatedBoard
from hilbench.records import BoardConfig, FlasherConfig, Image

TOOL = "esptool"
INSTALL = "pip install 'hilbench[esptool]'"
APP_OFFSET = 0x10000  # the factory app of ESP-IDF's default partition tables
BOOTLOADER_BAUD = 115200  # the ROM's; args may raise it

# -p and --port however written, bundled, or in a file of options; the last --port would win.
_NAMES_A_PORT = re.compile(r"-[th]*p|--p|@")

PROOF = r"Hash of data verified"  # it compares an MD5 that the chip computes
PROOF_OF_CONVERSION = r"Successfully created"
SIGNS = (
    Sign(
        r"is not ESP|Wrong --?chip|Wrong chip|Unexpected chip|image is not.*chip|chip .*mismatch",
        FlashWrongChipError,
        "correct flasher.target, or is another board on this port?",
    ),
    Sign(
        r"MD5 of file does not match|Verification failed|digest mismatch|written flash region is empty",
        FlashVerifyError,
        "flash it again; if it stays, the flash chip or its supply is at fault",
        always=True,
    ),
    Sign(
        r"port is busy or doesn't exist|Device or resource busy|exclusively lock port",
        FlashBusyError,
        "end what has it open",
    ),
    Sign(
        r"No such file or directory|could not open port|port doesn't exist",
        FlashNotFoundError,
        "is the board plugged in, and are you in the port's group (dialout)?",
    ),
    Sign(
        r"(?s)Writing at.*(fatal error|exception|device reports|failed)|"
        r"Failed to write|write to target flash|Write timeout|serial data stream stopped",
        FlashWriteError,
        "reset the board and flash it again, at a lower --baud",
    ),
    Sign(
        r"Failed to connect|No serial data received|Wrong boot mode|Invalid head of packet",
        FlashNotFoundError,
        "put the chip into its download mode (hold BOOT, press reset)",
    ),
)


def flash(
    board: BoardConfig, image: Image, emulated: EmulatedBoard | None, timeout_s: float
) -> None:
    """Make an application image of the ELF, write it, and compare its MD5.

    Raises:
        ConfigError: no chip, an offset that is no number, no port, or a port in args.
        FlashError: the typed outcome.
        ToolMissingError: esptool is not installed.
    """
    config = board.flasher or FlasherConfig(TOOL)
    chip, offset = _target(board.id, config)
    for word in filter(_NAMES_A_PORT.match, config.args):
        raise ConfigError(  # there it is checked to be the board's, free, and no instrument
            f"board {board.id}: esptool's {word} is not taken in args; "
            f"the port stands in serial of [board.{board.id}]"
        )
    if importlib.util.find_spec(TOOL) is None:
        raise ToolMissingError(f"{TOOL} is not installed; install it with: {INSTALL}")
    load_segments(board, image)  # the right file, unchanged
    port = bootloader_port(board, emulated, urls=True)
    esptool = [sys.executable, "-m", TOOL, "--chip", chip]
    baud = () if {"--baud", "-b"} & set(config.args) else ("--baud", str(BOOTLOADER_BAUD))
    end_s = time.monotonic() + timeout_s
    with tempfile.TemporaryDirectory(prefix="hilbench-") as folder:
        app = str(Path(folder) / "app.bin")
        convert = [*esptool, "elf2image", "--output", app, str(image.path)]
        result = run_tool(board.id, TOOL, convert, timeout_s, INSTALL)
        judge(board.id, f"{TOOL} elf2image", result, (), PROOF_OF_CONVERSION)
        write = [*esptool, "--port", port, *baud, *config.args, "write-flash", hex(offset), app]
        left_s = max(0.0, end_s - time.monotonic())
        result = run_tool(board.id, TOOL, write, left_s, INSTALL)
    judge(board.id, TOOL, result, SIGNS, PROOF)


def _target(board_id: str, config: FlasherConfig) -> tuple[str, int]:
    """Return chip and offset of ``chip[@offset]``."""
    if config.target is None:
        raise ConfigError(
            f'board {board_id}: esptool needs the chip; add target = "esp32" '
            f"to [board.{board_id}.flasher]"
        )
    chip, _, offset = config.target.partition("@")
    try:
        return chip, int(offset, 0) if offset else APP_OFFSET
    except ValueError:
        raise ConfigError(
            f"board {board_id}: flasher.target is {config.target!r}, its offset {offset!r} is no "
            'number; write it as in "esp32@0x10000"'
        ) from None
