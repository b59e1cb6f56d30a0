"""Flash cycles of a physical board are counted, whatever its table is called."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest

from hilbench import plugins
from hilbench.board.access import Access
from hilbench.board.wear import Wear, count_flash, read_wear, wear_path
from hilbench.errors import (
    BoardError,
    FlashBusyError,
    FlashNotFoundError,
    FlashTimeoutError,
    FlashVerifyError,
    FlashWriteError,
    FlashWrongChipError,
    StoreError,
    ToolMissingError,
)
from hilbench.records import BoardConfig, FlasherConfig, SerialMatch

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
    sentence = (
        f"board n1: {path} does not hold a flash count ('board'); remove it to count from 0 again"
    )
    for use in (read_wear, count_flash):
        with pytest.raises(BoardError, match=re.escape(sentence)):
            use(BOARD)


def test_a_count_that_cannot_be_read_is_not_called_broken():
    path = wear_path(BOARD)
    path.mkdir(parents=True)
    sentence = (
        f"board n1: its flash count {path} cannot be read (Is a directory); "
        "make the file readable or set XDG_STATE_HOME"
    )
    with pytest.raises(BoardError, match=re.escape(sentence)):
        read_wear(BOARD)


def test_a_count_that_cannot_be_kept_is_an_error():
    path = wear_path(BOARD)
    path.with_suffix(".new").mkdir(parents=True)
    sentence = (
        f"board n1: its flash count {path} cannot be written (Is a directory), so "
        "this time is not counted; make the folder writable or set XDG_STATE_HOME"
    )
    with pytest.raises(BoardError, match=re.escape(sentence)):
        count_flash(BOARD)


class Flasher:
    """A flasher that ends as told."""

    def __init__(self, monkeypatch):
        self.calls, self.error = 0, None
        monkeypatch.setattr(plugins, "load", lambda *_: self)

    def identity(self, serial):
        return f"{serial} of {self.calls}"  # the board goes off the bus when it is flashed

    def resolve(self, serial, _id):
        return str(serial)

    def flash(self, *_):
        self.calls += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def flasher(monkeypatch):
    return Flasher(monkeypatch)


PROBED = BoardConfig("n2", "stm32l4", flasher=FlasherConfig("pyocd"), source="a.toml")


def flash():
    return Access(PROBED, None, print).flash()


def test_a_success_is_counted(flasher):
    assert flash()
    assert read_wear(PROBED).flashes == 1


def test_a_board_that_is_off_the_bus_after_the_flash_is_counted_as_what_it_was(flasher):
    here = replace(PROBED, serial="/dev/serial/by-id/uno")
    path = wear_path(here)
    assert Access(here, None, print).flash()
    assert wear_path(here) != path
    assert read_wear(here, path).flashes == 1


@pytest.mark.parametrize("error", [FlashWriteError, FlashVerifyError, FlashTimeoutError])
def test_a_failure_that_wrote_is_counted(flasher, error):
    flasher.error = error("board n2: half; flash again")
    with pytest.raises(error):
        flash()
    assert read_wear(PROBED).flashes == 1


@pytest.mark.parametrize(
    "error", [FlashNotFoundError, FlashBusyError, FlashWrongChipError, ToolMissingError]
)
def test_a_failure_that_never_touched_the_flash_is_not_counted(flasher, error):
    flasher.error = error("board n2: no probe; plug it in")
    with pytest.raises(error):
        flash()
    assert read_wear(PROBED) is None


def test_what_cannot_be_counted_is_not_begun_and_is_no_fault_of_the_run(flasher):
    wear_path(PROBED).mkdir(parents=True)
    with pytest.raises(BoardError) as caught:
        flash()
    assert not isinstance(caught.value, StoreError)  # that would be the journal's, and end the run
    assert flasher.calls == 0


def test_a_flash_error_goes_before_the_count_that_cannot_be_kept(flasher):
    wear_path(PROBED).with_suffix(".new").mkdir(parents=True)
    flasher.error = FlashWriteError("board n2: half; flash again")
    with pytest.raises(FlashWriteError, match="half") as caught:
        flash()
    (note,) = caught.value.__notes__
    assert note.startswith("and it was not counted: board n2: its flash count ")
