"""Power switches against programs that behave and programs that lie."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from hilbench import plugins
from hilbench.errors import BoardError, ConfigError, ToolMissingError
from hilbench.records import BoardConfig, PowerSwitchConfig

ON = "New status for hub 1-1 [0424:2514, USB 2.00, 4 ports, ppps]\n  Port 2: 0100 power\n"
OFF = ON.replace("0100 power", "0000 off")
BEFORE = "Current status for hub 1-1 [0424:2514]\n  Port 2: 0503 power highspeed enable connect\n"
USB3_OFF = "New status for hub 2-1 [0424:5514, USB 3.00]\n  Port 2: 0080 off\n"


def board(driver, **args):
    return BoardConfig(
        id="b",
        firmware="posix",
        source="boards.toml",
        power=PowerSwitchConfig(driver, tuple(args.items())),
    )


def switch(driver, **args):
    return plugins.load("switches", driver).open_switch(board(driver, **args))


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Write a program onto PATH; returns the list of what it was called with."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    calls = tmp_path / "calls"
    calls.touch()

    def make(name, body):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "$HILBENCH_BOARD: $*" >> {calls}\n{body}\n')
        path.chmod(0o755)
        return lambda: calls.read_text().splitlines()

    return make


def say(text, code=0):
    return f"cat <<'END'\n{text}END\nexit {code}"


# -- command ----------------------------------------------------------------------------------------


def test_commands_are_run_as_words(program):
    calls = program("relay", "exit 0")
    relay = switch("command", on="relay 3 'on now'", off="relay 3 off")
    relay.set_power(on=True, timeout_s=5)
    relay.cycle(0.0, 5)
    assert calls() == ["b: 3 on now", "b: 3 off", "b: 3 on now"]


def test_a_cycle_of_its_own_goes_first(program):
    calls = program("relay", "exit 0")
    switch("command", on="relay 1", off="relay 0", cycle="relay c").cycle(0.0, 5)
    assert calls() == ["b: c"]


def test_a_command_that_fails(program):
    program("relay", say("warming up\nno such channel\n", 7))
    sentence = (
        "board b: power off failed: `relay 0` said 'no such channel' (exit code 7); run it by hand, "
        "or correct [board.b.power] args.off"
    )
    with pytest.raises(BoardError, match=re.escape(sentence)):
        switch("command", on="relay 1", off="relay 0").set_power(on=False, timeout_s=5)


def test_a_command_that_hangs_is_killed_with_its_children(program, tmp_path):
    program("relay", f"sleep 600 & echo $! > {tmp_path}/child; wait")
    sentence = (
        "board b: its power switch `relay 1` did not end within 0.3 s and was killed; run it by "
        "hand, or raise timeouts.start_s"
    )
    with pytest.raises(BoardError, match=re.escape(sentence)):
        switch("command", on="relay 1", off="relay 0").set_power(on=True, timeout_s=0.3)
    child = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_an_absent_program():
    sentence = (
        "board b: its power switch needs no-such-relay, which is not installed; install it or "
        "correct [board.b.power] args.on"
    )
    with pytest.raises(ToolMissingError, match=re.escape(sentence)):
        switch("command", on="no-such-relay", off="x").set_power(on=True, timeout_s=5)


def test_a_program_that_is_none(tmp_path):
    path = tmp_path / "relay"
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)
    sentence = f"its power switch {path} cannot be started (Exec format error); correct [board.b.po"
    with pytest.raises(BoardError, match=re.escape(sentence)):
        switch("command", on=str(path), off="x").set_power(on=True, timeout_s=5)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"on": "x"}, 'needs off, a command; add e.g. off = "relay 3 off"'),
        ({"on": "x", "off": "y", "of": "z"}, "has unknown 'of'; known: on, off, cycle"),
        ({"on": "x 'y", "off": "y"}, 'on = "x \'y" cannot be split into words'),
        ({"on": " ", "off": "y"}, "on is empty; give a command, or remove it"),
    ],
)
def test_wrong_commands(args, sentence):
    with pytest.raises(ConfigError) as caught:
        switch("command", **args)
    assert str(caught.value).startswith("boards.toml: [board.b.power] args ")
    assert sentence in str(caught.value)


# -- uhubctl ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "output", "code"),
    [
        (True, BEFORE + ON, 0),
        (False, BEFORE + OFF, 0),
        (False, BEFORE + OFF + USB3_OFF, 0),
        (True, BEFORE + ON, 139),  # crashes after its work is done
    ],
)
def test_uhubctl_is_believed_when_it_shows_the_port(program, on, output, code):
    calls = program("uhubctl", say(output, code))
    switch("uhubctl", location="1-1", port="2").set_power(on=on, timeout_s=5)
    assert calls() == [f"b: -l 1-1 -p 2 -a {'on' if on else 'off'}"]


@pytest.mark.parametrize(
    ("output", "code", "found"),
    [
        (BEFORE + ON, 0, "port is on afterwards (exit code 0)"),
        (BEFORE + OFF + USB3_OFF.replace("0080 off", "02a0 power 5gbps"), 0, "port is off, on aft"),
        (BEFORE, 0, "said 'Port 2: 0503 power highspeed enable connect' (exit code 0)"),
        (BEFORE + OFF.replace("Port 2", "Port 12"), 0, "said 'Port 12: 0000 off' (exit code 0)"),
        (
            "No compatible devices detected!\n",
            1,
            "said 'No compatible devices detected!' (exit cod",
        ),
        ("", 1, "said nothing (exit code 1)"),
    ],
)
def test_uhubctl_is_not_believed_otherwise(program, output, code, found):
    program("uhubctl", say(output, code))
    with pytest.raises(BoardError) as caught:
        switch("uhubctl", location="1-1", port="2").set_power(on=False, timeout_s=5)
    sentence = str(caught.value)
    assert sentence.startswith("board b: uhubctl did not switch port 2 of hub 1-1 off: " + found)
    assert sentence.endswith(
        "run `uhubctl -l 1-1 -p 2 -a off` by hand: the hub may be ganged, elsewhere, or need root"
    )


def test_uhubctl_absent(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    sentence = "needs uhubctl, which is not installed; install it with: apt-get install uhubctl"
    with pytest.raises(ToolMissingError, match=sentence):
        switch("uhubctl", location="1-1", port="2").set_power(on=True, timeout_s=5)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"location": "1-1"}, 'port is missing; give it as uhubctl lists it, e.g. port = "2"'),
        ({"location": "x", "port": "2"}, "location is 'x'; give it as uhubctl lists it"),
        ({"location": "1-1", "port": "2", "hub": "3"}, "has unknown 'hub'; known: location, port"),
    ],
)
def test_wrong_hub(args, sentence):
    with pytest.raises(ConfigError) as caught:
        switch("uhubctl", **args)
    assert f"boards.toml: [board.b.power] args {sentence}" in str(caught.value)
