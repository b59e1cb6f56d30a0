"""The STM32's system bootloader on its UART, as an STM32F446: extended erase.

Ref: ST AN3155 "USART protocol used in the STM32 bootloader"; AN2606 for the device IDs.
"""

from __future__ import annotations

from hilbench.testing.doubles.serial_double import ERASED, Fault, SerialDouble

FLASH_BASE = 0x08000000
FLASH_BYTES = 512 * 1024
STM32F446 = 0x421
UNKNOWN_CHIP = 0x7FF  # stm32flash knows no such device

_ACK, _NACK = b"\x79", b"\x1f"
_SYNC = 0x7F
_GET, _GET_VERSION, _GET_ID = 0x00, 0x01, 0x02
_READ, _GO, _WRITE, _EXTENDED_ERASE = 0x11, 0x21, 0x31, 0x44
_COMMANDS = bytes([_GET, _GET_VERSION, _GET_ID, _READ, _GO, _WRITE, _EXTENDED_ERASE])
_VERSION = 0x31
_SPECIAL_ERASE = 0xFFF0  # mass and bank erase from here on
_CHECKSUM = 1


class Stm32Bootloader(SerialDouble):
    """An STM32F446 that stm32flash flashes with ``-m 8n1`` (a PTY has no parity)."""

    def __init__(self, fault: Fault = Fault.NONE) -> None:
        super().__init__(FLASH_BYTES, fault)
        self._synchronised = False

    def _serve(self) -> None:
        while True:
            command = self._read(1)[0]
            if command == _SYNC:
                self._write(_NACK if self._synchronised else _ACK)
                self._synchronised = True
                continue
            if self._read(1)[0] != command ^ 0xFF:
                self._write(_NACK)
                continue
            self._command(command)

    def _command(self, command: int) -> None:
        if command == _GET:
            self._write(_ACK + bytes([len(_COMMANDS), _VERSION]) + _COMMANDS + _ACK)
        elif command == _GET_VERSION:
            self._write(_ACK + bytes([_VERSION, 0, 0]) + _ACK)
        elif command == _GET_ID:
            chip = UNKNOWN_CHIP if self.fault is Fault.WRONG_CHIP else STM32F446
            self._write(_ACK + b"\x01" + chip.to_bytes(2, "big") + _ACK)
        elif command in {_READ, _GO, _WRITE}:
            self._write(_ACK)
            address = int.from_bytes(self._read(4), "big")
            self._read(_CHECKSUM)
            self._write(_ACK)
            if command == _READ:
                self._read_memory(address)
            elif command == _WRITE:
                self._write_memory(address)
        elif command == _EXTENDED_ERASE:
            self._write(_ACK)
            self._erase()
            self._write(_ACK)
        else:
            self._write(_NACK)

    def _read_memory(self, address: int) -> None:
        count = self._read(1)[0] + 1
        self._read(_CHECKSUM)
        start = address - FLASH_BASE
        inside = 0 <= start < FLASH_BYTES
        self._write(_ACK + (bytes(self.flash[start : start + count]) if inside else bytes(count)))

    def _write_memory(self, address: int) -> None:
        count = self._read(1)[0] + 1
        data = self._read(count)
        self._read(_CHECKSUM)
        self._write(_ACK if self._store(address - FLASH_BASE, data) else _NACK)

    def _erase(self) -> None:
        count = int.from_bytes(self._read(2), "big")
        if count >= _SPECIAL_ERASE:
            self._read(_CHECKSUM)
        else:
            self._read(2 * (count + 1) + _CHECKSUM)
        self.flash[:] = bytes([ERASED]) * FLASH_BYTES  # page by page would not tell more
