"""A board in quarantine is refused before anything is touched."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from hilbench.board.life import open_board
from hilbench.board.locks import lock_path
from hilbench.board.quarantine import check_quarantine, quarantine_note
from hilbench.errors import BoardQuarantinedError
from hilbench.records import BoardConfig, Image, Quarantine

BOARD = BoardConfig(
    id="u1",
    firmware="posix",
    emulator="native",
    source="boards.toml",
    quarantine=Quarantine("LED burnt, resets at random", date(2027, 3, 1)),
)


def test_refused_until_the_day_before():
    sentence = (
        "board u1: in quarantine until 2027-03-01: LED burnt, resets at random; repair it and "
        "remove [board.u1.quarantine] from boards.toml"
    )
    with pytest.raises(BoardQuarantinedError, match=re.escape(sentence)):
        check_quarantine(BOARD, date(2027, 2, 28))
    check_quarantine(BOARD, date(2027, 3, 1))
    check_quarantine(replace(BOARD, quarantine=None), date(2027, 2, 28))


def test_without_a_date_it_lasts():
    board = replace(BOARD, quarantine=Quarantine("broken"))
    with pytest.raises(BoardQuarantinedError, match="in quarantine until its table is removed: br"):
        check_quarantine(board, date(9999, 1, 1))


def test_a_list_of_boards_says_so():
    assert quarantine_note(replace(BOARD, quarantine=None), date(2027, 1, 1)) is None
    assert quarantine_note(BOARD, date(2027, 1, 1)) == (
        "in quarantine until 2027-03-01: LED burnt, resets at random"
    )
    assert quarantine_note(BOARD, date(2027, 3, 2)) == (
        "quarantine ended on 2027-03-01 (LED burnt, resets at random): the board is used again; "
        "remove [board.u1.quarantine]"
    )


def test_nothing_is_touched(tmp_path):
    board = replace(
        BOARD, quarantine=Quarantine("broken"), source=str(tmp_path / "b.toml"), emulator="qemu"
    )
    image = Image("posix", Path("/nowhere"), "00" * 20, "", "", "", ())
    states = []
    with (
        pytest.raises(BoardQuarantinedError),
        open_board(board, image, states.append, states.append),
    ):
        pass
    assert states == []
    assert not lock_path(board).exists()
