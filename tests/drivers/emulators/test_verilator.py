"""The RTL board: right, exact, quiet when idle, and gone with its host."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from elftools.elf.elffile import ELFFile

import hilbench
from hilbench.board.client import BoardClient
from hilbench.drivers.emulators import verilator
from hilbench.drivers.links.serial import open_link
from hilbench.errors import BoardError, FlashError, LinkError, ToolMissingError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.models.vectors import load_vectors, prepare
from hilbench.protocol.messages import (
    Echo,
    EchoReply,
    Hello,
    HelloReply,
    Idle,
    IdleDone,
    Read,
    ReadData,
    Region,
    RunFlag,
)
from hilbench.protocol.packets import Packet
from hilbench.records import BoardConfig, Timeouts, VectorsConfig
from tests.drivers.emulators.emulated_line import TIMEOUT_S, Line, image_or_skip

pytestmark = pytest.mark.bench

PORT = "riscv-vexriscv"
CONFIG = BoardConfig(id="rv", firmware=PORT)
ZOO = Path(hilbench.__path__[0]) / "zoo" / "digits"
SAME_TOKEN = 7  # a session's packets, and so its cycles, depend on its token


def open_or_skip() -> verilator.VerilatorBoard:
    try:
        return verilator.start(CONFIG, TIMEOUT_S)
    except ToolMissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def board():
    image = image_or_skip(PORT)
    started = open_or_skip()
    started.flash(image)
    yield started
    started.stop()


@pytest.fixture
def client(board):
    link = open_link(board.link_address, 115200)
    talking = BoardClient(link, "rv", Timeouts(), baud=115200, token=lambda: SAME_TOKEN)
    talking.hello()
    yield talking
    link.close()


@pytest.fixture
def talk(board, line) -> Line:
    one = line(board)
    one.hello()
    one.ask(Hello(), session=5, sequence=1)
    return one


def symbol(name: str) -> int:
    with image_or_skip(PORT).path.open("rb") as file:
        found = ELFFile(file).get_section_by_name(".symtab").get_symbol_by_name(name)
    return int(found[0]["st_value"])


def model(name: str, vectors_n: int):
    """Return plan, input bytes [n, bytes], and outputs of the reference interpreter [n, 10]."""
    plan = plan_model(read_model(ZOO / f"{name}.tflite"))
    raw = load_vectors(VectorsConfig("digits", ZOO / "vectors.npz"))
    vectors, _ = prepare(raw, plan.input, "host")
    golden = np.load(ZOO / "golden_tflm.npz")[f"outputs.{name}"]
    inputs = vectors.x[:vectors_n].reshape(vectors_n, -1).view(np.uint8)
    return plan, inputs, golden[:vectors_n].reshape(vectors_n, -1)


def load(client, board, plan) -> None:
    client.load(plan.data, bytes.fromhex(plan.sha256), board)


def test_says_who_it_is(board, line):
    hello = line(board).hello()
    assert (hello.port, hello.chip) == (PORT, "vexriscv")
    assert hello.build_id.hex() == image_or_skip(PORT).build_id
    assert hello.counter_hz == 50_000_000
    assert (board.time_base, board.units_per_tick(hello.counter_hz)) == ("cycles", 1.0)
    assert "VexRiscv_Full" in board.emulator


@pytest.mark.parametrize(("name", "vectors_n"), [("mlp_int8", 16), ("student_int8", 1)])
@pytest.mark.parametrize("way", ["probe", "link"])
def test_outputs_are_those_of_the_reference(way, name, vectors_n, client, board):
    plan, inputs, golden = model(name, vectors_n)
    load(client, board if way == "probe" else None, plan)
    result = client.run(inputs, warm_up=0, iterations=1, want_outputs=True)
    np.testing.assert_array_equal(result.outputs.view(np.int8), golden)


def whole_session() -> list[object] | None:
    """Everything that two sessions measure, cycle of every marker edge included.

    None when the host was so slow that packets were repeated: those are other sessions.
    """
    plan, inputs, _ = model("mlp_int8", 4)
    board = open_or_skip()
    board.flash(image_or_skip(PORT))
    link = open_link(board.link_address, 115200)
    client = BoardClient(link, "rv", Timeouts(), baud=115200, token=lambda: SAME_TOKEN)
    seen: list[object] = []
    repeated = 0
    for again in range(2):
        if again:
            board.reset()
        client.hello()
        load(client, board, plan)
        result = client.run(
            inputs, warm_up=1, iterations=3, flags=RunFlag.MARKER_EACH, want_ticks=True
        )
        idle = client.idle(2000)
        profile = client.profile(2)
        seen.append((result.ticks.tolist(), result.cold_ticks, idle, list(profile)))
        seen.append(board.take_windows())
        repeated += client.link_figures().retransmitted_packets
    link.close()
    board.stop()
    return None if repeated else seen


def test_two_processes_are_equal_to_the_cycle_and_to_the_toggle():
    image_or_skip(PORT)
    attempts = filter(None, (whole_session() for _ in range(8)))
    first, second = next(attempts), next(attempts)
    assert first == second
    assert len(first[1]) == 12


def test_a_window_is_as_long_as_its_inference(client, board):
    plan, inputs, _ = model("mlp_int8", 1)
    load(client, board, plan)
    board.take_windows()
    result = client.run(inputs, warm_up=1, iterations=3, flags=RunFlag.MARKER_EACH, want_ticks=True)
    windows = board.take_windows()
    assert board.take_windows() == []
    assert len(windows) == 3
    for window, ticks in zip(windows, result.ticks, strict=True):
        assert 0 < window.cycles - ticks < 200  # marker and counter are written one after the other
        assert window.clocked_cycles == window.cycles
        assert 12 < window.cycles / window.samples < 20
        assert window.toggles == pytest.approx(
            window.sampled_toggles * window.cycles / window.samples
        )


def test_toggles_follow_the_data_and_cycles_do_not(client, board):
    plan, _, _ = model("student_int8", 1)
    load(client, board, plan)
    noise = np.random.default_rng(1).integers(0, 256, (1, plan.input.bytes), dtype=np.uint8)
    seen = []
    for inputs in (np.zeros_like(noise), noise):
        client.run(inputs, warm_up=1, iterations=1, flags=RunFlag.MARKER_EACH)
        seen.append(board.take_windows()[0])
    zeros, random = seen
    assert random.cycles == pytest.approx(zeros.cycles, rel=1e-3)
    assert random.toggles > 1.03 * zeros.toggles


def frozen_cycles(board) -> int:
    """Counter once the board has nothing left to do, which is soon after its answer."""
    looks = (board.status() for _ in range(100))
    return next(status for status in looks if status.frozen).cycles


def test_cycles_do_not_depend_on_how_bytes_were_cut(board, line):
    talk = line(board)
    talk.hello()
    packet = Packet.of(Echo(bytes(range(1, 201))), 5, 2).encode()
    seen = []
    for pieces in ([packet], [packet[:50], packet[50:51], packet[51:]]):
        board.reset()
        talk.hello()
        talk.ask(Hello(), session=5, sequence=1)
        for piece in pieces:
            frozen_cycles(board)
            os.write(talk.fd, piece)
        talk.expect(EchoReply)
        seen.append(frozen_cycles(board))
    assert seen[0] == seen[1]


def test_the_clock_stands_still_while_the_board_waits(talk, board):
    frozen_cycles(board)
    before = board.status()
    assert before.frozen
    assert before.freezes > 0
    assert board.status() == before
    talk.ask(Hello(), session=5, sequence=2)
    assert board.status().cycles > before.cycles


def test_idle_is_slept_by_the_core_and_counted_by_the_counter(talk, board):
    done = talk.ask(Idle(duration_us=100_000, marker=1), 5, 2)
    assert isinstance(done, IdleDone)
    assert 5_000_000 <= done.ticks < 5_001_000
    (window,) = board.take_windows()
    assert window.cycles >= 5_000_000
    assert window.clocked_cycles < 1000


def test_an_open_line_survives_reset_and_reflash(board, line):
    path, talk = board.link_address, line(board)
    talk.hello()
    for again in (board.reset, lambda: board.flash(image_or_skip(PORT)), board.reset):
        again()
        assert talk.hello().port == PORT
        assert isinstance(talk.ask(Hello(), session=5, sequence=1), HelloReply)
    assert board.link_address == path


def test_a_reset_ends_a_run(board):
    link = open_link(board.link_address, 115200)
    impatient = BoardClient(link, "rv", Timeouts(run_s=0.05), baud=115200)
    impatient.hello()
    plan, inputs, _ = model("student_int8", 1)
    load(impatient, board, plan)
    with pytest.raises(BoardError, match=r"no reply to RUN.* within 0\.05 s"):
        impatient.run(inputs, warm_up=0, iterations=100_000)
    board.reset()
    assert impatient.hello().port == PORT
    link.close()


def test_the_probe_is_seen_behind_the_data_cache(talk, board):
    hello = talk.ask(Hello(), session=5, sequence=2)
    for sequence, byte in enumerate((b"a", b"b"), start=3):
        board.write_memory(hello.pool_address, byte * 64)
        read = talk.ask(Read(Region.POOL, 0, 64), 5, sequence)
        assert read == ReadData(Region.POOL, 0, byte * 64)
    assert board.read_memory(hello.pool_address, 3) == b"bbb"


def test_no_memory_there(board):
    with pytest.raises(
        LinkError,
        match=r"^the RTL board refuses to write 2 bytes at 0x4003ffff: no memory there$",
    ):
        board.write_memory(0x4003FFFF, b"ab")
    board.check_alive()


def test_a_fault_resets_the_board_and_keeps_the_reason(talk, board):
    idle = symbol("hb_port_idle")
    board.write_memory(idle, bytes(4))  # defined to be illegal
    assert isinstance(talk.ask(Idle(duration_us=1, marker=0), 5, 2), HelloReply)
    record = struct.unpack("<3I", board.read_memory(symbol("hb_fault_record"), 12))
    assert record == (0x4842_4654, 2, idle)  # illegal instruction


@pytest.mark.parametrize(
    ("instruction", "sentence"),
    [
        (0x0007A023, "writes 0x50000000, where no memory is that it may write"),  # sw zero, 0(a5)
        (0x0007A703, "reads 0x50000000, where nothing is"),  # lw a4, 0(a5)
    ],
)
def test_an_access_where_nothing_is_ends_the_board(instruction, sentence, talk, board):
    lui_a5 = 0x500007B7
    board.write_memory(symbol("hb_port_idle"), struct.pack("<2I", lui_a5, instruction))
    os.write(talk.fd, Packet.of(Idle(duration_us=1, marker=0), 5, 2).encode())
    board._process._process.wait(TIMEOUT_S)
    with pytest.raises(
        BoardError,
        match=r"^board rv: the emulator hilbench-soc has died \(exit status 2\), its last words: "
        rf"'hilbench-soc: the firmware {sentence}'; run again",
    ):
        board.check_alive()
    with pytest.raises(BoardError, match="has died"):
        board.reset()


def test_a_fault_during_boot_ends_the_board(talk, board):
    board.write_memory(symbol("hb_port_init"), bytes(4))
    board.reset()
    board._process._process.wait(TIMEOUT_S)
    with pytest.raises(BoardError, match=r"'hilbench-soc: the firmware has halted with code 2'"):
        board.check_alive()


def test_an_image_linked_where_no_memory_is(board, tmp_path):
    image = image_or_skip(PORT)
    with image.path.open("rb") as file:
        elf = ELFFile(file)
        index = next(i for i, s in enumerate(elf.iter_segments()) if s["p_filesz"] > 1000)
        at = elf["e_phoff"] + index * elf["e_phentsize"]
    data = bytearray(image.path.read_bytes())
    struct.pack_into("<I", data, at + 12, 0x2000_0000)
    (path := tmp_path / "moved.elf").write_bytes(data)
    moved = dataclasses.replace(image, path=path, sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(
        FlashError,
        match=r"^board rv: moved\.elf is not flashed: the RTL board refuses to write \d+ bytes at "
        r"0x20000000: no memory there; is it linked for this board's memory\?$",
    ):
        board.flash(moved)


def test_before_flash():
    board = open_or_skip()
    with pytest.raises(BoardError, match=r"^board rv: reset before flash; flash an image first$"):
        board.reset()
    board.stop()
    board.stop()


def test_an_image_of_another_port_is_not_flashed():
    board, image = open_or_skip(), dataclasses.replace(image_or_skip(PORT), port="other")
    with pytest.raises(FlashError, match=f"takes firmware '{PORT}', .* is for 'other'; check"):
        board.flash(image)
    board.stop()


HOST = """
import threading
from hilbench.board.images import find_image
from hilbench.drivers.emulators import verilator
from hilbench.records import BoardConfig
board = verilator.start(BoardConfig(id="rv", firmware="riscv-vexriscv"), 20.0)
board.flash(find_image("riscv-vexriscv"))
print(board._process.pid, flush=True)
threading.Event().wait()
"""


def test_killing_the_host_ends_the_board():
    image_or_skip(PORT)
    open_or_skip().stop()
    with subprocess.Popen([sys.executable, "-c", HOST], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        child = psutil.Process(int(host.stdout.readline()))
        host.send_signal(signal.SIGKILL)
    child.wait(TIMEOUT_S)
