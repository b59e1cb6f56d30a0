"""Small ELF files, byte by byte, for what reads ELF files."""

from __future__ import annotations

import struct

EM_ARM, EM_AVR, EM_XTENSA = 40, 83, 94
_EHDR, _PHDR, _SHDR = (
    struct.Struct("<16sHHIIIIIHHHHHH"),
    struct.Struct("<8I"),
    struct.Struct("<10I"),
)
_PT_LOAD, _SHT_PROGBITS, _SHT_STRTAB, _ALLOC_EXEC = 1, 1, 3, 6


def build_elf(machine: int, segments: list[tuple[int, bytes]]) -> bytes:
    """Return a 32-bit little-endian executable: one section in each segment, at its load address."""
    names = b"\0.shstrtab\0" + b"".join(b".part%d\0" % i for i in range(len(segments)))
    offset = _EHDR.size + _PHDR.size * len(segments)
    programs, sections, body = b"", bytes(_SHDR.size), b""
    for i, (address, data) in enumerate(segments):
        at = offset + len(body)
        programs += _PHDR.pack(_PT_LOAD, at, address, address, len(data), len(data), 5, 1)
        name = names.index(b".part%d\0" % i)
        sections += _SHDR.pack(name, _SHT_PROGBITS, _ALLOC_EXEC, address, at, len(data), 0, 0, 4, 0)
        body += data
    at = offset + len(body)
    sections += _SHDR.pack(1, _SHT_STRTAB, 0, 0, at, len(names), 0, 0, 1, 0)
    header = _EHDR.pack(
        b"\x7fELF\x01\x01\x01" + bytes(9), 2, machine, 1, segments[0][0], _EHDR.size,
        at + len(names), 0, _EHDR.size, _PHDR.size, len(segments), _SHDR.size,
        len(segments) + 2, len(segments) + 1,
    )  # fmt: skip
    return header + programs + body + names + sections
