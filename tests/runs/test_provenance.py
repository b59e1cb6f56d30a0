"""Provenance."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess

import pytest

import hilbench
from hilbench.errors import StoreError
from hilbench.runs.provenance import git_state, installed_versions, provenance


def collect(name="digits", files=()):
    return provenance(
        name, cells=[("m4", "int8")], sessions=3, warm_up=1, iterations=10, files=files
    )


def test_what_is_collected(tmp_path):
    (tmp_path / "boards.toml").write_bytes(b"schema = 1\n")
    found = collect(files=[tmp_path / "boards.toml"])
    assert re.fullmatch(r"\d{8}-\d{6}-digits", found.run_id)
    assert found.started_utc.endswith("+00:00")
    assert found.hilbench == hilbench.__version__
    assert found.packages["numpy"] == installed_versions()["numpy"]
    digest = hashlib.sha256(b"schema = 1\n").hexdigest()
    assert found.files == {str(tmp_path / "boards.toml"): digest}
    assert found.cells == (("m4", "int8"),)


@pytest.mark.parametrize(
    ("name", "short"),
    [("my model/ü", "my-model"), ("../..", "run"), ("a.b_c-d", "a.b_c-d"), ("", "run")],
)
def test_name_of_the_folder_is_safe(name, short):
    assert collect(name).run_id.split("-", 2)[2] == short


def test_absent_file(tmp_path):
    with pytest.raises(StoreError) as caught:
        collect(files=[tmp_path / "no.toml"])
    assert (
        str(caught.value) == f"{tmp_path / 'no.toml'}: cannot be hashed (No such file or directory)"
    )


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_git_state(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments],
            check=True, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        return done.stdout.strip()

    code = tmp_path / "hilbench" / "x.py"
    code.parent.mkdir()
    code.write_text("a")
    assert git_state(tmp_path) == (None, None)  # no checkout
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "--no-verify", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert git_state(tmp_path) == (commit, False)
    (tmp_path / "notes.txt").write_text("changes no number")
    assert git_state(tmp_path) == (commit, False)
    code.write_text("b")
    assert git_state(tmp_path) == (commit, True)
    assert git_state(code.parent) == (None, None)  # inside somebody's checkout


def test_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) == (None, None)
