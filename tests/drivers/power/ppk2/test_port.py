"""Which port is a PPK2's measuring port, and who else has it."""

from __future__ import annotations

import dataclasses
import fcntl
import os

import pytest

from hilbench import plugins
from hilbench.drivers.power import _ppk2_port as port
from hilbench.errors import MeterBusyError, MeterError
from hilbench.records import MeterConfig
from tests.drivers.power.ppk2.instrument import Scripted

IN_USE = "correct serial of the board's meter"


@dataclasses.dataclass
class Port:
    device: str
    vid: int | None
    pid: int | None
    serial_number: str | None
    location: str | None
    manufacturer: str | None = None
    product: str | None = "PPK2"
    description: str = ""


PORTS = [
    Port("/dev/ttyACM0", 0x1915, 0xC00A, "D0A1", "1-1:1.3"),
    Port("/dev/ttyACM1", 0x1915, 0xC00A, "D0A1", "1-1:1.1"),
    Port("/dev/ttyACM2", 0x1915, 0xC00A, "E5B6", "1-2"),
    Port("/dev/ttyACM3", 0x2341, 0x0043, "U1", "1-3", product="Uno"),
]


def test_find_takes_the_lowest_interface_of_each():
    assert port.find(PORTS) == [("/dev/ttyACM1", "D0A1"), ("/dev/ttyACM2", "E5B6")]
    assert port.find([]) == []


def test_serial_numbers():
    assert port.serial_number_of("/dev/ttyACM1", PORTS) == ("D0A1", False)
    assert port.serial_number_of("/dev/ttyACM2", PORTS) == ("E5B6", False)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (
            "/dev/ttyACM9",
            "PPK2 at /dev/ttyACM9: no such serial port; PPK2s plugged in: /dev/ttyACM1 (D0A1), "
            "/dev/ttyACM2 (E5B6); plug it in or " + IN_USE,
        ),
        (
            "/dev/ttyACM3",
            "port /dev/ttyACM3 (2341:0043 Uno, serial_number U1, location 1-3) is no PPK2, which is "
            "1915:c00a; PPK2s plugged in: /dev/ttyACM1 (D0A1), /dev/ttyACM2 (E5B6); " + IN_USE,
        ),
        (
            "/dev/ttyACM0",
            "port /dev/ttyACM0 is the PPK2's shell, on USB interface 3; its measuring port is "
            "/dev/ttyACM1; " + IN_USE,
        ),
    ],
)
def test_refusals(address, sentence):
    with pytest.raises(MeterError) as caught:
        port.serial_number_of(address, PORTS)
    assert str(caught.value) == sentence


def test_driver_refuses_what_is_no_ppk2(monkeypatch):
    monkeypatch.setattr(port, "list_ports", lambda: PORTS[3:])
    driver = plugins.load("power", "ppk2")
    with pytest.raises(MeterError, match=r"is no PPK2, .* PPK2s plugged in: none; correct serial"):
        driver.open_meter(MeterConfig("ppk2"), "/dev/ttyACM3", 1.0)


def test_held_by_another_process():
    with Scripted() as instrument:
        other = os.open(instrument.address, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(other, fcntl.LOCK_EX)
        try:
            with pytest.raises(MeterBusyError) as caught:
                port.Ppk2Port(instrument.address)
        finally:
            os.close(other)
    at = instrument.address
    assert str(caught.value) == (
        f"PPK2 at {at} is held by another process; close it (fuser -v {at} names it)"
    )


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            PermissionError("[Errno 13] could not open port: Permission denied"),
            "PPK2 at /dev/x may not be opened by this user; run: sudo usermod -aG dialout $USER, "
            "then log in again",
        ),
        (
            FileNotFoundError("[Errno 2] could not open port: No such file or directory"),
            "PPK2 at /dev/x: no such serial port; plug it in or " + IN_USE,
        ),
        (
            OSError("[Errno 5] Input/output error"),
            "PPK2 at /dev/x cannot be opened: [Errno 5] Input/output error; unplug it and plug it "
            "in again",
        ),
    ],
)
def test_open_errors(monkeypatch, error, sentence):
    def refuse(*_a, **_k):
        raise error

    monkeypatch.setattr(port.serial, "Serial", refuse)
    with pytest.raises(MeterError) as caught:
        port.Ppk2Port("/dev/x")
    assert str(caught.value) == sentence


def test_command_that_nobody_takes():
    """Both directions of a PTY hold some kilobytes, then a write waits."""
    master, slave = os.openpty()
    try:
        opened = port.Ppk2Port(os.ttyname(slave))
        with pytest.raises(MeterError, match=r"PPK2 at /dev/pts/\d+ accepted \d+ of 200000 bytes "):
            opened.write(b"\x06" * 200_000)
        opened.close()
        opened.close()
        with pytest.raises(MeterError, match=r"PPK2 at /dev/pts/\d+ is closed; open it again"):
            opened.read()
    finally:
        os.close(master)
        os.close(slave)
