"""hilbench gate as CI calls it: annotations, and noise that a policy allows."""

from dataclasses import replace
from pathlib import Path

import pytest

from hilbench.cli import main
from tests.gate.run_folders import write_run
from tests.runs import run_examples as ex

SLOW = (1020.0, 1020.0, 1020.0)
NOISY = (950.0, 1000.0, 1050.0)


@pytest.fixture
def gate(tmp_path, capsys, monkeypatch):
    """Gate a run with those changes in an empty folder with a baseline; exit code and stdout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    assert main(["baseline", "accept", "--run", str(write_run(Path("a"))), "--reason", "x"]) == 0
    capsys.readouterr()

    def run(*args, **changes):
        code = main(["gate", str(write_run(Path("b"), **changes)), *args])
        return code, capsys.readouterr().out.splitlines()

    return run


def test_annotations_come_last_and_name_the_line(gate):
    code, lines = gate("--annotate", "github", medians=SLOW)
    assert code == 1
    *_, headline, annotation = lines
    assert headline.startswith("FAIL: ")
    where, _, message = annotation.removeprefix("::error ").partition("::")
    found = dict(part.split("=") for part in where.split(","))
    assert found["file"] == "baselines/digits.toml"
    accepted = Path(found["file"]).read_text().split("\n")[int(found["line"]) - 1]
    assert accepted.startswith("latency_median = [2500.0, ")
    assert message.startswith("FAIL: +2.00 %25, surely worse")


def test_without_the_option_there_are_none(gate):
    _, lines = gate(medians=SLOW)
    assert not any(line.startswith("::") for line in lines)


def test_noise_alone_may_be_allowed_and_is_no_pass(gate):
    code, lines = gate("--allow-inconclusive", medians=NOISY)
    assert code == 0
    assert lines[-2].startswith("UNDECIDED: 1 INCONCLUSIVE")
    assert lines[-1] == "1 INCONCLUSIVE, allowed: exit code 0, and no PASS"


def test_noise_is_not_allowed_unasked(gate):
    assert gate(medians=NOISY)[0] == 4


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"medians": NOISY, "plan_bytes": 39000}, 1),  # a regression beside the noise
        ({"variants": ("mlp",)}, 4),  # missing
        ({"medians": NOISY, "board": replace(ex.BOARD, compiler="gcc 13.1")}, 4),  # stale
    ],
)
def test_nothing_but_noise_is_allowed(gate, changes, code):
    exit_code, lines = gate("--allow-inconclusive", **changes)
    assert exit_code == code
    assert not any("allowed" in line for line in lines)
