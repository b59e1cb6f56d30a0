"""Marker edges in host time: what an emulated meter listens to."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from hilbench.drivers.emulators import simavr
from hilbench.drivers.emulators._host_edges import HostEdges
from hilbench.protocol.messages import Hello, Idle, IdleDone
from hilbench.records import BoardConfig, Edge
from tests.drivers.emulators.emulated_line import TIMEOUT_S, image_or_skip
from tests.drivers.emulators.uno_programs import tools_or_skip

SESSION = 0x5151
IDLES_US = (30_000, 7_000)
NS_PER_US = 1000


def in_host_time(board):
    """The edges as another process reads them: by path. In every pulse the board goes to sleep."""
    lines = [line.split(maxsplit=1) for line in Path(board.edges_path).read_text().splitlines()]
    assert [state for _, state in lines] == ["1", "1 idle", "0"] * (len(lines) // 3)
    times = [int(ns) for ns, _ in lines]
    assert times == sorted(times)
    return [(int(ns), int(state)) for ns, state in lines if state != "1 idle"]


def idle_marked(wire):
    """Two marked pauses; return for each when it was asked for and over, on the host's clock."""
    wire.hello()
    wire.ask(Hello(), SESSION, 1)
    seen = []
    for number, duration_us in enumerate(IDLES_US):
        asked_ns = time.monotonic_ns()
        assert isinstance(wire.ask(Idle(duration_us, 1), SESSION, 2 + number), IdleDone)
        seen.append((asked_ns, time.monotonic_ns()))
    wire.ask(Idle(1000, 0), SESSION, 9)  # not marked
    return seen


def start_uno(pace="realtime"):
    tools_or_skip("gcc", "avr-gcc")
    arguments = (("pace", pace), ("reset_on_open", "no"))
    return simavr.start(BoardConfig("uno", "atmega328p", emulator_args=arguments), TIMEOUT_S)


def test_a_process_tells_its_edges_as_they_happen(start, line):
    board = start("posix")
    wire = line(board)
    board.flash(image_or_skip("posix"))
    seen = idle_marked(wire)
    edges = in_host_time(board)
    assert [level for _, level in edges] == [1, 0, 1, 0]
    pulses = zip(edges[::2], edges[1::2], strict=True)
    for (asked_ns, over_ns), duration_us, (rise, fall) in zip(seen, IDLES_US, pulses, strict=True):
        assert asked_ns < rise[0] <= fall[0] - duration_us * NS_PER_US < fall[0] < over_ns
    own = board.marker_edges()
    assert [edge.high for edge in own] == [edge.asleep for edge in own] == [True, False] * 2
    assert own[0].t_s > 0
    assert own[3].t_s - own[0].t_s == pytest.approx((edges[3][0] - edges[0][0]) / 1e9, abs=1e-9)
    board.stop()
    assert board.marker_edges() == own


def test_a_process_that_is_ended_lets_go_of_its_pin(start):
    board = start("posix")
    board.flash(image_or_skip("posix"))
    board._process.stop()
    with Path(board.edges_path).open("ab") as file:
        file.write(b"%d 1\n" % time.monotonic_ns())
    board.reset()
    rise, fall = board.marker_edges()
    assert (rise.high, fall.high) == (True, False)
    assert rise.t_s < fall.t_s


@pytest.mark.bench
def test_a_paced_chip_tells_its_edges_when_they_are_due(line):
    board = start_uno()
    try:
        wire = line(board)
        board.flash(image_or_skip("atmega328p"))
        seen = idle_marked(wire)
        edges, own = in_host_time(board), board.marker_edges()
        late_ns = board.status().late_us * NS_PER_US
    finally:
        board.stop()
    assert [level for _, level in edges] == [1, 0, 1, 0]
    assert [edge.high for edge in own] == [edge.asleep for edge in own] == [True, False] * 2
    # Host and chip agree but for what was given up because the host was late.
    cycles = [round(edge.t_s * simavr.CLOCK_HZ) for edge in own]
    shifts_ns = [ns - cycle * 62.5 for (ns, _), cycle in zip(edges, cycles, strict=True)]
    assert all(-1 <= b - a <= late_ns + 1 for a, b in pairwise(shifts_ns))
    for (_, over_ns), rise, fall in zip(seen, edges[::2], edges[1::2], strict=True):
        assert rise[0] < fall[0] < over_ns
    assert board.marker_edges() == own  # also when it has stopped


@pytest.mark.bench
def test_a_chip_that_runs_free_is_not_in_host_time(line):
    board = start_uno(pace="free")
    try:
        assert board.edges_path is None
        wire = line(board)
        board.flash(image_or_skip("atmega328p"))
        idle_marked(wire)
        rises = board.marker_edges()[::2]
    finally:
        board.stop()
    assert [rise.high for rise in rises] == [True, True]


def test_half_a_line_is_no_edge():
    edges = HostEdges()
    path = Path(edges.path)
    with path.open("ab") as file:
        file.write(b"1000 1\n1500 1 idle\n2000 0\n30")
    read = (Edge(0.5e-6, high=True, asleep=True), Edge(1.5e-6, high=False))
    assert edges.read(500) == read
    edges.lower(9)  # low already
    assert path.read_bytes().endswith(b"30")
    edges.close()
    edges.close()
    assert edges.read(500) == read
