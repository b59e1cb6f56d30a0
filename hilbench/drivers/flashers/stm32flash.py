"""Flash an STM32 through its system bootloader on a UART with stm32flash.

``flasher.target`` is the chip as stm32flash names it, e.g. ``STM32F446xx``, or its device ID, e.g.
``0x0421``; when given it is compared before anything is erased. ``args`` are its own options: a
PTY needs ``["-m", "8n1"]``, a board with BOOT0 and reset on modem lines ``["-i", "..."]``.

Ref: stm32flash 0.7 manual; ST AN3155.
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

from hilbench.drivers.flashers._files import intel_hex, load_segments
from hilbench.drivers.flashers._ports import bootloader_port
from hilbench.drivers.flashers._run import Sign, judge, run_tool
from hilbench.errors import (
    FlashBusyError,
    FlashNotFoundError,
    FlashVerifyError,
    FlashWriteError,
    FlashWrongChipError,
)
from hilbench.interfaces import EmulatedBoard
from hilbench.records import BoardConfig, FlasherConfig, Image

PROGRAM = "stm32flash"
INSTALL = "apt-get install stm32flash"
BOOTLOADER_BAUD = 115200  # the bootloader measures it; AN3155 allows no more
WRITE_ATTEMPTS = 1  # a word that must be written twice is a fault to report, not to hide

PROOF_OF_IDENTITY = r"^Device ID\s*: (0x[0-9a-f]+) \((.*)\)"
PROOF = r"Wrote and verified address 0x[0-9a-f]+ \(100\.00%\) *Done\."
PROOF_OF_WRITING = r"Wrote (and verified )?address 0x[0-9a-f]+ \(100\.00%\) *Done\."
SIGNS = (
    Sign(
        r"Device or resource busy|Resource temporarily unavailable",
        FlashBusyError,
        "end what has it open",
    ),
    Sign(
        r"Failed to open port|Cannot handle device",
        FlashNotFoundError,
        "is the board plugged in, and are you in the port's group (dialout)?",
    ),
    Sign(
        r"Unknown/unsupported device",
        FlashWrongChipError,
        "is another board on this port, or the chip newer than stm32flash?",
    ),
    Sign(
        r"Failed to verify",
        FlashVerifyError,
        "flash it again; if it stays, the chip's flash is worn out",
        always=True,
    ),
    Sign(
        r"Failed to write memory|Failed to erase|Error sending (write|erase)|Mass erase failed",
        FlashWriteError,
        "is the flash write-protected (stm32flash -u)? reset into the bootloader and try again",
    ),
    Sign(
        r"Failed to init device|Failed to read ACK|Got NACK|timeout",
        FlashNotFoundError,
        "put the board into its bootloader (BOOT0 high, reset)",
    ),
)


def flash(
    board: BoardConfig, image: Image, emulated: EmulatedBoard | None, timeout_s: float
) -> None:
    """Check the chip, write the image, read it back, and start it.

    Raises:
        ConfigError: no port.
        FlashError: the typed outcome.
        ToolMissingError: stm32flash is not installed.
    """
    config = board.flasher or FlasherConfig(PROGRAM)
    parts = load_segments(board, image)
    port = bootloader_port(board, emulated)
    end_s = time.monotonic() + timeout_s
    options = [*(() if "-b" in config.args else ("-b", str(BOOTLOADER_BAUD))), *config.args]
    if config.target is not None:
        _check_chip(board.id, config.target, [PROGRAM, *options, port], timeout_s)
    with tempfile.TemporaryDirectory(prefix="hilbench-") as folder:
        (path := Path(folder) / "image.hex").write_text(intel_hex(parts), encoding="ascii")
        command = [
            *(PROGRAM, *options, "-n", str(WRITE_ATTEMPTS), "-w", str(path)),
            *(("-v",) if config.verify else ()),
            *("-g", f"0x{parts[0][0]:08x}", port),
        ]
        result = run_tool(board.id, PROGRAM, command, max(0.0, end_s - time.monotonic()), INSTALL)
    judge(board.id, PROGRAM, result, SIGNS, PROOF if config.verify else PROOF_OF_WRITING)


def _check_chip(board_id: str, target: str, command: list[str], timeout_s: float) -> None:
    result = run_tool(board_id, PROGRAM, command, timeout_s, INSTALL)
    judge(board_id, PROGRAM, result, SIGNS, PROOF_OF_IDENTITY)
    found = re.search(PROOF_OF_IDENTITY, result.output, re.MULTILINE)
    if found is not None and target.lower() not in {found[1].lower(), found[2].lower()}:
        raise FlashWrongChipError(
            f"board {board_id}: {PROGRAM} found another chip than the table says, {found[2]} "
            f"({found[1]}) instead of {target}; correct flasher.target, or is another board on "
            "this port?",
            command=result.command,
            exit_code_of_tool=result.exit_code,
            duration_s=result.duration_s,
            last_line=found[0],
        )
