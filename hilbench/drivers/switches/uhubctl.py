"""A port of a USB hub that can switch its power, by uhubctl (https://github.com/mvp/uhubctl).

::

    [board.b1.power]
    driver = "uhubctl"
    args = { location = "1-1", port = "2" }

``uhubctl`` without arguments lists the hubs that can. Its exit code is not trusted (it may crash
after success): what counts is the state of the port that it prints at the end.
"""

from __future__ import annotations

import re
import time

from hilbench.drivers.switches._run import how_it_ended, last_line, run
from hilbench.errors import BoardError, ConfigError
from hilbench.records import BoardConfig

PROGRAM = "uhubctl"
INSTALL = "apt-get install uhubctl"
_NEEDED = {"location": r"[0-9]+(-[0-9]+(\.[0-9]+)*)?", "port": r"[0-9]{1,2}"}
_EXAMPLE = {"location": "1-1", "port": "2"}


class HubPort:
    """One port of one hub; a USB 3 hub is two hubs, and uhubctl switches both."""

    def __init__(self, board_id: str, location: str, port: str) -> None:
        self._id, self._location, self._port = board_id, location, port

    def set_power(self, *, on: bool, timeout_s: float) -> None:
        """Switch, then believe only the state that is printed; see interfaces.PowerSwitch."""
        wanted = "on" if on else "off"
        argv = [PROGRAM, "-l", self._location, "-p", self._port, "-a", wanted]
        code, output = run(self._id, argv, timeout_s, f"install it with: {INSTALL}")
        states = self._states(output)
        if not states or any(state != wanted for state in states):
            found = f"port is {', '.join(states)} afterwards" if states else last_line(output)
            raise BoardError(
                f"board {self._id}: uhubctl did not switch port {self._port} of hub {self._location} "
                f"{wanted}: {found} ({how_it_ended(code)}); run `{' '.join(argv)}` by hand: the hub "
                "may be ganged, elsewhere, or need root"
            )

    def cycle(self, off_s: float, timeout_s: float) -> None:
        """Off, wait, on; see interfaces.PowerSwitch."""
        self.set_power(on=False, timeout_s=timeout_s)
        time.sleep(off_s)
        self.set_power(on=True, timeout_s=timeout_s)

    def _states(self, output: str) -> list[str]:
        """Return "on" or "off" of this port in each "New status" of the output."""
        states, new = [], False
        for line in output.splitlines():
            if not line.startswith(" "):
                new = line.startswith("New status for hub")
            elif new and (found := re.match(r"\s+Port (\d+): [0-9a-fA-F]{4} (.*)", line)):
                number, words = found.groups()
                if number == self._port:
                    states.append("on" if "power" in words.split() else "off")
        return states


def open_switch(board: BoardConfig) -> HubPort:
    """Read hub and port; runs nothing.

    Raises:
        ConfigError: location or port is missing, unknown or malformed.
    """
    args = dict(board.power.args) if board.power else {}
    where = f"{board.source}: [board.{board.id}.power] args"
    if unknown := [name for name in args if name not in _NEEDED]:
        raise ConfigError(f"{where} has unknown {unknown[0]!r}; known: {', '.join(_NEEDED)}")
    for name, pattern in _NEEDED.items():
        if not re.fullmatch(pattern, args.get(name, "")):
            is_now = f"is {args[name]!r}" if name in args else "is missing"
            raise ConfigError(
                f'{where} {name} {is_now}; give it as uhubctl lists it, e.g. {name} = "{_EXAMPLE[name]}"'
            )
    return HubPort(board.id, args["location"], args["port"])
