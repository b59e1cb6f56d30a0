"""The Arduino Uno's bootloader: STK500 version 1, as much as avrdude's ``arduino`` asks.

Ref: Atmel AVR061 "STK500 Communication Protocol", chapter 5.
"""

from __future__ import annotations

from hilbench.testing.doubles.serial_double import Fault, SerialDouble

ATMEGA328P = bytes.fromhex("1e950f")
ATMEGA2560 = bytes.fromhex("1e9801")
FLASH_BYTES = 32768

_OK, _IN_SYNC, _NO_SYNC = 0x10, 0x14, 0x15
_END_OF_COMMAND = 1
_GET_SYNC, _GET_PARAMETER = 0x30, 0x41
_SET_DEVICE, _SET_DEVICE_EXT = 0x42, 0x45
_ENTER, _LEAVE, _LOAD_ADDRESS, _UNIVERSAL = 0x50, 0x51, 0x55, 0x56
_PROGRAM_PAGE, _READ_PAGE, _READ_SIGNATURE = 0x64, 0x74, 0x75
#: Bytes that follow a command, its end mark included, and that need no more than an OK.
_IGNORED = {_GET_SYNC: 1, _SET_DEVICE: 21, _SET_DEVICE_EXT: 6, _ENTER: 1, _LEAVE: 1}


class ArduinoBootloader(SerialDouble):
    """An ATmega328P that avrdude flashes with ``-c arduino``."""

    def __init__(self, fault: Fault = Fault.NONE) -> None:
        super().__init__(FLASH_BYTES, fault)

    def _serve(self) -> None:
        address = 0
        while True:
            command = self._read(1)[0]
            if command in _IGNORED:
                self._read(_IGNORED[command])
                self._answer()
            elif command == _GET_PARAMETER:
                self._read(2)
                self._answer(b"\x04")
            elif command == _LOAD_ADDRESS:
                address = int.from_bytes(self._read(3)[:2], "little") * 2  # sent in words
                self._answer()
            elif command == _UNIVERSAL:
                self._read(4 + _END_OF_COMMAND)
                self._answer(b"\x00")
            elif command == _PROGRAM_PAGE:
                length = int.from_bytes(self._read(3)[:2], "big")
                page = self._read(length + _END_OF_COMMAND)[:length]
                self._answer() if self._store(address, page) else self._write(bytes([_NO_SYNC]))
            elif command == _READ_PAGE:
                length = int.from_bytes(self._read(3 + _END_OF_COMMAND)[:2], "big")
                self._answer(bytes(self.flash[address : address + length]))
            elif command == _READ_SIGNATURE:
                self._read(_END_OF_COMMAND)
                self._answer(ATMEGA2560 if self.fault is Fault.WRONG_CHIP else ATMEGA328P)
            else:
                self._write(bytes([_NO_SYNC]))

    def _answer(self, data: bytes = b"") -> None:
        self._write(bytes([_IN_SYNC]) + data + bytes([_OK]))
