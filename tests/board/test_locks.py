"""One process a board."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from hilbench.board.locks import board_lock, is_held, lock_path
from hilbench.errors import BoardBusyError
from hilbench.records import BoardConfig


@pytest.fixture
def board(tmp_path):
    return BoardConfig(id="b", firmware="posix", source=str(tmp_path / "boards.toml"))


def test_the_second_is_told_who_holds_it_and_since_when(board):
    waited = []
    with board_lock(board, 1.0, print):
        assert is_held(board)
        with (
            pytest.raises(
                BoardBusyError,
                match=rf"board b: held by process {os.getpid()} \(.+\) since \d{{4}}-.+; "
                r"waited 0\.2 s; end that process or try again later",
            ),
            board_lock(board, 0.2, waited.append),
        ):
            pass
    assert len(waited) == 1
    assert not is_held(board)


def test_a_killed_holder_frees_the_board(board):
    code = (
        "import sys\n"
        "from hilbench.board.locks import board_lock\n"
        "from hilbench.records import BoardConfig\n"
        f"board = BoardConfig(id='b', firmware='posix', source={board.source!r})\n"
        "with board_lock(board, 1.0, print):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    assert is_held(board)
    holder.kill()
    holder.wait(10)
    holder.stdin.close()
    holder.stdout.close()
    with board_lock(board, 1.0, print):
        pass


def test_a_real_board_is_its_serial_port_whatever_file_names_it(board):
    one = replace(board, serial="/dev/ttyACM0", source="a.toml")
    other = replace(one, source="b.toml")
    assert lock_path(one) == lock_path(other)
    assert lock_path(board) != lock_path(replace(board, source="c.toml"))
    assert re.fullmatch(r"b-[0-9a-f]{12}\.lock", lock_path(board).name)
