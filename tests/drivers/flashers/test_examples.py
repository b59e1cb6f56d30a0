"""Every table of docs/flashers.md is loaded; the command flasher's are run against stand-ins."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import re
import sys
from pathlib import Path

import pytest

from hilbench.config import load_boards
from hilbench.drivers.flashers import command
from hilbench.drivers.flashers._files import flat_binary, intel_hex, uf2
from hilbench.errors import FlashNotFoundError, FlashWriteError
from tests.builders.elf_builder import EM_ARM
from tests.drivers.flashers.conftest import FIRMWARE, payload

DOC = Path(__file__).parents[3] / "docs" / "flashers.md"
BLOCKS = re.findall(
    r"^```toml\n(.*?)^```", DOC.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)
LIMIT_S = 20.0
PARTS = [(0x08000000, payload(300)), (0x08000400, b"tail")]

# Writes down how it was called and says what success says.
STAND_IN = """#!{python}
import json, pathlib, sys
files = {{a: pathlib.Path(a).read_bytes().hex() for a in sys.argv if pathlib.Path(a).is_file()}}
call = {{"argv": sys.argv[1:], "files": files, "stdin": "" if {deaf} else sys.stdin.read()}}
with open({log!r}, "a") as log:
    print(json.dumps(call), file=log)
print({says!r})
"""


def load(text: str, folder: Path):
    (path := folder / "boards.toml").write_text(f"schema = 1\n{text}", encoding="utf-8")
    (board,) = load_boards(path).values()
    return dataclasses.replace(board, firmware=FIRMWARE)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("]")[0])
def test_every_table_of_the_page_is_valid(block, tmp_path):
    assert load(block, tmp_path).flasher is not None


@pytest.fixture
def image(make_image):
    return make_image(EM_ARM, *PARTS)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Put a program before all others on PATH; return how to read its calls."""
    log = tmp_path / "calls"

    def _make(program: str, says: str, *, deaf: bool = True):
        (folder := tmp_path / "bin").mkdir(exist_ok=True)
        script = STAND_IN.format(python=sys.executable, log=str(log), says=says, deaf=deaf)
        (folder / program).write_text(script)
        (folder / program).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return lambda: [json.loads(line) for line in log.read_text().splitlines()]

    return _make


def example(board_id: str, folder: Path):
    (block,) = (block for block in BLOCKS if f"[board.{board_id}]" in block)
    return load(block, folder)


def in_format(suffix: str) -> bytes:
    return {
        "bin": flat_binary("b", PARTS)[1],
        "hex": intel_hex(PARTS).encode(),
        "uf2": uf2(PARTS, 0xE48BFF56),
    }[suffix]


# Board: program, what it says, what it gets.
CALLS = {
    "dfu": (
        "dfu-util", "File downloaded successfully",
        ["-a", "0", "-S", "357236543038", "-s", "0x08000000:leave", "-D", "FILE.bin"],
    ),
    "zero": (
        "bossac", "Verify successful",
        ["--port=PORT", "--offset=0x2000", "-e", "-w", "-v", "-R", "FILE.bin"],
    ),
    "pico": (
        "picotool", "",
        ["load", "-v", "-x", "IMAGE", "-t", "elf", "--ser", "E6605838836B7C2F", "-f"],
    ),
    "nucleo": (
        "STM32_Programmer_CLI", "Download verified successfully",
        ["-c", "port=SWD", "sn=0669FF383333554157243840", "mode=UR", "-w", "FILE.hex", "-v", "-rst"],
    ),
}  # fmt: skip


@pytest.fixture
def port():
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("board_id", CALLS)
def test_the_program_gets_its_arguments(board_id, image, stand_in, tmp_path, port):
    program, says, argv = CALLS[board_id]
    calls = stand_in(program, says)
    board = dataclasses.replace(example(board_id, tmp_path), serial=port)
    command.flash(board, image, None, LIMIT_S)
    (call,) = calls()
    names = {"IMAGE": str(image.path), "--port=PORT": f"--port={port}"}
    for got, wanted in zip(call["argv"], argv, strict=True):
        if wanted.startswith("FILE."):
            assert bytes.fromhex(call["files"][got]) == in_format(wanted.removeprefix("FILE."))
        else:
            assert got == names.get(wanted, wanted)


@pytest.mark.parametrize("board_id", [name for name, (_, says, _) in CALLS.items() if says])
def test_the_program_must_say_that_it_succeeded(board_id, image, stand_in, tmp_path, port):
    stand_in(CALLS[board_id][0], "something else")
    board = dataclasses.replace(example(board_id, tmp_path), serial=port)
    with pytest.raises(FlashWriteError, match="did not say that it succeeded"):
        command.flash(board, image, None, LIMIT_S)


def test_probe_rs_downloads_and_then_resets(image, stand_in, tmp_path):
    calls = stand_in("probe-rs", "")
    command.flash(example("nrf", tmp_path), image, None, LIMIT_S)
    which = ["--chip", "nRF52840_xxAA", "--probe", "1366:1015:001050255503"]
    assert [call["argv"] for call in calls()] == [
        ["download", *which, "--verify", str(image.path)],
        ["reset", *which],
    ]


def test_j_link_commander_is_told_by_its_standard_input(image, stand_in, tmp_path):
    calls = stand_in("JLinkExe", "J-Link>loadfile\nDownloading file...\nO.K.", deaf=False)
    command.flash(example("jlink", tmp_path), image, None, LIMIT_S)
    (call,) = calls()
    load_file, *rest = call["stdin"].splitlines()
    assert re.fullmatch(r"loadfile /\S+/image\.hex", load_file)
    assert rest == ["r", "g", "exit"]
    assert call["argv"] == [
        "-NoGui",
        "1",
        "-ExitOnError",
        "1",
        "-AutoConnect",
        "1",
        "-Device",
        "nRF52840_xxAA",
        "-SelectEmuBySN",
        "1050255503",
        "-If",
        "SWD",
        "-Speed",
        "4000",
    ]


def test_j_link_s_own_connection_is_no_proof(image, stand_in, tmp_path):
    stand_in("JLinkExe", "Connecting to J-Link via USB...O.K.", deaf=False)
    with pytest.raises(FlashWriteError, match="did not say that it succeeded"):
        command.flash(example("jlink", tmp_path), image, None, LIMIT_S)


@pytest.mark.parametrize(("board_id", "suffix"), [("uf2", "uf2"), ("microbit", "hex")])
def test_a_copy_to_a_drive(board_id, suffix, image, tmp_path):
    drive = tmp_path / "drive"
    board = example(board_id, tmp_path)
    *start, target = board.flasher.command
    assert target.endswith("/")
    flasher = dataclasses.replace(board.flasher, command=(*start, f"{drive}/"))
    board = dataclasses.replace(board, flasher=flasher)
    with pytest.raises(FlashNotFoundError, match="is the board plugged in, in its bootloader"):
        command.flash(board, image, None, LIMIT_S)  # not mounted
    drive.mkdir()
    command.flash(board, image, None, LIMIT_S)
    assert (drive / f"image.{suffix}").read_bytes() == in_format(suffix)
