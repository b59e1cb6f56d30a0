"""The Arduino Uno's image on simavr, through the link that a real one would have."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from hilbench import plugins
from hilbench.board.client import BoardClient
from hilbench.board.images import find_image
from hilbench.board.resident import needs_resident, patch_image
from hilbench.errors import BoardError, DeviceError, ModelTooLargeError, ToolMissingError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.protocol.messages import ClockSource, RunFlag
from hilbench.records import BoardConfig, Timeouts

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "hilbench" / "zoo" / "digits"
BAUD = 115_200
CLOCK_HZ = 16_000_000
RAM_BYTES = 2048
OVERFLOW_CYCLES = 65_536
TIMEOUT_S = 60.0
APT = "apt-get install gcc make gcc-avr avr-libc libsimavr-dev"

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in ("avr-gcc", "gcc", "make")),
        reason=f"no AVR compiler: {APT}",
    ),
]


def make(*arguments):
    environment = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL"}}
    subprocess.run(
        ["make", "-C", str(ROOT / "device_firmware"), "PORT=atmega328p", *arguments],
        check=True, capture_output=True, timeout=300, env=environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def image():
    make()
    return find_image("atmega328p")


def plan_of(variant):
    return plan_model(read_model(DIGITS / f"{variant}.tflite"))


@pytest.fixture(scope="module")
def mlp():
    return plan_of("mlp_int8")


@dataclass
class Uno:
    emulated: object
    client: BoardClient


@pytest.fixture
def start():
    """Start an Uno with an image in its flash, and greet it; all are stopped after the test."""
    started = []

    def _start(flashed):
        config = BoardConfig(
            "uno", "atmega328p", emulator_args=(("pace", "free"), ("reset_on_open", "no"))
        )
        try:
            emulated = plugins.load("emulators", "simavr").start(config, TIMEOUT_S)
        except ToolMissingError as error:
            pytest.skip(f"{error}: {APT}")
        started.append(emulated.stop)
        emulated.flash(flashed)
        link = plugins.load("links", "serial").open_link(emulated.link_address, BAUD)
        started.append(link.close)
        uno = Uno(emulated, BoardClient(link, "uno", Timeouts(), baud=BAUD))
        uno.client.hello()
        return uno

    yield _start
    for end in reversed(started):
        end()


def load(uno, plan):
    return uno.client.load(plan.data, bytes.fromhex(plan.sha256), resident=True)


def vectors(plan, count):
    x = np.load(DIGITS / "vectors.npz")["x"][:count].reshape(count, -1)
    q = np.round(x / plan.input.scale + plan.input.zero_point)
    return np.clip(q, -128, 127).astype(np.int8).view(np.uint8)


def test_image_divides_memory_as_it_says(image):
    sizes = dict(image.sections)
    elf = ELFFile(io.BytesIO(image.path.read_bytes()))
    symbols = elf.get_section_by_name(".symtab")
    (low, high, start, end, guard) = (
        symbols.get_symbol_by_name(f"hb_{name}")[0]["st_value"]
        for name in ("stack_low", "stack_high", "pool_start", "pool_end", "stack_guard")
    )
    assert high - 0x800100 == RAM_BYTES
    assert (end, low) == (guard, guard + 2)
    assert start - 0x800100 == sizes[".data"] + sizes[".bss"]
    top = max(s["p_paddr"] + s["p_filesz"] for s in elf.iter_segments("PT_LOAD"))
    assert top + needs_resident(image) == 32 * 1024 - 512
    assert needs_resident(image) >= 7000
    header = elf.get_section_by_name(".hb_resident")
    assert header["sh_flags"] == SH_FLAGS.SHF_ALLOC  # read only: no byte of RAM


def test_hello_reports_the_board_and_the_plan_in_its_image(start, image, mlp, tmp_path):
    uno = start(patch_image(image, mlp, tmp_path))
    hello = uno.client.identity
    assert (hello.port, hello.chip, hello.port_untested) == ("atmega328p", "atmega328p", 1)
    assert (hello.counter_hz, hello.counter_bits) == (CLOCK_HZ, 32)
    assert hello.clock_source == ClockSource.DECLARED
    assert hello.build_id.hex() == image.build_id
    assert (hello.runtime, hello.kernels) == ("plan 1", "portable: fc_s8 softmax_s8")
    assert hello.model_loaded == 1
    assert hello.model_sha256 == hashlib.sha256(mlp.data).digest()
    again = uno.client.reset()
    assert again == hello


def test_zoo_mlp_is_bit_exact_with_tflm(start, image, mlp, tmp_path):
    uno = start(patch_image(image, mlp, tmp_path))
    bad_packets = uno.client.link_figures().bad_packets_board
    loaded = load(uno, mlp)
    assert (loaded.input_bytes, loaded.output_bytes, loaded.operators) == (64, 10, 3)
    golden = np.load(DIGITS / "golden_tflm.npz")["outputs.mlp_int8"]
    count = 40
    run = uno.client.run(vectors(mlp, count))
    assert np.array_equal(run.outputs.view(np.int8), golden[:count].reshape(count, -1))
    memory = uno.client.memory()
    assert memory.model_bytes == len(mlp.data)
    assert memory.stack_used_bytes <= memory.stack_bytes - 32
    # The first HELLO may be cut by the boot; after it nothing is lost.
    assert uno.client.link_figures().bad_packets_board == bad_packets


def test_cycles_are_the_same_in_every_inference_and_every_process(start, image, mlp, tmp_path):
    patched = patch_image(image, mlp, tmp_path)
    ticks = []
    for _ in range(2):
        uno = start(patched)
        load(uno, mlp)
        run = uno.client.run(vectors(mlp, 1), iterations=12)
        assert run.outputs_equal
        ticks.append(run.ticks.tolist())
        profile = uno.client.profile(4)
        assert sum(profile) < 4 * 1.01 * ticks[-1][0]
        ticks[-1] += profile
    assert ticks[0] == ticks[1]
    assert len(set(ticks[0][:12])) == 1
    assert ticks[0][0] > 2 * OVERFLOW_CYCLES  # so that overflows fell into every one of them


def test_ticks_agree_with_the_marker_and_leave_out_the_overflow_interrupt(
    start, image, mlp, tmp_path
):
    """The emulator stamps the marker's edges; between them are the inference, a fixed cost of
    switching the pin and reading the counter, and the interrupts that the counter leaves out."""
    uno = start(patch_image(image, mlp, tmp_path))
    load(uno, mlp)
    # Vectors of unlike duration; the first run takes the cold inference, which has no marker.
    uno.client.run(vectors(mlp, 1))
    run = uno.client.run(vectors(mlp, 30), flags=RunFlag.MARKER_EACH)
    edges = [e for e in uno.emulated.events() if e.name == "marker"][-60:]
    assert [e.value for e in edges] == [1, 0] * 30
    width = np.array([b.cycle - a.cycle for a, b in zip(edges[::2], edges[1::2], strict=True)])
    rest = width - run.ticks
    costs = sorted(set(rest.tolist()))
    assert len(costs) == 2  # as many overflows as fit, or one more
    interrupt = costs[1] - costs[0]
    assert 20 < interrupt < 200
    overflows = run.ticks // OVERFLOW_CYCLES
    fixed = costs[0] - int(overflows.min()) * interrupt
    assert 0 < fixed < 400


def test_sleep_is_as_long_as_asked_and_no_more_than_an_overflow_longer(start, image, tmp_path):
    uno = start(image)
    before = uno.emulated.status()
    for duration_us in (1, 100, 5_000, 100_000):
        ticks = uno.client.idle(duration_us)
        assert 16 * duration_us <= ticks < 16 * duration_us + OVERFLOW_CYCLES
    assert uno.emulated.status().slept_cycles - before.slept_cycles > 16 * 100_000 * 0.9


def test_image_without_a_plan_says_so(start, image, mlp):
    uno = start(image)
    assert uno.client.identity.model_loaded == 0
    with pytest.raises(DeviceError) as caught:
        load(uno, mlp)
    nothing = int.from_bytes(hashlib.sha256(b"").digest()[:4], "little")
    wanted = int.from_bytes(bytes.fromhex(mlp.sha256)[:4], "little")
    assert (caught.value.code, caught.value.detail) == ("HASH_MISMATCH", (nothing, wanted))


def test_another_plan_than_the_resident_one_is_refused(start, image, mlp, tmp_path):
    uno = start(patch_image(image, mlp, tmp_path))
    with pytest.raises(DeviceError) as caught:
        load(uno, plan_of("student_int8"))
    assert caught.value.code == "HASH_MISMATCH"
    assert uno.client.hello().model_loaded == 1


def test_plan_with_a_kernel_that_the_image_lacks_is_refused(start, image, tmp_path):
    student = plan_of("student_int8")
    uno = start(patch_image(image, student, tmp_path))
    assert uno.client.identity.model_loaded == 0
    with pytest.raises(DeviceError) as caught:
        load(uno, student)
    first_record = 48
    assert (caught.value.code, caught.value.detail) == ("BAD_MODEL", (7, first_record))
    assert str(caught.value) == (
        "board uno refused LOAD: the firmware has no kernel of this kind (plan byte 48); "
        "it has portable: fc_s8 softmax_s8; choose another variant or another board"
    )


def test_stack_that_grew_into_the_pool_is_a_reset_and_no_result(start, image, mlp, tmp_path):
    make(f"BUILD={tmp_path}", "STACK_BYTES=440")  # hashing the plan takes about 520
    elf = tmp_path / "hilbench.elf"
    small = replace(image, path=elf, sha256=hashlib.sha256(elf.read_bytes()).hexdigest())
    with pytest.raises(BoardError, match=r"reset itself during|no HELLO within"):
        load(start(patch_image(small, mlp, tmp_path)), mlp)


def test_plan_beyond_the_flash_is_refused_before_flashing(image, tmp_path):
    plan = plan_of("cnn_int8")
    room = needs_resident(image)
    with pytest.raises(ModelTooLargeError) as caught:
        patch_image(image, plan, tmp_path)
    assert str(caught.value) == (
        f"port atmega328p: the plan needs {len(plan.data):,} bytes of the image, {room:,} are "
        "available; choose a smaller variant or another board"
    )
