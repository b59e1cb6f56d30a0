"""The real OpenOCD with an adapter that does nothing: its messages. And what it says of real ones."""

from __future__ import annotations

import dataclasses

import pytest

from hilbench.drivers.flashers import openocd
from hilbench.drivers.flashers._run import ToolResult, judge
from hilbench.errors import (
    ConfigError,
    FlashBusyError,
    FlashError,
    FlashNotFoundError,
    FlashVerifyError,
    FlashWriteError,
    FlashWrongChipError,
    ToolMissingError,
)
from tests.builders.elf_builder import EM_ARM
from tests.drivers.flashers.conftest import payload, tool_or_skip

LIMIT_S = 30.0
DUMMY = """
adapter driver dummy
transport select jtag
jtag newtap dut cpu -irlen 4 -expected-id 0
target create dut.cpu testee -chain-position dut.cpu
flash bank dut.flash faux 0x08000000 0x10000 4 4 dut.cpu
"""
FLASH = 0x08000000
# A serial number that no probe has: the test must not flash what is plugged in here.
NO_PROBE = "hilbench-no-such-probe"


@pytest.fixture
def image(make_image):
    return make_image(EM_ARM, (FLASH, payload(300)))


@pytest.fixture
def dummy(tmp_path):
    tool_or_skip("openocd", "openocd")
    (path := tmp_path / "dummy.cfg").write_text(DUMMY)
    return str(path)


def outcome_of(config, image) -> FlashError:
    with pytest.raises(FlashError) as raised:
        openocd.flash(config, image, None, LIMIT_S)
    return raised.value


@pytest.mark.bench
def test_what_cannot_be_read_back_is_not_verified(board, image, dummy):
    error = outcome_of(board("openocd", target=dummy, probe_serial=NO_PROBE), image)
    assert type(error) is FlashVerifyError
    assert error.last_line == "** Verify Failed **"


@pytest.mark.bench
def test_success_without_a_read_back(board, image, dummy):
    config = board("openocd", target=dummy, probe_serial=NO_PROBE, verify=False)
    openocd.flash(config, image, None, LIMIT_S)


@pytest.mark.bench
@pytest.mark.parametrize("interface", ["cmsis-dap", "stlink"])
def test_no_such_probe(interface, board, image):
    tool_or_skip("openocd", "openocd")
    config = board(
        *("openocd", "-f", f"interface/{interface}.cfg"),
        target="target/stm32f4x.cfg",
        probe_serial=NO_PROBE,
    )
    error = outcome_of(config, image)
    assert type(error) is FlashNotFoundError
    assert f"adapter serial {NO_PROBE}" in error.command


@pytest.mark.bench
def test_no_such_file(board, image):
    tool_or_skip("openocd", "openocd")
    config = board("openocd", target="target/no-such-chip.cfg", probe_serial=NO_PROBE)
    error = outcome_of(config, image)
    assert type(error) is FlashError
    assert "Can't find target/no-such-chip.cfg" in str(error)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Error: libusb_claim_interface failed: LIBUSB_ERROR_BUSY", FlashBusyError),
        ("Error: couldn't bind gdb to socket on port 3333: Address already in use", FlashBusyError),
        ("Error: libusb_open() failed with LIBUSB_ERROR_ACCESS", FlashNotFoundError),
        (
            "Info : clock speed 2000 kHz\nError: Error connecting DP: cannot read IDR",
            FlashNotFoundError,
        ),
        (
            "Error: JTAG tap: stm32f4x.cpu  expected 1 of 1: 0x4ba00477 (mfg: 0x23b (ARM Ltd))",
            FlashWrongChipError,
        ),
        ("Error: Cannot identify target as a STM32 family.", FlashWrongChipError),
        (
            "** Programming Started **\nError: flash write failed at address 0x8000010\n"
            "** Programming Failed **",
            FlashWriteError,
        ),
        ("** Programming Finished **\n** Verify Started **\n** Verify Failed **", FlashVerifyError),
        ("** Programming Finished **\nshutdown command invoked", FlashWriteError),  # unproven
    ],
)
def test_what_its_words_mean(words, kind):
    for exit_code in (0, 1) if kind is not FlashWriteError else (0,):
        result = ToolResult(("openocd",), exit_code, 1.0, words)
        with pytest.raises(FlashError) as raised:
            judge("b", "openocd", result, openocd.SIGNS, openocd.PROOF)
        assert type(raised.value) is kind


def test_without_a_chip(board, image):
    config = board("openocd")
    with pytest.raises(
        ConfigError,
        match=rf"^board {config.id}: openocd needs the chip's configuration file; add target = "
        rf'"target/stm32f4x.cfg" to \[board.{config.id}.flasher\]$',
    ):
        openocd.flash(config, image, None, LIMIT_S)


def test_without_a_probe(board, image):
    config = dataclasses.replace(board("openocd", target="x.cfg"), source="boards.toml")
    with pytest.raises(ConfigError) as raised:
        openocd.flash(config, image, None, LIMIT_S)
    assert str(raised.value) == (
        f"boards.toml: [board.{config.id}.flasher] names no probe, and another board's could be "
        "taken; add probe_serial, which `lsusb -v` shows as iSerial"
    )


def test_without_openocd(board, image, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    config = board("openocd", target="target/stm32f4x.cfg", probe_serial=NO_PROBE)
    with pytest.raises(
        ToolMissingError,
        match=r"^openocd is not installed; install it with: apt-get install openocd$",
    ):
        openocd.flash(config, image, None, LIMIT_S)
