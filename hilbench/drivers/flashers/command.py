"""Flash with any program: ``flasher.command`` is its argv, with words in braces filled in.

``{image}`` the ELF file, ``{hex}`` ``{bin}`` ``{uf2}`` the same as such a file, ``{address}`` the
lowest address (a ``.bin`` has none), ``{serial}`` the port, ``{baud}``, ``{probe}`` probe_serial (of an
emulated board: its probe's address), ``{target}``. ``expect`` is a regular expression that the program prints when it succeeds; without
it the exit code has to do, and HELLO's build id is the proof. docs/flashers.md has examples.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from hilbench.drivers.flashers._files import flat_binary, intel_hex, load_segments, uf2
from hilbench.drivers.flashers._ports import bootloader_port, refuse_emulated
from hilbench.drivers.flashers._run import Sign, judge, run_tool
from hilbench.drivers.links.serial import is_instrument
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

PLACEHOLDERS = ("image", "hex", "bin", "uf2", "address", "serial", "baud", "probe", "target")
INSTALL = "its vendor's package, or correct flasher.command (docs/flashers.md)"
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9]*)\}")
_DEVICE = re.compile(r"/dev/[^\s,:;=]+")

SIGNS = (
    Sign(
        r"resource busy|in use by another|is busy\b|already in use",
        FlashBusyError,
        "end what has port or probe open",
    ),
    Sign(
        r"verif\w* (failed|error)|verify failed|verification .*fail|mismatch|contents differ",
        FlashVerifyError,
        "flash it again; if it stays, the chip's flash is worn out",
        always=True,
    ),
    Sign(
        r"wrong (chip|device|target)|unsupported (chip|device)|unknown (chip|device) id|"
        r"unexpected (core|device|chip) id",
        FlashWrongChipError,
        "correct flasher.target, or is another board on this port or probe?",
    ),
    Sign(
        r"No DFU capable USB device|No device found|No (connected )?probes? (was|were )?found|"
        r"No debug probe detected|No STM32 target|No ST-?Link detected|Cannot connect to|"
        r"Connecting to J-Link .*FAILED|No accessible RP|No such (file|device)|Not a directory|"
        r"Cannot open DFU device|Permission denied|could not open|unable to connect",
        FlashNotFoundError,
        "is the board plugged in, in its bootloader, and may you open it?",
    ),
    Sign(
        r"error during download|failed to (download|erase|program|write)|write failed|"
        r"operation failed|No space left|Input/output error|erase failed|lost device",
        FlashWriteError,
        "reset the board into its bootloader and flash it again",
        always=True,  # STM32_Programmer_CLI verifies happily after "Failed to download data!"
    ),
)


def flash(
    board: BoardConfig, image: Image, emulated: EmulatedBoard | None, timeout_s: float
) -> None:
    """Run the command.

    Raises:
        ConfigError: no command, or something in it that cannot be filled in.
        FlashError: the typed outcome.
        ToolMissingError: the program is absent.
    """
    config = board.flasher or FlasherConfig("command")
    with tempfile.TemporaryDirectory(prefix="hilbench-") as folder:
        argv = expand(board, image, emulated, Path(folder))
        tool = Path(argv[0]).name
        result = run_tool(board.id, tool, argv, timeout_s, INSTALL)
    judge(board.id, tool, result, SIGNS, config.expect)


def expand(
    board: BoardConfig, image: Image, emulated: EmulatedBoard | None, folder: Path
) -> list[str]:
    """Return the argv; files that it names are written into ``folder``.

    Raises:
        ConfigError: empty, an unknown word in braces, or one that the board's table leaves open;
            an emulated board, and nothing in the command that leads to it; an instrument's port.
        FlashError: the image cannot become such a file; the port is absent or busy.
    """
    config = board.flasher or FlasherConfig("command")
    if not config.command:
        raise ConfigError(
            f"board {board.id}: the command flasher has no command; add command = [...] "
            f"to [board.{board.id}.flasher]"
        )
    words = dict.fromkeys(w for part in config.command for w in _PLACEHOLDER.findall(part))
    if emulated is not None and not {"serial", "probe"} & set(words):
        refuse_emulated(board, "real boards only, without {serial} or {probe} in its command")
    _refuse_instruments(board)
    values = {word: _value(word, board, image, emulated, folder) for word in words}
    return [_PLACEHOLDER.sub(lambda m: values[m[1]], part) for part in config.command]


def _refuse_instruments(board: BoardConfig) -> None:
    """{serial} is checked where it is found; a port that is written out is checked here."""
    config = board.flasher or FlasherConfig("command")
    for port in (p for part in config.command for p in _DEVICE.findall(part)):
        if (name := is_instrument(port)) is not None:
            raise ConfigError(
                f"board {board.id}: flasher.command names {port}, a {name}; instruments are never "
                f"flashed; write {{serial}}, and the board's port as serial of [board.{board.id}]"
            )


def _value(
    word: str, board: BoardConfig, image: Image, emulated: EmulatedBoard | None, folder: Path
) -> str:
    config = board.flasher or FlasherConfig("command")
    if word == "serial":
        return bootloader_port(board, emulated, urls=True)
    if word == "baud":
        return str(board.baud)
    if word == "probe" and emulated is not None:
        if emulated.probe_address is None:
            refuse_emulated(board, "real probes only, and this emulator has none")
        return str(emulated.probe_address)
    if word in {"probe", "target"}:
        key = "probe_serial" if word == "probe" else "target"
        if (value := config.probe_serial if word == "probe" else config.target) is None:
            raise ConfigError(
                f"board {board.id}: flasher.command asks for {{{word}}}; "
                f"add {key} to [board.{board.id}.flasher]"
            )
        return value
    if word not in PLACEHOLDERS:
        raise ConfigError(
            f"board {board.id}: flasher.command has {{{word}}}, which means nothing; "
            f"known: {' '.join(f'{{{known}}}' for known in PLACEHOLDERS)}"
        )
    return _file(word, board, image, config, folder)


def _file(word: str, board: BoardConfig, image: Image, config: FlasherConfig, folder: Path) -> str:
    parts = load_segments(board, image)
    if word == "image":
        return str(image.path)
    if word == "address":
        return f"0x{parts[0][0]:08x}"
    path = folder / f"image.{word}"
    if word == "hex":
        path.write_text(intel_hex(parts), encoding="ascii")
    elif word == "bin":
        path.write_bytes(flat_binary(board.id, parts)[1])
    else:
        path.write_bytes(uf2(parts, _family(board.id, config)))
    return str(path)


def _family(board_id: str, config: FlasherConfig) -> int:
    try:
        return int(config.target or "", 0)
    except ValueError:
        raise ConfigError(
            f"board {board_id}: {{uf2}} needs the chip's UF2 family id in target, which is "
            f'{config.target!r}; add e.g. target = "0xe48bff56" (RP2040)'
        ) from None
