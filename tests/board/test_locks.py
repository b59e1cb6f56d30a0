"""One process a board."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from hilbench.board import locks
from hilbench.board.locks import all_locks, board_lock, is_held, lock_path
from hilbench.board.wear import wear_path
from hilbench.drivers.links import _ports
from hilbench.errors import BoardBusyError, BoardError
from hilbench.records import BoardConfig, SerialMatch
from tests.drivers.links.recorded import make_port


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


@pytest.fixture
def usb(monkeypatch):
    """What is plugged in; an Uno at ttyACM0 and another at ttyACM1."""
    ports = [uno("/dev/ttyACM0", "A1", "1-1:1.0"), uno("/dev/ttyACM1", "B2", "1-2:1.0")]
    monkeypatch.setattr(_ports, "comports", lambda: list(ports))
    return ports


def uno(device, number, location):
    return make_port(device, vid=0x2341, pid=0x43, serial_number=number, location=location)


@pytest.mark.parametrize("path_of", [lock_path, wear_path])
def test_a_board_keeps_its_lock_and_its_wear_when_its_tty_changes(board, tmp_path, usb, path_of):
    link = tmp_path / "by-id"
    link.symlink_to("/dev/ttyACM0")
    by_id = replace(board, serial=str(link))
    before = path_of(by_id)
    tables = [
        replace(board, id="x", source="y", serial=serial)
        for serial in (
            "/dev/ttyACM0",
            SerialMatch("2341", "0043", "a1"),
            SerialMatch(serial_number="A1"),
            SerialMatch(location="1-1"),
        )
    ]
    assert {path_of(table) for table in tables} == {before}
    usb[:] = [uno("/dev/ttyACM1", "A1", "1-1:1.0"), uno("/dev/ttyACM0", "B2", "1-2:1.0")]
    assert path_of(tables[0]) != before  # that is the other board now
    link.unlink()
    link.symlink_to("/dev/ttyACM1")
    assert path_of(by_id) == before
    usb.clear()
    assert path_of(tables[1]) == before  # a full match is the same before it is plugged in


def test_a_path_that_is_no_usb_port_is_itself(board, usb):
    paths = ["/dev/pts/3", "socket://rack:4000", "rfc2217://rack:4000", "/dev/ttyS0"]
    usb.append(make_port("/dev/ttyS0"))
    assert [locks._identity(replace(board, serial=path)) for path in paths] == paths


def test_the_holder_is_named_though_the_board_goes_off_the_bus(board, usb):
    one = replace(board, serial="/dev/ttyACM0")
    with (
        board_lock(one, 1.0, print),
        pytest.raises(BoardBusyError, match=rf"held by process {os.getpid()} "),
        board_lock(one, 0.2, lambda _who: usb.clear()),
    ):
        pass


def test_a_match_is_an_identity(board):
    match = SerialMatch(vid="0483", pid="374b", serial_number="000681295394")
    one = replace(board, serial=match)
    same = SerialMatch(vid="0483", pid="374b", serial_number="681295394")  # J-Link pads
    assert lock_path(one) == lock_path(replace(board, serial=same, id="x", source="y"))
    other = SerialMatch(vid="0483", pid="374b", serial_number="000681295395")
    assert lock_path(one) != lock_path(replace(board, serial=other))
    placeholder = [SerialMatch("1a86", "7523", "0001", location=at) for at in ("1-1", "1-2")]
    assert len({lock_path(replace(board, serial=m)) for m in placeholder}) == 2


def test_all_locks_say_who_holds_them(board, monkeypatch, tmp_path):
    monkeypatch.setattr(locks.tempfile, "gettempdir", lambda: str(tmp_path))
    assert all_locks() == []
    with board_lock(board, 1.0, print):
        (state,) = all_locks()
        assert (state.path, state.held) == (lock_path(board), True)
        assert (state.holder.board, state.holder.pid) == ("b", os.getpid())
    assert [s.held for s in all_locks()] == [False]


def _open_that_refuses(error, *, only_with=0):
    real = os.open

    def refuse(path, flags, mode=0o777):
        if str(path).endswith(".lock") and flags & only_with == only_with:
            raise error
        return real(path, flags, mode)

    return refuse


def test_an_existing_file_is_never_opened_with_o_creat(board, monkeypatch):
    """In a sticky folder the kernel refuses O_CREAT on another user's file (protected_regular)."""
    with board_lock(board, 1.0, print):
        pass
    refuse = _open_that_refuses(PermissionError(13, "Permission denied"), only_with=os.O_CREAT)
    monkeypatch.setattr(locks.os, "open", refuse)
    with board_lock(board, 1.0, print):
        assert is_held(board)


def test_a_file_that_may_not_be_opened_is_a_busy_board(board, monkeypatch):
    monkeypatch.setattr(locks.os, "open", _open_that_refuses(PermissionError(13, "denied")))
    path = lock_path(board)
    sentence = (
        f"board b: its lock file {path} belongs to another user and may not be opened; "
        f"let that user end, or run: sudo chmod 666 {path}"
    )
    with pytest.raises(BoardBusyError, match=re.escape(sentence)), board_lock(board, 1.0, print):
        pass
    assert is_held(board)  # it cannot be asked


def test_no_room_for_lock_files(board, monkeypatch):
    error = OSError(30, "Read-only file system")
    monkeypatch.setattr(locks.os, "open", _open_that_refuses(error))
    sentence = (
        f"board b: its lock file {lock_path(board)} cannot be opened (Read-only file system); "
        "make the folder writable or point TMPDIR elsewhere"
    )
    with pytest.raises(BoardError, match=re.escape(sentence)), board_lock(board, 1.0, print):
        pass
