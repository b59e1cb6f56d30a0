"""Real tools against boards with faults: every one is a typed outcome, within the limit."""

from __future__ import annotations

import dataclasses
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from hilbench import plugins
from hilbench.drivers.emulators._deadline import Deadline
from hilbench.drivers.emulators._rsp import RspClient
from hilbench.drivers.flashers._run import KILL_GRACE_S
from hilbench.errors import (
    FlashBusyError,
    FlashError,
    FlashNotFoundError,
    FlashTimeoutError,
    FlashVerifyError,
    FlashWriteError,
    FlashWrongChipError,
)
from hilbench.testing.doubles import (
    ArduinoBootloader,
    Esp32Rom,
    Fault,
    GdbProxy,
    Stm32Bootloader,
)
from tests.builders.elf_builder import EM_ARM, EM_AVR, EM_XTENSA
from tests.drivers.flashers.conftest import payload, tool_or_skip

pytestmark = pytest.mark.bench

LIMIT_S = 30.0
HANG_LIMIT_S = 1.2  # of the tools that would hang for minutes
SLACK_S = 3.0  # of a busy computer, beyond the limit and the grace between TERM and KILL
STM32_FLASH = 0x08000000
ESP32_APP = 0x10000
ESP32_IRAM = 0x40080000
AVR_EEPROM = 0x810000
DATA = payload(700)  # six pages of an AVR, three blocks of an STM32
ESP_DATA = payload(3000)  # three blocks of the ROM loader


def outcome_of(board, image, limit_s: float) -> type[FlashError] | None:
    began, failure = time.monotonic(), None
    try:
        plugins.load("flashers", board.flasher.tool).flash(board, image, None, limit_s)
    except FlashError as error:
        failure = error
    assert time.monotonic() - began <= limit_s + KILL_GRACE_S + SLACK_S
    if failure is None:
        return None
    assert "\n" not in str(failure)
    assert failure.duration_s <= limit_s + KILL_GRACE_S + SLACK_S
    return type(failure)


def limit_for(expected: type[FlashError] | None) -> float:
    return HANG_LIMIT_S if expected is FlashTimeoutError else LIMIT_S


# What every serial bootloader has in common.
COMMON = [
    (Fault.NONE, None),
    (Fault.ABSENT, FlashNotFoundError),
    (Fault.BUSY, FlashBusyError),
    (Fault.WRONG_CHIP, FlashWrongChipError),
    (Fault.BIT_FLIP, FlashVerifyError),
    (Fault.SILENT_SUCCESS, FlashVerifyError),
]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        *COMMON,
        (Fault.DEAD_BOOTLOADER, FlashTimeoutError),  # by itself avrdude takes a minute
        (Fault.DIES_MID_WRITE, FlashTimeoutError),  # by itself avrdude takes for ever
    ],
)
def test_avrdude(fault, expected, board, make_image):
    tool_or_skip("avrdude", "avrdude")
    # EEPROM contents are no part of program flash.
    image = make_image(EM_AVR, (0, DATA), (0x400, b"data"), (AVR_EEPROM, b"eeprom"))
    with ArduinoBootloader(fault) as uno:
        config = board("avrdude", serial=uno.address, target="atmega328p")
        assert outcome_of(config, image, limit_for(expected)) is expected
    good = uno.flash[: len(DATA)] == DATA and uno.flash[0x400:0x404] == b"data"
    assert good is (expected is None)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        *COMMON,
        (Fault.DEAD_BOOTLOADER, FlashNotFoundError),
        (Fault.DIES_MID_WRITE, FlashWriteError),
        (Fault.UNPLUGGED_MID_WRITE, FlashWriteError),
        (Fault.REFUSES_WRITE, FlashWriteError),
    ],
)
def test_stm32flash(fault, expected, board, make_image):
    tool_or_skip("stm32flash", "stm32flash")
    image = make_image(EM_ARM, (STM32_FLASH, DATA), (STM32_FLASH + 0x1000, b"vectors."))
    with Stm32Bootloader(fault) as f446:
        config = board("stm32flash", "-m", "8n1", serial=f446.address)
        assert outcome_of(config, image, limit_for(expected)) is expected
    good = f446.flash[: len(DATA)] == DATA and f446.flash[0x1000:0x1008] == b"vectors."
    assert good is (expected is None)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("STM32F446xx", None),
        ("0x0421", None),
        ("STM32F40xxx/41xxx", FlashWrongChipError),  # a chip that stm32flash knows as well
    ],
)
def test_stm32flash_compares_the_chip_before_it_erases(target, expected, board, make_image):
    tool_or_skip("stm32flash", "stm32flash")
    with Stm32Bootloader() as f446:
        f446.flash[0x2000] = 0x55
        config = board("stm32flash", "-m", "8n1", serial=f446.address, target=target)
        image = make_image(EM_ARM, (STM32_FLASH, DATA))
        assert outcome_of(config, image, LIMIT_S) is expected
    assert (f446.flash[0x2000] == 0x55) is (expected is not None)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        *COMMON,
        (Fault.DEAD_BOOTLOADER, FlashNotFoundError),
        (Fault.DIES_MID_WRITE, FlashWriteError),
        (Fault.REFUSES_WRITE, FlashWriteError),
    ],
)
def test_esptool(fault, expected, board, make_image):
    pytest.importorskip("esptool", reason="needs: pip install 'hilbench[esptool]'")
    image = make_image(EM_XTENSA, (ESP32_IRAM, ESP_DATA))
    options = (
        "--no-stub",
        "--before",
        "no-reset",
        "--after",
        "no-reset",
        "--connect-attempts",
        "1",
    )
    with Esp32Rom(fault) as esp32:
        config = board("esptool", *options, serial=esp32.address, target="esp32")
        assert outcome_of(config, image, limit_for(expected)) is expected
    assert (ESP_DATA in esp32.flash[ESP32_APP : ESP32_APP + 4096]) is (expected is None)


@pytest.fixture
def mps2(tmp_path: Path):
    """Path of the gdb server of an empty Cortex-M3 in QEMU."""
    tool_or_skip("qemu-system-arm", "qemu-system-arm")
    tool_or_skip("gdb-multiarch", "gdb-multiarch")
    path = tmp_path / "gdb"
    command = [
        *("qemu-system-arm", "-M", "mps2-an385", "-S", "-display", "none", "-monitor", "none"),
        *("-serial", "null", "-gdb", f"unix:{path},server=on,wait=off"),
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as qemu:
        while not path.exists():
            assert qemu.poll() is None
        yield path
        qemu.kill()


STACK, ENDLESS_LOOP = 0x20001000, b"\xfe\xe7"
VECTORS = struct.pack("<16I", STACK, *[65] * 15)
DATA_AT = 0x100000
CODE_M3 = VECTORS + ENDLESS_LOOP * 2000  # more than one packet of gdb


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.NONE, None),
        (Fault.ABSENT, FlashNotFoundError),
        (Fault.DEAD_BOOTLOADER, FlashTimeoutError),
        (Fault.DIES_MID_WRITE, FlashTimeoutError),
        (Fault.UNPLUGGED_MID_WRITE, FlashWriteError),
        (Fault.REFUSES_WRITE, FlashWriteError),
        (Fault.BIT_FLIP, FlashVerifyError),
        (Fault.SILENT_SUCCESS, FlashVerifyError),
    ],
)
def test_gdb(fault, expected, board, make_image, mps2):
    image = make_image(EM_ARM, (0, CODE_M3), (DATA_AT, DATA))
    with GdbProxy(mps2, fault) as server:
        config = board("gdb", "monitor system_reset", target=server.address)
        assert outcome_of(config, image, limit_for(expected)) is expected
    good = memory(mps2, 0, len(CODE_M3)) == CODE_M3 and memory(mps2, DATA_AT, len(DATA)) == DATA
    assert good is (expected is None)


def memory(server: Path, address: int, length: int) -> bytes:
    """Read through a connection of our own; QEMU ends by itself when it has no code to run."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(server))
        except ConnectionRefusedError:
            return b""
        deadline = Deadline(LIMIT_S)
        probe = RspClient(sock)
        probe.connect(deadline)
        return probe.read(address, length, deadline)


def test_gdb_and_an_image_for_memory_that_the_chip_does_not_have(board, make_image, mps2):
    image = make_image(EM_ARM, (0x50000000, DATA))
    with GdbProxy(mps2) as server:
        config = board("gdb", "monitor system_reset", target=server.address)
        # QEMU takes writes to nowhere; other servers refuse them, which is FlashWriteError.
        assert outcome_of(config, image, LIMIT_S) is FlashVerifyError


def test_gdb_does_not_take_the_file_s_agreement_with_itself_for_a_proof(board, make_image, mps2):
    """compare-sections without a connection compares the file with the file: all matched."""
    image = make_image(EM_ARM, (0, CODE_M3))
    with GdbProxy(mps2) as server:
        config = board("gdb", "disconnect", "compare-sections", target=server.address)
        with pytest.raises(FlashError) as raised:
            plugins.load("flashers", "gdb").flash(config, image, None, LIMIT_S)
    assert "matched." in raised.value.__notes__[0]


def test_avrdude_without_a_read_back_is_an_open_choice(board, make_image):
    """verify = false: a flipped bit goes unseen here, and is HELLO's to find."""
    tool_or_skip("avrdude", "avrdude")
    image = make_image(EM_AVR, (0, DATA))
    with ArduinoBootloader(Fault.BIT_FLIP) as uno:
        config = board("avrdude", serial=uno.address, target="atmega328p", verify=False)
        assert outcome_of(config, image, LIMIT_S) is None
    assert uno.flash[: len(DATA)] != DATA


def test_a_board_that_failed_can_be_flashed_again(board, make_image):
    tool_or_skip("stm32flash", "stm32flash")
    image = make_image(EM_ARM, (STM32_FLASH, DATA))
    with Stm32Bootloader(Fault.REFUSES_WRITE) as f446:
        config = board("stm32flash", "-m", "8n1", serial=f446.address)
        assert outcome_of(config, image, LIMIT_S) is FlashWriteError
        f446.fault = Fault.NONE
        assert outcome_of(dataclasses.replace(config), image, LIMIT_S) is None
    assert f446.flash[: len(DATA)] == DATA
