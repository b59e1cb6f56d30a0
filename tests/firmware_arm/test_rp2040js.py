"""The rp2040 image from the boot ROM's second stage to bit-exact results, on rp2040js.

rp2040js (MIT, on npm) is not part of this project: the tests are left out where it is not found.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import select
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

import hilbench
from hilbench.board.client import BoardClient
from hilbench.board.images import find_image
from hilbench.errors import ImageError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.protocol.messages import ClockSource, RunFlag
from hilbench.records import Timeouts

RUNNER = Path(__file__).with_name("rp2040_board.mjs")
ZOO = Path(hilbench.__path__[0]) / "zoo" / "digits"
WHERE = "HILBENCH_RP2040JS"
CPU_HZ = 125_000_000
VECTORS = 3


@functools.cache
def global_folder() -> Path:
    """Where npm install -g puts things; npm takes a second to say it."""
    answer = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=True)
    return Path(answer.stdout.strip()).parent


def rp2040js_folder() -> Path:
    """The folder whose node_modules has rp2040js; skips with the line that adds it."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: apt-get install nodejs npm")
    named = os.environ.get(WHERE)
    folder = Path(named) if named else global_folder()
    if not (folder / "node_modules" / "rp2040js").is_dir():
        pytest.skip(
            f"no rp2040js in {folder}: npm install -g rp2040js@1.4.1, or npm install it in a folder "
            f"and name that in {WHERE}"
        )
    return folder


def flash_contents(path: Path) -> bytes:
    with path.open("rb") as file:
        loads = [(s["p_paddr"], s.data()) for s in ELFFile(file).iter_segments("PT_LOAD")]
    contents = bytearray()
    for paddr, data in sorted(load for load in loads if load[1]):
        contents += bytes(paddr - 0x1000_0000 - len(contents)) + data
    return bytes(contents)


class PipeLink:
    """A link over the runner's stdin and stdout."""

    def __init__(self, command, log):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0
        )

    def write(self, data, timeout_s):
        self.process.stdin.write(data)

    def read(self, timeout_s):
        ready, _, _ = select.select([self.process.stdout], [], [], timeout_s)
        return os.read(self.process.stdout.fileno(), 65536) if ready else b""

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def board(tmp_path):
    """A client of the emulated board, and what its runner wrote on stderr."""
    folder = rp2040js_folder()
    try:
        image = find_image("rp2040")
    except ImageError as error:
        pytest.skip(str(error))
    (flash := tmp_path / "flash.bin").write_bytes(flash_contents(image.path))
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        link = PipeLink(["node", RUNNER, folder, flash], stderr)
    yield BoardClient(link, "pico", Timeouts(), baud=115200), log, image
    link.close()


def int8_vectors(plan):
    x = np.load(ZOO / "vectors.npz")["x"][:VECTORS]
    x = np.clip(np.rint(x / plan.input.scale) + plan.input.zero_point, -128, 127)
    return x.astype(np.int8).view(np.uint8).reshape(VECTORS, -1)


def marked_cycles(log: Path) -> list[int]:
    """Cycles of 8 ns between the marker's edges up and down, by the emulator's clock."""
    edges = re.findall(r"^marker ([01]) (\d+)$", log.read_text(), re.MULTILINE)
    return [
        (int(down) - int(up)) // 8
        for (state, up), (_, down) in itertools.pairwise(edges)
        if state == "1"
    ]


def test_boots_by_its_second_stage_to_hello(board):
    client, log, image = board
    hello = client.hello()
    assert (hello.port, hello.chip) == ("rp2040", "rp2040")
    assert hello.build_id.hex() == image.build_id
    assert (hello.clock_source, hello.counter_hz, hello.counter_bits) == (
        ClockSource.REGISTER, CPU_HZ, 32,
    )  # fmt: skip
    assert hello.port_untested == 1  # an emulator is no board
    assert "error" not in log.read_text().lower()


def test_int8_results_are_bit_exact_and_ticks_are_cycles(board):
    client, log, _ = board
    client.hello()
    plan = plan_model(read_model(ZOO / "mlp_int8.tflite"))
    client.load(plan.data, bytes.fromhex(plan.sha256))
    run = client.run(int8_vectors(plan), iterations=2, flags=RunFlag.MARKER_EACH)
    np.testing.assert_array_equal(
        np.asarray(run.outputs).view(np.int8).reshape(VECTORS, -1),
        np.load(ZOO / "golden_tflm.npz")["outputs.mlp_int8"][:VECTORS],
    )
    np.testing.assert_array_equal(run.ticks[0::2], run.ticks[1::2])  # of the same vector
    # From the marker to the counter and back it is the same way every time.
    around = np.subtract(marked_cycles(log), run.ticks, dtype=np.int64)
    assert around.shape == run.ticks.shape
    assert 0 < around[0] < 200
    assert (around == around[0]).all()


def test_the_counter_extends_systick_past_its_wraps(board):
    """SysTick alone wraps after 134 ms."""
    client, log, _ = board
    client.hello()
    durations_us = (20_000, 300_000)
    slept = [client.idle(duration_us, marker=True) for duration_us in durations_us]
    marked = marked_cycles(log)
    for ticks, cycles, duration_us in zip(slept, marked, durations_us, strict=True):
        assert ticks >= duration_us * 125
        assert 0 < cycles - ticks < 2000  # divisions that find out how long to sleep
