"""Appending a board: what a person wrote stays to the byte, and the file goes on loading."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hilbench.config import boards_template, load_boards
from hilbench.config.edit import append_board
from hilbench.errors import ConfigError, HilbenchError, UsageError

TABLE = '[board.new]\nfirmware = "p"\nserial = "/dev/ttyACM0"\n'


def refusal(path: Path, board_id: str = "new", table: str = TABLE) -> str:
    before = path.read_bytes()
    with pytest.raises(HilbenchError) as caught:
        append_board(path, board_id, table)
    assert path.read_bytes() == before
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{path.parent}/", "")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "boards.toml"
    path.write_text('schema = 1\n[board.m4]  # mine\nfirmware = "p"\nserial = "x"\n')
    return path


def test_a_table_is_appended_after_a_blank_line(file):
    before = file.read_bytes()
    append_board(file, "new", TABLE)
    assert file.read_bytes() == before + b"\n" + TABLE.encode()
    assert list(load_boards(file)) == ["m4", "new"]


def test_the_last_line_need_not_end(file):
    file.write_bytes(file.read_bytes() + b"# the end")
    append_board(file, "new", TABLE)
    assert b"# the end\n\n[board.new]\n" in file.read_bytes()


def test_line_ends_are_those_of_the_file(file):
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    append_board(file, "new", TABLE)
    assert file.read_bytes().count(b"\n") == file.read_bytes().count(b"\r\n")
    assert list(load_boards(file)) == ["m4", "new"]


def test_links_and_modes_stay(file, tmp_path):
    file.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    append_board(link, "new", TABLE)
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(load_boards(file)) == ["m4", "new"]


def test_a_board_that_exists_is_refused(file):
    assert refusal(file, "m4") == (
        f"board 'm4' is in {file} already; edit its table, or choose another name"
    ).replace(f"{file.parent}/", "")


def test_a_board_of_the_overrides_is_refused(file):
    file.with_name("boards.local.toml").write_text(f"schema = 1\n{TABLE}")
    assert refusal(file) == (
        "board 'new' is in boards.local.toml already; edit its table, or choose another name"
    )


def test_a_table_that_would_not_load_is_not_written(file):
    assert refusal(file, table="[board.new]\nfirmware = 3\n") == (
        "with [board.new] the file would not load, it is as it was: boards.toml: [board.new] "
        'firmware must be a string, is 3; quote it: "3"'
    )


def test_a_file_that_ends_boards_early_is_not_written(file):
    file.write_text('schema = 1\nboard = { m4 = { firmware = "p", serial = "x" } }\n')
    assert refusal(file).startswith(
        "with [board.new] the file would not load, it is as it was: boards.toml: not valid TOML: "
    )


def test_a_table_of_another_board_is_not_written(file):
    assert refusal(file, table=TABLE + TABLE.replace("new", "newer")) == (
        "boards.toml: [board.new] would change another board; add it by hand"
    )


def test_a_broken_file_is_not_touched(file):
    file.write_text("schema = 1\n[board.m4\n")
    assert refusal(file).startswith("boards.toml: not valid TOML: ")


def test_an_absent_file_is_a_sentence(tmp_path):
    with pytest.raises(UsageError) as caught:
        append_board(tmp_path / "boards.toml", "new", TABLE)
    assert str(caught.value) == (
        f"{tmp_path}/boards.toml: cannot be written (No such file or directory); it is as it was"
    )


def test_a_full_disk_half_way_is_taken_back(file, monkeypatch):
    real_write, calls = os.write, []

    def write(descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real_write(descriptor, bytes(data[:5]))

    monkeypatch.setattr("hilbench.config.edit.os.write", write)
    text = refusal(file)
    assert len(calls) == 2
    assert text == "boards.toml: cannot be written (No space left on device); it is as it was"


def test_processes_that_append_at_once_take_turns(file):
    code = (
        "import sys\nfrom pathlib import Path\nfrom hilbench.config.edit import append_board\n"
        "sys.stdin.readline()\n"
        "name = sys.argv[2]\n"
        "append_board(Path(sys.argv[1]), name,"
        ' f\'[board.{name}]\\nfirmware = "p"\\nserial = "{name}"\\n\')\n'
    )
    names = ["a", "b", "c"]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(file), name], stdin=subprocess.PIPE)
        for name in names
    ]
    for process in processes:
        process.stdin.close()
    assert [process.wait(30) for process in processes] == [0, 0, 0]
    assert set(load_boards(file)) == {"m4", *names}


LINES = st.lists(
    st.sampled_from(
        [
            "# a comment",
            "#[board.new]",
            "",
            "\t",
            "   # odd   spacing ",
            '[board.a]\nfirmware="p"\nserial =   "x" # tail',
            '[ board . "b.c" ]\nfirmware = \'p\'\nserial = "x"\nnotes = """\nlong\n[board.new]\n"""',
            '[board.d]\nfirmware = "p"\nserial.vid = "0483"\nserial.pid = "374b"',
            '[board.e]\nfirmware = "p"\nserial = {vid = "0483"}\ntags = [\n "x", # why\n]',
            'board.f = { firmware = "p", serial = "x" }',
            "[board]",
            "[board.new.timeouts]\nrun_s = 3",
            "ä = 'ö'",
            "]",
        ]
    ),
    unique=True,
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.sampled_from(["new", "a", "b.c"]))
def test_whatever_a_person_wrote_stays(tmp_path, lines, end, ends, board_id):
    path = tmp_path / "boards.toml"
    text = "\n".join(["schema = 1", *lines]) + ("\n" if ends else "")
    path.write_bytes(text.replace("\n", end).encode())
    before = path.read_bytes()
    try:
        boards = load_boards(path)
    except ConfigError:
        boards = None
    table = f'[board."{board_id}"]\nfirmware = "p"\nserial = "/dev/ttyACM0"\n'
    try:
        append_board(path, board_id, table)
    except UsageError:
        assert path.read_bytes() == before
    else:
        assert path.read_bytes().startswith(before)
        after = load_boards(path)
        assert after.pop(board_id).serial == "/dev/ttyACM0"
        assert after == boards


def test_the_template_takes_a_board(tmp_path):
    path = tmp_path / "boards.toml"
    path.write_text(boards_template())
    append_board(path, "new", TABLE)
    assert list(load_boards(path)) == ["native", "m4", "new"]
