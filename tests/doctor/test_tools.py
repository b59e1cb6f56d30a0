"""Programs: which are needed, which are there, which version."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hilbench.doctor import tools
from hilbench.doctor.check import Check
from hilbench.doctor.tools import Tool, check_images, check_tools, find_version
from hilbench.errors import ImageError
from hilbench.records import BoardConfig, FlasherConfig, Image, PowerSwitchConfig

M4 = BoardConfig("m4", "mps2-an386", emulator="qemu", flasher=FlasherConfig("emulator"))
M3 = BoardConfig("m3", "mps2-an385", emulator="qemu", flasher=FlasherConfig("emulator"))
UNO = BoardConfig(
    "uno",
    "atmega328p",
    serial="/dev/ttyACM0",
    flasher=FlasherConfig("avrdude"),
    power=PowerSwitchConfig("uhubctl"),
)


def test_only_what_the_boards_need_and_each_once():
    checks = check_tools([M4, M3, UNO], Versions({"qemu-system-arm": "7.2", "avrdude": "7.1"}))
    assert checks == [
        Check("qemu-system-arm", "ok", "7.2"),
        Check("avrdude", "ok", "7.1"),
        Check(
            "uhubctl",
            "failed",
            "not installed; needed by uno",
            "install it with: apt-get install uhubctl",
        ),
    ]


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("", Check("emulator simavr", "ok", "nothing known to be missing")),
        (
            "gcc is not installed; install it",
            Check("emulator simavr", "failed", "gcc is not installed", "install it"),
        ),
    ],
)
def test_an_emulator_says_itself_what_is_missing(monkeypatch, missing, expected):
    driver = SimpleNamespace(missing_tool=lambda: missing)
    monkeypatch.setattr(tools.plugins, "load", lambda _kind, _name: driver)
    boards = [BoardConfig("a", "atmega328p", emulator="simavr")] * 2
    assert check_tools(boards, Versions()) == [expected]


class Versions(dict):
    def __call__(self, tool):
        return self.get(tool.name)


def image_of(ports):
    def find(port):
        if port not in ports:
            raise ImageError(f"the {port} image is not built; build it with: make firmware")
        return Image(port, None, "ab" * 20, "", "", "", ())

    return find


@pytest.mark.parametrize(
    ("built", "states"),
    [
        (["mps2-an386"], ["ok", "warn"]),  # it is built: the compiler is not needed now
        ([], ["failed", "failed"]),
    ],
)
def test_a_compiler_is_needed_where_an_image_is_missing(monkeypatch, built, states):
    monkeypatch.setattr(tools, "find_image", image_of(built))
    image, compiler = check_images([M4], lambda _p: "arm-none-eabi-gcc", Versions())
    assert [image.state, compiler.state] == states
    assert image.name == "image mps2-an386"
    assert compiler.next_step == (
        "install it with: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
    )
    if not built:
        assert (image.fact, image.next_step) == (
            "the mps2-an386 image is not built",
            "build it with: make firmware",
        )


def test_versions_are_what_programs_say(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, body in (
        ("gdb-multiarch", "echo 'GNU gdb (Debian 13.1-3) 13.1'"),
        ("openocd", "echo 'Open On-Chip Debugger 0.12.0' >&2"),
        ("mute", "exit 1"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    assert find_version(Tool("gdb-multiarch", "")) == "13.1"
    assert find_version(Tool("openocd", "")) == "0.12.0"
    assert find_version(Tool("mute", "")) == "installed, version unknown"
    assert find_version(Tool("absent", "")) is None
    assert find_version(Tool("pytest", "", distribution=True)) == pytest.__version__
    assert find_version(Tool("no-such-package", "", distribution=True)) is None
