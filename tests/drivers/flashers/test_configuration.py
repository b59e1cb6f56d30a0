"""What a board's table must say, and the sentences when it does not."""

from __future__ import annotations

import importlib.util
import re
import socket
from types import SimpleNamespace

import pytest
from serial.tools.list_ports_common import ListPortInfo

from hilbench.drivers.flashers import avrdude, command, esptool, gdb, openocd, stm32flash
from hilbench.errors import (
    ConfigError,
    FlashBusyError,
    FlashError,
    FlashNotFoundError,
    ToolMissingError,
)
from hilbench.testing.doubles import Esp32Rom
from tests.builders.elf_builder import EM_ARM, EM_AVR, EM_XTENSA
from tests.drivers.flashers.conftest import FIRMWARE, payload, tool_or_skip

LIMIT_S = 10.0


@pytest.fixture
def refused(board, make_image):
    """Return the sentence with which a flasher refuses, the board's own name as b."""

    def _refused(module, *args: str, kind=ConfigError, **flasher: object) -> str:
        config = board(module.__name__.rpartition(".")[2], *args, **flasher)
        with pytest.raises(kind) as raised:
            module.flash(config, make_image(EM_ARM, (0, b"code")), None, LIMIT_S)
        return str(raised.value).replace(config.id, "b")

    return _refused


def test_avrdude(refused):
    assert refused(avrdude) == (
        'board b: avrdude needs the chip; add target = "atmega328p" to [board.b.flasher]'
    )
    assert refused(avrdude, target="m328p") == (
        "board b: avrdude needs a serial port; add serial to [board.b]"
    )
    assert refused(avrdude, "-F", target="m328p") == (
        "board b: avrdude's -F is not taken, it overrides the chip's signature; remove it from args"
    )
    assert refused(avrdude, "-P", "/dev/ttyACM0", target="m328p") == (
        "board b: avrdude's -P is for programmers without a serial port (-P usb); "
        "a serial port stands in serial of [board.b]"
    )
    assert refused(avrdude, "-V", target="m328p") == (
        "board b: avrdude's -V is not taken, it skips the read-back; remove it from args "
        "(verify = false says so openly)"
    )


@pytest.mark.bench
def test_avrdude_with_a_programmer_that_is_not_there(refused):
    """A USB programmer needs no serial port of the board; this one nobody has plugged in here."""
    tool_or_skip("avrdude", "avrdude")
    said = refused(
        avrdude, "-c", "usbasp", "-P", "usb:0:99", target="m328p", kind=FlashNotFoundError
    )
    assert said.startswith("board b: avrdude found no board that answers, it said 'avrdude ")


@pytest.mark.parametrize(
    ("args", "option"),
    [
        (["-P/dev/ttyACM9"], "-P"),
        (["-vP", "/dev/ttyACM9"], "-P"),
        (["-P", "../dev/ttyACM9"], "-P"),
        (["-VF"], "-V"),
        (["-qV"], "-V"),
        (["-qF"], "-F"),
        (["x", "-F"], "-F"),
    ],
)
def test_avrdude_s_options_are_known_however_they_are_written(args, option, refused):
    assert f"avrdude's {option} is " in refused(avrdude, *args, target="m328p")


def test_avrdude_s_values_are_no_options(refused):
    assert "needs a serial port" in refused(avrdude, "-b57600", "-l", "-F", target="m328p")
    assert refused(avrdude, "-Z", target="m328p") == (
        "board b: avrdude does not take these args (option -Z not recognized); "
        "correct args in [board.b.flasher]"
    )


@pytest.mark.parametrize(
    "word", ["--port", "--port=/dev/x", "--por=/dev/x", "-p", "-p/dev/x", "-tp", "@options"]
)
def test_esptool_s_port_is_the_board_s(word, refused):
    assert refused(esptool, "--baud", "921600", word, target="esp32") == (
        f"board b: esptool's {word} is not taken in args; the port stands in serial of [board.b]"
    )


REAL_ONLY = 'use flasher = "emulator" in [board.b]'


@pytest.mark.parametrize(
    ("module", "table", "reaches"),
    [
        (openocd, {"target": "t.cfg", "probe_serial": "1"}, "real probes only"),
        *(
            (avrdude, {"target": "m328p", "args": args}, "real programmers only with these args")
            for args in (("-c", "usbasp", "-P", "usb"), ("-cusbasp",), ("-Pusb",))
        ),
        (
            *(command, {"command": ("st-flash", "write", "{bin}", "{address}")}),
            "real boards only, without {serial} or {probe} in its command",
        ),
        (
            *(command, {"command": ("x", "{probe}"), "probe_serial": "1"}),
            "real probes only, and this emulator has none",
        ),
    ],
)
def test_an_emulated_board_is_no_reason_to_write_a_real_one(
    module, table, reaches, board, make_image
):
    tool = module.__name__.rpartition(".")[2]
    config = board(tool, **table)
    emulated = SimpleNamespace(link_address="/dev/pts/0", probe_address=None)
    with pytest.raises(ConfigError) as raised:
        module.flash(config, make_image(EM_ARM, (0, b"code")), emulated, LIMIT_S)
    assert str(raised.value).replace(config.id, "b") == (
        f"board b is emulated; flasher {tool} reaches {reaches}: {REAL_ONLY}"
    )


def test_a_command_gets_the_emulated_probe(board, make_image, tmp_path):
    config = board("command", command=("x", "{probe}"), probe_serial="a real one")
    emulated = SimpleNamespace(link_address="/dev/pts/0", probe_address="127.0.0.1:1")
    argv = command.expand(config, make_image(EM_ARM, (0, b"code")), emulated, tmp_path)
    assert argv == ["x", "127.0.0.1:1"]


def test_stm32flash(refused):
    assert refused(stm32flash) == (
        "board b: stm32flash needs a serial port; add serial to [board.b]"
    )


def test_esptool(refused, monkeypatch):
    assert refused(esptool) == (
        'board b: esptool needs the chip; add target = "esp32" to [board.b.flasher]'
    )
    assert refused(esptool, target="esp32@app") == (
        "board b: flasher.target is 'esp32@app', its offset 'app' is no number; "
        'write it as in "esp32@0x10000"'
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert refused(esptool, target="esp32", kind=ToolMissingError) == (
        "esptool is not installed; install it with: pip install 'hilbench[esptool]'"
    )


def test_gdb(refused):
    assert refused(gdb) == (
        "board b: gdb needs the address of a gdb server; "
        'add target = "localhost:3333" to [board.b.flasher]'
    )


@pytest.mark.parametrize("address", [None, "remote:127.0.0.1:1"])
def test_gdb_and_an_emulated_board_without_a_gdb_server(address, board, make_image):
    config = board("gdb", target="localhost:3333")  # a real board's
    emulated = SimpleNamespace(link_address="/dev/pts/0", probe_address=address)
    with pytest.raises(ConfigError) as raised:
        gdb.flash(config, make_image(EM_ARM, (0, b"code")), emulated, LIMIT_S)
    assert str(raised.value).replace(config.id, "b") == (
        'board b is emulated and serves no gdb; add emulator_args = { probe = "gdb" } to [board.b]'
    )


def test_gdb_waits_for_no_other_debugger(board, make_image):
    image = make_image(EM_ARM, (0, b"code"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = server.getsockname()
        config = board("gdb", target=f"localhost:{where[1]}")
        with socket.create_connection(where), pytest.raises(FlashBusyError) as raised:
            gdb.flash(config, image, None, LIMIT_S)
    assert str(raised.value) == (
        f"board {config.id}: gdb server localhost:{where[1]} has a debugger connected to it; "
        "end that one, or wait until it has ended"
    )


def test_a_command_never_names_an_instrument(refused, monkeypatch):
    ppk2 = ListPortInfo("/dev/ttyACM7")
    ppk2.vid, ppk2.pid = 0x1915, 0xC00A
    monkeypatch.setattr("hilbench.drivers.links._ports.comports", lambda: [ppk2])
    for words in (
        ("x", "/dev/ttyACM7", "{bin}"),
        ("x", "--port=/dev/ttyACM7"),
        ("sh", "x >/dev/ttyACM7"),
    ):
        assert refused(command, command=words) == (
            "board b: flasher.command names /dev/ttyACM7, a Nordic Power Profiler Kit II; "
            "instruments are never flashed; write {serial}, and the board's port as serial of "
            "[board.b]"
        )


def test_command(refused):
    assert refused(command) == (
        "board b: the command flasher has no command; add command = [...] to [board.b.flasher]"
    )
    assert refused(command, command=("x", "{probe}")) == (
        "board b: flasher.command asks for {probe}; add probe_serial to [board.b.flasher]"
    )
    assert refused(command, command=("x", "{target}")) == (
        "board b: flasher.command asks for {target}; add target to [board.b.flasher]"
    )
    assert refused(command, command=("x", "{elf}")) == (
        "board b: flasher.command has {elf}, which means nothing; known: {image} {hex} {bin} {uf2} "
        "{address} {serial} {baud} {probe} {target}"
    )
    assert refused(command, command=("x", "{uf2}"), target="rp2040") == (
        "board b: {uf2} needs the chip's UF2 family id in target, which is 'rp2040'; "
        'add e.g. target = "0xe48bff56" (RP2040)'
    )
    assert refused(command, command=("no-such-tool",), kind=ToolMissingError) == (
        "no-such-tool is not installed; install it with: its vendor's package, "
        "or correct flasher.command (docs/flashers.md)"
    )


@pytest.mark.parametrize(
    ("words", "exit_code", "kind"),
    [
        ("No DFU capable USB device available", 74, "FlashNotFoundError"),
        ("No device found on ttyACM9", 1, "FlashNotFoundError"),
        ("Error: No connected probes were found.", 1, "FlashNotFoundError"),
        ("Error: No debug probe detected.", 1, "FlashNotFoundError"),
        ("Connecting to J-Link via USB...FAILED: Cannot connect to J-Link.", 1, "FlashNotFoundError"),
        ("cp: cannot create regular file '/media/x/': Not a directory", 1, "FlashNotFoundError"),
        ("cp: error writing '/media/x/a.uf2': No space left on device", 1, "FlashWriteError"),
        ("Error: failed to download Segment[0]", 1, "FlashWriteError"),
        ("Error: Failed to download data!\nDownload verified successfully", 0, "FlashWriteError"),
        ("Verify failed, page errors: 1", 0, "FlashVerifyError"),
        ("all done", 0, "FlashWriteError"),
        ("segmentation fault", 139, "FlashError"),
    ],
)  # fmt: skip
def test_what_the_words_of_any_tool_mean(words, exit_code, kind, board, make_image):
    image = make_image(EM_ARM, (0, b"code"))
    (script := image.path.with_name("tool")).write_text(
        f'#!/bin/sh\necho "{words}"\nexit {exit_code}\n'
    )
    script.chmod(0o755)
    config = board("command", command=(str(script),), expect="verified")
    with pytest.raises(FlashError) as raised:
        command.flash(config, image, None, LIMIT_S)
    assert type(raised.value).__name__ == kind


@pytest.mark.bench
def test_an_image_that_esptool_cannot_convert(board, make_image):
    pytest.importorskip("esptool", reason="needs: pip install 'hilbench[esptool]'")
    image = make_image(EM_AVR, (0, payload(100)))
    with Esp32Rom() as esp32:
        config = board("esptool", serial=esp32.address, target="esp32")
        with pytest.raises(
            FlashError, match=r"esptool elf2image failed in a way .*e_machine = 0x0053"
        ):
            esptool.flash(config, image, None, LIMIT_S)


def test_an_image_of_another_port(board, make_image):
    config = board("gdb", target="localhost:1")
    image = make_image(EM_XTENSA, (0, b"code"))
    for module in (avrdude, stm32flash, gdb):
        other = type(image)("other", image.path, "", image.sha256, "", "", ())
        with pytest.raises(FlashError, match=re.escape(f"takes firmware {FIRMWARE!r}, the image")):
            module.flash(config, other, None, LIMIT_S)
