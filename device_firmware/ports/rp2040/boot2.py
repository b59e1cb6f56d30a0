# ruff: noqa: INP001 -- a script for make
"""Pad the RP2040's second stage to 252 bytes, add the boot ROM's CRC-32, print it as C.

The CRC (RP2040 datasheet, "Bootrom: Flash Second Stage"): polynomial 0x04C11DB7, starts with ones,
most significant bit first, nothing inverted at the end; stored little endian.
"""

import sys
from pathlib import Path

CODE_BYTES = 252


def boot_rom_crc32(data: bytes) -> int:
    """Return the CRC that the boot ROM compares."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
            crc &= 0xFFFFFFFF
    return crc


def main() -> None:
    """Print the C file of the binary that argv names."""
    code = Path(sys.argv[1]).read_bytes()
    if len(code) > CODE_BYTES:
        sys.exit(f"{sys.argv[1]}: {len(code)} bytes of second stage, {CODE_BYTES} are the limit")
    code = code.ljust(CODE_BYTES, b"\0")
    stage = code + boot_rom_crc32(code).to_bytes(4, "little")
    print("/* Made by ports/rp2040/boot2.py from boot2.S. */")
    print('__attribute__((section(".boot2"), used)) static const unsigned char boot2[256] = {')
    for at in range(0, len(stage), 12):
        print("    " + " ".join(f"0x{byte:02x}," for byte in stage[at : at + 12]))
    print("};")


if __name__ == "__main__":
    main()
