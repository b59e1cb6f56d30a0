"""How an emulated meter is started, fed, asked and ended, and what it says when that fails."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time

import psutil
import pytest

from hilbench.drivers.emulated_meters import ppk2
from hilbench.drivers.emulated_meters._faults import parse
from hilbench.errors import ConfigError, MeterError, UsageError
from hilbench.records import BoardConfig
from tests.drivers.emulated_meters.conftest import DEADLINE_S, RawClient, board


def dies(meter):
    """Wait for the sentence with which it dies."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        try:
            meter.truth()
        except MeterError as error:
            return str(error)
    raise AssertionError("it lives")


def test_truth_is_told_window_by_window(start, edges, connect):
    meter = start(board(idle_ma=2.0, active_ma=9.0))
    client = connect(meter)
    client.send("0d0bb8", "0c01", "19")
    client.text()
    edges.zero(in_ms=10)
    edges.window(0, 10)
    edges.window(20, 50, idle=True)
    end = time.monotonic() + DEADLINE_S
    while len(windows := meter.truth()) < 2:
        assert time.monotonic() < end
    work, idle = windows
    assert work.charge_c == pytest.approx(9e-3 * 0.010, rel=1e-7)
    assert work.energy_j == pytest.approx(3.0 * 9e-3 * 0.010, rel=1e-7)
    assert idle.charge_c == pytest.approx(2e-3 * 0.030, rel=1e-7)
    assert work.start_s == pytest.approx(edges.zero_ns * 1e-9, abs=1e-6)
    assert idle.end_s - work.start_s == pytest.approx(0.050, abs=1e-6)


def test_a_late_edge_is_fatal(start, edges, connect):
    meter = start(board(), "--delay-ms", "20")
    client = connect(meter)
    client.send("06")
    client.words(10_000)
    edges.line(time.monotonic_ns() - 90_000_000, "1")
    sentence = dies(meter)
    assert sentence.startswith(
        "board bench: the emulated ppk2 has died (exit status 3): edge came "
    )
    assert sentence.endswith(
        " ms late, limit 20 ms: its samples were sent without it; the computer is too busy for a "
        "board in real time, stop other programs and run again"
    )
    assert float(sentence.split("came ")[1].split()[0]) >= 90


def test_an_old_edge_before_the_stream_is_not_late(start, edges, connect):
    edges.line(time.monotonic_ns() - 5_000_000_000, "1")
    client = connect(start())
    client.send("06")
    assert set((client.words(2000) >> 24).tolist()) == {1}


def test_lines_that_are_no_edges(start, edges):
    meter = start()
    edges.line(1000, "2")
    assert dies(meter).endswith(
        f"{edges.path} line 1: '1000 2' is no marker edge; "
        'write "<CLOCK_MONOTONIC ns> <0|1>[ idle]"'
    )


def test_time_does_not_go_back(start, edges):
    meter = start()
    edges.line(1000, "1")
    edges.line(990, "0")
    assert dies(meter).endswith(
        f"{edges.path} line 2: time goes back by 10 ns; write edges in the order of their times"
    )


def test_half_a_line_waits_for_its_rest(start, edges):
    meter = start()
    now = time.monotonic_ns()
    with edges.path.open("a") as file:
        file.write(f"{now} 1\n{now + 1_000_000}")
        file.flush()
        assert meter.truth() == ()
        file.write(" 0\n")
    end = time.monotonic() + DEADLINE_S
    while not (windows := meter.truth()):
        assert time.monotonic() < end
    assert windows[0].end_s - windows[0].start_s == pytest.approx(1e-3, abs=1e-7)


def test_a_killed_meter_says_so(start):
    meter = start()
    os.kill(meter.pid, 9)
    with pytest.raises(MeterError) as caught:
        meter.truth()
    assert str(caught.value) == (
        "board bench: the emulated ppk2 has died (killed by SIGKILL): without a word; start it again"
    )


def test_stop_twice_leaves_nothing(start):
    meter = start()
    address, pid = meter.address, meter.pid
    meter.stop()
    meter.stop()
    assert not psutil.pid_exists(pid)
    assert not pathlib.Path(address).exists()
    with pytest.raises(MeterError, match="has died"):
        meter.truth()


def test_it_dies_with_its_parent():
    program = (
        "import os\n"
        "from hilbench.drivers.emulated_meters import ppk2\n"
        "from tests.drivers.emulated_meters.conftest import board\n"
        "print(ppk2.start(board(), None, 30).pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], check=False, stdout=subprocess.PIPE, text=True
    )
    pid = int(run.stdout)
    if psutil.pid_exists(pid):
        psutil.Process(pid).wait(DEADLINE_S)
    assert not psutil.pid_exists(pid)


def test_it_runs_by_itself():
    argv = [sys.executable, "-m", "hilbench.drivers.emulated_meters.ppk2", "--square-ms", "4", "1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            client = RawClient(process.stdout.readline().strip())
            client.send("06")
            pin = client.words(4000) >> 24
            assert 900 <= int(pin.sum()) <= 1100
            client.close()
        finally:
            process.terminate()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gp:at=1", "no fault 'gp'; known: gap, gaps"),
        ("gap:to=1", "fault gap has no key 'to'; known: at, samples"),
        ("gap:at=x", "fault gap: at = 'x' is not a whole number"),
        ("gaps:within=9", "10 gaps of up to 200 samples need within >= 4000 samples"),
    ],
)
def test_faults_that_are_none(text, sentence):
    with pytest.raises(UsageError) as caught:
        parse(text, ("gap", "gaps"))
    assert str(caught.value) == sentence


def test_a_command_line_that_makes_no_sense():
    with pytest.raises(MeterError) as caught:
        ppk2.start(board(), None, DEADLINE_S, ("--fault", "gap:to=1"))
    assert str(caught.value) == (
        "board bench: the emulated ppk2 has died (exit status 2): "
        "fault gap has no key 'to'; known: at, samples"
    )


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            BoardConfig("b", "posix", supply_v=3.0),
            "board b: an emulated meter needs to know [board.b.current] with idle_ma and active_ma; "
            "add it to boards.toml",
        ),
        (
            board(supply_v=None),
            "board bench: an emulated meter needs to know supply_v; add it to boards.toml",
        ),
        (
            board(marker="D8"),
            "board bench: meter.marker = 'D8' is no logic input of the PPK2; "
            "known: D0, D1, D2, D3, D4, D5, D6, D7",
        ),
        (
            board(active_ma=1200.0),
            "board bench: the PPK2 shows no more than 1000 mA, and the board draws 1200 mA; "
            "lower [board.bench.current]",
        ),
        (
            board(idle_ma=1.0, noise_ma=0.3),
            "board bench: noise_ma = 0.3 is more than a fifth of 1 mA, and the PPK2 shows no "
            "negative current, so the truth would not be what it shows; lower noise_ma",
        ),
    ],
)
def test_boards_that_it_cannot_measure(config, sentence):
    with pytest.raises(ConfigError) as caught:
        ppk2.start(config, None, DEADLINE_S)
    assert str(caught.value) == sentence
