"""docs/ci/hilbench.yml: its shell steps run here as GitHub runs them, on emulated boards."""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

import hilbench

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs/ci/hilbench.yml"
WORKFLOW = YAML(typ="safe").load(FILE)
DIGITS = ROOT / "hilbench/zoo/digits"
JOBS = tuple(WORKFLOW["jobs"])
QEMU = pytest.mark.skipif(
    shutil.which("qemu-system-arm") is None
    or not (ROOT / "device_firmware/build/mps2-an386").is_dir(),
    reason="needs qemu-system-arm and the ARM images",
)
SUITE = """\
schema = 1
[suite]
name = "digits"
sessions = 2
iterations = 2
[vectors.digits]
file = "vectors.npz"
[variant.mlp_int8]
model = "mlp_int8.tflite"
vectors = "digits"
"""
GATE = """\
schema = 1
[gate]
metrics = ["latency_median", "plan_bytes"]  # so that few vectors will do
[confirm]
sessions = 2
"""
STAND_INS = """\
schema = 1
[board.desk-m4]
firmware = "mps2-an386"
emulator = "qemu"
flasher = "emulator"
meter = "none"
[board.desk-nrf]
firmware = "mps2-an505"
emulator = "qemu"
flasher = "emulator"
meter = "none"
"""


def shell_steps(job):
    return {step["name"]: step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step}


class Checkout:
    """A user's repository with a suite of one small model."""

    def __init__(self, folder, path=Path(sys.executable).parent):
        self.folder = folder
        self.summary = folder.parent / f"{folder.name}-summary.md"
        self.env = {
            **os.environ,
            "PATH": f"{path}:{os.environ['PATH']}",
            "GITHUB_WORKSPACE": str(folder),
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }
        folder.mkdir()
        (folder / "suite.toml").write_text(SUITE)
        (folder / "gate.toml").write_text(GATE)
        shutil.copy(DIGITS / "mlp_int8.tflite", folder)
        vectors = np.load(DIGITS / "vectors.npz")
        np.savez(folder / "vectors.npz", x=vectors["x"][:10], y=vectors["y"][:10])

    def step(self, job, name, **env):
        """Run one; returns exit code and what it printed."""
        known = self.env | WORKFLOW["env"] | WORKFLOW["jobs"][job].get("env", {}) | env
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", shell_steps(job)[name]],
            cwd=self.folder, env=known, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def accept(self, baseline):
        subprocess.run(
            ["hilbench", "baseline", "accept", "--baseline", baseline, "--reason", "first"],
            cwd=self.folder, env=self.env, check=True, capture_output=True,
        )  # fmt: skip
        return self.folder / baseline


def exits(folder, code):
    """Make a hilbench that does nothing else; returns its folder, for PATH."""
    tools = folder / "bin"
    tools.mkdir()
    (tools / "hilbench").write_text(f'#!/bin/sh\necho "$@" >>{folder}/called\nexit {code}\n')
    (tools / "hilbench").chmod(0o755)
    return tools


def test_the_page_shows_the_file():
    page = (ROOT / "docs/ci.md").read_text()
    assert f"```yaml\n{FILE.read_text()}```" in page


@pytest.mark.parametrize("job", JOBS)
def test_each_job_installs_this_version_and_what_outputs_are_compared_with(job):
    assert f"/hilbench-{hilbench.__version__}-py3-" in WORKFLOW["env"]["HILBENCH"]
    assert WORKFLOW["env"]["ORACLE"] == "tflite-micro"
    assert shell_steps(job)["Install"].count('pip install "$HILBENCH" "$ORACLE"') == 1


@pytest.mark.parametrize("job", JOBS)
def test_no_step_puts_an_expression_into_a_script(job):
    """A branch's name could be a command."""
    assert WORKFLOW["defaults"]["run"]["shell"] == "bash"
    assert not [name for name, script in shell_steps(job).items() if "${{" in script]


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    ("code", "annotation"),
    [
        (0, None),
        (1, "::error title=Wrong outputs::"),
        (2, "::error title=Configuration::"),
        (3, {"emulated": "::error title=Could not measure::", "bench": "::error title=Bench::"}),
        (130, "::error title=Stopped::hilbench run ended with 130"),
    ],
)
def test_measure_says_by_cause_why_it_failed(tmp_path, job, code, annotation):
    expected = annotation[job] if isinstance(annotation, dict) else annotation
    exit_code, said = Checkout(tmp_path / "repo", exits(tmp_path, code)).step(job, "Measure")
    assert exit_code == code
    assert said.startswith(expected) if expected else said == ""


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4])
def test_the_benchs_gate_ends_as_the_gate_does(tmp_path, code):
    checkout = Checkout(tmp_path / "repo", exits(tmp_path, code))
    (checkout.folder / "results/20260101-000000-digits").mkdir(parents=True)
    exit_code, said = checkout.step("bench", "Gate", ALLOW_INCONCLUSIVE="")
    assert exit_code == code
    assert said.startswith("::error title=") == (code in {2, 3})
    assert checkout.step("bench", "Gate", ALLOW_INCONCLUSIVE="yes")[0] == code
    on_main, on_pull_request = (tmp_path / "called").read_text().splitlines()
    assert on_main.startswith("gate results/20260101-000000-digits --baseline baselines/bench.toml")
    assert on_pull_request == f"{on_main} --allow-inconclusive"


def test_boards_that_are_there_are_no_news(tmp_path):
    checkout = Checkout(tmp_path / "repo", exits(tmp_path, 0))
    assert checkout.step("bench", "Boards are there") == (0, "")


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    """After the step Measure of the emulated job."""
    checkout = Checkout(tmp_path_factory.mktemp("emulated") / "repo")
    code, said = checkout.step("emulated", "Measure")
    assert code == 0, said
    return checkout


@QEMU
@pytest.mark.qemu
def test_the_emulated_job(emulated):
    baseline = emulated.accept("baselines/emulated.toml")
    code, said = emulated.step("emulated", "Gate")
    assert code == 0, said
    assert "::" not in said

    wrong, changed = re.subn(
        r"plan_bytes = \d+", "plan_bytes = 1600", baseline.read_text(), count=1
    )
    assert changed == 1
    baseline.write_text(wrong)
    code, said = emulated.step("emulated", "Gate")
    assert code == 1
    line = wrong.split("\n").index("plan_bytes = 1600") + 1
    assert (
        f"\n::error file=baselines/emulated.toml,line={line},"
        "title=FAIL m33[mlp_int8]%3A%3Aplan_bytes::FAIL: "
    ) in said

    code, said = emulated.step("emulated", "Report")
    assert code == 0, said
    assert "FAIL | m33\\[mlp\\_int8\\]::plan\\_bytes |" in emulated.summary.read_text()
    failed = ET.parse(emulated.folder / "junit.xml").findall(".//failure/..")
    assert [case.get("name") for case in failed] == ["m33[mlp_int8]::plan_bytes"]
    assert "m33" in (emulated.folder / "report.html").read_text()


def test_the_bench_job_fails_where_a_board_is_absent(tmp_path):
    checkout = Checkout(tmp_path / "repo")
    boards = tmp_path / "boards.toml"
    boards.write_text(
        'schema = 1\n[board.desk-m4]\nfirmware = "stm32l4"\nmeter = "none"\n'
        'serial = { vid = "ffff", pid = "ffff", serial_number = "none" }\n'
        'flasher = { tool = "command", command = ["true"] }\n'
        '[board.desk-nrf]\nfirmware = "nrf52840"\nmeter = "none"\n'
        'serial = { vid = "ffff", pid = "ffff", serial_number = "none" }\n'
        'flasher = { tool = "command", command = ["true"] }\n'
    )
    code, said = checkout.step("bench", "Boards are there", BOARDS=str(boards))
    assert code == 3
    assert "not plugged in" in " ".join(said.split())
    assert said.endswith(
        "::error title=Bench::a board is absent or unfit; the log says which and what to do\n"
    )


@QEMU
@pytest.mark.qemu
def test_the_bench_job(tmp_path):
    """On emulated boards with the names of the bench's."""
    checkout = Checkout(tmp_path / "repo")
    boards = tmp_path / "boards.toml"
    boards.write_text(STAND_INS)
    env = {"BOARDS": str(boards), "ALLOW_INCONCLUSIVE": "yes"}
    code, said = checkout.step("bench", "Measure", **env)
    assert code == 0, said
    baseline = checkout.accept("baselines/bench.toml")
    lines = baseline.read_text().split("\n")
    at = next(k for k, line in enumerate(lines) if line.startswith("latency_median = "))
    lines[at] = f"latency_median = {[2000.0] * 6}"
    baseline.write_text("\n".join(lines))

    code, said = checkout.step("bench", "Gate", **env)
    assert code == 1, said
    assert f"::error file=baselines/bench.toml,line={at + 1},title=FAIL desk-m4" in said
    assert len(list(checkout.folder.glob("confirmed/*/journal.jsonl"))) == 1
    assert len(list(checkout.folder.glob("results/*/journal.jsonl"))) == 1
    assert shell_steps("bench")["Report"] == shell_steps("emulated")["Report"]  # which ran above
