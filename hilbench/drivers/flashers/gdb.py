"""Load the image through a gdb server: OpenOCD, pyOCD, J-Link, Black Magic Probe, QEMU.

``flasher.target`` is the server's ``host:port`` (or serial device). ``args`` are the gdb commands
that start the firmware after loading, in place of ``monitor reset``; ``detach`` always follows.
An emulated board brings its own server: ``emulator_args = { probe = "gdb" }``.

Ref: GDB manual, sections 20.2 "Commands for Managing Targets" (load) and 10.17 (compare-sections).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from hilbench.drivers.flashers._files import load_segments
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
PROGRAM = "gdb-multiarch"
INSTALL = "apt-get install gdb-multiarch"
START = ("monitor reset",)
START_QEMU = ("monitor system_reset",)
_TCP_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED = "01"

# Without a connection compare-sections compares the file with itself, and it matches: only a
# session that can still be detached afterwards has proved anything.
PROOF = r"(?s)^Start address .*^Section .*: matched\..*^\[Inferior .* detached\]"
PROOF_OF_WRITING = r"^Start address 0x[0-9a-f]+, load size"
SIGNS = (
    Sign(
        r"(?s)^Loading section.*(Load failed|Error finishing flash|Error erasing flash|"
        r"Remote connection closed|Remote communication error|Ignoring packet error|"
        r"Connection reset|Broken pipe|Error writing|Cannot access memory)|Load failed",
        FlashWriteError,
        "reset board and probe and flash it again",
        always=True,
    ),
    Sign(
        r"MIS-MATCHED",  # with exit code 0
        FlashVerifyError,
        "flash it again; is the image linked for this board's memory?",
        always=True,
    ),
    Sign(
        r"Device or resource busy|already connected",
        FlashBusyError,
        "end the other debugger",
    ),
    Sign(
        r"architecture .* is not compatible|Truncated register|'g' packet reply is too long",
        FlashWrongChipError,
        "is this the gdb server of another board?",
        always=True,
    ),
    Sign(
        r"Connection refused|Connection timed out|could not connect|No route to host|"
        r"Name or service not known|cannot resolve name|No such file or directory",
        FlashNotFoundError,
        "start the board's gdb server; flasher.target says where it is expected",
    ),
    Sign(
        r"Ignoring packet error|Remote replied unexpectedly|Remote connection closed|"
        r"Remote communication error|did not respond|Connection reset",
        FlashNotFoundError,
        "restart the board's gdb server; is another debugger connected to it?",
    ),
)


def flash(
    board: BoardConfig, image: Image, emulated: EmulatedBoard | None, timeout_s: float
) -> None:
    """Load the ELF's sections, compare them, reset and let the board run.

    Raises:
        ConfigError: nobody says where the gdb server is, or the emulator has none.
        FlashError: the typed outcome.
        ToolMissingError: gdb-multiarch is not installed.
    """
    config = board.flasher or FlasherConfig("gdb")
    server = emulated.probe_address if emulated is not None else config.target
    if emulated is not None and (server is None or server.startswith("remote:")):  # pyOCD's
        raise ConfigError(
            f"board {board.id} is emulated and serves no gdb; "
            f'add emulator_args = {{ probe = "gdb" }} to [board.{board.id}]'
        )
    if server is None:
        raise ConfigError(
            f"board {board.id}: gdb needs the address of a gdb server; "
            f'add target = "localhost:3333" to [board.{board.id}.flasher]'
        )
    load_segments(board, image)  # the right file, unchanged
    _check_free(board.id, server)
    commands = [
        "set confirm off",
        "set tcp auto-retry off",  # else a server that is not there takes 15 s
        f"target remote {server}",
        "load",
        *(["compare-sections"] if config.verify else []),
        *(config.args or (START if emulated is None else START_QEMU)),
        "detach",
    ]
    command = [PROGRAM, "-nx", "-batch", str(image.path)]
    for line in commands:
        command += ["-ex", line]
    result = run_tool(board.id, "gdb", command, timeout_s, INSTALL)
    judge(board.id, "gdb", result, SIGNS, PROOF if config.verify else PROOF_OF_WRITING)


def _check_free(board_id: str, server: str) -> None:
    """Ask the kernel: a server with a client lets the next one wait without a word."""
    host, _, port = server.rpartition(":")
    if host not in {"", "localhost", "127.0.0.1"} or not port.isdigit():
        return
    for table in _TCP_TABLES:
        with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
            for line in table.read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                if state == _ESTABLISHED and int(local.rpartition(":")[2], 16) == int(port):
                    raise FlashBusyError(
                        f"board {board_id}: gdb server {server} has a debugger connected to it; "
                        "end that one, or wait until it has ended"
                    )
