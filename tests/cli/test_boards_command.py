"""``hilbench boards`` and its actions on recorded port lists; ``hilbench locks``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from datetime import date
from pathlib import Path

import pytest

from hilbench import plugins
from hilbench.board.locks import board_lock
from hilbench.cli import main
from hilbench.cli.commands import boards as command
from hilbench.config import load_boards
from hilbench.records import (
    BoardConfig,
    FlasherConfig,
    PowerSwitchConfig,
    Quarantine,
    SerialMatch,
)
from tests.drivers.links.recorded import make_port, recorded

HAND_MADE = """\
# a bench  of mine
schema = 1

[board.host]      # ¹ not to be touched
firmware   = 'posix'
emulator = "native"
"""


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A folder with a boards file; returns what plugs recorded kits in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where locks are
    monkeypatch.setattr(tempfile, "tempdir", None)
    Path("boards.toml").write_text(HAND_MADE, encoding="utf-8")

    def plug_in(*kits: str) -> list:
        ports = recorded(*kits)
        monkeypatch.setattr("hilbench.drivers.links._ports.comports", lambda: ports)
        return ports

    plug_in()
    return plug_in


def said(capsys, *argv: str) -> str:
    assert main([*argv]) == 0
    return capsys.readouterr().out


def refused(capsys, *argv: str, code: int = 2) -> str:
    assert main([*argv]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("hilbench: ")
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("hilbench: ").rstrip("\n")


def write(text: str) -> None:
    Path("boards.toml").write_text(HAND_MADE + text, encoding="utf-8")


def state(board: BoardConfig, ports=(), today: date = date(2026, 11, 21)) -> str:
    line = command.describe(board, ports, today)
    return ": ".join(filter(None, (line.state, line.detail)))


def real(serial: str | SerialMatch = "/dev/null", **values) -> BoardConfig:
    return BoardConfig(id="b", firmware="p", serial=serial, **values)


# the list


def test_the_list_names_the_port_that_usb_leads_to(bench, capsys):
    bench("two_ch340")
    write('[board.uno]\nfirmware = "p"\nserial = {vid = "1a86", location = "1-1.4"}\n')
    line = next(x for x in said(capsys, "boards").splitlines() if x.strip().startswith("uno"))
    assert re.search(r"uno +p +- +no: hardware +/dev/ttyUSB1 +ready", line)


def test_text_in_brackets_is_not_lost_on_a_terminal(bench, capsys):
    bench("two_ch340")
    write('[board.uno]\nfirmware = "p"\nserial = {vid = "1a86"}\n')
    assert "absent: 2 ports match [board.uno.serial]: /dev/ttyUSB0" in said(capsys, "boards")


def test_the_list_as_json(bench, capsys):
    bench("two_ch340")
    write(
        '[board.uno]\nfirmware = "p"\ntags = ["t"]\nserial = {vid = "1a86", location = "1-1.9"}\n'
    )
    lines = {line["id"]: line for line in json.loads(said(capsys, "boards", "--json"))}
    assert list(lines) == ["host", "uno"]
    assert lines["uno"] | {"image": "", "detail": ""} == {
        "id": "uno",
        "firmware": "p",
        "chip": "",
        "emulator": None,
        "serial": "vid 1a86, location 1-1.9",
        "port": None,
        "image": "",
        "state": "absent",
        "detail": "",
        "tags": ["t"],
        "source": "boards.toml",
    }
    assert lines["uno"]["detail"].startswith("not plugged in: no port has vid 1a86, location 1-1.9")
    assert (lines["host"]["state"], lines["host"]["port"]) == ("ready", None)


def test_two_tables_of_one_port_are_told(bench, capsys):
    bench("two_ch340")
    write(
        '[board.a]\nfirmware = "p"\nserial = {vid = "1a86", location = "1-1.2"}\n'
        '[board.b]\nfirmware = "p"\nserial = {location = "1-1.2"}\n'
        '[board.c]\nfirmware = "p"\nserial = {location = "1-1.4"}\n'
    )
    lines = {line["id"]: line for line in json.loads(said(capsys, "boards", "--json"))}
    assert [lines[n]["state"] for n in "abc"] == ["ready"] * 3
    assert [lines[n]["detail"] for n in "abc"] == ["same port as b", "same port as a", ""]


def test_states_of_a_port(tmp_path):
    assert state(real()) == "ready"
    assert state(real("socket://localhost:1")) == "ready: a URL, not tried"
    assert state(real("/dev/nothing-here")) == "absent: no /dev/nothing-here"
    assert state(real(SerialMatch("1a86", location="1-1.2")), recorded("two_ch340")) == "ready"
    device = tmp_path / "ttyACM0"
    device.touch()
    ppk2 = make_port(str(device), vid=0x1915, pid=0xC00A)
    assert state(real(str(device)), [ppk2]) == (
        f"absent: {device} is a Nordic Power Profiler Kit II, an instrument"
    )


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (None, "quarantined: hot"),
        (date(2026, 11, 22), "quarantined until 2026-11-22: hot"),
        (
            date(2026, 11, 21),
            "ready: quarantine ended on 2026-11-21 (hot): the board is used again; "
            "remove [board.b.quarantine]",
        ),
    ],
)
def test_quarantine_ends_on_its_day(until, expected):
    assert state(real(quarantine=Quarantine("hot", until))) == expected


def test_a_board_in_quarantine_says_so_also_when_it_is_absent():
    board = real("/dev/nothing-here", quarantine=Quarantine("hot"))
    assert state(board) == "quarantined: hot"


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    qemu = BoardConfig(id="b", firmware="p", emulator="qemu")
    assert re.fullmatch(r"needs tool: .*apt-get install qemu-system-arm.*", state(qemu))
    picotool = real(flasher=FlasherConfig("command", command=("picotool", "load")))
    assert state(picotool) == "needs tool: picotool is not on the PATH"


def test_drivers_say_what_they_need(monkeypatch):
    class Driver:
        PROGRAM, INSTALL = "program-of-nobody", "apt-get install it"

    class Python:
        INSTALL = "pip install it"

    drivers = {"avrdude": Driver, "pyocd": Python, "uhubctl": Driver, "emulator": object}
    load = plugins.load
    monkeypatch.setattr(plugins, "load", lambda k, n: drivers[n] if n in drivers else load(k, n))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert state(real(flasher=FlasherConfig("avrdude"))) == (
        "needs tool: program-of-nobody: apt-get install it"
    )
    assert state(real(flasher=FlasherConfig("pyocd"))) == "needs tool: pyocd: pip install it"
    switched = real(flasher=FlasherConfig("emulator"), power=PowerSwitchConfig("uhubctl"))
    assert state(switched) == "needs tool: program-of-nobody: apt-get install it"


def test_a_board_that_is_held_names_its_holder(bench):
    board = real("/dev/null")
    with board_lock(board, 1.0, print):
        assert state(board).startswith("busy: process ")
    assert state(board) == "ready"


# scan


def test_scan_prints_what_can_be_pasted_and_writes_nothing(bench, capsys):
    bench("two_ch340", "ppk2_beside_dk", "microbit_v1", "two_cp2102", "no_usb")
    text = said(capsys, "boards", "scan")
    assert Path("boards.toml").read_text(encoding="utf-8") == HAND_MADE
    proposed = tomllib.loads(text)["board"]
    assert list(proposed) == ["nrf52840-dk", "microbit", "uno", "uno-2", "cp210x", "cp210x-2"]
    assert "# /dev/ttyACM2 is a Nordic Power Profiler Kit II: an instrument\n" in text
    assert "# without USB identity, not proposed: /dev/ttyS0\n" in text
    write(text)
    assert list(load_boards(Path("boards.toml"))) == ["host", *proposed]
    again = said(capsys, "boards", "scan")
    assert tomllib.loads(again) == {}
    assert again.endswith("# nothing is plugged in that the boards file does not describe\n")


def test_scan_gives_no_name_twice(bench, capsys):
    bench("uno_r3")
    write('[board.uno]\nfirmware = "p"\nserial = "/dev/ttyS0"\n')
    assert list(tomllib.loads(said(capsys, "boards", "scan"))["board"]) == ["uno-2"]


@pytest.mark.parametrize(
    "argv",
    [["boards", "--boards", "lab.toml", "scan"], ["boards", "scan", "--boards", "lab.toml"]],
)
def test_the_boards_file_may_stand_on_either_side(bench, capsys, argv):
    Path("boards.toml").write_text("broken")
    Path("lab.toml").write_text(HAND_MADE, encoding="utf-8")
    assert said(capsys, *argv).startswith("# nothing is plugged in")


# add


def test_add_writes_the_one_new_device_and_keeps_every_byte(bench, capsys):
    bench("uno_r3")
    text = said(capsys, "boards", "add", "desk")
    table, _, last = text.rpartition("#")
    assert last == " appended to boards.toml; next: hilbench boards\n"
    assert Path("boards.toml").read_text(encoding="utf-8") == f"{HAND_MADE}\n{table}"
    board = load_boards(Path("boards.toml"))["desk"]
    assert board.serial == SerialMatch("2341", "0043", "85735313833351E0A1A2")
    assert board.firmware == "atmega328p"
    assert refused(capsys, "boards", "add", "desk2") == (
        "nothing new is plugged in; plug the board in, or name its port: --port PATH"
    )


def test_add_asks_which_of_several(bench, capsys):
    bench("two_ch340")
    assert refused(capsys, "boards", "add", "desk") == (
        "2 new devices are plugged in, say which: --port PATH; "
        "/dev/ttyUSB0 (1a86:7523 USB Serial, no serial_number, location 1-1.2); "
        "/dev/ttyUSB1 (1a86:7523 USB Serial, no serial_number, location 1-1.4)"
    )
    said(capsys, "boards", "add", "desk", "--port", "/dev/ttyUSB1")
    serial = load_boards(Path("boards.toml"))["desk"].serial
    assert serial == SerialMatch("1a86", "7523", location="1-1.4")


def test_add_takes_the_port_of_a_device_that_is_named(bench, capsys):
    bench("nrf52840_dk_two_consoles")
    said(capsys, "boards", "add", "a.b", "--port", "/dev/ttyACM1", "--firmware", "mine")
    board = load_boards(Path("boards.toml"))["a.b"]
    assert board.serial == SerialMatch("1366", "1051", "001050760093", "2")
    assert board.firmware == "mine"


@pytest.mark.parametrize("url", ["rfc2217://rack:4003?ign_set_control", "socket://[::1]:4000"])
def test_add_a_url(bench, capsys, url):
    assert refused(capsys, "boards", "add", "rack", "--port", url) == (
        f"{url} says nothing of the board behind it; say its firmware: --firmware NAME"
    )
    said(capsys, "boards", "add", "rack", "--port", url, "--firmware", "stm32l4")
    board = load_boards(Path("boards.toml"))["rack"]
    assert (board.serial, board.firmware) == (url, "stm32l4")


def test_add_a_path_that_usb_knows_nothing_of(bench, capsys):
    bench("no_usb")
    for path in ("/dev/null", "/dev/ttyS0"):
        assert refused(capsys, "boards", "add", "a", "--port", path) == (
            f"{path} says nothing of the board behind it; say its firmware: --firmware NAME"
        )
    said(capsys, "boards", "add", "a", "--port", "/dev/null", "--firmware", "p")
    assert load_boards(Path("boards.toml"))["a"].serial == "/dev/null"


def test_add_refuses(bench, capsys):
    bench("ppk2_beside_dk", "microbit_v2")
    write('[board.dk]\nfirmware = "p"\nserial = {vid = "1366", interface = "0"}\n')
    before = Path("boards.toml").read_bytes()
    assert refused(capsys, "boards", "add", "dk") == (
        "board 'dk' is in boards.toml already; edit its table, or choose another name"
    )
    assert refused(capsys, "boards", "add", "a", "--port", "/dev/ttyACM0") == (
        "port /dev/ttyACM0 is board 'dk' already; edit its table"
    )
    assert refused(capsys, "boards", "add", "a", "--port", "/dev/ttyACM2", code=3) == (
        "/dev/ttyACM2 is a Nordic Power Profiler Kit II: instruments are never flashed or streamed "
        "to; name the port of the board"
    )
    assert refused(capsys, "boards", "add", "a/b", "--port", "/dev/ttyACM1") == (
        "the new board's name 'a/b' may hold letters, digits, '_', '-' and '.' only; rename it"
    )
    assert refused(capsys, "boards", "add", "a") == (
        "/dev/ttyACM4 is: BBC micro:bit v2 (nRF52833), no firmware port yet; its firmware cannot be "
        "guessed, say it: --firmware NAME"
    )
    assert Path("boards.toml").read_bytes() == before


def test_add_lists_what_is_plugged_in_when_the_port_is_not(bench, capsys):
    assert refused(capsys, "boards", "add", "a", "--port", "/dev/ttyACM9") == (
        "no port /dev/ttyACM9; plugged in: no serial port"
    )
    bench("uno_r3")
    assert refused(capsys, "boards", "add", "a", "--port", "/dev/ttyACM9") == (
        "no port /dev/ttyACM9; plugged in: /dev/ttyACM0 (2341:0043, serial_number "
        "85735313833351E0A1A2, interface 0, location 1-1.1)"
    )


def test_add_never_writes_into_the_files_that_hilbench_carries(bench, capsys):
    Path("boards.toml").unlink()
    assert refused(capsys, "boards", "add", "a") == (
        "no boards.toml to add to; make one with: hilbench init"
    )


# locks


def test_nobody_holds_a_board(bench, capsys):
    assert said(capsys, "locks") == "no board is held\n"
    assert json.loads(said(capsys, "locks", "--json")) == []


def test_locks_name_holders_and_forget_the_dead(bench, capsys, tmp_path):
    code = (
        "import sys\n"
        "from hilbench.board.locks import board_lock\n"
        "from hilbench.records import BoardConfig\n"
        "with board_lock(BoardConfig(id='desk', firmware='p', serial='/dev/null'), 1.0, print):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "held\n"
        (row,) = json.loads(said(capsys, "locks", "--json"))
        assert (row["board"], row["pid"]) == ("desk", process.pid)
        assert re.search(rf"desk +{process.pid} ", said(capsys, "locks"))
        process.stdin.close()
        assert process.wait(30) == 0
    assert said(capsys, "locks") == "no board is held\n"
