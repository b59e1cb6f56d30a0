"""An interrupted run goes on in its own folder: only what is missing, only as the same run."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hilbench
from hilbench.bench import run_suite
from hilbench.errors import BoardError, ModelError, StoreError, UsageError
from hilbench.runs import read_journal
from hilbench.runs.journal import JOURNAL, Journal
from hilbench.runs.provenance import resumed
from hilbench.runs.schema import ResumedRecord
from tests.bench.synthetic_bench import BOARDS, CELLS, SUITE, SyntheticBench

ROOT = Path(__file__).parents[2]
ALL = {(board, variant, n) for board, variant in CELLS for n in (1, 2, 3)}
POINTS = 210


@pytest.fixture
def bench(monkeypatch):
    return SyntheticBench(monkeypatch.setattr)


def cut(folder, lines):
    """What a kill after so many records leaves."""
    journal = folder / JOURNAL
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:lines]))
    (folder / "SHA256SUMS").unlink()


@pytest.fixture
def killed(bench, tmp_path):
    """One board after the other, so that lines come in one order; killed after 2 sessions."""
    outcome = run_suite(SUITE, BOARDS[:1], results=tmp_path)
    cut(outcome.folder, 5)
    bench.measured.clear()
    return outcome.folder


def resume(folder, **changes):
    arguments = {"suite": SUITE, "boards": BOARDS[:1]} | changes
    return run_suite(
        arguments.pop("suite"), arguments.pop("boards"), results=folder.parent, resume=folder,
        **arguments,
    )  # fmt: skip


def test_only_missing_sessions_are_measured(bench, killed):
    before = (killed / JOURNAL).read_bytes()
    outcome = resume(killed)
    assert (outcome.folder, outcome.errors, outcome.exit_code) == (killed, (), 0)
    assert bench.measured == [
        ("m4", "int8", 3), ("m4", "fp32", 1), ("m4", "fp32", 2), ("m4", "fp32", 3)
    ]  # fmt: skip
    assert (killed / JOURNAL).read_bytes().startswith(before)
    frame = hilbench.load(killed)
    assert list(frame["sessions"]) == [3, 3]
    assert list(frame["state"]) == ["complete", "complete"]
    assert list(frame["error"]) == ["", ""]
    (record,) = [r for r in read_journal(killed).records if isinstance(r, ResumedRecord)]
    assert record.hilbench == hilbench.__version__
    assert record.resumed_utc >= read_journal(killed).provenance.started_utc
    kinds = [r.KIND for r in read_journal(killed).records]
    assert kinds.count("board") == 1
    assert kinds.count("variant") == 2


def test_ctrl_c_then_resume(bench, tmp_path):
    def interrupt(board, variant, number):
        if (board, variant, number) == ("m4", "fp32", 2):
            bench.on_session = lambda *_: None
            raise KeyboardInterrupt  # the main thread raises what a board's thread died of

    bench.on_session = interrupt
    outcome = run_suite(SUITE, BOARDS, results=tmp_path)
    assert outcome.interrupted
    assert set(hilbench.load(outcome.folder)["state"]) == {"interrupted"}
    assert (outcome.folder / "SHA256SUMS").exists()  # sealed, and resumed all the same
    assert resume(outcome.folder, boards=BOARDS).exit_code == 0
    assert sorted(bench.measured) == sorted(ALL)
    assert set(hilbench.load(outcome.folder)["state"]) == {"complete"}


def test_torn_line_is_cut_off_and_kept_in_the_record(killed):
    with (killed / JOURNAL).open("ab") as file:
        file.write(b'{"kind": "session", "boa')
    assert resume(killed).exit_code == 0
    contents = read_journal(killed)
    (record,) = [r for r in contents.records if isinstance(r, ResumedRecord)]
    assert record.torn == '{"kind": "session", "boa'
    assert contents.torn is None


def test_record_that_lacks_only_its_newline_is_kept(bench, killed):
    journal = killed / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-1])
    assert resume(killed).exit_code == 0
    assert bench.measured[0] == ("m4", "int8", 3)
    assert list(hilbench.load(killed)["sessions"]) == [3, 3]


def test_what_failed_stays_failed(bench, tmp_path):
    def fail(board, variant, number):
        if variant == "int8" and number == 2:
            raise ModelError("no memory")
        if variant == "fp32":
            raise BoardError("gone")

    bench.on_session = fail
    folder = run_suite(SUITE, BOARDS[:1], results=tmp_path).folder
    cut(folder, 5)  # after the error of int8
    assert read_journal(folder).records[-1].KIND == "error"
    bench.on_session = lambda *_: None
    outcome = resume(folder)
    assert [s for s in bench.measured if s[1] == "int8"] == [("m4", "int8", 1)]
    assert outcome.exit_code == ModelError.exit_code  # as the run would have had
    assert list(hilbench.load(folder)["error"]) == ["ModelError: no memory", ""]


def test_wrong_outputs_fail_no_session(bench, killed):
    """They are an error of a session that was measured: its cell goes on."""
    journal = killed / JOURNAL
    error = {"kind": "error", "board": "m4", "variant": "int8", "session": 2,
             "type": "OutputMismatchError", "sentence": "differ", "exit_code": 1}  # fmt: skip
    with journal.open("a") as file:
        file.write(json.dumps(error) + "\n")
    assert resume(killed).exit_code == 1
    assert bench.measured[0] == ("m4", "int8", 3)


def changed_model(bench):
    bench.model_sha256 = "d2"


def changed_image(bench):
    bench.image_sha256 = "c2"


def changed_labels(bench):
    bench.labels = np.arange(2) + 1


@pytest.mark.parametrize(
    ("change", "arguments", "sentence"),
    [
        (changed_model, {}, "model of variant int8 was d1, is now d2"),
        (changed_image, {}, "image of board m4 was c1, is now c2"),
        (changed_labels, {}, "vectors of variant int8 was [0-9a-f]{12}…, is now [0-9a-f]{12}…"),
        (None, {"suite": replace(SUITE, sessions=4)}, "sessions was 3, is now 4"),
        (None, {"suite": replace(SUITE, warm_up=2)}, "warm-up was 1, is now 2"),
        (None, {"suite": replace(SUITE, name="b")}, "suite was synthetic, is now b"),
        (None, {"suite": replace(SUITE, variants=SUITE.variants[:1])}, "variants was int8, fp32, is now int8"),
        (None, {"boards": BOARDS}, "boards was m4, is now m4, m7"),
        (None, {"boards": [replace(BOARDS[0], supply_v=3.0)]}, "table of board m4 was [0-9a-f]{12}…, is now [0-9a-f]{12}…"),
        (None, {"limit": 1}, "limit was all, is now 1"),
        (None, {"abba": ("int8", "fp32")}, "abba was none, is now int8 fp32"),
    ],
)  # fmt: skip
def test_another_run_is_refused(bench, killed, change, arguments, sentence):
    before = (killed / JOURNAL).read_bytes()
    if change is not None:
        change(bench)
    expected = f"^run {killed.name}: {sentence}; restore it, or start a new run$"
    with pytest.raises(UsageError, match=expected):
        resume(killed, **arguments)
    assert (killed / JOURNAL).read_bytes() == before
    assert bench.measured == []


def test_a_moved_boards_file_is_the_same_board(killed):
    moved = replace(BOARDS[0], source="/elsewhere/boards.toml", notes="on the left", tags=("lab",))
    assert resume(killed, boards=[moved]).exit_code == 0


def test_another_board_answers(bench, killed):
    bench.chip = "cortex-m7"
    outcome = resume(killed)
    assert [str(e) for e in outcome.errors] == [
        "board m4: chip was 'cortex-m4', is now 'cortex-m7'; resume with what the run was started "
        "with, or start a new run"
    ]
    assert (outcome.exit_code, bench.measured) == (3, [])
    bench.chip = "cortex-m4"  # the right one is found again
    assert resume(killed).exit_code == 0
    assert list(hilbench.load(killed)["sessions"]) == [3, 3]


def refused(error, sentence, folder, **changes):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        resume(folder, **changes)


def test_complete_run_is_refused(bench, tmp_path):
    folder = run_suite(SUITE, BOARDS[:1], results=tmp_path).folder
    refused(
        UsageError,
        f"run {folder.name}: is complete; start a new one with: hilbench run",
        folder,
    )


def test_turns_are_not_resumed(bench, killed):
    journal = killed / JOURNAL
    journal.write_text(journal.read_text().replace('"abba": "none"', '"abba": "int8 fp32"'))
    sentence = (
        f"run {killed.name}: sessions of int8 fp32 took turns against drift, which an interruption "
        "undoes; start a new one"
    )
    refused(UsageError, sentence, killed)


def test_journal_that_does_not_say_its_inputs(bench, tmp_path):
    golden = ROOT / "tests/golden/journals/schema_1.jsonl"
    (tmp_path / "old").mkdir()
    lines = golden.read_bytes().splitlines(keepends=True)
    (tmp_path / "old" / JOURNAL).write_bytes(b"".join(lines[:4]))
    sentence = (
        "run 20260102-030405-digits: its journal does not say what it was started with (an older "
        "hilbench wrote it), so it cannot be resumed; start a new one"
    )
    refused(UsageError, sentence, tmp_path / "old")


def test_run_that_goes_on_is_refused(bench, killed):
    file = os.open(killed / JOURNAL, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        sentence = (
            f"{killed / JOURNAL}: another process writes it; the run goes on, wait for its end"
        )
        refused(StoreError, sentence, killed)
    finally:
        os.close(file)
    assert resume(killed).exit_code == 0


def test_two_resume_at_once(killed):
    """The second has read what the first goes on to write."""
    checked = read_journal(killed)
    assert resume(killed).exit_code == 0
    before = (killed / JOURNAL).read_bytes()
    sentence = f"{killed / JOURNAL}: was written meanwhile; resume it again"
    with pytest.raises(StoreError, match=f"^{re.escape(sentence)}$"):
        Journal.resume(checked, resumed())
    assert (killed / JOURNAL).read_bytes() == before


def test_killed_while_it_was_sealed(bench, tmp_path):
    """Nothing is left to measure; the journal is left as it is."""
    folder = run_suite(SUITE, BOARDS[:1], results=tmp_path).folder
    sealed = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    (folder / "SHA256SUMS").unlink()
    (folder / "operators.csv").rename(folder / ".operators.csv.tmp")
    bench.measured.clear()
    assert resume(folder).exit_code == 0
    assert bench.measured == []
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == sealed


def test_killed_as_it_was_resumed_after_ctrl_c(bench, tmp_path):
    """The seal of what was interrupted does not make the longer journal a forged one."""

    def interrupt(*_):
        raise KeyboardInterrupt

    bench.on_session = interrupt
    folder = run_suite(SUITE, BOARDS[:1], results=tmp_path).folder
    assert (folder / "SHA256SUMS").exists()
    Journal.resume(read_journal(folder), resumed()).close()
    assert set(hilbench.load(folder)["state"]) == {"interrupted"}
    bench.on_session = lambda *_: None
    assert resume(folder).exit_code == 0


def test_resumed_and_killed_is_interrupted(bench, tmp_path):
    """The end of the first part is not the end of the run."""
    folder = run_suite(SUITE, BOARDS[:1], results=tmp_path).folder
    journal = folder / JOURNAL
    journal.write_text(journal.read_text().replace('"complete"', '"failed"'))
    (folder / "SHA256SUMS").unlink()
    assert resume(folder).exit_code == 0
    assert set(hilbench.load(folder)["state"]) == {"complete"}
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    (folder / "SHA256SUMS").unlink()
    assert set(hilbench.load(folder)["state"]) == {"interrupted"}


def test_kill_9_at_seeded_points():
    """Nothing acknowledged is lost, the run opens, resume completes it: kill_points.py asserts it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.kill_points", str(POINTS), "20261122"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kinds = json.loads(done.stdout)
    assert sum(kinds.values()) == POINTS
    assert kinds["within"] >= POINTS // 2
