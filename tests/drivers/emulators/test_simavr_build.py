"""What the emulated Uno says when it cannot be built or started."""

from __future__ import annotations

import shutil

import pytest

from hilbench.drivers.emulators import _simavr_build, simavr
from hilbench.errors import ConfigError, ToolMissingError
from hilbench.records import BoardConfig
from tests.drivers.emulators.uno_programs import tools_or_skip

UNO = BoardConfig("uno", "atmega328p")


@pytest.fixture(autouse=True)
def _nothing_remembered():
    _simavr_build.runner.cache_clear()
    _simavr_build.bootloader.cache_clear()
    yield
    _simavr_build.runner.cache_clear()
    _simavr_build.bootloader.cache_clear()


def without(monkeypatch, tool):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == tool else which(name))


def test_no_compiler(monkeypatch):
    without(monkeypatch, "gcc")
    with pytest.raises(ToolMissingError) as caught:
        _simavr_build.runner()
    assert str(caught.value) == (
        "gcc is not installed and emulated AVR boards need it; "
        "install it with: apt-get install gcc libsimavr-dev"
    )


def test_no_avr_compiler(monkeypatch):
    without(monkeypatch, "avr-gcc")
    with pytest.raises(ToolMissingError) as caught:
        _simavr_build.bootloader()
    assert str(caught.value) == (
        "avr-gcc is not installed and the emulated Uno's bootloader needs it; "
        "install it with: apt-get install gcc-avr avr-libc"
    )


def test_no_library(monkeypatch):
    command = ("gcc", "-std=gnu99", "-include", "no/such/sim_avr.h", "runner.c", "-lsimavr")
    monkeypatch.setattr(_simavr_build, "_RUNNER_COMMAND", command)
    if shutil.which("gcc") is None:
        monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(
        ToolMissingError,
        match=r"^simavr-runner cannot be built and emulated AVR boards need it \(.*sim_avr\.h: "
        r"No such file or directory\); "
        r"install what it needs with: apt-get install gcc libsimavr-dev$",
    ):
        _simavr_build.runner()


@pytest.mark.bench
def test_built_once_for_a_source(monkeypatch, tmp_path):
    tools_or_skip("gcc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = _simavr_build.runner()
    assert first.is_relative_to(tmp_path / "hilbench")
    built = first.stat().st_mtime_ns
    _simavr_build.runner.cache_clear()
    assert _simavr_build.runner() == first
    assert first.stat().st_mtime_ns == built
    monkeypatch.setattr(
        _simavr_build, "_RUNNER_COMMAND", (*_simavr_build._RUNNER_COMMAND, "-DOTHER")
    )
    _simavr_build.runner.cache_clear()
    assert _simavr_build.runner() != first


@pytest.mark.bench
def test_the_bootloader_fits_its_section():
    tools_or_skip("avr-gcc")
    boot = _simavr_build.bootloader()
    assert 0 < len(boot) <= 0x8000 - _simavr_build.BOOT_ADDRESS
    assert _simavr_build.bootloader(0x1E930B) != boot


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"machine": "uno"},
            "the simavr emulator has no argument 'machine'; known: pace, reset_on_open, fault",
        ),
        ({"pace": "fast"}, "pace = 'fast' is not one of realtime, free"),
        ({"reset_on_open": "true"}, "reset_on_open = 'true' is not one of yes, no"),
        (
            {"fault": "fire"},
            "fault = 'fire' is not one of dead_bootloader, wrong_signature, dies_mid_write, "
            "bit_flip, silent_success",
        ),
    ],
)
def test_arguments(arguments, sentence):
    config = BoardConfig("uno", "atmega328p", emulator_args=tuple(arguments.items()))
    with pytest.raises(ConfigError) as caught:
        simavr.start(config, 1.0)
    assert str(caught.value) == f"board uno: {sentence}"


def test_no_setpriv(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolMissingError, match=r"^setpriv .*: apt-get install util-linux$"):
        simavr.start(UNO, 1.0)
