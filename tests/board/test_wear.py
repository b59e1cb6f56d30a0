"""Flash cycles of a physical board are counted, whatever its table is called."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest

from hilbench.board.wear import Wear, count_flash, read_wear, wear_path
from hilbench.errors import StoreError
from hilbench.records import BoardConfig, SerialMatch

BOARD = BoardConfig(
    id="n1", firmware="stm32l4", serial=SerialMatch("0483", "374b", "0669FF"), source="a.toml"
)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_counts_by_physical_board():
    assert read_wear(BOARD) is None
    count_flash(BOARD)
    count_flash(replace(BOARD, id="renamed", source="b.toml"))
    assert read_wear(BOARD) == Wear("renamed", 2, date.today().isoformat())  # noqa: DTZ011
    other = replace(BOARD, serial=SerialMatch("0483", "374b", "0670FF"))
    assert read_wear(other) is None


def test_follows_xdg(state, monkeypatch):
    assert wear_path(BOARD).parent == state / "hilbench" / "wear"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/anna")
    assert str(wear_path(BOARD)).startswith("/home/anna/.local/state/hilbench/wear/")


def test_a_broken_count_is_not_a_zero():
    count_flash(BOARD)
    path = wear_path(BOARD)
    path.write_text("{}")
    sentence = f"{path} does not hold a flash count ('board'); remove it to count from 0 again"
    for use in (read_wear, count_flash):
        with pytest.raises(StoreError, match=re.escape(sentence)):
            use(BOARD)


def test_a_count_that_cannot_be_kept_is_an_error():
    path = wear_path(BOARD)
    path.with_suffix(".new").mkdir(parents=True)
    sentence = (
        f"{path} cannot be written (Is a directory), so the flash would not be counted; "
        "make the folder writable or set XDG_STATE_HOME"
    )
    with pytest.raises(StoreError, match=re.escape(sentence)):
        count_flash(BOARD)
