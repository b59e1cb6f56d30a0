"""Image files, read back by others' readers."""

from __future__ import annotations

import io
import struct

import pytest

from hilbench.drivers.flashers._files import flat_binary, intel_hex, load_segments, uf2
from hilbench.errors import FlashError
from hilbench.records import BoardConfig
from tests.builders.elf_builder import EM_ARM
from tests.drivers.flashers.conftest import FIRMWARE, payload

RP2040 = 0xE48BFF56
# Odd starts and lengths, a 64 KiB border inside a segment, a gap, and the 32-bit end.
PARTS = [
    (0x0000FFF1, payload(1000)),
    (0x08000003, payload(77)),
    (0x08001000, payload(16)),
    (0xFFFFFFF0, payload(16)),
]


def test_intel_hex_is_read_back_the_same():
    intelhex = pytest.importorskip("intelhex", reason="comes with: pip install esptool")
    read = intelhex.IntelHex(io.StringIO(intel_hex(PARTS)))
    expected = {a + i: byte for a, data in PARTS for i, byte in enumerate(data)}
    assert read.todict() == expected  # every defined byte, and nothing between


def test_intel_hex_of_the_specification():
    """The data record of the Intel specification's own layout, and its end-of-file record."""
    assert intel_hex([(0x0010, bytes(range(3)))]) == ":03001000000102EA\n:00000001FF\n"


def test_a_flat_binary_has_erased_gaps():
    base, binary = flat_binary("b", [(0x100, b"ab"), (0x105, b"c")])
    assert (base, binary) == (0x100, b"ab\xff\xff\xffc")


def test_a_flat_binary_of_flash_and_ram():
    with pytest.raises(
        FlashError,
        match=r"^board b: the image spans 402653188 bytes from 0x08000000, a flat binary may have "
        r"67108864 bytes; use \{hex\} or \{image\} in place of \{bin\}$",
    ):
        flat_binary("b", [(0x08000000, b"abcd"), (0x20000000, b"abcd")])


def test_uf2_blocks():
    data = payload(300)
    blocks = uf2([(0x10000080, data), (0x10000400, b"z")], RP2040)
    assert len(blocks) == 3 * 512
    memory: dict[int, bytes] = {}
    for number in range(3):
        block = blocks[512 * number : 512 * number + 512]
        start0, start1, flags, address, size, index, total, family = struct.unpack(
            "<8I", block[:32]
        )
        assert (start0, start1) == (0x0A324655, 0x9E5D5157)
        assert block[508:] == struct.pack("<I", 0x0AB16F30)
        assert (flags, size, index, total, family) == (0x2000, 256, number, 3, RP2040)
        assert address % 256 == 0
        memory[address] = block[32:288]
    first = memory[0x10000000] + memory[0x10000100]
    assert first == b"\xff" * 128 + data + b"\xff" * (512 - 128 - 300)
    assert memory[0x10000400] == b"z" + b"\xff" * 255


def test_segments_of_an_elf_come_in_order(make_image):
    image = make_image(EM_ARM, (0x08001000, b"two"), (0x08000000, b"one"))
    board = BoardConfig(id="b", firmware=FIRMWARE)
    assert load_segments(board, image) == [(0x08000000, b"one"), (0x08001000, b"two")]


def test_an_image_that_changed_meanwhile(make_image):
    image = make_image(EM_ARM, (0, b"one"))
    make_image(EM_ARM, (0, b"two"))
    with pytest.raises(FlashError, match="has changed since the run began"):
        load_segments(BoardConfig(id="b", firmware=FIRMWARE), image)
