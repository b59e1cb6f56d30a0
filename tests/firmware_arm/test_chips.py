"""Images of real chips, looked at without running them: would the silicon start this?"""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from hilbench.board.images import find_image
from hilbench.board.sources import FIRMWARE
from hilbench.errors import ImageError

GCC = "arm-none-eabi-gcc"
KIB = 1024
SHF_ALLOC = 2


@dataclass(frozen=True)
class Chip:
    """Memories as the data sheet has them; ``vectors`` is where the hardware or boot ROM looks."""

    flash: range
    ram: range
    vectors: int
    irq: int  # of the UART, from the chip's interrupt table
    pool_bytes: int  # at least this much is left for model, arena and vectors


def memory(origin: int, kib: int) -> range:
    return range(origin, origin + kib * KIB)


CHIPS = {
    "stm32f4": Chip(memory(0x0800_0000, 1024), memory(0x2000_0000, 128), 0x0800_0000, 37, 96 * KIB),
    "stm32l4": Chip(
        memory(0x0800_0000, 2048), memory(0x2000_0000, 640), 0x0800_0000, 70, 600 * KIB
    ),
    "nrf52840": Chip(memory(0, 1024), memory(0x2000_0000, 256), 0, 2, 216 * KIB),
    "rp2040": Chip(memory(0x1000_0000, 2048), memory(0x2000_0000, 264), 0x1000_0100, 20, 224 * KIB),
}

pytestmark = [
    pytest.mark.firmware,
    pytest.mark.skipif(shutil.which(GCC) is None, reason=f"{GCC} is not installed"),
]


@dataclass(frozen=True)
class Linked:
    """What of an ELF these tests look at."""

    entry: int
    loads: tuple[tuple[int, int, int, bytes], ...]  # paddr, vaddr, bytes in memory, contents
    sections: dict[str, tuple[int, int]]  # address, bytes
    symbols: dict[str, int]
    undefined: tuple[str, ...]
    weak: tuple[str, ...]

    def read(self, address: int, length: int) -> bytes:
        for paddr, _, _, data in self.loads:
            if paddr <= address and address + length <= paddr + len(data):
                return data[address - paddr :][:length]
        raise AssertionError(f"nothing is loaded at {address:#x}")


def linked(path: Path) -> Linked:
    with path.open("rb") as file:
        elf = ELFFile(file)
        symbols = [s for s in elf.get_section_by_name(".symtab").iter_symbols() if s.name]
        return Linked(
            entry=elf["e_entry"],
            loads=tuple(
                (s["p_paddr"], s["p_vaddr"], s["p_memsz"], s.data())
                for s in elf.iter_segments("PT_LOAD")
            ),
            sections={
                s.name: (s["sh_addr"], s["sh_size"])
                for s in elf.iter_sections()
                if s["sh_flags"] & SHF_ALLOC
            },
            symbols={s.name: s["st_value"] for s in symbols},
            undefined=tuple(s.name for s in symbols if s["st_shndx"] == "SHN_UNDEF"),
            weak=tuple(s.name for s in symbols if s["st_info"]["bind"] == "STB_WEAK"),
        )


@pytest.fixture(params=CHIPS)
def port(request):
    return request.param


@pytest.fixture
def image(port):
    try:
        return find_image(port)
    except ImageError as error:
        pytest.skip(str(error))


@pytest.fixture
def elf(image):
    return linked(image.path)


def check_vectors(elf: Linked, chip: Chip) -> None:
    words = struct.unpack("<16I", elf.read(chip.vectors, 64))
    stack, reset, *exceptions = words
    assert stack - 4 in chip.ram
    assert stack % 8 == 0
    assert reset == elf.entry | 1
    for vector in (reset, *exceptions):
        assert vector & 1  # Thumb
        assert vector in chip.flash
    (uart,) = struct.unpack("<I", elf.read(chip.vectors + 4 * (16 + chip.irq), 4))
    assert uart == elf.symbols["hb_cortex_m_irq"]


def test_the_vectors_lead_into_the_image(port, elf):
    check_vectors(elf, CHIPS[port])


def test_everything_lies_in_memory_that_exists(port, elf):
    chip = CHIPS[port]
    for name, (address, length) in elf.sections.items():
        where = chip.ram if address in chip.ram else chip.flash
        assert address in where, name
        assert address + length <= where.stop, name
    for paddr, _, _, data in elf.loads:
        if data:
            assert paddr in chip.flash
            assert paddr + len(data) <= chip.flash.stop


def test_the_stack_is_lowest_and_the_pool_takes_the_rest(port, elf):
    chip, symbols = CHIPS[port], elf.symbols
    assert symbols["hb_stack_low"] == chip.ram.start  # an overflow leaves memory and faults
    assert symbols["hb_pool_end"] == chip.ram.stop
    assert symbols["hb_pool_start"] % 16 == 0
    assert symbols["hb_pool_end"] - symbols["hb_pool_start"] >= chip.pool_bytes


def test_the_build_id_can_be_read_by_the_firmware(elf, image):
    name_bytes, id_bytes, kind = struct.unpack("<3I", elf.read(elf.symbols["hb_build_id_note"], 12))
    assert (name_bytes, id_bytes, kind) == (4, 20, 3)
    assert elf.read(elf.symbols["hb_build_id_note"] + 16, 20).hex() == image.build_id


def test_nothing_is_missing_and_nothing_of_ours_is_weak(elf):
    assert elf.undefined == ()
    assert [name for name in elf.weak if name.startswith("hb_")] == []


def test_flags(image):
    assert {"-fno-move-loop-stores", "-Wconversion", "-Werror"} <= set(image.flags.split())


def boot_rom_crc32(data: bytes) -> int:
    """CRC-32/MPEG-2 by way of zlib's: the mirror image, without the inversion at the end."""
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    return int(f"{zlib.crc32(mirrored) ^ 0xFFFFFFFF:032b}"[::-1], 2)


def test_the_crc_of_the_boot_rom():
    assert boot_rom_crc32(b"123456789") == 0x0376_E6E7  # the catalogue's check value


@pytest.mark.parametrize("port", ["rp2040"])
def test_the_boot_rom_accepts_the_second_stage(elf):
    stage = elf.read(0x1000_0000, 256)
    assert stage[:252].strip(b"\0")
    assert boot_rom_crc32(stage[:252]) == int.from_bytes(stage[252:], "little")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-s", "-C", str(FIRMWARE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_nano_33_ble_leaves_its_bootloader_alone(tmp_path):
    built = make(
        "PORT=nrf52840", "NRF52840_BOARD=nano33ble", f"BUILD={tmp_path}", f"{tmp_path}/hilbench.elf"
    )
    assert built.returncode == 0, built.stderr
    elf = linked(tmp_path / "hilbench.elf")
    whole = CHIPS["nrf52840"]
    behind = memory(0x1_0000, 960)
    check_vectors(elf, Chip(behind, whole.ram, behind.start, whole.irq, 0))
    assert min(paddr for paddr, _, _, data in elf.loads if data) == behind.start


def test_an_unknown_nrf52840_board_is_refused():
    refused = make("PORT=nrf52840", "NRF52840_BOARD=dongle")
    assert refused.returncode != 0
    assert "NRF52840_BOARD is dongle; known: dk, nano33ble" in refused.stderr


def test_docs_have_every_port():
    documented = (FIRMWARE.parent / "docs" / "ports.md").read_text(encoding="utf-8")
    ports = {path.parent.name for path in FIRMWARE.glob("ports/*/port.mk")} - {"template"}
    assert [port for port in sorted(ports) if f"| `{port}` |" not in documented] == []
