"""The ESP32's ROM serial loader: SLIP packets, as much as esptool asks without its stub.

Ref: Espressif, esptool documentation, "Serial Protocol".
"""

from __future__ import annotations

import hashlib
import struct
import zlib

from hilbench.testing.doubles.serial_double import ERASED, Fault, SerialDouble

FLASH_BYTES = 4 << 20

_END, _ESCAPE = b"\xc0", b"\xdb"
_ESCAPED_END, _ESCAPED_ESCAPE = b"\xdb\xdc", b"\xdb\xdd"
_REQUEST, _RESPONSE = 0, 1
_HEADER = struct.Struct("<BBHI")  # direction, command, length, checksum or value
_BLOCK = struct.Struct("<4I")  # bytes, sequence number, 0, 0
_FLASH_BEGIN, _FLASH_DATA, _FLASH_END = 0x02, 0x03, 0x04
_SYNC, _WRITE_REG, _READ_REG = 0x08, 0x09, 0x0A
_SPI_SET_PARAMS, _SPI_ATTACH, _CHANGE_BAUD = 0x0B, 0x0D, 0x0F
_DEFLATE_BEGIN, _DEFLATE_DATA, _DEFLATE_END, _SPI_FLASH_MD5 = 0x10, 0x11, 0x12, 0x13
_SYNC_ANSWERS = 8
_INVALID_MESSAGE, _FLASH_WRITE_FAILED = 0x05, 0x08

_CHIP_ID, _ESP32, _ESP32_S2 = 0x40001000, 0x00F01D83, 0x000007C6
_REGISTERS = {
    0x3FF5A004: 0x01020304,  # eFuse: MAC
    0x3FF5A008: 0x00000506,
    0x3FF40014: 347,  # UART clock divider: 40 MHz crystal at 115200 baud
    0x3FF42080: 0x001640EF,  # SPI W0 after "read JEDEC ID": Winbond, 4 MB
}


class Esp32Rom(SerialDouble):
    """An ESP32 that esptool flashes with ``--no-stub --before no-reset``."""

    def __init__(self, fault: Fault = Fault.NONE) -> None:
        super().__init__(FLASH_BYTES, fault)
        self._at = 0
        self._inflate = zlib.decompressobj()

    def _serve(self) -> None:
        while True:
            packet = self._packet()
            if len(packet) >= _HEADER.size and packet[0] == _REQUEST:
                _, command, _, _ = _HEADER.unpack_from(packet)
                self._command(command, packet[_HEADER.size :])

    def _packet(self) -> bytes:
        """Return the content between two end marks; empty between a closing and an opening one."""
        while _END not in self._pending:
            self._pending += self._receive()
        packet, self._pending = self._pending.split(_END, 1)
        return packet.replace(_ESCAPED_END, _END).replace(_ESCAPED_ESCAPE, _ESCAPE)

    def _command(self, command: int, body: bytes) -> None:
        if command == _SYNC:
            for _ in range(_SYNC_ANSWERS):
                self._answer(command)
        elif command == _READ_REG:
            self._answer(command, value=self._register(int.from_bytes(body[:4], "little")))
        elif command in {_FLASH_BEGIN, _DEFLATE_BEGIN}:
            erase, _, _, self._at = struct.unpack_from("<4I", body)
            self._inflate = zlib.decompressobj()
            self.flash[self._at : self._at + erase] = bytes([ERASED]) * erase
            self._answer(command)
        elif command in {_FLASH_DATA, _DEFLATE_DATA}:
            length, _, _, _ = _BLOCK.unpack_from(body)
            data = body[_BLOCK.size : _BLOCK.size + length]
            if command == _DEFLATE_DATA:
                data = self._inflate.decompress(data)
            good = self._store(self._at, data)
            self._at += len(data)
            self._answer(command, error=0 if good else _FLASH_WRITE_FAILED)
        elif command == _SPI_FLASH_MD5:
            at, length = struct.unpack_from("<2I", body)
            digest = hashlib.md5(self.flash[at : at + length], usedforsecurity=False).hexdigest()
            self._answer(command, digest.encode())  # the ROM sends hex, the stub raw bytes
        elif command in {
            *(_FLASH_END, _DEFLATE_END),
            *(_WRITE_REG, _SPI_SET_PARAMS, _SPI_ATTACH, _CHANGE_BAUD),
        }:
            self._answer(command)
        else:
            self._answer(command, error=_INVALID_MESSAGE)

    def _register(self, address: int) -> int:
        if address == _CHIP_ID:
            return _ESP32_S2 if self.fault is Fault.WRONG_CHIP else _ESP32
        return _REGISTERS.get(address, 0)

    def _answer(self, command: int, data: bytes = b"", value: int = 0, error: int = 0) -> None:
        status = bytes([error != 0, error, 0, 0])
        packet = _HEADER.pack(_RESPONSE, command, len(data) + len(status), value) + data + status
        packet = packet.replace(_ESCAPE, _ESCAPED_ESCAPE).replace(_END, _ESCAPED_END)
        self._write(_END + packet + _END)
