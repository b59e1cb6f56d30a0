"""hilbench meter as a person runs it, against an emulated PPK2 in a process of its own."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys

import pytest

from hilbench.drivers.emulated_meters._process import MeterProcess
from hilbench.recordings import load_evidence

pytestmark = pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs util-linux")

SUPPLIED = ("--supply", "3.3", "--supplies", "--supply-max", "3.6")
LIMIT_S = 60


@pytest.fixture(scope="module")
def ppk2():
    """5 mA, 12 mA for 5 ms of 20, through 100 us: 60 uC and 198 uJ in each pulse of D0."""
    meter = MeterProcess("ppk2", "desk", ["--square-ms", "20", "5", "--tail-us", "100"], 10.0)
    yield meter
    meter.stop()


def command(*args):
    return [sys.executable, "-m", "hilbench", "meter", *map(str, args)]


def run(*args):
    return subprocess.run(
        command(*args), check=False, capture_output=True, text=True, timeout=LIMIT_S
    )


def on(ppk2, *args):
    return ("--driver", "ppk2", "--port", ppk2.address, *args)


def obeyed(ppk2, since):
    """Return what the meter was told to do with the supply after ``since`` notes."""
    notes = ppk2.log().notes[since:]
    return [n for n in notes if n.startswith("0c") or n == "power off"]


def test_identify_powers_nothing(ppk2):
    since = len(ppk2.log().notes)
    done = run("identify", *on(ppk2))
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^model +PPK2.*EMULATED: a program, no instrument", done.stdout)
    assert re.search(r"^calibration +plausible; sha256 [0-9a-f]{16}$", done.stdout, re.MULTILINE)
    assert re.search(r"^logic inputs +D0 D1 D2 D3 D4 D5 D6 D7$", done.stdout, re.MULTILINE)
    assert "0c 01" not in obeyed(ppk2, since)


def test_capture_and_decode_give_what_was_injected(ppk2, tmp_path):
    path = tmp_path / "t.npz"
    since = len(ppk2.log().notes)
    done = run("capture", *on(ppk2, *SUPPLIED, "--duration", "1.5", "-o", path))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].endswith("EMULATED: supplies the board with 3.3 V")
    live = [line for line in lines if re.match(r"t [0-9.]+ of 1.5 s  current .* mA  power ", line)]
    assert live
    power = obeyed(ppk2, since)
    assert "0c 01" in power
    assert power[-1] in {"0c 00", "power off"}
    decoded = run("decode", path, "--marker", "D0", "--json")
    assert (decoded.returncode, decoded.stderr) == (0, "")
    found = json.loads(decoded.stdout)
    assert found["duration_s"] >= 1.5
    windows = [w for w in found["windows"] if w["lost"] == 0]
    assert len(windows) > 50
    charges = [w["charge_c"] for w in windows]
    (injected,) = {round(w.charge_c, 12) for w in ppk2.truth() if w.charge_c > 50e-6}
    assert injected == pytest.approx(60e-6, rel=1e-6)
    # Noiseless: half a code of 49 uA is 0.2 % of 12 mA, whatever is averaged.
    assert sum(charges) / len(charges) == pytest.approx(injected, rel=3e-3)
    assert any("corrected for the tail" in remark for remark in found["remarks"])
    tail = next(r for r in found["remarks"] if "corrected" in r)
    assert float(re.search(r"time constant (\S+) us", tail)[1]) == pytest.approx(100, rel=0.02)


def test_ctrl_c_switches_the_supply_off_and_keeps_the_data(ppk2, tmp_path):
    path = tmp_path / "t.npz"
    since = len(ppk2.log().notes)
    with subprocess.Popen(
        command("capture", *on(ppk2, *SUPPLIED, "-o", path)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        seen = []
        while not (seen and seen[-1].startswith("t ")):
            line = process.stdout.readline()
            assert line, process.stderr.read()
            seen.append(line)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, err) == (130, "")
    assert out.splitlines()[-1] == "interrupted: the capture was ended, what it had is saved"
    assert "supply: off\n" in out
    assert obeyed(ppk2, since)[-1] in {"0c 00", "power off"}
    assert load_evidence(path).end.samples > 0


def test_a_pipe_that_closes_loses_no_data(ppk2, tmp_path):
    path = tmp_path / "t.npz"
    argv = command("capture", *on(ppk2, *SUPPLIED, "--duration", "1.5", "-o", path))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(LIMIT_S)
    assert (process.returncode, err) == (0, b"")
    assert load_evidence(path).end.samples > 0


def test_a_reader_of_figures_that_leaves_does_not_cost_the_export(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("current_ma\n" + "2\n" * 100)
    argv = command("decode", table, "--rate", "1000", "--supply", "3", "-o", tmp_path / "t.npz")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        err = process.stderr.read()
        process.wait(LIMIT_S)
    assert err == b""
    assert load_evidence(tmp_path / "t.npz").end.samples == 100


def test_unplugged(tmp_path):
    path = tmp_path / "t.npz"
    meter = MeterProcess("ppk2", "desk", ["--fault", "unplug:at=120000"], 10.0)
    try:
        done = run("capture", *on(meter, *SUPPLIED, "--duration", "30", "-o", path))
    finally:
        meter.stop()
    assert done.returncode == 3
    assert re.fullmatch(r"hilbench: PPK2 at \S+ .*\n", done.stderr), done.stderr
    assert not path.exists()


def test_a_voltage_that_the_meter_cannot_set(ppk2):
    since = len(ppk2.log().notes)
    done = run("capture", *on(ppk2, "--supply", "6", "--supplies", "--supply-max", "7"))
    assert done.returncode == 2
    assert "supply_v 6 V is out of its limits, 0.8 V to 5 V" in done.stderr
    assert "0c 01" not in obeyed(ppk2, since)
