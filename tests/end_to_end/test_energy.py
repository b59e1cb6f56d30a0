"""Energy beside latency and accuracy in one row, against what the emulated boards were made to draw."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

import hilbench
from hilbench.bench import run_suite
from hilbench.bench.energy import EnergyRequest
from hilbench.drivers.emulators import simavr
from hilbench.measurement.power.energy import session_energy
from hilbench.measurement.power.integrate import sums
from hilbench.measurement.power.tail import Tail
from hilbench.recordings import load_evidence
from hilbench.runs import operators_frame, read_journal
from hilbench.runs.schema import SessionRecord
from tests.end_to_end.conftest import ZOO, need_image

pytestmark = pytest.mark.bench

FINE = EnergyRequest(target=0.0002)  # edges and noise far below the 0.1 % that is asked for


@pytest.fixture
def mlp(zoo):
    chosen = tuple(v for v in zoo.variants if v.name == "mlp_int8")
    return replace(zoo, variants=chosen, sessions=1, iterations=3)


@pytest.fixture
def m4(boards):
    need_image(boards["m4-energy"].firmware)
    return boards["m4-energy"]


@pytest.fixture
def uno(boards):
    need_image(boards["uno-ppk2"].firmware)
    if line := simavr.missing_tool():
        pytest.skip(line)
    for tool, package in (("avrdude", "avrdude"), ("setpriv", "util-linux")):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: apt-get install {package}")
    return boards["uno-ppk2"]


def measured(suite, board, results, energy=FINE):
    """Return folder, row of the frame and session records of a run without a fault."""
    outcome = run_suite(suite, [board], results=results, limit=6, energy=energy)
    assert [str(e) for e in outcome.errors] == []
    row = hilbench.load(outcome.folder).iloc[0]
    records = read_journal(outcome.folder).records
    return outcome.folder, row, [r for r in records if isinstance(r, SessionRecord)]


def inference_s(row, session):
    """By the device's own counter, as it is declared."""
    return row["latency_median"] / session.clock.per_tick / session.clock.counter_hz


def truth_uj(board, row, session):
    """Gross and net energy of an inference that the board was made to draw."""
    model, seconds = board.current, inference_s(row, session)
    gross = board.supply_v * model.active_ma * 1e3 * seconds
    return gross, gross - board.supply_v * model.idle_ma * 1e3 * seconds


@pytest.mark.qemu
def test_a_board_that_is_not_paced_is_measured_in_its_own_time(m4, mlp, tmp_path):
    folder, row, (session,) = measured(mlp, m4, tmp_path / "a")
    gross, net = truth_uj(m4, row, session)
    for name, true_uj in (("energy", gross), ("energy_net", net)):
        assert abs(row[f"{name}_uj"] - true_uj) < row[f"{name}_absolute_uj"]
        assert row[f"{name}_uj"] == pytest.approx(true_uj, rel=1e-3)
    assert row["energy_idle_ma"] == pytest.approx(m4.current.idle_ma, rel=1e-3)
    assert row["energy_tau_us"] == pytest.approx(m4.current.tail_us, abs=6 * row["energy_tau_u_us"])
    assert (row["agreement_tflm"], row["accuracy"]) == (1.0, row["reference_accuracy"])
    assert row["emulated"]
    assert row["energy_source"] == "synthetic"  # nobody measured a chip
    assert row["energy_meter"] == "device time (emulated)"
    assert (row["energy_marker"], row["energy_lost_samples"]) == ("gpio", 0)
    assert np.isnan(row["latency_us"])  # instructions are no time, whatever energy takes them for
    evidence_integrates_again(folder, row, session)

    # In another emulator the host is faster or slower, so that samples lie elsewhere: ticks are
    # equal, and energy is within what the row says of edges and noise (as a 6-sigma difference).
    whole = replace(FINE, full_trace=True)
    folder, again, (session,) = measured(mlp, m4, tmp_path / "b", whole)
    evidence_integrates_again(folder, again, session)
    for column in ("latency_median", "energy_windows", "energy_inferences", "accuracy"):
        assert again[column] == row[column]
    u = np.hypot(row["energy_u_edges_uj"], row["energy_u_type_a_uj"])
    assert again["energy_uj"] == pytest.approx(row["energy_uj"], abs=6 * np.sqrt(2) * u)


def evidence_integrates_again(folder, row, session):
    """The file that the journal names gives the energy in the row."""
    (name,) = (f for f in session.files if f.startswith("energy/"))
    assert name == f"energy/{session.board}/mlp_int8-1.npz"
    evidence = load_evidence(folder / name)
    tail = Tail(row["energy_tau_us"] * 1e-6, row["energy_tau_u_us"] * 1e-6)
    again = session_energy(
        sums(evidence, evidence.windows, tail),
        evidence.spec,
        evidence.setup,
        marker_each=row["energy_restore"] == "outside",
        synthetic=evidence.identity.emulated,
    )
    evidence.close()
    assert again.gross.energy_uj == pytest.approx(row["energy_uj"], rel=1e-9)
    assert again.net.energy_uj == pytest.approx(row["energy_net_uj"], rel=1e-9)


@pytest.mark.qemu
def test_operators_have_the_energy_of_their_time(m4, tmp_path):
    x = np.load(ZOO / "vectors.npz")["x"][:5]
    row = hilbench.measure(
        ZOO / "mlp_int8.tflite",
        m4,
        (x, None),
        metric="none",
        sessions=1,
        results=tmp_path,
        energy=EnergyRequest(operators=True, target=0.01),
    )
    assert re.search(r" needs n >= \d for 1 %", row["energy_plan"])
    (folder,) = tmp_path.iterdir()
    operators = operators_frame(folder)
    assert len(operators) == 3
    gross_uj = row["energy_uj"] * operators["share_percent"] / 100
    long_enough = operators["energy_uj"].notna()  # the second has 160 multiplications
    assert long_enough.tolist() == [True, False, True]
    np.testing.assert_allclose(
        operators["energy_uj"][long_enough], gross_uj[long_enough], rtol=0.03
    )


def test_a_flashed_uno_at_a_live_ppk2(uno, mlp, tmp_path):
    folder, row, (session,) = measured(mlp, uno, tmp_path, EnergyRequest())
    gross, net = truth_uj(uno, row, session)
    assert abs(row["energy_uj"] - gross) < row["energy_absolute_uj"]
    assert abs(row["energy_net_uj"] - net) < row["energy_net_absolute_uj"]
    assert row["latency_us"] == pytest.approx(inference_s(row, session) * 1e6)
    assert (row["agreement_tflm"], row["accuracy"]) == (1.0, row["reference_accuracy"])
    assert (row["energy_lost_samples"], row["energy_marker"]) == (0, "gpio")
    # Crystals differ by 20 ppm; the pin is up to 20 us longer up than the counter runs.
    slack = 20e-6 / (row["energy_window_us"] * 1e-6) + 6 * row["energy_clock_ratio_u"]
    assert row["energy_clock_ratio"] == pytest.approx(1.0, abs=20e-6 + slack)
    assert row["energy_source"] == "synthetic"
    assert row["energy_meter"].startswith("PPK2")
    assert row["energy_meter"].endswith("(emulated)")
    assert row["energy_voltage"] == "set"
    assert len(row["energy_calibration_sha256"]) == 64
    evidence_integrates_again(folder, row, session)


def test_energy_of_mlperf_is_the_median_of_five_inputs(m4, mlp, tmp_path, monkeypatch):
    monkeypatch.setattr("hilbench.measurement.power.mlperf.MIN_WINDOW_S", 1.0)  # of 10: 13 s less
    _, row, (session,) = measured(mlp, m4, tmp_path, EnergyRequest(mlperf=True))
    assert row["energy_windows"] == 5
    assert row["energy_window_us"] >= 1e6
    # Gross of whole windows, restoring inputs included; inputs differ by some instructions.
    gross, _ = truth_uj(m4, row, session)
    restored = row["energy_uj"] + row["energy_restore_uj"]
    assert row["energy_mlperf_uj"] == pytest.approx(restored, rel=0.01)
    assert gross < row["energy_mlperf_uj"] < 1.1 * gross
    assert row["energy_plan"].startswith("MLPerf Tiny: 5 inputs, ")
    assert row["energy_plan"].endswith(" inferences each, at least 1 s; median, gross")


def sleeps_marked(pid):
    """Return whether the board of a run has been in a marked idle: only energy asks for that."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # it closes some of them now and then
            if "hilbench-edges" in str(link.readlink()):
                return b" idle" in link.read_bytes()
    return False


def wait_until(condition, process, deadline_s):
    until_s = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > until_s or process.poll() is not None:
            process.kill()
            pytest.fail(f"not so within {deadline_s} s: {process.communicate(timeout=5)}")
        time.sleep(0.02)


def test_interrupt_in_an_energy_session_leaves_nothing_behind(uno, boards_file, tmp_path):
    argv = [
        sys.executable, "-m", "hilbench", "run", str(ZOO / "mlp_int8.tflite"),
        *("--vectors", str(ZOO / "vectors.npz"), "--limit", "1", "--sessions", "50"),
        *("--iterations", "1", "--energy-target", "0.01%"),  # long windows
        *("--board", uno.id, "--boards", str(boards_file)),
    ]  # fmt: skip
    process = subprocess.Popen(
        argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_until(lambda: sleeps_marked(process.pid), process, 90)
    (journal,) = tmp_path.glob("results/*/journal.jsonl")
    children = psutil.Process(process.pid).children(recursive=True)
    assert any("emulated_meters.ppk2" in " ".join(c.cmdline()) for c in children)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "interrupted: boards are off; what was measured is in" in output.replace("\n", " ")
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    assert records[-1]["state"] == "interrupted"
    assert not [r for r in records if r["kind"] == "error"]
    assert hilbench.load(journal.parent).iloc[0]["board"] == uno.id
