"""QEMU's machine protocol: JSON objects, one a line, over a stream socket.

Ref: docs/interop/qmp-spec.txt of QEMU.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from hilbench.drivers.emulators._deadline import Deadline
from hilbench.errors import LinkError

_WHO = "QEMU's control socket (QMP)"


class QmpClient:
    """A QMP session. Events that nobody waits for are dropped."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pending = b""

    def connect(self, deadline: Deadline) -> str:
        """Take the greeting, enter command mode, return QEMU's version, e.g. '7.2.22'.

        Raises:
            LinkError: closed or silent.
        """
        version = self._next(deadline)["QMP"]["version"]["qemu"]
        self.execute("qmp_capabilities", deadline)
        return f"{version['major']}.{version['minor']}.{version['micro']}"

    def execute(self, command: str, deadline: Deadline) -> list[str]:
        """Run a command without arguments; return the events that came until it was answered.

        Raises:
            LinkError: closed, silent, or QEMU refuses the command.
        """
        return self._execute(command, deadline)[1]

    def is_running(self, deadline: Deadline) -> bool:
        """Return whether the machine executes.

        Raises:
            LinkError: closed or silent.
        """
        status, _ = self._execute("query-status", deadline)
        return bool(status["running"])

    def _execute(self, command: str, deadline: Deadline) -> tuple[dict[str, Any], list[str]]:
        """Return the answer to a command and the events that came before it."""
        deadline.send(self._sock, json.dumps({"execute": command}).encode() + b"\n", _WHO)
        events = []
        while "return" not in (answer := self._next(deadline)):
            if "error" in answer:
                raise LinkError(f"QEMU refuses {command}: {answer['error'].get('desc', answer)}")
            events.append(str(answer.get("event")))
        return dict(answer["return"]), events

    def reset(self, deadline: Deadline) -> None:
        """Reset the machine and wait until that has happened.

        Raises:
            LinkError: closed or silent.
        """
        # The event comes before or after the answer. One that is there already is of an older
        # reset, by the firmware: a command before this one takes it away.
        self.execute("query-status", deadline)
        events = self.execute("system_reset", deadline)
        while "RESET" not in events:
            events.append(str(self._next(deadline).get("event")))

    def _next(self, deadline: Deadline) -> dict[str, Any]:
        while b"\n" not in self._pending:
            self._pending += deadline.receive(self._sock, _WHO)
        line, self._pending = self._pending.split(b"\n", 1)
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise LinkError(f"{_WHO} sent something that is not JSON: {line[:80]!r}") from error
        return dict(answer)
