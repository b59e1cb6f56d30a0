"""hilbench meter list, identify: what is there, who it is, and what is missing."""

from __future__ import annotations

import hashlib
import json
import os
import re

import pytest

from hilbench import plugins
from hilbench.cli import main
from hilbench.cli.metering import instruments
from hilbench.errors import CalibrationError, ToolMissingError
from tests.cli.fake_meter import Driver

ABSENT = ToolMissingError(
    'joulescope needs pyjoulescope_driver: pip install "hilbench[joulescope]"'
)


@pytest.fixture
def drivers(monkeypatch):
    """Put drivers in place of those that there are."""
    monkeypatch.setenv("COLUMNS", "200")

    def use(**found):
        monkeypatch.setattr(instruments, "sampling_drivers", lambda: found)

    return use


def words(capsys):
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_list_shows_what_is_there_and_what_is_missing(drivers, capsys):
    master, slave = os.openpty()
    port = os.ttyname(slave)
    drivers(
        fake=Driver(found=[(port, "00[4]2"), ("/dev/fake9", "")]),
        other=Driver(),
        joulescope=Driver(missing=ABSENT),
    )
    assert main(["meter", "list"]) == 0
    rows = words(capsys)
    os.close(master)
    os.close(slave)
    assert f"fake {port} 00[4]2 ready" in rows
    assert "fake /dev/fake9 - ready" in rows
    assert "other - - none plugged in" in rows
    assert f"joulescope - - needs tool: {ABSENT}" in rows


def test_list_says_who_has_it(drivers, capsys, monkeypatch):
    monkeypatch.setattr(instruments._holders, "holders", lambda _port: [(17, "nrfconnect")])
    drivers(fake=Driver(found=[("/dev/fake", "42")]))
    assert main(["meter", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "driver": "fake",
            "address": "/dev/fake",
            "serial_number": "42",
            "state": "busy",
            "detail": "held by nrfconnect (pid 17)",
        }
    ]


def test_the_real_drivers_can_look(capsys):
    """Whatever is plugged in here: no driver's package need be installed for looking."""
    assert main(["meter", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["driver"] for row in rows} == set(instruments.sampling_drivers())
    assert {"none", "synthetic", "replay"}.isdisjoint(instruments.sampling_drivers())
    assert set(instruments.sampling_drivers()) <= set(plugins.names("power"))


def test_identify_says_who_it_is(drivers, capsys):
    driver = Driver(found=[("/dev/fake", "0042")])
    drivers(fake=driver)
    assert main(["meter", "identify"]) == 0
    lines = words(capsys)
    digest = hashlib.sha256(b"R0: 1\nEND\n").hexdigest()
    assert lines[:5] == [
        "model F1 (EMULATED: a program, no instrument)",
        "serial number 0042",
        "firmware 2.1",
        "address /dev/fake",
        f"calibration plausible; sha256 {digest[:16]}",
    ]
    assert "rate 10.00 kHz ± 0.01 %" in lines
    assert "range 0 to 50.00 mA, one code 1.000 uA, ± 10 % ± 2.000 uA" in lines
    assert driver.meter.diary == ["close"]  # nothing was set, nothing was powered


def test_identify_json(drivers, capsys):
    drivers(fake=Driver())
    assert main([
        "meter", "identify", "--driver", "fake", "--port", "/dev/x", "--arg", "a=b=c", "--json",
    ]) == 0  # fmt: skip
    (fact,) = json.loads(capsys.readouterr().out)
    assert fact["calibration_sha256"] == hashlib.sha256(b"R0: 1\nEND\n").hexdigest()
    assert fact["spec"]["logic_inputs"] == ["D0", "D1"]
    assert "calibration" not in fact
    config, address, timeout_s = instruments.sampling_drivers()["fake"].opened
    assert (config.args, address, timeout_s) == ((("a", "b=c"),), "/dev/x", 10.0)


def test_an_implausible_calibration_is_an_error(drivers, capsys):
    driver = Driver(found=[("/dev/fake", "")])
    drivers(fake=driver)

    def refuse(*_args):
        raise CalibrationError("PPK2 at /dev/fake: calibration has no R2")

    driver.open_meter = refuse
    assert main(["meter", "identify"]) == 3
    assert capsys.readouterr().err == "hilbench: PPK2 at /dev/fake: calibration has no R2\n"


TWO = [("/dev/a", "1"), ("/dev/b", "")]


@pytest.mark.parametrize(
    ("argv", "found", "code", "sentence"),
    [
        (
            ["--driver", "nope"],
            [],
            2,
            "--driver nope: no such instrument; hilbench drives: fake",
        ),
        (["--port", "/dev/x"], [], 2, "--port needs --driver, which says what is behind it"),
        (["--driver", "fake", "--arg", "x"], [], 2, "--arg x: is not KEY=VALUE"),
        (["--driver", "fake", "--arg", "=x"], [], 2, "--arg =x: is not KEY=VALUE"),
        (
            [],
            [],
            3,
            "no instrument is plugged in; name one behind a path: --driver ppk2 --port PATH",
        ),
        (
            ["--driver", "fake"],
            [],
            3,
            "no fake is plugged in; plug it in, or say where it is: --port PATH; `hilbench meter "
            "list` shows what is there",
        ),
        (
            ["--driver", "fake"],
            TWO,
            3,
            "2 fake are plugged in: /dev/a (1), /dev/b (no number); say which: --port PATH",
        ),
    ],
)
def test_who_is_meant_is_never_guessed(drivers, capsys, argv, found, code, sentence):  # noqa: PLR0917
    driver = Driver(found=found)
    drivers(fake=driver)
    assert main(["meter", "identify", *argv]) == code
    assert capsys.readouterr().err == f"hilbench: {sentence}\n"
    assert driver.meter.diary == []


def test_help_has_examples_of_each_action(capsys):
    for action in ("list", "identify", "capture", "decode"):
        with pytest.raises(SystemExit) as exit_info:
            main(["meter", action, "--help"])
        assert exit_info.value.code == 0
        text = capsys.readouterr().out
        assert re.search(rf"examples:\n  hilbench meter {action}", text), text
        assert "exit codes: 0 done" in text


def test_an_action_is_needed(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["meter"])
    assert exit_info.value.code == 2
