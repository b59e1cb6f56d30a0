"""[board.NAME.meter] and [board.NAME.current]: who measures power, and what may go wrong with it."""

from __future__ import annotations

import pytest

from hilbench.config import load_boards
from hilbench.errors import ConfigError
from hilbench.records import CurrentModel, MeterConfig, SerialMatch

REAL = 'schema = 1\n[board.lab]\nfirmware = "p"\nserial = "/dev/ttyACM0"\n'
EMULATED = 'schema = 1\n[board.lab]\nfirmware = "p"\nemulator = "simavr"\nsupply_v = 5\n'
METER = "boards.toml: [board.lab.meter]"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "boards.toml").write_text(text, encoding="utf-8")
        return load_boards((tmp_path / "boards.toml").relative_to(tmp_path))["lab"]

    return write


def test_a_driver_alone_is_short_for_its_table(bench):
    assert bench(REAL + 'supply_v = 3.3\nmeter = "ppk2"').meter == MeterConfig("ppk2")
    assert bench(REAL).meter == MeterConfig("none")


def test_a_whole_table(bench):
    board = bench(
        REAL + "supply_v = 3.3\nsupply_max_v = 3.6\npowered_ma = 1\n[board.lab.meter]\n"
        'driver = "ppk2"\nsupplies = true\nmarker = "D0"\nargs = { a = "b" }\n'
        'serial = { serial_number = "E1D8" }'
    )
    assert board.meter == MeterConfig(
        "ppk2", None, SerialMatch(serial_number="E1D8"), True, "D0", (("a", "b"),)
    )
    assert (board.supply_max_v, board.powered_ma) == (3.6, 1.0)


def test_a_local_file_names_the_instrument(bench, tmp_path):
    (tmp_path / "boards.local.toml").write_text(
        'schema = 1\n[board.lab.meter]\nserial = "/dev/ttyACM7"\n', encoding="utf-8"
    )
    board = bench(REAL + 'supply_v = 3.3\nmeter = "ppk2"')
    assert board.meter == MeterConfig("ppk2", serial="/dev/ttyACM7")


def test_what_an_emulated_board_draws(bench):
    text = 'meter = { driver = "ppk2", emulator = "ppk2" }\n[board.lab.current]\n'
    board = bench(EMULATED + text + "idle_ma = 4\nactive_ma = 9\noperators_ma = [1, 2.5]\nseed = 7")
    assert board.current == CurrentModel(4.0, 9.0, (1.0, 2.5), seed=7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            REAL + 'meter = { driver = "ppk2", emulator = "ppk2" }',
            f"{METER} has emulator, but the board is real; an emulated meter measures emulated "
            "boards only, remove emulator",
        ),
        (
            EMULATED + 'meter = { driver = "ppk2", emulator = "ppk2", serial = "/dev/x" }',
            f"{METER} has emulator and serial; a meter is emulated or real, remove one of them",
        ),
        (
            EMULATED + 'meter = { driver = "ppk2", emulator = "ppk2" }',
            f"{METER} has emulator, but nothing says what the board draws; add a table "
            "[board.lab.current] with idle_ma and active_ma",
        ),
        (
            REAL + 'meter = { driver = "ppk2" }',
            f"{METER} measures current, and energy needs supply_v, the board's supply in V; add it "
            "to [board.lab]",
        ),
        (
            REAL + 'supply_v = 3.3\nmeter = "replay"',
            f"{METER} replay reads files and measures no board; use `hilbench meter decode FILE`, or "
            'emulator = "device_time" on an emulated board',
        ),
        (
            EMULATED + 'meter = "ppk2"',
            f"{METER} is a real meter, but the board is emulated and draws no current; name the "
            'emulated one, e.g. emulator = "ppk2"',
        ),
        (
            REAL + 'meter = "joulescope"',
            "boards.toml: [board.lab.meter] measures current, and energy needs supply_v, the "
            "board's supply in V; add it to [board.lab]",
        ),
        (
            REAL + 'supply_v = 3.3\nmeter = { driver = "ppk2", supplies = true }',
            f"{METER} supplies = true needs supply_max_v, the highest voltage in V that the board "
            "bears; add it to [board.lab]",
        ),
        (
            REAL + 'supply_v = 5\nsupply_max_v = 3.6\nmeter = { driver = "ppk2", supplies = true }',
            "boards.toml: [board.lab] supply_v = 5 is above supply_max_v = 3.6; "
            "correct one of them before anything is powered",
        ),
        (
            REAL + 'supply_v = 3\nmeter = { driver = "ppk2", serial = { number = "1" } }',
            f"{METER} serial unknown key 'number'; known: vid, pid, serial_number, interface, "
            "location (did you mean 'serial_number'?)",
        ),
        (
            EMULATED + "[board.lab.current]\nidle_ma = 1\nactive_ma = 2\noperators_ma = ['1']",
            "boards.toml: [board.lab.current] operators_ma must be a list of numbers, is ['1']",
        ),
    ],
)
def test_sentence(bench, text, expected):
    with pytest.raises(ConfigError) as caught:
        bench(text)
    assert str(caught.value) == expected
