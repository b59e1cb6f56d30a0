"""Whole pytest sessions in a user's repository, on the native board and on an emulated Cortex-M4."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import date

import pytest

from hilbench.board.life import LOCK_WAIT_S
from hilbench.gate.baseline import accept, load_baseline, save_baseline
from hilbench.gate.snapshot import snapshot
from tests.pytest_plugin.project import CONFTEST, ROOT, have, make_project, outcomes, properties

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester, monkeypatch):
    """A user's repository; ``run`` gives the result of a pytest of its own."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    make_project(pytester.path)
    return pytester


def run(project, *args):
    junit = project.path / "junit.xml"
    return project.runpytest_subprocess(
        "-p", "no:hypothesispytest", f"--junitxml={junit}", "--hil-results=results", *args
    )


def runs(project):
    return sorted(p.parent for p in (project.path / "results").glob("*/journal.jsonl"))


def need(*ports):
    for port in ports:
        if not have(port):
            pytest.skip(f"the {port} image or its emulator is missing: make firmware")


# -- silent where nobody asks for a board ----------------------------------------------------------


def test_sessions_without_boards_import_nothing_and_say_nothing(project):
    project.makepyfile("""
        import sys
        def test_unit():
            loaded = {n for n in sys.modules if n.partition(".")[0] in ("hilbench", "numpy", "pandas")}
            assert loaded == {"hilbench", "hilbench.pytest_plugin"}
    """)
    result = run(project, "-W", "error")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*= hilbench =*")


# -- tests of the user -----------------------------------------------------------------------------


@pytest.mark.firmware
def test_assertions_fail_and_faults_of_the_bench_are_errors(project):
    need("posix")
    project.makeconftest(CONFTEST)
    project.makepyfile("""
        import pytest
        def test_right(digits):
            assert digits["agreement_tflm"] == 1
        def test_too_slow(digits):
            assert digits['latency_median'] < 0
        def test_fault(hil_bench):
            hil_bench("absent.tflite", vectors="vectors.npz")
        def test_gate_without_baseline(digits, hil_gate):
            hil_gate(digits)
        @pytest.mark.hil("m4")
        def test_elsewhere(hil_board):
            raise AssertionError("not on this board")
        def test_no_board():
            pass
    """)
    result = run(project, "--hil-board=native", "--hil-limit=4")
    assert outcomes(project.path / "junit.xml") == {
        "test_right[native]": "passed",
        "test_too_slow[native]": "failure",
        "test_fault[native]": "error",
        "test_gate_without_baseline[native]": "error",
        "test_elsewhere[no-board]": "skipped",
        "test_no_board": "passed",
    }
    (folder,) = runs(project)  # measured once, for three tests
    told = properties(project.path / "junit.xml", "test_right[native]")
    assert told["hil_board"] == "native"
    assert told["hil_variant"] == "mlp_int8"
    assert float(told["hil_latency_median"]) > 0
    assert told["hil_run"] == str(folder)
    result.stdout.fnmatch_lines(
        [
            "*absent.tflite: cannot be read*",
            "*hil_gate compares with a baseline; name it with --hil-baseline FILE",
            "*assert digits?'latency_median'? < 0*",
            f"* lines in {project.path / folder}.native.link.txt",
            "board *variant *latency *",
            "native *mlp_int8 *",
        ]
    )
    link = project.path / f"{folder}.native.link.txt"
    told = properties(project.path / "junit.xml", "test_too_slow[native]")
    assert told["hil_link"] == str(link)
    link = link.read_text()
    assert {line[12] for line in link.splitlines()} == {">", "<"}
    selected = run(project, "--hil-board=native", "-m", "not hil")
    selected.assert_outcomes(passed=1, deselected=5)


@pytest.mark.firmware
def test_a_board_that_dies_is_an_error_that_shows_its_last_words_once(project):
    need("posix")
    project.makeconftest(
        CONFTEST
        + """
import psutil
from hilbench._pytest import byte_log, runs

class Deadly(byte_log.ByteLog):
    def __call__(self, board, way, data):
        super().__call__(board, way, data)
        if board == "native" and way == "<":
            for child in psutil.Process().children():
                child.kill()

runs.ByteLog = Deadly
"""
    )
    project.makepyfile(
        test_a="def test_first(digits):\n    pass\ndef test_second(digits):\n    pass\n"
    )
    result = run(project, "--hil-board=native", "--hil-board=twin", "--hil-limit=4")
    assert outcomes(project.path / "junit.xml") == {
        "test_first[native]": "error", "test_second[native]": "error",
        "test_first[twin]": "passed", "test_second[twin]": "passed",
    }  # fmt: skip
    result.stdout.fnmatch_lines([
        "board native: * has died *",
        "- link of board native: last * lines of *.native.link.txt -",
        "board native: * has died *",
        "* lines in *.native.link.txt",
        "ERROR test_a.py::test_first?native? - board native: *",
    ])  # fmt: skip
    assert result.stdout.str().count(": last ") == 1
    told = properties(project.path / "junit.xml", "test_second[native]")
    assert told["hil_link"].endswith(".native.link.txt")


@pytest.mark.firmware
def test_the_example_of_the_page_runs(project):
    need("posix")
    page = (ROOT / "docs" / "pytest.md").read_text()
    files = dict(re.findall(r"```python (\S+)\n(.*?)```", page, re.DOTALL))
    assert sorted(files) == ["conftest.py", "test_keyword.py"]
    assert len(files["conftest.py"].split("\n\n\n")[1].splitlines()) == 3  # and an import
    for name, text in files.items():
        (project.path / name).write_text(text)
    models = project.mkdir("models")
    (project.path / "mlp_int8.tflite").rename(models / "keyword.tflite")
    (project.path / "vectors.npz").rename(models / "vectors.npz")
    result = run(project, "--hil-board=native")
    result.assert_outcomes(passed=3)


# -- boards that are not here ----------------------------------------------------------------------

USES_A_BOARD = "def test_board(hil_board):\n    pass\n"


@pytest.mark.firmware
def test_absent_boards_skip_and_a_session_of_nothing_else_is_no_pass(project):
    need("posix")
    project.makepyfile(USES_A_BOARD)
    result = run(project, "--hil-board=unplugged", "--hil-board=shelf", "-rs")
    result.assert_outcomes(skipped=2)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines([
        "hilbench: nothing ran, because no board was there: that is no pass (exit status 5)",
        "skipped: board unplugged: no port /dev/no-such-port; plug it in, or correct its table",
        "skipped: board shelf: in quarantine * broken connector*",
        "SKIPPED * board unplugged: no port *",
    ], consecutive=False)  # fmt: skip
    assert "Absent" not in result.stdout.str()


@pytest.mark.firmware
def test_a_session_of_tests_for_other_boards_is_no_pass(project):
    need("posix")
    project.makepyfile("import pytest\n@pytest.mark.hil('m4')\n" + USES_A_BOARD)
    result = run(project, "--hil-board=native")
    result.assert_outcomes(skipped=1)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["skipped: none of the chosen boards is one that this test is for"])


@pytest.mark.firmware
def test_absent_boards_do_not_spoil_a_session_with_other_tests(project):
    need("posix")
    project.makepyfile(USES_A_BOARD + "def test_unit():\n    pass\n")
    result = run(project, "--hil-board=unplugged")
    result.assert_outcomes(passed=1, skipped=1)
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.firmware
def test_required_boards_that_are_absent_are_errors(project):
    need("posix")
    project.makepyfile(USES_A_BOARD)
    result = run(project, "--hil-board=unplugged", "--hil-require", "--hil-suite=suite.toml")
    assert set(outcomes(project.path / "junit.xml").values()) == {"error"}
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines([
        "*board unplugged: no port /dev/no-such-port; plug it in, or correct its table; "
        "--hil-require lets no board be absent"
    ])  # fmt: skip


def test_a_board_that_the_file_does_not_have_stops_collecting(project):
    project.makepyfile(USES_A_BOARD)
    result = run(project, "--hil-board=mars")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["no board 'mars' in *boards.toml; it has: native, m3, *"])
    assert "exception occurred" not in result.stdout.str()


def test_a_marked_test_that_asks_for_no_board_is_no_pass(project):
    project.makepyfile("import pytest\n@pytest.mark.hil('m4')\ndef test_board():\n    pass\n")
    result = run(project)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([
        "test_board is marked hil and asks for no board, so it would pass without one; give it the "
        "fixture hil_board or hil_bench"
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--hil-boards=nix.toml", "ERROR: --hil-boards: no file */nix.toml"),
        ("--hil-suite=nix.toml", "ERROR: --hil-suite: no file */nix.toml"),
        ("--hil-baseline=nix.toml", "ERROR: --hil-baseline: no file */nix.toml"),
        (
            "--hil-gate=suite.toml",
            "ERROR: --hil-gate judges by a baseline; name it with --hil-baseline FILE",
        ),
        ("--hil-sessions=0", "*argument --hil-sessions: '0' is no whole number of at least 1"),
        ("--hil-limit=-1", "*argument --hil-limit: '-1' is no whole number of at least 1"),
    ],
)
def test_options_that_cannot_mean_anything_are_refused_before_anything_runs(project, option, told):
    project.makepyfile("def test_unit():\n    pass\n")
    result = project.runpytest_inprocess("-p", "no:hypothesispytest", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([told])


# -- a suite ---------------------------------------------------------------------------------------


@pytest.mark.qemu
def test_a_suite_is_tests_and_a_gate(project):
    need("mps2-an386")
    suite = ("--hil-suite=suite.toml", "--hil-board=m4", "--hil-limit=4")
    first = run(project, *suite)  # no arguments: the suite is collected all the same
    first.assert_outcomes(passed=2)
    assert "student_int8" in first.stdout.str()
    (folder,) = runs(project)

    baseline = project.path / "baseline.toml"
    accepted = accept(None, snapshot(folder), reason="test", today=date(2026, 1, 1))
    save_baseline(baseline, accepted)
    text = baseline.read_text()
    mlp, student = text.split('[cell."m4"."student_int8"]')
    arena = load_baseline(baseline).cells["m4", "mlp_int8"].numbers.exact["arena_bytes"]
    mlp = mlp.replace(f"arena_bytes = {arena}", f"arena_bytes = {arena - 16}")  # it has grown
    ticks = load_baseline(baseline).cells["m4", "mlp_int8"].numbers.cycles["latency_median"][0]
    noisy = [ticks * 0.9, ticks, ticks * 1.1]
    mlp = re.sub(r"latency_median = \[.*\]", f"latency_median = {noisy}", mlp)
    student = student.replace('vectors_n = "4"', 'vectors_n = "5"')  # other vectors
    baseline.write_text(mlp + '[cell."m4"."student_int8"]' + student)

    project.makepyfile(
        test_gate="""
        def test_memory(hil_bench, hil_variant, hil_gate):
            cells = hil_gate(hil_bench(hil_variant), metrics=["plan_bytes", "arena_bytes"])
            assert {c.verdict for c in cells} == {"PASS"}
    """
    )
    metrics = ["accuracy", "latency_median", "plan_bytes", "arena_bytes"]
    (project.path / "gate.toml").write_text(f"schema = 1\n[gate]\nmetrics = {metrics}\n")
    gated = (*suite, f"--hil-baseline={baseline}")
    second = run(project, *gated, "-v")
    second.stdout.fnmatch_lines([
        "suite.toml::m4?mlp_int8?::outputs PASSED*",
        "suite.toml::m4?mlp_int8?::latency_median INCONCLUSIVE*",
        "suite.toml::m4?mlp_int8?::plan_bytes PASSED*",
        "suite.toml::m4?mlp_int8?::arena_bytes FAILED*",
        "suite.toml::m4?student_int8?::accuracy ERROR*",
        "suite.toml::gate PASSED*",
        "FAIL: 64 -> 80: +16 B, allowance 0 B",
        "FAIL *m4?mlp_int8?::arena_bytes *",
        "INVALID *m4?student_int8?::accuracy *",
        "INCONCLUSIVE *m4?mlp_int8?::latency_median *",
        "FAIL: 1 FAIL, * INVALID, 1 INCONCLUSIVE, *",
        "*2 failed, * passed, * errors, 1 inconclusive*",
    ])  # fmt: skip
    assert (
        second.stdout.str().count("- link of board m4 -") == 1
    )  # test_memory's; verdicts need none
    assert second.ret == pytest.ExitCode.TESTS_FAILED
    told = outcomes(project.path / "junit.xml")
    assert told["test_memory[m4-mlp_int8]"] == "failure"
    assert told["test_memory[m4-student_int8]"] == "passed"
    assert told["m4[student_int8]::accuracy"] == "error"
    assert "m4[student_int8]::zlib_bytes" not in told  # gate.toml leaves it out
    assert told["m4[mlp_int8]::latency_median"] == "failure"
    assert len(runs(project)) == 1 + 1 + 2  # one for all items of the suite, one a test's variant

    again = run(project, *gated, "--lf", "suite.toml")
    again.assert_outcomes(failed=1, errors=2)  # and what was inconclusive
    again.stdout.fnmatch_lines(["FAILED suite.toml::m4?mlp_int8?::arena_bytes - FAIL: 64 -> 80: *"])

    chosen = ("suite.toml::m4[mlp_int8]::plan_bytes", "suite.toml::m4[mlp_int8]::arena_bytes")
    third = run(project, *gated, "-x", *chosen[::-1])
    third.assert_outcomes(failed=1)
    junit = project.path / "junit.xml"
    assert outcomes(junit) == {"m4[mlp_int8]::arena_bytes": "failure"}  # plan_bytes did not run
    told = properties(junit, "m4[mlp_int8]::arena_bytes")
    assert told["hil_verdict"] == "FAIL"
    assert (float(told["hil_baseline"]), float(told["hil_now"])) == (arena - 16, arena)
    last = snapshot(runs(project)[-1])
    assert list(last.cells) == [("m4", "mlp_int8")]  # what was not asked for was not measured


# -- workers ---------------------------------------------------------------------------------------

MANY_TESTS = """
import pytest
@pytest.mark.parametrize("number", range(4))
def test_right(digits, number):
    assert digits["agreement_tflm"] == 1
"""


@pytest.mark.firmware
@pytest.mark.parametrize("mode", ["load", "loadgroup"])
def test_workers_share_what_was_measured(project, mode):
    need("posix")
    project.makeconftest(CONFTEST)
    project.makepyfile(MANY_TESTS)
    boards = ("--hil-board=native", "--hil-board=twin", "--hil-limit=4")
    result = run(project, "-n2", f"--dist={mode}", *boards, "-v")
    result.assert_outcomes(passed=8)
    assert len(runs(project)) == 2  # one a board, whoever ran its tests
    workers = [
        set(re.findall(rf"\[(gw\d)\].*PASSED.*\[.*{board}.*\]", result.stdout.str()))
        for board in ("native", "twin")
    ]
    if mode == "loadgroup":
        assert [len(w) for w in workers] == [1, 1]
    result.stdout.fnmatch_lines_random(["native *mlp_int8 *", "twin *mlp_int8 *"])


def test_the_plugin_is_found_by_its_entry_point_and_its_page_has_its_options():
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"},
    ).stdout
    options = set(re.findall(r"^  (--hil-\w+)", told, re.MULTILINE))
    assert "--hil-require" in options
    page = (ROOT / "docs" / "pytest.md").read_text()
    assert set(re.findall(r"--hil-\w+", page)) == options
    assert f"waited for, {LOCK_WAIT_S:.0f} s" in " ".join(page.split())
