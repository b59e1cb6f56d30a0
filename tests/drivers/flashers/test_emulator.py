from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from hilbench import plugins
from hilbench.drivers.flashers import emulator
from hilbench.errors import ConfigError
from hilbench.records import BoardConfig, Image

BOARD = BoardConfig(id="m4", firmware="mps2-an386")
IMAGE = Image("mps2-an386", Path("x.elf"), "", "", "", "", ())


def test_the_emulator_flashes():
    emulated = Mock()
    emulator.flash(BOARD, IMAGE, emulated, 1.0)
    emulated.flash.assert_called_once_with(IMAGE)


def test_without_an_emulator():
    with pytest.raises(
        ConfigError, match=r'^board m4: flasher = "emulator" needs an emulator; add'
    ):
        emulator.flash(BOARD, IMAGE, None, 1.0)


def test_drivers_are_found_by_name():
    assert {"native", "qemu"} <= set(plugins.names("emulators"))
    serial = {"avrdude", "esptool", "stm32flash"}
    assert {"emulator", "gdb", "openocd", "command", *serial} <= set(plugins.names("flashers"))
