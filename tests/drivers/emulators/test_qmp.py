"""The machine protocol client against a script: split lines, events in any order, refusals."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from hilbench.drivers.emulators._deadline import Deadline
from hilbench.drivers.emulators._qmp import QmpClient
from hilbench.errors import LinkError

GREETING = {"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": []}}
OK = {"return": {}}
RESET = {"event": "RESET", "data": {"guest": False}}
STOP = {"event": "STOP"}


@pytest.fixture
def script():
    """Play answers: a list per command received; bytes arrive in pieces of 3."""
    ours, theirs = socket.socketpair()
    commands: list[str] = []
    threads: list[threading.Thread] = []

    def _send(messages) -> None:
        wire = b"".join(json.dumps(m).encode() + b"\r\n" for m in messages)
        for at in range(0, len(wire), 3):
            theirs.sendall(wire[at : at + 3])

    def _play(greeting, *answers) -> QmpClient:
        def run() -> None:
            _send(greeting)
            for messages, request in zip(answers, theirs.makefile(), strict=False):
                commands.append(json.loads(request)["execute"])
                _send(messages)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return QmpClient(ours)

    yield _play, commands
    ours.close()
    for thread in threads:
        thread.join(10)
    theirs.close()


def test_version(script):
    play, commands = script
    assert play([GREETING], [OK]).connect(Deadline(10)) == "7.2.22"
    assert commands == ["qmp_capabilities"]


@pytest.mark.parametrize("answers", [[RESET, OK], [OK, RESET], [STOP, OK, STOP, RESET]])
def test_reset_waits_for_its_own_event(script, answers):
    play, commands = script
    # The firmware's own reset, before: not the one that is waited for.
    play([RESET], [RESET, OK], answers).reset(Deadline(10))
    assert commands == ["query-status", "system_reset"]


def test_an_older_reset_is_not_mistaken_for_this_one(script):
    play, _ = script
    client = play([RESET], [RESET, OK], [OK])
    with pytest.raises(LinkError, match=r"\(QMP\) did not answer within 0\.2 s"):
        client.reset(Deadline(0.2))


def test_refusal(script):
    play, _ = script
    client = play([], [{"error": {"class": "GenericError", "desc": "no such thing"}}])
    with pytest.raises(LinkError, match=r"^QEMU refuses fly: no such thing$"):
        client.execute("fly", Deadline(10))


def test_not_json():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"Segmentation fault\n")
        with pytest.raises(
            LinkError, match=r"sent something that is not JSON: b'Segmentation fault'"
        ):
            QmpClient(ours).connect(Deadline(10))
