"""The counting plugin of QEMU: an independent view of what the board's own counter says."""

from __future__ import annotations

import shutil
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import hilbench
from hilbench.board.client import BoardClient
from hilbench.drivers.emulators import _tcg_plugin
from hilbench.drivers.emulators._edges import CLASSES, EdgeReader, device_time
from hilbench.drivers.links.serial import open_link
from hilbench.errors import BoardError, ConfigError, ToolMissingError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.protocol.messages import RunFlag
from hilbench.records import Timeouts
from tests.drivers.emulators.emulated_line import image_or_skip

pytestmark = pytest.mark.qemu
ZOO = Path(hilbench.__path__[0]) / "zoo" / "digits"
INFERENCES = 4
SAME_TOKEN = 7


def run(board, port, model="mlp_int8"):
    """Flash and run one model; return ticks and instructions per tick."""
    plan = plan_model(read_model(ZOO / f"{model}.tflite"))
    x = np.load(ZOO / "vectors.npz")["x"][:1]
    vectors = x.astype(plan.input.dtype).view(np.uint8).reshape(1, plan.input.bytes)
    board.flash(image_or_skip(port))
    link = open_link(board.link_address, 115200)
    client = BoardClient(link, port, Timeouts(), baud=115200, token=lambda: SAME_TOKEN)
    try:
        hello = client.hello()
        client.load(plan.data, bytes.fromhex(plan.sha256), probe=board)
        done = client.run(vectors, warm_up=1, iterations=INFERENCES, flags=int(RunFlag.MARKER_EACH))
    finally:
        link.close()
    return done.ticks, board.units_per_tick(hello.counter_hz)


def windows(board):
    """What each pulse of the marker took: (instructions, modelled cycles, classes)."""
    edges = board.instruction_edges()
    assert [edge.kind for edge in edges] == ["rise", "fall"] * (len(edges) // 2)
    return [
        (
            fall.instructions - rise.instructions,
            None if fall.modelled_cycles is None else fall.modelled_cycles - rise.modelled_cycles,
            {name: fall.classes[name] - rise.classes[name] for name in CLASSES},
        )
        for rise, fall in zip(edges[::2], edges[1::2], strict=True)
    ]


COUNTING = ["mps2-an385", "mps2-an386", "mps2-an505", "mps3-an547", "nrf51"]
MODELLED = {"mps2-an385", "mps2-an386", "nrf51"}
# Moving the pin and reading the counter, twice each; ticks have the reading taken off.
AROUND_INSTRUCTIONS = 40


@pytest.mark.parametrize("port", COUNTING)
def test_the_plugin_agrees_with_the_counter_and_changes_nothing(port, start):
    plain_ticks, _ = run(start(port), port)
    board = start(port, plugin="classes")
    ticks, per_tick = run(board, port)
    np.testing.assert_array_equal(ticks, plain_ticks)
    found = windows(board)
    assert len(found) == len(ticks) == INFERENCES
    for (instructions, cycles, classes), own in zip(found, ticks, strict=True):
        assert 0 < instructions - own * per_tick < AROUND_INSTRUCTIONS
        assert sum(classes.values()) == instructions
        assert (cycles is None) == (port not in MODELLED)
        assert cycles is None or cycles > instructions


def test_two_processes_have_equal_records(start):
    seen = []
    for _ in range(2):
        board = start("mps2-an386", plugin="classes")
        run(board, "mps2-an386")
        seen.append(windows(board))
    assert seen[0] == seen[1]


def test_a_float_model_is_seen_in_its_classes(start):
    board = start("mps2-an386", plugin="classes")
    run(board, "mps2-an386", "cnn_fp32")
    _, cycles, classes = windows(board)[0]
    assert classes["fp"] > classes["mul"]
    assert classes["vector"] == 0
    assert cycles > sum(classes.values())


def test_edges_outlive_resets_and_the_emulator(start):
    board = start("mps2-an386", plugin="classes")
    run(board, "mps2-an386")
    run(board, "mps2-an386")
    edges = board.instruction_edges()
    assert len(edges) == 4 * INFERENCES
    assert all(a.instructions < b.instructions for a, b in pairwise(edges))
    board.stop()
    assert board.instruction_edges() == edges


def test_off_by_default(start):
    board = start("mps2-an386")
    for asked in (board.marker_edges, board.instruction_edges):
        with pytest.raises(BoardError) as caught:
            asked()
        assert str(caught.value) == (
            "board board-mps2-an386: marker edges are not stamped; "
            'add plugin = "classes" to its emulator_args'
        )


def test_a_machine_without_pins(start):
    with pytest.raises(BoardError) as caught:
        start("stm32f4").marker_edges()
    assert str(caught.value) == (
        "board board-stm32f4: QEMU's netduinoplus2 has no pin for the marker; "
        "use another board where edges are needed"
    )


def test_no_such_plugin(start):
    with pytest.raises(
        ConfigError,
        match=r"^board board-nrf51: the qemu emulator has no plugin 'x'; known: classes$",
    ):
        start("nrf51", plugin="x")


def test_a_machine_without_marker(start):
    with pytest.raises(
        ConfigError,
        match=r'^board board-stm32f4: plugin = "classes" does not know the marker of machine '
        r"'netduinoplus2'; known: mps2-an385, .*, microbit$",
    ):
        start("stm32f4", plugin="classes")


def test_a_later_qemu(start, monkeypatch):
    monkeypatch.setattr(_tcg_plugin, "_version", lambda _: "10.0.2")
    with pytest.raises(ConfigError) as caught:
        start("mps2-an386", plugin="classes")
    assert str(caught.value) == (
        'board board-mps2-an386: plugin = "classes" is for QEMU before 9.0 and this is 10.0.2; '
        "remove it from emulator_args"
    )


def test_no_compiler(start, monkeypatch):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "gcc" else which(name))
    with pytest.raises(ToolMissingError) as caught:
        start("mps2-an386", plugin="classes")
    assert str(caught.value) == (
        'gcc is not installed and plugin = "classes" needs it; '
        "install it with: apt-get install gcc libc6-dev"
    )


def test_built_once_for_a_version_of_qemu(start, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a,b"))  # QEMU takes a comma for the end
    built = []
    for version in ("7.2.0", "7.2.0", "7.2.1"):
        monkeypatch.setattr(_tcg_plugin, "_version", lambda _, version=version: version)
        start("mps2-an386", plugin="classes")
        built.append(len(list((tmp_path / "a,b").glob(f"hilbench/*/{_tcg_plugin.LIBRARY}"))))
    assert built == [1, 1, 2]


def test_a_qemu_that_wants_another_api_says_so(start, monkeypatch):
    other = (*_tcg_plugin._COMMAND, "-DHB_PLUGIN_API_VERSION=99")
    monkeypatch.setattr(_tcg_plugin, "_COMMAND", other)
    with pytest.raises(BoardError, match=r"has died \(exit status 1\), its last words: .*99"):
        start("mps2-an386", plugin="classes")


def test_what_is_no_qemu():
    with pytest.raises(
        BoardError,
        match=r"--version says 'Python .*' and no version; is it QEMU from your system\?$",
    ):
        _tcg_plugin._version(sys.executable)


LED = _tcg_plugin._MARKERS["mps2-an386"]
GPIO = _tcg_plugin._MARKERS["microbit"]


def stamp(instructions):
    return f"hilbench-tcg 0x1 {instructions} - 1 2 3 4 5 6 7 8 9"


def edges(board_id, lines, register):
    """Of a log that comes line by line."""
    reader = EdgeReader(board_id, register)
    for line in lines:
        reader.read([line])
    return reader.edges


def led(value, offset=0):
    return f"mps2_fpgaio_write MPS2 FPGAIO write: offset {offset:#x} data {value:#x} size 4"


def gpio(offset, value):
    return f"nrf51_gpio_write offset {offset:#x} value {value:#x}"


def timer(value):
    return f"cmsdk_apb_timer_read CMSDK APB timer read: offset 0x4 data {value:#x} size 4"


@pytest.mark.parametrize(
    ("register", "stores", "kinds"),
    [
        (LED, [led(0), led(1), led(2)], "rise fall"),
        (LED, [led(3), led(1), led(0)], "rise fall"),
        (GPIO, [gpio(0x50C, 8), gpio(0x508, 8)], "rise"),
        (GPIO, [gpio(0x508, 8), gpio(0x508, 16), gpio(0x50C, 8)], "rise fall"),
    ],
)
def test_an_edge_is_a_change_of_the_pin(register, stores, kinds):
    lines = [line for n, store in enumerate(stores) for line in (store, stamp(n))]
    assert [e.kind for e in edges("b", lines, register)] == kinds.split()


def test_a_store_elsewhere_in_the_device_is_none():
    lines = [led(1, offset=4), led(1), stamp(7)]
    (edge,) = edges("b", lines, LED)
    assert (edge.kind, edge.instructions, edge.modelled_cycles) == ("rise", 7, None)
    assert edge.classes == dict(zip(CLASSES, range(1, 10), strict=True))


def test_sleep_is_what_the_counter_saw_beyond_the_instructions():
    """The timer of an MPS2 counts down at 25 MHz, 40 ns a tick; an instruction takes 64 ns."""
    awake = [led(1), stamp(1000), timer(5), timer(0xFFFFFF00), led(0), stamp(2000)]
    asleep = [led(1), stamp(3000), timer(10), timer(0x80000000), timer(6), led(0), stamp(3100)]
    still_up = [timer(6), led(1), stamp(4000)]
    found = list(edges("b", [*awake, *asleep, *still_up], LED))
    assert [edge.ticks for edge in found] == [0, 5 + 0x100, 0, (1 << 32) + 4, 0]
    times = list(device_time(found, 64e-9, 25_000_000))
    assert [(edge.high, edge.asleep) for edge in times] == [
        (True, False), (False, False), (True, True), (False, False), (True, False),
    ]  # fmt: skip
    pulse_s = ((1 << 32) + 4) / 25e6
    expected_s = (64e-6, 128e-6, 192e-6, 192e-6 + pulse_s, 192e-6 + pulse_s + 900 * 64e-9)
    assert [edge.t_s for edge in times] == pytest.approx(expected_s, rel=1e-12)


@pytest.mark.parametrize("lines", [[stamp(1)], [led(1), stamp(1), stamp(2)], ["?"]])
def test_a_log_that_is_not_understood(lines):
    with pytest.raises(
        BoardError,
        match=r"^board b: QEMU's log has '.*' where a marker edge is expected; "
        r"report this with QEMU's version$",
    ):
        list(edges("b", lines, LED))
