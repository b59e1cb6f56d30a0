"""hilbench runs, export and run --resume on the command line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

import hilbench
from hilbench.cli import main
from hilbench.runs import Journal, sessions_frame, store
from tests.gate.run_folders import write_run
from tests.runs import run_examples as ex


@pytest.fixture
def call(tmp_path, capsys, monkeypatch):
    """Run a command in an empty folder; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        code = main([str(a) for a in args])
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "results")


def test_runs_are_listed(call, folder, tmp_path):
    (tmp_path / "results/a-broken").mkdir()
    (tmp_path / "results/a-broken/journal.jsonl").touch()
    killed = write_run(tmp_path / "results")
    journal = killed / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:4]))
    (killed / "SHA256SUMS").unlink()
    unsealed = write_run(tmp_path / "results")
    (unsealed / "SHA256SUMS").unlink()
    changed = write_run(tmp_path / "results")
    with (changed / "journal.jsonl").open("a") as file:
        file.write("\n")
    code, out, _ = call("runs", "--json")
    rows = {row["run"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["a-broken"]["state"] == "unreadable"
    assert rows[folder.name] == {
        "run": folder.name, "state": "complete", "sealed": True, "cells_done": 1, "cells_planned": 1,
        "sessions_done": 3, "sessions_planned": 3, "started_utc": "2026-01-02T03:04:05+00:00",
        "boards": ["m4"],
    }  # fmt: skip
    assert (rows[killed.name]["state"], rows[killed.name]["sessions_done"]) == ("interrupted", 1)
    assert rows[killed.name]["cells_done"] == 0
    assert "was changed after the run was sealed" in rows[changed.name]["error"]
    _, out, _ = call("runs")
    assert f"{folder.name}    complete        1/1 cells  2026-01-02T03:04  m4" in out
    assert f"{unsealed.name}  not sealed      1/1 cells" in out
    assert "does not begin with a provenance record" in out
    assert out.endswith(
        "hilbench run --resume RUN goes on with one that is interrupted or not sealed\n"
    )


def test_run_that_goes_on_is_running(call, tmp_path):
    journal = Journal.create(tmp_path / "results", ex.PROVENANCE)
    assert [row["state"] for row in json.loads(call("runs", "--json")[1])] == ["running"]
    assert "--resume" not in call("runs")[1]
    journal.close()
    assert [row["state"] for row in json.loads(call("runs", "--json")[1])] == ["interrupted"]


def test_no_runs(call):
    assert call("runs") == (0, "no run in results; make one with: hilbench demo\n", "")
    assert call("runs", "--json")[1] == "[]\n"


def test_csv(call, folder, tmp_path):
    code, out, _ = call("export", folder.name, "csv")
    assert (code, out) == (
        0,
        f"{folder.name}-frame.csv: 1 rows, {hilbench.load(folder).shape[1]} columns\n",
    )
    assert (tmp_path / f"{folder.name}-frame.csv").read_bytes() == (
        folder / "frame.csv"
    ).read_bytes()
    _, out, _ = call("export", folder, "csv", "--rows", "sessions", "-o", "-")
    read = pd.read_csv(io.StringIO(out))
    assert list(read["session"]) == [1, 2, 3]
    assert list(read.columns) == list(sessions_frame(folder).columns)


def test_parquet(call, folder, tmp_path):
    pytest.importorskip("pyarrow")
    assert call("export", folder, "parquet", "-o", "x.parquet")[0] == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), hilbench.load(folder))


def test_parquet_without_pyarrow(call, folder, monkeypatch):
    monkeypatch.setattr(store, "parquet_works", lambda: False)
    sentence = (
        "hilbench: Parquet needs pyarrow; install it with: pip install 'hilbench[parquet]', or "
        "export csv\n"
    )
    assert call("export", folder, "parquet") == (2, "", sentence)


def test_resume_without_a_target_needs_a_run_of_hilbench_run(call, folder):
    """The example's journal says that hilbench demo started it."""
    assert call("run", "--resume", folder.name) == (
        2,
        "",
        f"hilbench: run {folder.name}: was not started by hilbench run but by hilbench demo; name its "
        f"suite: hilbench run SUITE.toml --resume {folder.name}\n",
    )


def test_resume_from_another_folder(call, tmp_path):
    """The command line in the journal has a path relative to where it was given."""
    argv = ("hilbench", "run", "my/suite.toml", "--board", "m4")
    journal = Journal.create(tmp_path / "results", replace(ex.PROVENANCE, argv=argv))
    journal.close()
    name = journal.folder.name
    assert call("run", "--resume", name) == (
        2,
        "",
        f"hilbench: run {name}: was started with my/suite.toml, which is not here; go where it was "
        f"started, or name it: hilbench run suite.toml --resume results/{name}\n",
    )


def test_run_of_nothing(call):
    assert call("run") == (
        2,
        "",
        "hilbench: say what: a suite.toml, a model.tflite, or --resume RUN\n",
    )


def test_gate_and_report_do_without_pandas(call, folder, tmp_path):
    """Its import alone takes a third of the time that both have."""
    assert call("baseline", "accept", "--reason", "test")[0] == 0
    (baseline,) = (tmp_path / "baselines").iterdir()
    for command in (
        ["gate", str(folder), "--baseline", str(baseline)],
        ["report", str(folder), "--gate", str(baseline)],
    ):
        program = (
            f"import sys; from hilbench.cli import main; main({command!r}); "
            "sys.exit('pandas' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
        assert done.returncode == 0, command
