"""What is proposed for the kits that are plugged in."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilbench import plugins
from hilbench.drivers.links import serial as driver
from hilbench.drivers.links._kits import guess_kit, propose, toml_key, toml_string
from hilbench.drivers.links._ports import is_instrument
from hilbench.errors import BoardError
from hilbench.records import BoardConfig, SerialMatch
from tests.drivers.links.recorded import PORTS, recorded

KITS = sorted(p.stem for p in PORTS.glob("*.json"))


@pytest.fixture
def all_flashers(monkeypatch):
    """Proposals name a flasher only where its driver exists; here all of them do."""
    known = ("avrdude", "command", "openocd", "pyocd")
    monkeypatch.setattr(plugins, "names", lambda kind: known if kind == "flashers" else ())


@pytest.mark.parametrize(
    ("kit", "slug", "firmware"),
    [
        ("nucleo_l4r5zi", "nucleo-l4r5zi", "stm32l4"),
        ("nrf52840_dk", "nrf52840-dk", "nrf52840"),
        ("nrf52840_dk_two_consoles", "nrf52840-dk", "nrf52840"),
        ("uno_r3", "uno", "atmega328p"),
        ("two_ch340", "uno", "atmega328p"),
        ("microbit_v1", "microbit", "nrf51"),
        ("microbit_v2", "microbit-v2", None),
        ("pico", "pico", None),
        ("debug_probe", "pico", "rp2040"),
        ("nano33ble", "nano33ble", None),
        ("two_cp2102", "cp210x", None),
        ("esp32_s3_probe_and_console", "esp32", None),
        ("no_usb", "board", None),
    ],
)
def test_known_kits(kit, slug, firmware):
    assert {guess_kit(p).slug for p in recorded(kit)} == {slug}
    assert guess_kit(recorded(kit)[0]).firmware == firmware


def test_a_devkit_with_two_consoles_is_one_board(all_flashers):
    found, remarks = driver.proposals(recorded("nrf52840_dk_two_consoles"), [])
    assert remarks == []
    assert len(found) == 1
    assert found[0].remarks == [
        "/dev/ttyACM0 (1366:1051 J-Link, serial_number 001050760093, interface 0, "
        "location 3-12.1): J-Link on a board; guessed is nRF52840-DK",
        "the same device also has interface 2 (/dev/ttyACM1): is this the right one?",
    ]
    assert found[0].table("dk") == (
        "[board.dk]\n"
        'firmware = "nrf52840"  # a guess\n'
        "[board.dk.serial]\n"
        'vid = "1366"\n'
        'pid = "1051"\n'
        'serial_number = "001050760093"\n'
        'interface = "0"\n'
        "[board.dk.flasher]\n"
        'tool = "pyocd"\n'
        'probe_serial = "1050760093"\n'
        'target = "nrf52840"\n'
    )


def test_a_board_without_a_serial_number_is_known_by_its_socket(all_flashers):
    found, _ = driver.proposals(recorded("two_ch340"), [])
    assert [p.match.location for p in found] == ["1-1.2", "1-1.4"]
    assert found[0].remarks[1] == (
        "no serial number of its own: known by the USB socket that it is plugged into"
    )
    assert "probe_serial" not in found[0].table("a")


def test_a_firmware_that_is_given_is_no_guess_and_brings_no_flasher_of_another(all_flashers):
    found, _ = driver.proposals(recorded("two_ch340"), [])
    other = tomllib.loads(found[0].table("a", "esp8266"))["board"]["a"]
    assert other["firmware"] == "esp8266"
    assert "flasher" not in other
    assert "guess" not in found[0].table("a", "esp8266")
    same = tomllib.loads(found[0].table("a", "atmega328p"))["board"]["a"]
    assert same["flasher"] == {"tool": "avrdude", "target": "atmega328p"}


def test_an_unknown_firmware_is_not_invented():
    found, _ = driver.proposals(recorded("two_cp2102"), [])
    assert 'firmware = "?"  # unknown: name a firmware port\n' in found[0].table("a")


def test_a_flasher_without_a_driver_is_not_named(monkeypatch):
    monkeypatch.setattr(plugins, "names", lambda _: ("emulator",))
    assert "flasher" not in driver.proposals(recorded("uno_r3"), [])[0][0].table("a")


def test_instruments_and_plain_ports_are_remarks():
    found, remarks = driver.proposals(
        recorded("ppk2_beside_dk", "lpm01a_beside_nucleo", "no_usb"), []
    )
    assert not any(is_instrument(p.port) for p in found)
    assert remarks == [
        "/dev/ttyACM2 is a Nordic Power Profiler Kit II: an instrument",
        "/dev/ttyACM3 is a Nordic Power Profiler Kit II: an instrument",
        "/dev/ttyACM4 is a ST X-NUCLEO-LPM01A: an instrument",
        "without USB identity, not proposed: /dev/ttyS0",
    ]


def test_an_instrument_is_not_proposed_by_its_path_either():
    ports = recorded("ppk2_beside_dk")
    with pytest.raises(BoardError) as caught:
        propose(ports[2], ports)
    assert str(caught.value) == (
        "/dev/ttyACM2 is a Nordic Power Profiler Kit II: instruments are never flashed or streamed "
        "to; name the port of the board"
    )


def board(serial) -> BoardConfig:
    return BoardConfig(id="mine", firmware="p", serial=serial)


@pytest.mark.parametrize(
    "serial",
    ["/dev/ttyACM1", SerialMatch(serial_number="1050760093", interface="2")],
)
def test_a_described_device_is_not_proposed_through_its_other_port(serial):
    found, remarks = driver.proposals(recorded("nrf52840_dk_two_consoles"), [board(serial)])
    assert (found, remarks) == ([], [])


def test_a_match_that_fits_several_describes_none():
    found, remarks = driver.proposals(recorded("two_ch340"), [board(SerialMatch("1a86", "7523"))])
    assert len(found) == 2
    assert remarks == [
        "board mine matches several ports, so it has none: /dev/ttyUSB0, /dev/ttyUSB1"
    ]


def test_urls_and_emulated_boards_describe_nothing_here():
    boards = [board("socket://localhost:1"), board(None)]
    assert len(driver.proposals(recorded("uno_r3"), boards)[0]) == 1


@pytest.mark.parametrize("kit", KITS)
def test_every_proposal_leads_back_to_its_port(kit):
    ports = recorded(kit)
    found, _ = driver.proposals(ports, [])
    for proposal in found:
        table = tomllib.loads(proposal.table("a.b"))["board"]["a.b"]
        match = SerialMatch(**table["serial"])
        assert driver.resolve(match, "a.b", ports) == proposal.port.device
        again, _ = driver.proposals(ports, [board(match)])
        assert proposal.port not in [p.port for p in again]


def test_a_port_without_any_difference_is_named_by_its_path():
    twins = recorded("two_ch340")
    for twin in twins:
        twin.location = None
    found, _ = driver.proposals(twins, [])
    assert [tomllib.loads(p.table("a"))["board"]["a"]["serial"] for p in found] == [
        "/dev/ttyUSB0",
        "/dev/ttyUSB1",
    ]
    assert found[0].remarks[1] == (
        "nothing on USB tells it from another port: this path may change"
    )


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_strings_survive_toml(text):
    assert tomllib.loads(f"a = {toml_string(text)}") == {"a": text}


@pytest.mark.parametrize("name", ["a", "a.b", "1-x_y"])
def test_names_survive_toml(name):
    assert tomllib.loads(f"[board.{toml_key(name)}]")["board"] == {name: {}}
