"""Which port is which board, on recorded port lists of real kits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilbench.drivers.links import serial as driver
from hilbench.drivers.links._ports import (
    identify,
    interface_of,
    is_instrument,
    is_placeholder,
    resolve,
)
from hilbench.errors import BoardError, LinkError
from hilbench.records import SerialMatch
from tests.drivers.links.recorded import PORTS, make_port, recorded

KITS = sorted(p.stem for p in PORTS.glob("*.json"))


def refusal(match: SerialMatch, ports: list) -> str:
    with pytest.raises(BoardError) as caught:
        resolve(match, "b", ports)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kit", "match", "device"),
    [
        ("nucleo_l4r5zi", SerialMatch(vid="0483", pid="374b"), "/dev/ttyACM0"),
        ("nucleo_l4r5zi", SerialMatch(vid="0483", pid="374B"), "/dev/ttyACM0"),
        ("two_nucleos", SerialMatch(serial_number="0672ff555051897267243807"), "/dev/ttyACM1"),
        ("two_nucleos", SerialMatch(location="1-2"), "/dev/ttyACM0"),
        ("two_nucleos", SerialMatch(location="1-2:1.2"), "/dev/ttyACM0"),
        ("nrf52840_dk", SerialMatch(serial_number="683534322"), "/dev/ttyACM0"),
        ("nrf52840_dk", SerialMatch(serial_number="000683534322"), "/dev/ttyACM0"),
        ("nrf52840_dk_two_consoles", SerialMatch(serial_number="1050760093", interface="0"), "/dev/ttyACM0"),
        ("nrf52840_dk_two_consoles", SerialMatch(serial_number="1050760093", interface="02"), "/dev/ttyACM1"),
        ("two_ch340", SerialMatch(vid="1a86", pid="7523", location="1-1.4"), "/dev/ttyUSB1"),
        ("two_cp2102", SerialMatch(serial_number="0001", location="2-1.7"), "/dev/ttyUSB1"),
        ("esp32_s3_probe_and_console", SerialMatch(vid="303a", pid="4001", serial_number="7C:DF:A1:E0:5B:3C"), "/dev/ttyACM1"),
        ("ppk2_beside_dk", SerialMatch(vid="1366", interface="2"), "/dev/ttyACM1"),
        ("windows_nucleo", SerialMatch(vid="0483", interface="2"), "COM4"),
        # the LPM01A has the ids of ST's example, which boards have too: it never counts as a board
        ("lpm01a_beside_nucleo", SerialMatch(vid="0483", pid="5740"), "/dev/ttyACM2"),
    ],
)  # fmt: skip
def test_the_port_of_a_board(kit, match, device):
    assert resolve(match, "b", recorded(kit)) == device
    assert resolve(match, "b", recorded(kit, "no_usb")[::-1]) == device


def test_two_consoles_of_one_probe_need_an_interface():
    match = SerialMatch(vid="1366", pid="1051", serial_number="1050760093")
    assert refusal(match, recorded("nrf52840_dk_two_consoles")) == (
        "board b: 2 ports match [board.b.serial]: "
        "/dev/ttyACM0 (1366:1051 J-Link, serial_number 001050760093, interface 0, location 3-12.1); "
        "/dev/ttyACM1 (1366:1051 J-Link, serial_number 001050760093, interface 2, location 3-12.1); "
        'add interface = "0" or interface = "2"'
    )


@pytest.mark.parametrize(
    ("ports", "match", "advice"),
    [
        (recorded("two_nucleos"), SerialMatch(vid="0483"), 'add serial_number = "066AFF303435554157113106" or serial_number = "0672FF555051897267243807"'),
        (recorded("two_ch340"), SerialMatch(vid="1a86", pid="7523"), 'add location = "1-1.2" or location = "1-1.4"'),
        (recorded("two_cp2102"), SerialMatch(vid="10c4", serial_number="0001"), 'add location = "2-1.6" or location = "2-1.7"'),
        (recorded("esp32_s3_probe_and_console"), SerialMatch(serial_number="7c:df:a1:e0:5b:3c"), 'add vid = "303a", pid = "1001" or vid = "303a", pid = "4001"'),
        (recorded("esp32_s3_probe_and_console"), SerialMatch(vid="303a"), 'add pid = "1001" or pid = "4001"'),
        # the same probe cloned, two consoles each: no key does it alone
        (
            [make_port(f"/dev/ttyACM{i}", vid=1, pid=2, serial_number="77A", location=f"1-{1 + i // 2}:1.{i % 2}") for i in range(4)],
            SerialMatch(serial_number="77A", vid="0001", pid="0002"),
            'add location = "1-1", interface = "0" or location = "1-1", interface = "1" or location = "1-2", interface = "0" or location = "1-2", interface = "1"',
        ),
        (
            [make_port(f"/dev/ttyACM{i}", vid=1, pid=2, serial_number=f"7{i // 2}A", location=f"1-{1 + i // 2}:1.{i % 2}") for i in range(3)],
            SerialMatch(vid="0001", pid="0002"),
            'add serial_number = "70A", interface = "0" or serial_number = "70A", interface = "1" or serial_number = "71A", interface = "0"',
        ),
        (
            [make_port("COM3", vid=1, pid=2), make_port("COM4", vid=1, pid=2)],
            SerialMatch(vid="0001"),
            'USB does not tell them apart; name the path instead: serial = "/dev/serial/by-path/…"',
        ),
    ],
)  # fmt: skip
def test_several_matches_name_the_key_that_tells_them_apart(ports, match, advice):
    text = refusal(match, ports)
    assert text.startswith(f"board b: {len(ports)} ports match [board.b.serial]: ")
    assert text.endswith(f"; {advice}")


def test_a_placeholder_identifies_nothing_alone():
    assert refusal(SerialMatch(serial_number="0001"), recorded("two_cp2102")[:1]) == (
        "board b: serial_number '0001' is a placeholder that many devices share; add location to "
        "[board.b.serial]; plugged in: /dev/ttyUSB0 (10c4:ea60 CP2102 USB to UART Bridge "
        "Controller, serial_number 0001, location 2-1.6)"
    )


@pytest.mark.parametrize(
    "number",
    [None, "", " ", "0", "0001", "000000000000", "1", "8", "123456", "00123456", "12345678", "123456789", "1234567890",
     "0123456789", "0123456789ABCDEF", "none", "None", "NULL", "N/A", "unknown", "ffffffff", "xxxxxxxx", "FFFFFFFEFFFF"],
)  # fmt: skip
def test_placeholders(number):
    assert is_placeholder(number)


@pytest.mark.parametrize(
    "number",
    ["000683534322", "066AFF303435554157113106", "A50285BI", "7C:DF:A1:E0:5B:3C", "12345", "1234567A", "10", "2058318B5056"],
)  # fmt: skip
def test_not_placeholders(number):
    assert not is_placeholder(number)


def test_nothing_plugged_in():
    assert refusal(SerialMatch(vid="1366", pid="1051"), []) == (
        "board b: not plugged in: no port has vid 1366, pid 1051; plug it in or correct "
        "[board.b.serial]; plugged in: no serial port"
    )


def test_not_plugged_in_lists_what_is():
    match = SerialMatch(vid="0483", pid="374b", serial_number="0660")
    assert refusal(match, recorded("two_ch340", "no_usb")) == (
        "board b: not plugged in: no port has vid 0483, pid 374b, serial_number 0660; plug it in or "
        "correct [board.b.serial]; plugged in: "
        "/dev/ttyUSB0 (1a86:7523 USB Serial, no serial_number, location 1-1.2); "
        "/dev/ttyUSB1 (1a86:7523 USB Serial, no serial_number, location 1-1.4); "
        "/dev/ttyS0 (not USB)"
    )


def test_a_board_in_another_socket_is_named():
    match = SerialMatch(vid="1a86", pid="7523", location="1-1.3")
    assert "; /dev/ttyUSB0 differs in location only; " in refusal(match, recorded("two_ch340")[:1])
    assert "differs" not in refusal(match, recorded("two_ch340"))  # either could be meant
    assert "differs" not in refusal(SerialMatch("1a86", "0001"), recorded("two_ch340")[:1])


def test_what_a_device_calls_itself_stays_on_one_line():
    odd = make_port("/dev/ttyACM0", vid=1, pid=2, product="two\nlines\x07")
    assert driver.describe_port(odd) == "/dev/ttyACM0 (0001:0002 twolines, no serial_number)"


def test_an_instrument_is_not_a_board():
    assert refusal(
        SerialMatch(vid="1915", pid="c00a", interface="1"), recorded("ppk2_beside_dk")
    ) == (
        "board b: [board.b.serial] matches only /dev/ttyACM2, a Nordic Power Profiler Kit II; "
        "instruments are never flashed or streamed to; correct the table"
    )


@pytest.mark.parametrize(
    ("port", "name"),
    [
        (make_port("a", vid=0x1915, pid=0xC00A), "Nordic Power Profiler Kit II"),
        (make_port("a", vid=0x1915, pid=0x520F), None),
        (make_port("a", vid=0x0483, pid=0x5740, product="PowerShield (Virtual ComPort in FS Mode)"), "ST X-NUCLEO-LPM01A"),
        (make_port("a", vid=0x0483, pid=0x5740, description="X-NUCLEO-LPM01A (COM7)"), "ST X-NUCLEO-LPM01A"),
        (make_port("a", vid=0x0483, pid=0x5740, serial_number="FFFFFFFEFFFF"), "ST X-NUCLEO-LPM01A"),
        (make_port("a", vid=0x0483, pid=0x5740, product="STM32 Virtual ComPort"), None),
        (make_port("a", vid=0x16D0, pid=0x10BA), "Joulescope"),
        (make_port("a", vid=0x16D0, pid=0x0E88), "Joulescope"),
        (make_port("a", vid=0x16D0, pid=0x0BB4), None),  # MCS lends 16D0 to many makers
        (make_port("a", vid=0x16D0, pid=0x1234, product="JS320"), "Joulescope"),
        (make_port("a", vid=0x1234, pid=0x1234, manufacturer="Qoitech AB"), "Qoitech Otii"),
        (make_port("a", vid=0x1234, pid=0x1234, product="Otii Arc"), "Qoitech Otii"),
        (make_port("a", vid=0x1234, pid=0x1234, product="Potiiphone"), None),
        (make_port("a"), None),
    ],
)  # fmt: skip
def test_instruments(port, name):
    assert is_instrument(port) == name


def test_a_path_to_an_instrument_is_one_too(tmp_path):
    device = tmp_path / "ttyACM9"
    device.touch()
    link = tmp_path / "usb-Nordic_PPK2-if01"
    link.symlink_to(device)
    ports = [make_port(str(device), vid=0x1915, pid=0xC00A), *recorded("two_ch340")]
    assert is_instrument(str(device), ports) == "Nordic Power Profiler Kit II"
    assert is_instrument(str(link), ports) == "Nordic Power Profiler Kit II"
    assert is_instrument("/dev/ttyUSB0", ports) is None
    assert is_instrument("/dev/nothing", ports) is None
    assert is_instrument("socket://localhost:1", ports) is None


def test_a_path_is_resolved_to_itself_unless_it_is_an_instrument():
    ports = recorded("ppk2_beside_dk")
    for text in ("/dev/ttyACM0", "/dev/absent", "rfc2217://a:1?ign_set_control", "/dev/pts/3"):
        assert resolve(text, "b", ports) == text
    with pytest.raises(BoardError) as caught:
        resolve("/dev/ttyACM3", "b", ports)
    assert str(caught.value) == (
        "board b: /dev/ttyACM3 is a Nordic Power Profiler Kit II; instruments are never flashed or "
        "streamed to; correct serial of [board.b]"
    )


def test_a_link_to_an_instrument_is_not_opened(tmp_path, monkeypatch):
    device = tmp_path / "ttyACM9"
    device.touch()
    monkeypatch.setattr(
        "hilbench.drivers.links._ports.comports",
        lambda: [make_port(str(device), vid=0x1915, pid=0xC00A)],
    )
    with pytest.raises(LinkError) as caught:
        driver.open_link(str(device), 115200)
    assert str(caught.value) == (
        f"port {device} is a Nordic Power Profiler Kit II, an instrument: it is never flashed or "
        "streamed to; correct 'serial' in boards.toml"
    )
    with pytest.raises(BoardError, match="matches only"):
        driver.resolve(SerialMatch(vid="1915"), "b")  # this computer's ports


def test_this_computer_can_be_asked():
    devices = [p.device for p in driver.list_ports()]
    assert len(devices) == len(set(devices))


@pytest.mark.parametrize("kit", KITS)
def test_what_identifies_a_port_finds_it(kit):
    ports = recorded(kit)
    for port in ports:
        match = identify(port, ports)
        if port.vid is None or is_instrument(port):
            assert match is None
        else:
            assert resolve(match, "b", ports) == port.device


def test_a_serial_number_is_better_than_a_socket_and_a_socket_than_a_placeholder():
    everything = recorded("two_nucleos", "two_ch340", "nrf52840_dk_two_consoles", "windows_nucleo")
    assert [identify(p, everything) for p in everything] == [
        SerialMatch("0483", "374b", "066AFF303435554157113106"),
        SerialMatch("0483", "374b", "0672FF555051897267243807"),
        SerialMatch("1a86", "7523", location="1-1.2"),
        SerialMatch("1a86", "7523", location="1-1.4"),
        SerialMatch("1366", "1051", "001050760093", "0"),
        SerialMatch("1366", "1051", "001050760093", "2"),
        SerialMatch("0483", "374b", location="1-8"),
    ]


DEVICES = st.lists(
    st.fixed_dictionaries(
        {
            "vid": st.sampled_from([None, 0x0483, 0x1366]),
            "pid": st.sampled_from([0x374B, 0x5740]),
            "serial_number": st.sampled_from([None, "0001", "00A7", "A7", "B8", "FFFFFFFEFFFF"]),
            "location": st.sampled_from([None, "1-1", "1-2", "1-1:1.0", "1-1:1.2", "1-2:x.0"]),
        }
    ),
    max_size=6,
)
MATCHES = st.builds(
    SerialMatch,
    vid=st.sampled_from([None, "0483", "1366"]),
    pid=st.sampled_from([None, "374b", "5740"]),
    serial_number=st.sampled_from([None, "0001", "A7", "000A7", "B8"]),
    interface=st.sampled_from([None, "0", "2"]),
    location=st.sampled_from([None, "1-1", "1-2"]),
)


def plug_in(devices: list[dict]) -> list:
    return [make_port(f"/dev/tty{i}", **(d if d["vid"] else {})) for i, d in enumerate(devices)]


@given(DEVICES)
def test_identity_is_that_of_one_port_or_none(devices):
    ports = plug_in(devices)
    for port in ports:
        match = identify(port, ports)
        if match is not None:
            assert resolve(match, "b", ports) == port.device
            assert not is_instrument(port)


@given(MATCHES, DEVICES)
def test_one_port_or_a_sentence_whose_advice_works(match, devices):
    ports = plug_in(devices)
    try:
        device = resolve(match, "b", ports)
    except BoardError as error:
        text = str(error)
        assert "\n" not in text
        if " ports match " in text and "; add " in text:
            advice = text.rpartition("; add ")[2]
            for option in advice.split(" or "):
                keys = dict(pair.split(" = ") for pair in option.split(", "))
                better = vars(match) | {k: v.strip('"') for k, v in keys.items()}
                assert resolve(SerialMatch(**better), "b", ports)
    else:
        port = next(p for p in ports if p.device == device)
        assert not is_instrument(port)
        assert match.vid is None or int(match.vid, 16) == port.vid
        assert match.interface is None or interface_of(port) == match.interface
