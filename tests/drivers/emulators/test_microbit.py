"""The BBC micro:bit in QEMU: its firmware against independent truth, and its debug registers."""

from __future__ import annotations

import json
import random
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pytest

import hilbench
from hilbench.board.client import BoardClient
from hilbench.drivers.emulators import qemu
from hilbench.drivers.links.serial import open_link
from hilbench.errors import ConfigError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.protocol.messages import Echo, EchoReply, Hello, Idle, IdleDone
from hilbench.records import BoardConfig, Timeouts
from tests.drivers.emulators.emulated_line import TIMEOUT_S, image_or_skip

pytestmark = pytest.mark.qemu

ZOO = Path(hilbench.__path__[0]) / "zoo" / "digits"
GOLDEN = np.load(ZOO / "golden_tflm.npz")
CPUID, DHCSR, DEMCR, AIRCR = 0xE000ED00, 0xE000EDF0, 0xE000EDFC, 0xE000ED0C
HALT, RUN, STEP = 0xA05F0003, 0xA05F0001, 0xA05F0005
S_HALT, S_LOCKUP = 1 << 17, 1 << 19
SYSRESETREQ = 0x05FA0004
VC_CORERESET = 1
FLASH_BYTES = 0x40000
GPIO_DIR, PIN_CNF_25 = 0x50000514, 0x50000764


class Debugger:
    """A client of the probe that says what it likes."""

    def __init__(self, address: str) -> None:
        host, port = address.removeprefix("remote:").split(":")
        self.sock = socket.create_connection((host, int(port)), TIMEOUT_S)
        self._file = self.sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.sock.close()

    def ask(self, request: str, *arguments: object) -> dict[str, object]:
        line = {"id": 7, "request": request, "arguments": arguments}
        self.sock.sendall(json.dumps(line).encode() + b"\n")
        answer = json.loads(self._file.readline())
        assert answer.pop("id") == 7
        return answer

    def read(self, address: int) -> object:
        return self.ask("read_mem", 0, address, 32)["result"]

    def write(self, address: int, value: int) -> None:
        assert self.ask("write_mem", 0, address, value, 32) == {"status": 0}


@pytest.fixture
def debugger(start) -> Iterator[Debugger]:
    with Debugger(start("nrf51", probe="pyocd").probe_address) as one:
        yield one


def test_says_who_it_is_and_answers(start, line):
    image, board = image_or_skip("nrf51"), start("nrf51")
    talk = line(board)
    board.flash(image)
    hello = talk.hello()
    assert (hello.port, hello.chip) == ("nrf51", "cortex-m0")
    assert hello.build_id.hex() == image.build_id
    assert hello.unique_id == "1234567800000003"  # DEVICEID of QEMU's model
    assert hello.counter_hz == 16_000_000
    talk.ask(Hello(), session=5, sequence=1)
    rng = random.Random(1)
    for sequence, size in enumerate((0, 1, 254, 255, hello.packet_bytes), start=2):
        data = rng.randbytes(size)
        assert talk.ask(Echo(data), 5, sequence) == EchoReply(data)
    for sequence, duration_us in enumerate((0, 1, 5, 20_000, 20_000), start=10):
        done = talk.ask(Idle(duration_us=duration_us, marker=1), 5, sequence)
        assert isinstance(done, IdleDone)
        assert done.ticks >= hello.counter_hz * duration_us // 1_000_000


@pytest.mark.parametrize("model", ["mlp_int8", "student_int8"])
def test_outputs_are_tflms_and_ticks_are_the_same_in_every_process(model, start):
    plan = plan_model(read_model(ZOO / f"{model}.tflite"))
    golden = GOLDEN[f"outputs.{model}"]
    x = np.load(ZOO / "vectors.npz")["x"].reshape(len(golden), -1)
    quantised = np.round(x.astype(np.float64) / plan.input.scale) + plan.input.zero_point
    vectors = np.clip(quantised, -128, 127).astype(np.int8).view(np.uint8)

    def measure(vectors, *, probed: bool):
        board = start("nrf51")
        board.flash(image_or_skip("nrf51"))
        link = open_link(board.link_address, 115200)
        client = BoardClient(link, "microbit", Timeouts(), baud=115200)
        client.hello()
        client.load(plan.data, bytes.fromhex(plan.sha256), board if probed else None)
        timed = client.run(vectors[:1], warm_up=1, iterations=10, want_ticks=True)
        passed = client.run(vectors, warm_up=0, iterations=1, want_ticks=True, want_outputs=True)
        link.close()
        return timed, passed

    timed, passed = measure(vectors, probed=True)
    timed_again, passed_again = measure(vectors[:40], probed=False)
    np.testing.assert_array_equal(passed.outputs.view(np.int8), golden.reshape(len(golden), -1))
    assert timed.ticks.tolist() == timed_again.ticks.tolist()
    # An instruction is 1.024 ticks: where in a tick an inference begins is worth one.
    assert np.ptp(timed.ticks.astype(np.int64)) <= 1
    assert timed.cold_ticks == timed_again.cold_ticks
    np.testing.assert_array_equal(passed.ticks[:40], passed_again.ticks)


def test_the_chip_starts_erased_and_locks_up_without_an_image(debugger):
    for address in (0, 0x400, FLASH_BYTES - 4):
        assert debugger.read(address) == 0xFFFFFFFF
    debugger.write(AIRCR, SYSRESETREQ)
    assert debugger.read(DHCSR) & (S_LOCKUP | S_HALT) == S_LOCKUP
    debugger.write(DHCSR, HALT)
    assert debugger.read(DHCSR) & (S_LOCKUP | S_HALT) == S_HALT
    assert debugger.read(CPUID) == 0x410CC200


def test_a_running_core_can_be_read_halted_and_caught_at_reset(start):
    board = start("nrf51", probe="pyocd")
    board.flash(image_or_skip("nrf51"))
    with Debugger(board.probe_address) as debugger:
        entry = debugger.read(4)
        assert debugger.read(DHCSR) & S_HALT == 0
        debugger.write(DHCSR, HALT)
        assert debugger.read(DHCSR) & S_HALT
        debugger.write(DHCSR, RUN)
        assert debugger.read(DHCSR) & S_HALT == 0
        debugger.write(DEMCR, VC_CORERESET)
        debugger.write(AIRCR, SYSRESETREQ)
        assert debugger.read(DHCSR) & S_HALT
        debugger.write(0xE000EDF4, 15)  # DCRSR: the program counter to DCRDR
        assert debugger.read(0xE000EDF8) == entry & ~1


def test_pins_are_set_up_as_the_board_is_wired(start, line):
    """QEMU's UART works whatever the pins are; the chip's does not."""
    board = start("nrf51", probe="pyocd")
    talk = line(board)
    board.flash(image_or_skip("nrf51"))
    talk.hello()
    with Debugger(board.probe_address) as debugger:
        assert debugger.read(GPIO_DIR) == 1 << 24 | 1 << 3
        assert debugger.read(PIN_CNF_25) == 0b1100  # pulled up, input buffer connected


def test_what_the_probe_cannot_do_it_says(debugger):
    step = debugger.ask("write_mem", 0, DHCSR, STEP, 32)
    assert (step["status"], "cannot step" in step["error"]) == (12, True)
    nowhere = debugger.ask("read_mem", 0, 0x30000000, 32)
    assert (nowhere["status"], "0x30000000" in nowhere["error"]) == (12, True)
    assert debugger.ask("jtag_sequence", 1, 0, False, 0)["status"] == 3
    for wrong in (["x"], [0, "here", 32]):
        assert debugger.ask("read_mem", *wrong)["status"] == 3
    assert debugger.ask("write_mem", 0, 0x20000000, -1, 32)["status"] == 3
    assert debugger.ask("write_block32", 0, 0x20000000, [1 << 32])["status"] == 3
    assert debugger.read(CPUID) == 0x410CC200  # and lives on


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n\r\n", b"[]\n", b"{}\n", b"7\n"])
def test_the_probe_hangs_up_on_what_is_no_request_and_serves_the_next(words, start):
    address = start("nrf51", probe="pyocd").probe_address
    with Debugger(address) as stranger:
        stranger.sock.sendall(words)
        assert stranger.sock.recv(1) == b""
    with Debugger(address) as debugger:
        assert debugger.read(CPUID) == 0x410CC200


def test_an_unknown_probe(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    config = BoardConfig(id="mb", firmware="nrf51", emulator_args=(("probe", "jlink"),))
    with pytest.raises(
        ConfigError, match=r"^board mb: the qemu emulator has no probe 'jlink'; known: gdb, pyocd$"
    ):
        qemu.start(config, 1.0)
