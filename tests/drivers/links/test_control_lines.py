"""Reset by DTR and RTS: one sequence for Arduino and Espressif boards, never a bootloader."""

from __future__ import annotations

import os
import pty
import re

import pytest
import serial

from hilbench.drivers.links import control_lines
from hilbench.errors import BoardBusyError, BoardError, LinkError


class Board:
    """A port with both reset circuits behind it; notes what the chips would see."""

    def __init__(self):
        self.dtr = self.rts = True  # as pyserial opens a port
        self.events = []
        self.closed = False

    def __setattr__(self, name, value):
        before = dict(self.__dict__)
        super().__setattr__(name, value)
        if "events" not in before or "closed" not in before:
            return
        if name == "dtr" and value and not before["dtr"]:
            self.events.append("arduino reset")
        esp_before = before["rts"] and not before["dtr"]
        esp_now = self.rts and not self.dtr
        if esp_now and not esp_before:
            self.events.append("esp held")
        if esp_before and not esp_now:
            boot = "bootloader" if self.dtr and not self.rts else "program"
            self.events.append(f"esp starts {boot}")

    def close(self):
        self.closed = True


def test_both_circuits_reset_into_the_program(monkeypatch):
    board = Board()
    monkeypatch.setattr(control_lines.serial, "serial_for_url", lambda *_a, **_k: board)
    monkeypatch.setattr(control_lines.time, "sleep", lambda _s: None)
    control_lines.pulse_reset("/dev/ttyUSB0", 115200)
    assert board.events.count("arduino reset") == 1
    assert board.events[-1] == "arduino reset"
    assert "esp starts program" in board.events
    assert "esp starts bootloader" not in board.events
    assert (board.dtr, board.rts, board.closed) == (True, True, True)


def test_a_pty_has_no_control_lines():
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    try:
        with pytest.raises(BoardError) as caught:
            control_lines.pulse_reset(path, 115200)
    finally:
        os.close(master)
        os.close(slave)
    assert str(caught.value).startswith(f"port {path} has no control lines (")
    assert str(caught.value).endswith("reset the board by its button, a probe or a power switch")


def test_an_absent_port():
    sentence = "port /dev/ttyNone9 cannot be opened: "
    with pytest.raises(LinkError, match=re.escape(sentence)):
        control_lines.pulse_reset("/dev/ttyNone9", 115200)


def test_a_port_in_use():
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    try:
        with (
            serial.Serial(path, exclusive=True),
            pytest.raises(BoardBusyError, match=re.escape(f"port {path} is held by another proc")),
        ):
            control_lines.pulse_reset(path, 115200)
    finally:
        os.close(master)
        os.close(slave)
