"""Bootloaders on a PTY that the real flashing tools talk to, with the faults of real benches."""

from hilbench.testing.doubles.an3155 import Stm32Bootloader
from hilbench.testing.doubles.esp32_rom import Esp32Rom
from hilbench.testing.doubles.gdb_proxy import GdbProxy
from hilbench.testing.doubles.serial_double import Fault, SerialDouble
from hilbench.testing.doubles.stk500 import ArduinoBootloader

__all__ = [
    "ArduinoBootloader",
    "Esp32Rom",
    "Fault",
    "GdbProxy",
    "SerialDouble",
    "Stm32Bootloader",
]
