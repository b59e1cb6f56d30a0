"""Flash through a debug probe with OpenOCD's ``program``.

``flasher.target`` is OpenOCD's configuration file of the chip or board, e.g.
``target/stm32f4x.cfg``; ``args`` go before it, e.g. ``["-f", "interface/stlink.cfg"]``.

Ref: OpenOCD 0.12 user's guide, section 12.2 "Flash programming commands" (program).
"""

from __future__ import annotations

from hilbench.drivers.flashers._files import load_segments
from hilbench.drivers.flashers._ports import refuse_emulated
from hilbench.drivers.flashers._run import Sign, judge, run_tool
from hilbench.errors import (
    ConfigError,
    FlashBusyError,
    FlashNotFoundError,
    FlashVerifyError,
    FlashWriteError,
    FlashWrongChipError,
)
from hilbench.interfaces import EmulatedBoard
from hilbench.records import BoardConfig, FlasherConfig, Image

USES_PROBE = True  # which stays attached beside an energy window
PROGRAM = "openocd"
INSTALL = "apt-get install openocd"

PROOF = r"\*\* Verified OK \*\*"
PROOF_OF_WRITING = r"\*\* Programming Finished \*\*"
SIGNS = (
    Sign(
        r"LIBUSB_ERROR_BUSY|Resource busy|couldn't bind .* Address already in use|claim interface",
        FlashBusyError,
        "end what uses the probe (another OpenOCD, an IDE); name the probe by probe_serial",
    ),
    Sign(
        r"LIBUSB_ERROR_ACCESS|Permission denied",
        FlashNotFoundError,
        "install OpenOCD's udev rules and plug the probe in again",
    ),
    Sign(
        r"tap: .*(UNEXPECTED|expected \d+ of \d+): 0x|Cannot identify target|"
        r"not supported by this driver",
        FlashWrongChipError,
        "correct flasher.target, or is another board on this probe?",
    ),
    Sign(
        r"\*\* Verify Failed \*\*|checksum mismatch|contents differ",
        FlashVerifyError,
        "flash it again; if it stays, the chip's flash is worn out",
        always=True,
    ),
    Sign(
        r"\*\* Programming Failed \*\*|failed erasing|error writing|flash write .*failed",
        FlashWriteError,
        "power-cycle the board and flash it again; is its flash protected?",
        always=True,
    ),
    Sign(
        r"unable to find a matching|open failed|no device found|unable to open|Error connecting DP|"
        r"init mode failed|cannot read IDR|Target not examined|OpenOCD init failed|"
        r"scan chain interrogation failed",
        FlashNotFoundError,
        "is the probe plugged in, the board powered, and probe_serial right?",
    ),
)


def flash(
    board: BoardConfig, image: Image, emulated: EmulatedBoard | None, timeout_s: float
) -> None:
    """Write the image, verify it, reset and let the board run.

    Raises:
        ConfigError: nobody says which chip or which probe, or the board is emulated.
        FlashError: the typed outcome.
        ToolMissingError: openocd is not installed.
    """
    config = board.flasher or FlasherConfig(PROGRAM)
    if emulated is not None:
        refuse_emulated(board, "real probes only")
    if config.target is None:
        raise ConfigError(
            f"board {board.id}: openocd needs the chip's configuration file; "
            f'add target = "target/stm32f4x.cfg" to [board.{board.id}.flasher]'
        )
    if config.probe_serial is None:
        raise ConfigError(
            f"{board.source}: [board.{board.id}.flasher] names no probe, and another board's could "
            "be taken; add probe_serial, which `lsusb -v` shows as iSerial"
        )
    load_segments(board, image)  # the right file, unchanged
    verify = "verify " if config.verify else ""
    command = [
        *(PROGRAM, *config.args),
        *("-c", f"adapter serial {config.probe_serial}"),
        *("-f", config.target),
        *("-c", f"program {{{image.path}}} {verify}reset exit"),  # braces: Tcl's quotes
    ]
    result = run_tool(board.id, PROGRAM, command, timeout_s, INSTALL)
    judge(board.id, PROGRAM, result, SIGNS, PROOF if config.verify else PROOF_OF_WRITING)
