"""One name per physical board, on recorded port lists of real kits."""

from __future__ import annotations

import pytest

from hilbench.drivers.links import serial as driver
from hilbench.drivers.links._identity import identity
from hilbench.records import SerialMatch
from tests.drivers.links.recorded import PORTS, make_port, recorded

KITS = sorted(p.stem for p in PORTS.glob("*.json"))


@pytest.mark.parametrize("kit", KITS)
def test_every_port_is_another_board_and_no_tty_name_matters(kit):
    ports = recorded(kit)
    names = [identity(p.device, ports) for p in ports]
    assert len(set(names)) == len(ports)
    usb = [(p, name) for p, name in zip(ports, names, strict=True) if p.vid is not None]
    for number, (port, name) in enumerate(usb):
        port.device = f"/dev/ttyMoved{number}"
        assert identity(port.device, ports) == name


@pytest.mark.parametrize("kit", KITS)
def test_the_table_that_scan_proposes_is_the_same_board_as_its_path(kit):
    ports = recorded(kit)
    for port in ports:
        if port.vid is None or driver.is_instrument(port):
            continue
        match = driver.propose(port, ports).match
        if match is not None:
            assert identity(match, ports) == identity(port.device, ports)


@pytest.mark.parametrize(
    ("match", "name"),
    [
        (SerialMatch("2341", "0043", "00A1"), "usb 2341:0043 a1"),
        (SerialMatch("2341", "0043", "A1", location="1-1"), "usb 2341:0043 a1"),
        (SerialMatch("1A86", "7523", location="1-1"), "usb 1a86:7523 1-1"),
        (SerialMatch("1a86", "7523", "0001", location="1-1"), "usb 1a86:7523 1-1"),
        (SerialMatch("1366", "1051", "105A", interface="02"), "usb 1366:1051 105a interface 2"),
    ],
)
def test_what_is_not_plugged_in_is_what_its_table_says(match, name):
    assert identity(match, []) == name


def test_a_number_that_two_devices_share_is_nobodys():
    ports = [
        make_port(f"/dev/ttyUSB{n}", vid=1, pid=2, serial_number="77A", location=f"1-{n}")
        for n in (1, 2)
    ]
    assert [identity(p.device, ports) for p in ports] == ["usb 0001:0002 1-1", "usb 0001:0002 1-2"]
    assert identity(ports[0].device, ports[:1]) == "usb 0001:0002 77a"
