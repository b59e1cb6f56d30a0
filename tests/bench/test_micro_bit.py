"""pyOCD, with its own flash algorithm, on the emulated micro:bit: from erased chip to checked outputs."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import random
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import hilbench
from hilbench.bench import run_suite
from hilbench.config import load_suite
from hilbench.drivers.emulators._probe_bridge import ProbeFaults
from hilbench.drivers.emulators.qemu import QemuBoard
from hilbench.drivers.flashers import pyocd
from hilbench.errors import (
    ConfigError,
    FlashBusyError,
    FlashError,
    FlashNotFoundError,
    FlashTimeoutError,
    FlashVerifyError,
    FlashWriteError,
    FlashWrongChipError,
    ToolMissingError,
)
from hilbench.records import BoardConfig, FlasherConfig, Image
from tests.builders.elf_builder import EM_ARM, build_elf
from tests.drivers.emulators.emulated_line import image_or_skip

ZOO = Path(hilbench.__path__[0]) / "zoo" / "digits"
LIMIT_S = 60.0
BOARD = BoardConfig(
    id="microbit",
    firmware="nrf51",
    chip="cortex-m0",
    emulator="qemu",
    emulator_args=(("probe", "pyocd"),),
    flasher=FlasherConfig("pyocd", target="nrf51"),
    source="boards.toml",
)
REAL = replace(BOARD, emulator=None, emulator_args=(), serial="/dev/ttyACM0")


def flasher(**changes: object) -> BoardConfig:
    return replace(BOARD, flasher=replace(BOARD.flasher, **changes))


@pytest.fixture
def image(tmp_path) -> Image:
    """Four pages and a bit: vectors and an endless loop, then noise; small, because pages take time."""
    if importlib.util.find_spec("pyocd") is None:
        pytest.skip(f"pyocd is not installed: {pyocd.INSTALL}")
    code = struct.pack("<16I", 0x20001000, *[0x41] * 15) + b"\xfe\xe7"
    noise = random.Random(20).randbytes(0x400 * 4)
    data = build_elf(EM_ARM, [(0, code + noise)])
    (path := tmp_path / "image.elf").write_bytes(data)
    return Image("nrf51", path, "", hashlib.sha256(data).hexdigest(), "", "", ())


@pytest.fixture
def micro_bit() -> Iterator[Callable[[ProbeFaults], QemuBoard]]:
    with contextlib.ExitStack() as stack:

        def _start(faults: ProbeFaults) -> QemuBoard:
            try:
                board = QemuBoard(BOARD, LIMIT_S, faults)
            except ToolMissingError as error:
                pytest.skip(str(error))
            stack.callback(board.stop)
            return board

        yield _start


@pytest.mark.qemu
@pytest.mark.bench
def test_the_bench_flashes_with_pyocd_and_the_outputs_are_tflms(tmp_path):
    image_or_skip("nrf51")
    board = replace(BOARD, source=str(tmp_path / "boards.toml"))
    suite = load_suite(ZOO / "suite.toml")
    names = ("mlp_int8", "student_int8")
    variants = tuple(replace(v, parent=None) for v in suite.variants if v.name in names)
    suite = replace(suite, variants=variants, sessions=2, iterations=3)
    outcome = run_suite(suite, [board], results=tmp_path, limit=20)
    assert outcome.errors == ()
    frame = hilbench.load(outcome.folder).set_index("variant")
    assert set(frame.index) == set(names)
    assert (frame["agreement_tflm"] == 1.0).all()
    assert (frame["time_base"] == "instructions").all()
    assert (frame["latency_median"] > 0).all()


@pytest.mark.qemu
@pytest.mark.bench
@pytest.mark.parametrize(
    ("faults", "outcome", "sentence"),
    [
        (
            ProbeFaults(cpuid=0x410FC241),
            FlashWrongChipError,
            "found another chip than the table says, it said 'wrong chip: the core is a cortex-m4, "
            "the table says cortex-m0'",
        ),
        (
            ProbeFaults(hangs_up_after_runs=3),
            FlashWriteError,
            "did not write the whole image, it said \"not written: the probe's server has closed "
            'the connection"',
        ),
        (
            ProbeFaults(no_power_after_runs=3),
            FlashWriteError,
            "did not write the whole image, it said 'not written: Memory transfer fault",
        ),
        (
            ProbeFaults(no_power_after_runs=0),
            FlashNotFoundError,
            "found no board that answers, it said 'not found: Target not detected. ",
        ),
        (
            ProbeFaults(flip_bit_at=0x923),
            FlashVerifyError,
            "read back something else than it wrote, it said 'not verified: 0x",
        ),
        (
            ProbeFaults(drop_flash_writes=True),
            FlashVerifyError,
            "read back something else than it wrote, it said 'not verified: 0xff at 0x00000000, ",
        ),
    ],
    ids=["wrong chip", "hangs up", "loses power", "has no power", "bit flips", "silent success"],
)
def test_what_goes_wrong_has_a_name(faults, outcome, sentence, image, micro_bit):
    config = flasher(args=("flash.timeout.init=1.0", "flash.timeout.program=1.0"))
    with pytest.raises(FlashError) as caught:
        pyocd.flash(config, image, micro_bit(faults), LIMIT_S)
    assert type(caught.value) is outcome
    assert str(caught.value).startswith(f"board microbit: pyocd {sentence}")
    assert caught.value.exit_code_of_tool == 1
    assert caught.value.command[1:3] == ("-m", "hilbench.drivers.flashers._pyocd_worker")


@pytest.mark.qemu
@pytest.mark.bench
@pytest.mark.parametrize("runs", [0, 3], ids=["from the start", "in the midst of writing"])
def test_a_probe_that_falls_silent_costs_the_limit_and_no_more(runs, image, micro_bit):
    board = micro_bit(ProbeFaults(silent_after_runs=runs))
    with pytest.raises(
        FlashTimeoutError, match=r"^board microbit: pyocd did not end within 2 s and was killed, "
    ):
        pyocd.flash(BOARD, image, board, 2.0)


@pytest.mark.qemu
@pytest.mark.bench
def test_without_reading_back_pyocd_calls_a_blank_chip_flashed(image, micro_bit):
    """Why verify is on unless a table says otherwise, and why HELLO's build id counts in the end."""
    board = micro_bit(ProbeFaults(drop_flash_writes=True))
    pyocd.flash(flasher(verify=False), image, board, LIMIT_S)


@pytest.mark.qemu
@pytest.mark.bench
def test_a_probe_in_use_is_busy_until_it_is_let_go(image, micro_bit):
    board = micro_bit(ProbeFaults())
    host, port = board.probe_address.removeprefix("remote:").split(":")
    with socket.create_connection((host, int(port)), LIMIT_S) as other:
        other.sendall(json.dumps({"id": 1, "request": "open"}).encode() + b"\n")
        assert json.loads(other.recv(4096)) == {"id": 1, "status": 0}
        with pytest.raises(
            FlashBusyError,
            match=r"^board microbit: pyocd found the port or probe in use, it said 'busy: .* probe "
            r"is in use by another client' .*; close the debugger or the other run that has the probe",
        ):
            pyocd.flash(BOARD, image, board, LIMIT_S)
    pyocd.flash(BOARD, image, board, LIMIT_S)


@pytest.mark.bench
def test_an_absent_probe_is_not_found(image):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"remote:127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(
        FlashNotFoundError,
        match=r"^board microbit: pyocd found no board that answers, it said 'not found: .*refused' "
        r".*; is the probe plugged in and the board powered\? `pyocd list` shows probes",
    ):
        pyocd.flash(BOARD, image, SimpleNamespace(probe_address=address), LIMIT_S)


@pytest.mark.bench
def test_a_target_that_pyocd_does_not_know(image):
    emulated = SimpleNamespace(probe_address="remote:127.0.0.1:1")
    with pytest.raises(
        ConfigError,
        match=r"^boards\.toml: \[board\.microbit\.flasher\] target is 'nrf15', which pyOCD does not "
        r"know \(.*\); `pyocd list --targets` lists them, and args = \[\"pack=FILE\"\] adds those "
        r"of a CMSIS-Pack$",
    ):
        pyocd.flash(flasher(target="nrf15"), image, emulated, LIMIT_S)


@pytest.mark.qemu
@pytest.mark.bench
def test_an_image_for_other_addresses_is_for_another_chip(image, micro_bit):
    board = micro_bit(ProbeFaults())
    with pytest.raises(FlashWrongChipError, match=r"no memory region defined for address 0x0000"):
        pyocd.flash(flasher(target="stm32f051"), image, board, LIMIT_S)


@pytest.mark.parametrize(
    ("board", "emulated", "sentence"),
    [
        (
            REAL, None,
            "names no probe, and another board's could be taken; add probe_serial, which "
            "`pyocd list` shows",
        ),
        (
            BOARD, SimpleNamespace(probe_address=None),
            "is pyocd, but the emulated board has no probe for it; add "
            'emulator_args = { probe = "pyocd" } to [board.microbit]',
        ),
        (
            BOARD, SimpleNamespace(probe_address="127.0.0.1:1"),  # gdb's
            "is pyocd, but the emulated board has no probe for it; add "
            'emulator_args = { probe = "pyocd" } to [board.microbit]',
        ),
        (
            flasher(target=None), SimpleNamespace(probe_address="remote:127.0.0.1:1"),
            'does not say which chip to write; add target = "nrf51" or like, '
            "`pyocd list --targets` lists them",
        ),
    ],
    ids=["no serial number", "no emulated probe", "a gdb server", "no target"],
)  # fmt: skip
def test_an_incomplete_table(board, emulated, sentence):
    image = Image("nrf51", Path("x.elf"), "", "", "", "", ())
    with pytest.raises(ConfigError) as caught:
        pyocd.flash(board, image, emulated, LIMIT_S)
    assert str(caught.value) == f"boards.toml: [board.microbit.flasher] {sentence}"


def test_an_option_without_a_value(image):
    emulated = SimpleNamespace(probe_address="remote:127.0.0.1:1")
    with pytest.raises(
        ConfigError,
        match=r"args holds 'frequency', must be a pyOCD session option such as \"frequency=1000000\"$",
    ):
        pyocd.flash(flasher(args=("frequency",)), image, emulated, LIMIT_S)


def test_pyocd_missing(image, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    emulated = SimpleNamespace(probe_address="remote:127.0.0.1:1")
    with pytest.raises(ToolMissingError) as caught:
        pyocd.flash(BOARD, image, emulated, LIMIT_S)
    assert str(caught.value) == (
        "pyocd is not installed; install it with: pip install 'hilbench[pyocd]'"
    )
