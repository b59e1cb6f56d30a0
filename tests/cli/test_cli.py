"""The command line as a person meets it."""

from __future__ import annotations

import re

import pytest

from hilbench import plugins
from hilbench.cli import main
from hilbench.config import load_boards
from hilbench.config.defaults import ZOO_SUITE
from hilbench.errors import ConfigError


@pytest.mark.parametrize("command", [n.replace("_", "-") for n in plugins.names("commands")])
def test_every_help_has_examples_and_exit_codes(command, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main([command, "--help"])
    assert exit_info.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert f"hilbench {command}" in text
    assert "exit codes: 0 pass" in text


def test_init_writes_files_that_load_and_never_overwrites(tmp_path, capsys):
    assert main(["init", str(tmp_path / "bench")]) == 0
    assert "native" in load_boards(tmp_path / "bench" / "boards.toml")
    capsys.readouterr()
    assert main(["init", str(tmp_path / "bench")]) == 2
    assert capsys.readouterr().err == (
        f"hilbench: {tmp_path}/bench/boards.toml exists; move it away or name another folder\n"
    )


def test_boards_lists_every_board(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["boards"]) == 0
    text = capsys.readouterr().out
    for board in ("native", "m3", "m4", "m7", "m33", "m55"):
        assert re.search(rf"^\S?\s*{board}\s", text, re.MULTILINE), text


def test_show_without_a_run(capsys, tmp_path):
    assert main(["show", "--results", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"hilbench: no run in {tmp_path}; make one with: hilbench demo\n"
    )
    assert main(["show", "nothing", "--results", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (f"hilbench: no run 'nothing' in {tmp_path}; it has none\n")


@pytest.mark.parametrize("limit", ["0", "-3", "some", "1.5"])
def test_a_wrong_number_of_vectors_is_a_usage_error(limit, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["demo", "--vectors", limit])
    assert exit_info.value.code == 2
    assert f"'{limit}' is neither 'all' nor a number of at least 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value", "least"),
    [("sessions", 0, 1), ("warm-up", -1, 0), ("iterations", 0, 1), ("iterations", 5 * 10**9, 1)],
)
def test_repetition_outside_its_limits_is_a_usage_error(flag, value, least, capsys):
    argv = ["run", str(ZOO_SUITE), "--board", "native", f"--{flag}={value}"]
    assert main(argv) == 2
    assert capsys.readouterr().err == (
        f"hilbench: {flag} is {value}, must be {least} to 4294967295\n"
    )


def test_a_model_without_a_board_lists_them(capsys):
    assert main(["run", "m.tflite", "--vectors", "v.npz"]) == 2
    assert re.match(
        r"hilbench: say where: --board ID; \S*boards.toml has: native, m3, ",
        capsys.readouterr().err,
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("vectors", "v.npz"),
        ("labels", "l.csv"),
        ("dtype", "int8"),
        ("metric", "auc"),
        ("quantise", "none"),
    ],
)
def test_a_suite_says_its_own_vectors(option, value, capsys):
    assert main(["run", str(ZOO_SUITE), "--board", "native", f"--{option}", value]) == 2
    assert capsys.readouterr().err == (
        f"hilbench: --{option} belongs to a .tflite model; {ZOO_SUITE} says it for each variant\n"
    )


def test_init_into_a_file_is_a_usage_error(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == (
        f"hilbench: {tmp_path}/file: cannot be written (File exists); name another folder\n"
    )


def test_unknown_driver_names_the_nearest():
    with pytest.raises(
        ConfigError,
        match=r"^no driver 'qemo' among emulators; known: native, qemu.*\(did you mean 'qemu'\?\)$",
    ):
        plugins.load("emulators", "qemo")
