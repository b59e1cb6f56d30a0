"""Both emulators as boards: boot, reset, reflash, die, stop; with the real firmware."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from hilbench.drivers.emulators._deadline import Deadline
from hilbench.errors import BoardError, FlashError, LinkError
from hilbench.protocol.messages import (
    Data,
    DataAck,
    Echo,
    EchoReply,
    Hello,
    HelloReply,
    Idle,
    IdleDone,
    Read,
    ReadData,
    Region,
)
from hilbench.records import Image
from tests.drivers.emulators.emulated_line import TIMEOUT_S, image_or_skip

CHIPS = {
    "mps2-an385": "cortex-m3",
    "mps2-an386": "cortex-m4",
    "mps2-an500": "cortex-m7",
    "mps2-an505": "cortex-m33",
    "mps3-an547": "cortex-m55",
}
UDF = b"\x00\xde"  # the instruction that is undefined for good
PC = 15
FLOAT_MODEL_FITS_BYTES = 192 * 1024
qemu_only = pytest.mark.qemu
ALL = [pytest.param(port, marks=qemu_only) for port in CHIPS] + ["posix"]
BOTH = [pytest.param("mps2-an386", marks=qemu_only), "posix"]


def first_segment(image: Image) -> int:
    """Offset in the file of the first loaded program header: type, offset, vaddr, paddr."""
    with image.path.open("rb") as file:
        elf = ELFFile(file)
        index = next(i for i, s in enumerate(elf.iter_segments()) if s["p_type"] == "PT_LOAD")
        return int(elf["e_phoff"] + index * elf["e_phentsize"])


def patched(image: Image, folder: Path, words: dict[int, int]) -> Image:
    data = bytearray(image.path.read_bytes())
    for offset, word in words.items():
        struct.pack_into("<I", data, offset, word)
    (path := folder / "patched.elf").write_bytes(data)
    return dataclasses.replace(image, path=path, sha256=hashlib.sha256(data).hexdigest())


def addresses(image: Image, *names: str) -> list[int]:
    with image.path.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        return [symbols.get_symbol_by_name(name)[0]["st_value"] & ~1 for name in names]


@pytest.mark.parametrize("port", ALL)
def test_says_who_it_is(port, start, line):
    image, board = image_or_skip(port), start(port)
    talk = line(board)
    board.flash(image)
    hello = talk.hello()
    assert (hello.port, hello.build_id.hex()) == (port, image.build_id)
    assert hello.chip == CHIPS.get(port, hello.chip)
    assert hello.pool_bytes >= FLOAT_MODEL_FITS_BYTES


@pytest.mark.parametrize("port", BOTH)
def test_an_open_line_survives_reset_and_reflash(port, start, line):
    image, board = image_or_skip(port), start(port)
    path, talk = board.link_address, line(board)
    for again in (lambda: board.flash(image), board.reset, lambda: board.flash(image)):
        again()
        assert talk.hello().port == port
        assert isinstance(talk.ask(Hello(), session=5, sequence=1), HelloReply)
    assert board.link_address == path


@pytest.mark.qemu
@pytest.mark.parametrize("port", CHIPS)
def test_bytes_get_through_both_ways(port, start, line):
    image, board = image_or_skip(port), start(port)
    talk = line(board)
    board.flash(image)
    talk.hello()
    talk.ask(Hello(), session=5, sequence=1)
    rng = random.Random(1)
    for sequence, size in enumerate((0, 1, 253, 254, 255, 1000, 1024), start=2):
        data = rng.randbytes(size)
        assert talk.ask(Echo(data), 5, sequence) == EchoReply(data)


@pytest.mark.qemu
@pytest.mark.parametrize("port", CHIPS)
def test_idle_lasts_what_it_says_and_wakes(port, start, line):
    image, board = image_or_skip(port), start(port)
    talk = line(board)
    board.flash(image)
    counter_hz = talk.hello().counter_hz
    talk.ask(Hello(), session=5, sequence=1)
    done = talk.ask(Idle(duration_us=20_000, marker=1), 5, 2)
    assert isinstance(done, IdleDone)
    assert done.ticks >= counter_hz * 20_000 // 1_000_000


@pytest.mark.qemu
def test_the_probe_writes_memory_of_a_running_board(start, line):
    image, board = image_or_skip("mps2-an385"), start("mps2-an385")
    talk = line(board)
    board.flash(image)
    hello = talk.hello()
    talk.ask(Hello(), session=5, sequence=1)
    data = random.Random(2).randbytes(9000)
    board.write_memory(hello.pool_address, data)
    read = talk.ask(Read(Region.POOL, 8500, 500), 5, 2)
    assert read == ReadData(Region.POOL, 8500, data[8500:])
    assert isinstance(talk.ask(Data(Region.POOL, 0, b"over the link"), 5, 3), DataAck)


@pytest.mark.qemu
def test_an_image_linked_where_no_memory_is(start, tmp_path):
    image, board = image_or_skip("mps2-an385"), start("mps2-an385")
    with pytest.raises(
        FlashError,
        match=r"^board board-mps2-an385: patched\.elf is not flashed: .* refuses to read \d+ bytes "
        r"at 0xf8000000 \(E14\); is there memory at that address of this machine\?$",
    ):
        board.flash(patched(image, tmp_path, {first_segment(image) + 12: 0xF800_0000}))


@pytest.mark.qemu
@pytest.mark.parametrize("port", CHIPS)
def test_a_fault_resets_the_board_and_keeps_the_reason(port, start, line):
    image, board = image_or_skip(port), start(port)
    idle, record = addresses(image, "hb_port_idle", "hb_fault_record")
    talk = line(board)
    board.flash(image)
    talk.hello()
    talk.ask(Hello(), session=5, sequence=1)
    board.write_memory(idle, UDF)
    assert isinstance(talk.ask(Idle(duration_us=1, marker=0), 5, 2), HelloReply)
    with board._core.session(deadline := Deadline(TIMEOUT_S)) as core:
        core.halt(deadline)
        magic, exception, pc = struct.unpack("<3I", core.read(record, 12, deadline))
    assert (magic, exception, pc) == (0x4842_4654, 3, idle)


@pytest.mark.qemu
@pytest.mark.parametrize("port", CHIPS)
def test_a_board_that_never_had_to_wait_for_the_host_resets_on_a_fault_too(port, start, line):
    image, board = image_or_skip(port), start(port)
    idle, wait = addresses(image, "hb_port_idle", "hb_port_uart_wait")
    talk = line(board)
    board.flash(image)
    talk.hello()
    deadline = Deadline(TIMEOUT_S)
    with board._core.session(deadline) as core:
        core.halt(deadline)
        core.use_registers(deadline)
        core.write(idle, UDF, deadline)
        core.set_breakpoint(wait, deadline)
        board._qmp.reset(deadline)
        core.resume(deadline)
        assert core.stopped_within(TIMEOUT_S, deadline)
        core.clear_breakpoint(wait, deadline)
        core.write_register(PC, idle, deadline)
        core.resume(deadline)
    talk.hello()  # of the reset
    talk.hello()  # of the fault


def test_the_native_board_has_no_probe(start):
    board = start("posix")
    assert not board.has_probe
    with pytest.raises(
        LinkError, match="no debug probe to write 1 bytes at 0x20; load models over"
    ):
        board.write_memory(0x20, b"x")


@pytest.mark.qemu
def test_an_image_that_jumps_nowhere_kills_qemu_and_the_board_says_so(start, tmp_path):
    image, board = image_or_skip("mps2-an385"), start("mps2-an385")
    data = image.path.read_bytes()
    vectors = struct.unpack_from("<I", data, first_segment(image) + 4)[0]
    nowhere = 0xDEAD_BEE1
    board.flash(patched(image, tmp_path, {vectors + 4: nowhere, vectors + 12: nowhere}))
    board._process._process.wait(20)
    with pytest.raises(
        BoardError,
        match=r"board board-mps2-an385: the emulator qemu-system-arm has died \(killed by SIGABRT\), "
        r"its last words: .qemu: fatal: Lockup.*; run again",
    ):
        board.check_alive()
    with pytest.raises(BoardError, match="has died"):
        board.reset()


def test_a_dead_process_says_so(start):
    image, board = image_or_skip("posix"), start("posix")
    board.flash(image)
    board.check_alive()
    board._process._process.kill()
    board._process._process.wait(20)
    with pytest.raises(
        BoardError, match=r"has died \(killed by SIGKILL\), without a word; run again"
    ):
        board.check_alive()


def test_the_native_board_takes_its_memory_from_the_configuration(start, line):
    image, board = image_or_skip("posix"), start("posix", pool_bytes="65536")
    talk = line(board)
    board.flash(image)
    assert talk.hello().pool_bytes == 65536


@pytest.mark.parametrize("port", BOTH)
def test_reset_before_flash(port, start):
    with pytest.raises(BoardError, match=f"board board-{port}: reset before flash; flash an image"):
        start(port).reset()


@pytest.mark.parametrize("port", BOTH)
def test_stop_twice(port, start):
    board = start(port)
    board.stop()
    board.stop()


@pytest.mark.parametrize("port", BOTH)
def test_an_image_that_changed_is_not_flashed(port, start):
    board, image = start(port), dataclasses.replace(image_or_skip(port), sha256="0" * 64)
    with pytest.raises(FlashError, match=r"has changed since the run began .*without rebuilding"):
        board.flash(image)


@pytest.mark.parametrize("port", BOTH)
def test_an_image_of_another_port_is_not_flashed(port, start):
    board, image = start(port), dataclasses.replace(image_or_skip(port), port="other")
    with pytest.raises(FlashError, match=f"takes firmware '{port}', .* is for 'other'; check"):
        board.flash(image)


@pytest.mark.parametrize("port", BOTH)
def test_an_image_that_is_gone(port, start, tmp_path):
    board, image = start(port), dataclasses.replace(image_or_skip(port), path=tmp_path / "no.elf")
    with pytest.raises(
        FlashError, match=r"cannot read the image .*no\.elf \(No such file.*make firmware"
    ):
        board.flash(image)


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"hello", "is not an ELF file"), (b"\x7fELF\1\1\1" + bytes(45), "has nothing to load")],
)
def test_a_file_that_is_no_image(content, sentence, start, tmp_path):
    (path := tmp_path / "x.elf").write_bytes(content)
    image = dataclasses.replace(
        image_or_skip("mps2-an385"), path=path, sha256=hashlib.sha256(content).hexdigest()
    )
    with pytest.raises(FlashError, match=sentence):
        start("mps2-an385").flash(image)


@pytest.mark.qemu
def test_units(start):
    board = start("mps2-an386")
    assert (board.time_base, board.units_per_tick(25_000_000)) == ("instructions", 0.625)
    assert board.emulator.startswith("qemu ")
    assert board.emulator.endswith(" icount shift=6")


def test_units_native(start):
    board = start("posix")
    assert (board.time_base, board.units_per_tick(1_000_000_000)) == ("host", 0.001)
