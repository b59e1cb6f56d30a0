"""boards.toml: what loads, and the sentence for everything that does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hilbench.config import boards_template, load_boards
from hilbench.config.boards import BOARD_KEYS, TABLES
from hilbench.errors import EXIT_USAGE, ConfigError
from hilbench.records import MeterConfig

ROOT = Path(__file__).resolve().parents[2]
ALL_KEYS = (*BOARD_KEYS, *(k for keys in TABLES.values() for k in keys))
MINIMAL = 'firmware = "p"\nserial = "/dev/ttyACM0"\n'


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Write boards.toml into the current folder, so that sentences begin with its bare name."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        Path("boards.toml").write_text(text, encoding="utf-8")
        return Path("boards.toml")

    return write


def sentence(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_boards(path)
    assert caught.value.exit_code == EXIT_USAGE
    assert "\n" not in str(caught.value)
    return str(caught.value)


def board(body: str, name: str = "m4") -> str:
    return f"schema = 1\n[board.{name}]\n{body}"


def test_minimal_board_gets_no_invented_figures(bench):
    loaded = load_boards(bench(board(MINIMAL)))["m4"]
    assert (loaded.id, loaded.firmware, loaded.serial) == ("m4", "p", "/dev/ttyACM0")
    assert loaded.meter == MeterConfig()
    assert loaded.active_ma is None
    assert loaded.supply_v is None
    assert loaded.source == "boards.toml"


def test_every_key_arrives(bench):
    text = board(
        'firmware = "mps2-an386"\nchip = "c"\nemulator = "qemu"\nbaud = 9600\n'
        'flasher = "emulator"\nmeter = "synthetic"\nsupply_v = 3\n'
        'active_ma = 7\ntags = ["a", "b"]\nnotes = "n"\nemulator_args = { icount = "6", b = "" }\n'
        "[board.m4.timeouts]\nstart_s = 1\nhello_s = 2\nreply_s = 3\nrun_s = 4\nflash_s = 5.5\n"
    )
    loaded = load_boards(bench(text))["m4"]
    assert loaded.emulator_args == (("icount", "6"), ("b", ""))
    assert loaded.tags == ("a", "b")
    assert (loaded.supply_v, loaded.active_ma) == (3.0, 7.0)
    assert type(loaded.supply_v) is float
    limits = loaded.timeouts
    assert (limits.start_s, limits.hello_s, limits.reply_s) == (1, 2, 3)
    assert (limits.run_s, limits.flash_s) == (4, 5.5)
    assert (loaded.baud, loaded.notes) == (9600, "n")


def test_unknown_key(bench):
    assert sentence(bench(board(MINIMAL + 'emulater = "qemu"'))) == (
        "boards.toml: [board.m4] unknown key 'emulater'; known: firmware, chip, emulator, "
        "emulator_args, serial, baud, flasher, meter, supply_v, supply_max_v, powered_ma, "
        "current, active_ma, power, quarantine, tags, notes, timeouts (did you mean 'emulator'?)"
    )


def test_unknown_key_without_a_near_one_has_no_hint(bench):
    assert "did you mean" not in sentence(bench(board(MINIMAL + "qqqqqq = 1")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[boards.m4]\n", "boards.toml: unknown key 'boards'; known: schema, board (did you mean 'board'?)"),
        ("schema = 1\n", "boards.toml: board is missing; add a table [board.NAME]"),
        ("[board.m4]\n", "boards.toml: schema is missing; add schema = 1"),
        ("schema = 2\n[board.m4]\n", "boards.toml: schema is 2, this hilbench reads schema 1"),
        ("schema = true\n[board.m4]\n", "boards.toml: schema must be an integer, is the boolean true"),
        ("schema = 1\n[board]\n", "boards.toml: no board; add a table [board.NAME]"),
        ("schema = 1\nboard = 3\n", "boards.toml: board must be a table, is 3"),
        ("schema = 1\n[board]\nm4 = 3\n", "boards.toml: board.m4 must be a table, is 3"),
        (board("", '"a/b"'), "boards.toml: [board.a/b] name 'a/b' may hold letters, digits, '_', '-' and '.' only; rename it"),
        (board('serial = "x"'), 'boards.toml: [board.m4] firmware is missing; add firmware = "…"'),
        (board(MINIMAL + 'baud = "9600"'), "boards.toml: [board.m4] baud must be an integer, is the string '9600'"),
        (board(MINIMAL + "baud = true"), "boards.toml: [board.m4] baud must be an integer, is the boolean true"),
        (board(MINIMAL + "baud = 0"), "boards.toml: [board.m4] baud is 0, must be at least 1"),
        (board(MINIMAL + "supply_v = 0.0"), "boards.toml: [board.m4] supply_v is 0.0, must be above 0"),
        (board(MINIMAL + "supply_v = nan"), "boards.toml: [board.m4] supply_v must be a number, is nan"),
        (board(MINIMAL + "active_ma = inf"), "boards.toml: [board.m4] active_ma must be a number, is inf"),
        (board(MINIMAL + 'tags = ["a", 1]'), "boards.toml: [board.m4] tags must be a list of strings, is ['a', 1]"),
        (board(MINIMAL + "chip = 4"), 'boards.toml: [board.m4] chip must be a string, is 4; quote it: "4"'),
        (board(MINIMAL + "notes = true"), 'boards.toml: [board.m4] notes must be a string, is the boolean true; quote it: "true"'),
        (board(MINIMAL + "notes = 2026-01-02"), 'boards.toml: [board.m4] notes must be a string, is the date 2026-01-02; quote it: "2026-01-02"'),
        (board(MINIMAL + "chip = {a = 1}"), "boards.toml: [board.m4] chip must be a string, is a table"),
        (board('firmware = "p"\nemulator = "qemu"\nemulator_args = {a = 1}'), 'boards.toml: [board.m4] emulator_args must be a table of strings, is a table; a is 1; quote it: "1"'),
        (board(MINIMAL + "timeouts = 3"), "boards.toml: [board.m4] timeouts must be a table, is 3"),
        (board(MINIMAL + "[board.m4.timeouts]\nhelo_s = 1"), "boards.toml: [board.m4.timeouts] unknown key 'helo_s'; known: start_s, hello_s, reply_s, run_s, flash_s (did you mean 'hello_s'?)"),
        (board(MINIMAL + "[board.m4.timeouts]\nrun_s = 0"), "boards.toml: [board.m4.timeouts] run_s is 0, must be above 0"),
        (board(MINIMAL + 'meter = "syntetic"'), "boards.toml: [board.m4] meter is 'syntetic', must be one of 'joulescope', 'lpm01a', 'none', 'ppk2', 'replay', 'synthetic' (did you mean 'synthetic'?)"),
        (board(MINIMAL + 'meter = "synthetic"\nsupply_v = 3.3'), 'boards.toml: [board.m4] meter = "synthetic" needs active_ma, the current in mA while an inference runs; add it, or use meter = "none"'),
        (board(MINIMAL + 'meter = "synthetic"\nactive_ma = 1'), 'boards.toml: [board.m4] meter = "synthetic" needs supply_v, the supply in V while an inference runs; add it, or use meter = "none"'),
        (board('firmware = "p"'), 'boards.toml: [board.m4] has neither emulator nor serial; add emulator = "qemu", or the port of a real board: serial = "/dev/ttyACM0"'),
        (board(MINIMAL + 'emulator = "qemu"'), "boards.toml: [board.m4] has emulator and serial; a board is emulated or real, remove one of them"),
        (board(MINIMAL + 'emulator_args = {a = "1"}'), "boards.toml: [board.m4] has emulator_args but no emulator; remove emulator_args"),
    ],
)  # fmt: skip
def test_sentence(bench, text, expected):
    assert sentence(bench(text)) == expected


def test_unknown_emulator_names_those_that_exist(bench):
    text = sentence(bench(board('firmware = "p"\nemulator = "qmu"')))
    assert text.startswith("boards.toml: [board.m4] emulator is 'qmu', must be one of ")
    assert text.endswith("(did you mean 'qemu'?)")


def test_absent_file_names_the_command_that_writes_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sentence(Path("boards.toml")) == (
        "boards.toml: cannot be read (No such file or directory); "
        "`hilbench init` writes a commented one"
    )


def test_broken_toml_says_where(bench):
    text = sentence(bench("schema = 1\n[board.m4\n"))
    assert re.fullmatch(r"boards\.toml: not valid TOML: .* \(at line 2, column \d+\)", text)


def test_not_utf8(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("boards.toml").write_bytes(b"# \xff\n")
    assert sentence(Path("boards.toml")) == "boards.toml: not UTF-8 at byte 2; save it as UTF-8"


def test_boards_of_the_project():
    boards = load_boards(ROOT / "boards.toml")
    assert {i: b.firmware for i, b in boards.items()} == {
        "native": "posix",
        "m3": "mps2-an385",
        "m4": "mps2-an386",
        "m4-flash": "mps2-an386-flash",
        "m7": "mps2-an500",
        "m33": "mps2-an505",
        "m55": "mps3-an547",
        "uno": "atmega328p",
        "microbit": "nrf51",
        "netduino": "stm32f4",
        "riscv": "riscv-vexriscv",
        "uno-ppk2": "atmega328p",
        "m4-energy": "mps2-an386",
    }
    extra = ["m4-flash", "m7", "uno", "microbit", "netduino", "riscv", "uno-ppk2", "m4-energy"]
    assert [i for i, b in boards.items() if "extra" in b.tags] == extra
    assert {i: b.flasher.tool for i, b in boards.items() if b.flasher.tool != "emulator"} == {
        "uno": "avrdude",
        "microbit": "pyocd",
        "uno-ppk2": "avrdude",
    }
    assert all("emulated" in b.tags for b in boards.values())


def uncommented(text: str) -> str:
    """Switch every commented key on; prose comments do not look like TOML."""
    return re.sub(r"^# (?=\[|[a-z_]+ = )", "", text, flags=re.MULTILINE)


def test_template_loads(bench):
    assert list(load_boards(bench(boards_template()))) == ["native", "m4"]


def test_template_shows_every_key_and_all_of_them_load(bench):
    text = uncommented(boards_template())
    boards = load_boards(bench(text))
    assert boards["mine"].serial.serial_number == "066AFF303435554157113106"
    assert boards["rack-3"].serial.startswith("rfc2217://")
    missing = [k for k in ALL_KEYS if f"{k} =" not in text and f".{k}]" not in text]
    assert missing == ["emulator_args"]


def test_commented_examples_of_the_project_load(bench):
    boards = load_boards(bench(uncommented((ROOT / "boards.toml").read_text(encoding="utf-8"))))
    assert boards["nucleo-l4r5zi"].timeouts.hello_s == 10
    assert boards["rack-3"].serial == "rfc2217://rack.example:4003?ign_set_control"
    real = [b for b in boards.values() if b.emulator is None]
    assert len(real) >= 6
    assert [b.id for b in real if b.serial is None] == []


def test_the_manual_explains_every_key():
    manual = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
    assert [k for k in ALL_KEYS if f"`{k}`" not in manual] == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.integers(0, 10_000),
    st.integers(0, 30),
    st.sampled_from(["", "1", '"x"', "[", "]", "=", "\n", "true", "nan", "{a = 1}", "# ", "\x00"]),
)
def test_any_damage_is_a_config_error_or_loads(bench, position, length, inserted):
    text = boards_template()
    position %= len(text)
    try:
        boards = load_boards(bench(text[:position] + inserted + text[position + length :]))
    except ConfigError as error:
        assert str(error).startswith("boards.toml: ")  # noqa: PT017 - it may also load
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert boards
