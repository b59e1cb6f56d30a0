"""What a real board's table says of port, flasher, supply and quarantine; boards.local.toml."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from hilbench.config import load_boards
from hilbench.config.boards import files_of
from hilbench.errors import EXIT_USAGE, ConfigError
from hilbench.records import FlasherConfig, PowerSwitchConfig, Quarantine, SerialMatch

HEAD = 'schema = 1\n[board.m4]\nfirmware = "p"\n'
MINIMAL = HEAD + 'serial = "/dev/ttyACM0"\n'


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str, local: str | None = None):
        Path("boards.toml").write_text(text, encoding="utf-8")
        if local is not None:
            Path("boards.local.toml").write_text(f"schema = 1\n{local}", encoding="utf-8")
        return load_boards(Path("boards.toml"))

    return write


def sentence(bench, *texts: str) -> str:
    with pytest.raises(ConfigError) as caught:
        bench(*texts)
    assert caught.value.exit_code == EXIT_USAGE
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "serial",
    [
        "/dev/serial/by-id/usb-SEGGER_J-Link_000683534322-if00",
        "rfc2217://rack:4003?ign_set_control",
        "socket://localhost:4000",
        "COM4",
    ],
)
def test_paths_and_urls_arrive_as_they_are(bench, serial):
    assert bench(HEAD + f'serial = "{serial}"')["m4"].serial == serial


def test_every_key_of_every_table_arrives(bench):
    board = bench(
        HEAD + "[board.m4.serial]\n"
        'vid = "0D28"\npid = "00aF"\nserial_number = "000683534322"\ninterface = "2"\n'
        'location = "1-1.2"\n'
        '[board.m4.flasher]\ntool = "emulator"\nprobe_serial = "0001"\ntarget = "t"\n'
        'args = ["-x", ""]\nverify = false\n'
        '[board.m4.power]\ndriver = "uhubctl"\nargs = { location = "1-1", port = "2" }\n'
        '[board.m4.quarantine]\nreason = "worn out"\nuntil = 2026-12-31\n'
    )["m4"]
    assert board.serial == SerialMatch("0d28", "00af", "000683534322", "2", "1-1.2")
    assert board.flasher == FlasherConfig("emulator", "0001", "t", ("-x", ""), verify=False)
    assert board.power == PowerSwitchConfig("uhubctl", (("location", "1-1"), ("port", "2")))
    assert board.quarantine == Quarantine("worn out", date(2026, 12, 31))


def test_what_is_not_said_is_not_invented(bench):
    board = bench(MINIMAL + 'flasher = "emulator"\n[board.m4.quarantine]\nreason = "r"')["m4"]
    assert board.flasher == FlasherConfig("emulator")
    assert board.quarantine == Quarantine("r", None)
    assert board.power is None


def test_a_date_may_be_a_string(bench):
    board = bench(MINIMAL + '[board.m4.quarantine]\nreason = "r"\nuntil = "2026-12-31"')["m4"]
    assert board.quarantine == Quarantine("r", date(2026, 12, 31))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("serial = 4", '[board.m4] serial must be a string or table, is 4; quote it: "4"'),
        ('serial = ""', "[board.m4] serial is empty; name a path, a URL or a table, as printed by `hilbench boards scan`"),
        ("serial = {}", "[board.m4.serial] identifies no port; add vid and pid, serial_number or location, as printed by `hilbench boards scan`"),
        ('serial = {interface = "0"}', "[board.m4.serial] identifies no port; add vid and pid, serial_number or location, as printed by `hilbench boards scan`"),
        ('serial = {pid = "0001"}', "[board.m4.serial] has pid but no vid; a product id means nothing alone, add vid"),
        ("serial = {vid = 1155}", '[board.m4.serial] vid must be a string, is 1155; quote it, as four hex digits in quotes, e.g. "0483"'),
        ("serial = {vid = 0x0483}", '[board.m4.serial] vid must be a string, is 1155; quote it, as four hex digits in quotes, e.g. "0483"'),
        ('serial = {vid = "483"}', "[board.m4.serial] vid is '483', must be four hex digits in quotes, e.g. \"0483\""),
        ('serial = {vid = "0x0483"}', "[board.m4.serial] vid is '0x0483', must be four hex digits in quotes, e.g. \"0483\""),
        ('serial = {vid = "0483", pid = "\u0660\u0660\u0660\u0661"}', "[board.m4.serial] pid is '\u0660\u0660\u0660\u0661', must be four hex digits in quotes, e.g. \"0483\""),
        ('serial = {vid = "0483", interface = 2}', '[board.m4.serial] interface must be a string, is 2; quote it, as a number in quotes, e.g. "2"'),
        ('serial = {vid = "0483", interface = "if02"}', "[board.m4.serial] interface is 'if02', must be a number in quotes, e.g. \"2\""),
        ('serial = {location = "usb1"}', "[board.m4.serial] location is 'usb1', must be a USB location in quotes, e.g. \"1-1.2\""),
        ('serial = {serial_number = " "}', "[board.m4.serial] serial_number is blank; say it or remove the key"),
        ('serial = {serial = "1"}', "[board.m4.serial] unknown key 'serial'; known: vid, pid, serial_number, interface, location (did you mean 'serial_number'?)"),
        ('serial = "x"\nflasher = 3', '[board.m4] flasher must be a string or table, is 3; quote it: "3"'),
        ('serial = "x"\nflasher = {target = "t"}', '[board.m4.flasher] tool is missing; add tool = "…"'),
        ('serial = "x"\nflasher = {tool = "emulator", probe_serial = 683534322}', '[board.m4.flasher] probe_serial must be a string, is 683534322; quote it: "683534322"'),
        ('serial = "x"\nflasher = {tool = "emulator", verify = "no"}', "[board.m4.flasher] verify must be a boolean, is the string 'no'"),
        ('serial = "x"\nflasher = {tool = "emulator", args = "-x"}', "[board.m4.flasher] args must be a list of strings, is the string '-x'"),
        ('serial = "x"\nflasher = {tool = "emulator", adapter = "x"}', "[board.m4.flasher] unknown key 'adapter'; known: tool, probe_serial, target, args, verify, command, expect"),
        ('serial = "x"\nflasher = {tool = "emulator", command = ["x"]}', "[board.m4.flasher] has command, but tool is 'emulator'; use tool = \"command\" or remove command"),
        ('serial = "x"\npower = "uhubctl"', "[board.m4] power must be a table, is the string 'uhubctl'"),
        ('serial = "x"\npower = {}', '[board.m4.power] driver is missing; add driver = "…"'),
        ('serial = "x"\npower = {driver = "uhubctl", args = {port = 2}}', '[board.m4.power] args must be a table of strings, is a table; port is 2; quote it: "2"'),
        ('serial = "x"\nquarantine = {until = 2026-12-31}', '[board.m4.quarantine] reason is missing; add reason = "…"'),
        ('serial = "x"\nquarantine = {reason = "r", until = "soon"}', "[board.m4.quarantine] until must be a date, is the string 'soon'; write it as 2026-12-31"),
        ('serial = "x"\nquarantine = {reason = "r", until = 2026-12-31T10:00:00}', "[board.m4.quarantine] until must be a date, is the date 2026-12-31T10:00:00; write it as 2026-12-31"),
        ('serial = "x"\nquarantine = {reason = "r", until = 20261231}', "[board.m4.quarantine] until must be a date, is 20261231; write it as 2026-12-31"),
    ],
)  # fmt: skip
def test_sentence(bench, body, expected):
    assert sentence(bench, HEAD + body) == f"boards.toml: {expected}"


def test_the_flasher_of_a_table_is_a_driver_too(bench):
    text = sentence(bench, MINIMAL + '[board.m4.flasher]\ntool = "emulater"')
    assert text.startswith("boards.toml: [board.m4.flasher] tool is 'emulater', must be one of ")
    assert text.endswith("(did you mean 'emulator'?)")


@pytest.mark.parametrize("number", ["0483", "000683534322", "00A7"])
def test_a_number_with_a_leading_zero_is_told_to_be_quoted(bench, number):
    text = sentence(bench, MINIMAL + f"[board.m4.serial2]\nserial_number = {number}  # mine\n")
    assert text.startswith("boards.toml: not valid TOML: ")
    assert text.endswith(f'; if {number} is an id, quote it: "{number}"')


def test_other_broken_toml_is_not_told_to_be_quoted(bench):
    assert "quote" not in sentence(bench, MINIMAL + "chip = = 3\n")


def test_the_command_flasher_needs_its_command(bench, monkeypatch):
    monkeypatch.setattr("hilbench.plugins.names", lambda _: ("command", "emulator"))
    assert sentence(bench, MINIMAL + 'flasher = "command"') == (
        'boards.toml: [board.m4.flasher] tool = "command" needs command, what to run; add it, e.g. '
        'command = ["picotool", "load", "-x", "{image}"]'
    )
    table = '[board.m4.flasher]\ntool = "command"\ncommand = ["dd", "if={image}"]'
    assert bench(MINIMAL + table)["m4"].flasher.command == ("dd", "if={image}")


# boards.local.toml


def test_local_overrides_key_by_key_and_in_tables(bench):
    shared = (
        HEAD + 'baud = 9600\nnotes = "shared"\nflasher = "emulator"\n'
        '[board.m4.serial]\nvid = "1366"\npid = "1051"\nserial_number = "1"\n'
        "[board.m4.timeouts]\nhello_s = 7\nrun_s = 8\n"
        '[board.other]\nfirmware = "q"\nserial = "y"\n'
    )
    boards = bench(
        shared,
        '[board.m4]\nnotes = "local"\n'
        '[board.m4.serial]\nserial_number = "0683534322"\n'
        '[board.m4.flasher]\nprobe_serial = "0683534322"\n'
        "[board.m4.timeouts]\nrun_s = 9\n"
        '[board.mine]\nfirmware = "r"\nserial = "z"\n',
    )
    m4 = boards["m4"]
    assert (m4.firmware, m4.baud, m4.notes) == ("p", 9600, "local")
    assert m4.serial == SerialMatch("1366", "1051", "0683534322")
    assert m4.flasher == FlasherConfig("emulator", probe_serial="0683534322")
    assert (m4.timeouts.hello_s, m4.timeouts.run_s) == (7, 9)
    assert list(boards) == ["m4", "other", "mine"]
    assert {n: b.source for n, b in boards.items()} == {
        "m4": "boards.toml",
        "other": "boards.toml",
        "mine": "boards.local.toml",
    }


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ('serial = "/dev/ttyS1"', "/dev/ttyS1"),
        ('serial = {vid = "0483"}', SerialMatch("0483")),
    ],
)
def test_local_replaces_what_is_not_a_table_on_both_sides(bench, local, expected):
    assert bench(MINIMAL, f"[board.m4]\n{local}")["m4"].serial == expected


def test_without_boards_of_its_own_local_is_empty(bench):
    assert list(bench(MINIMAL, "[board]\n")) == ["m4"]


def test_all_boards_may_be_local(bench):
    assert list(bench("schema = 1\n[board]\n", '[board.a]\nfirmware = "p"\nserial = "x"')) == ["a"]


def test_local_belongs_to_the_file_of_that_name(tmp_path):
    (tmp_path / "lab.toml").write_text(MINIMAL)
    (tmp_path / "boards.local.toml").write_text("not TOML")
    (tmp_path / "lab.local.toml").write_text("schema = 1\n[board.m4]\nbaud = 1\n")
    assert load_boards(tmp_path / "lab.toml")["m4"].baud == 1


def test_the_files_of_boards_are_those_that_were_read(bench):
    alone = bench(MINIMAL)
    assert files_of(alone.values()) == [Path("boards.toml")]
    both = bench(MINIMAL, '[board.mine]\nfirmware = "p"\nserial = "x"')
    assert files_of(both.values()) == [Path("boards.local.toml"), Path("boards.toml")]
    assert files_of([both["mine"]]) == [Path("boards.local.toml")]


@pytest.mark.parametrize(
    ("shared", "local", "expected"),
    [
        (MINIMAL, '[board.m4]\nbaud = "1"', "boards.local.toml: [board.m4] baud must be an integer, is the string '1'"),
        (MINIMAL, "[board.m4.serial]\nvid = 1", 'boards.local.toml: [board.m4.serial] vid must be a string, is 1; quote it, as four hex digits in quotes, e.g. "0483"'),
        (MINIMAL + 'baud = "1"', "[board.m4]\nbaud = 1", "boards.toml: [board.m4] baud must be an integer, is the string '1'"),
        (MINIMAL, "[boards.m4]\nbaud = 1", "boards.local.toml: unknown key 'boards'; known: schema, board (did you mean 'board'?)"),
        (MINIMAL, '[board.m5]\nserial = "x"', 'boards.local.toml: [board.m5] firmware is missing; add firmware = "…"'),
        (HEAD, "[board.m4]\nbaud = 1", 'boards.toml and boards.local.toml: [board.m4] has neither emulator nor serial; add emulator = "qemu", or the port of a real board: serial = "/dev/ttyACM0"'),
        (HEAD + 'emulator = "qemu"', '[board.m4]\nserial = "x"', "boards.toml and boards.local.toml: [board.m4] has emulator and serial; a board is emulated or real, remove one of them"),
        (MINIMAL, '[board.m4]\nmeter = "synthetic"', 'boards.local.toml: [board.m4] meter = "synthetic" needs supply_v, the supply in V while an inference runs; add it, or use meter = "none"'),
        (HEAD + 'serial = {vid = "0483"}', '[board.m4.flasher]\ntarget = "x"', 'boards.local.toml: [board.m4.flasher] tool is missing; add tool = "…"'),
        (MINIMAL, "[board.m4.quarantine]\nuntil = 2027-01-01", 'boards.local.toml: [board.m4.quarantine] reason is missing; add reason = "…"'),
        (MINIMAL + 'flasher = "emulator"', '[board.m4.flasher]\ncommand = ["x"]', "boards.toml and boards.local.toml: [board.m4.flasher] has command, but tool is 'emulator'; use tool = \"command\" or remove command"),
    ],
)  # fmt: skip
def test_a_sentence_names_the_file_that_holds_the_key(bench, shared, local, expected):
    assert sentence(bench, shared, local) == expected
