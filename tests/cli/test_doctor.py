"""hilbench doctor: table, JSON, exit code."""

from __future__ import annotations

import json

import pytest

from hilbench.cli import main
from hilbench.cli.commands import doctor as command
from hilbench.doctor.check import Check

BOARDS = """
schema = 1
[board.n]
firmware = "posix"
emulator = "native"
[board.r]
firmware = "stm32l4"
serial = "/dev/ttyNone9"
"""
GOOD = Check("echo", "ok", "came [back]")
BAD = Check("HELLO", "failed", "nobody", "shout")
WARNING = Check("latency timer", "warn", "16 ms", "1 is better")


@pytest.fixture
def doctor(tmp_path, monkeypatch, capsys):
    """Run the command with given checks of computer and board; returns (exit code, stdout)."""
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "boards.toml").write_text(BOARDS)

    def run(computer, board, *args):
        monkeypatch.setattr(command, "_computer", lambda _boards: iter(computer))
        monkeypatch.setattr(command, "_board", lambda _board: iter(board))
        code = main(["doctor", "--boards", str(tmp_path / "boards.toml"), *args])
        return code, capsys.readouterr().out

    return run


def test_table_and_exit_code(doctor):
    code, out = doctor([WARNING], [GOOD], "--board", "n")
    assert code == 0
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert "n echo ok came [back]" in rows
    at = rows.index("- latency timer warn 16 ms")
    assert rows[at + 1] == "→ 1 is better"
    assert doctor([], [GOOD, BAD], "--board", "n")[0] == 3
    assert doctor([BAD], [], "--board", "n")[0] == 3
    assert doctor([GOOD], [BAD])[0] == 0  # no board is touched unasked


def test_json(doctor):
    code, out = doctor([WARNING], [BAD], "--board", "n", "--json")
    assert code == 3
    assert json.loads(out) == [
        {"name": "latency timer", "state": "warn", "fact": "16 ms", "next_step": "1 is better",
         "board": ""},
        {"name": "HELLO", "state": "failed", "fact": "nobody", "next_step": "shout", "board": "n"},
    ]  # fmt: skip


def test_a_port_that_is_absent_is_a_finding_not_a_crash(tmp_path, capsys):
    (tmp_path / "boards.toml").write_text(BOARDS)
    assert main(["doctor", "--boards", str(tmp_path / "boards.toml"), "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    port = next(c for c in found if c["name"] == "port")
    assert (port["board"], port["state"], port["fact"]) == ("r", "failed", "no /dev/ttyNone9")
    assert "image stm32l4" in [c["name"] for c in found]
    assert "ModemManager" in [c["name"] for c in found]
