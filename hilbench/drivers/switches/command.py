"""Any power switch that a command line can work: a relay, a PDU, a bench supply.

::

    [board.b1.power]
    driver = "command"
    args = { on = "relay 3 on", off = "relay 3 off" }

Words are split as a shell splits them, but there is no shell; write ``sh -c '…'`` where one is needed.
Exit code 0 is success. ``cycle`` is for a switch that does off and on in one go. The environment has
HILBENCH_BOARD, the board's id.
"""

from __future__ import annotations

import shlex
import time

from hilbench.drivers.switches._run import how_it_ended, last_line, run
from hilbench.errors import BoardError, ConfigError
from hilbench.records import BoardConfig

_KEYS = ("on", "off", "cycle")


class CommandSwitch:
    """Two commands, or three."""

    def __init__(self, board_id: str, commands: dict[str, list[str]]) -> None:
        self._id = board_id
        self._commands = commands

    def set_power(self, *, on: bool, timeout_s: float) -> None:
        """Run ``on`` or ``off``; see interfaces.PowerSwitch."""
        self._run("on" if on else "off", timeout_s)

    def cycle(self, off_s: float, timeout_s: float) -> None:
        """Run ``cycle``, else ``off``, wait, ``on``; see interfaces.PowerSwitch."""
        if "cycle" in self._commands:
            self._run("cycle", timeout_s + off_s)
            return
        self._run("off", timeout_s)
        time.sleep(off_s)
        self._run("on", timeout_s)

    def _run(self, which: str, timeout_s: float) -> None:
        argv = self._commands[which]
        where = f"correct [board.{self._id}.power] args.{which}"
        code, output = run(self._id, argv, timeout_s, f"install it or {where}")
        if code != 0:
            raise BoardError(
                f"board {self._id}: power {which} failed: `{' '.join(argv)}` {last_line(output)} "
                f"({how_it_ended(code)}); run it by hand, or {where}"
            )


def open_switch(board: BoardConfig) -> CommandSwitch:
    """Read the commands; runs none.

    Raises:
        ConfigError: a command is missing, unknown, empty or not to be split into words.
    """
    args = dict(board.power.args) if board.power else {}
    where = f"{board.source}: [board.{board.id}.power] args"
    if unknown := [name for name in args if name not in _KEYS]:
        raise ConfigError(f"{where} has unknown {unknown[0]!r}; known: {', '.join(_KEYS)}")
    for name in ("on", "off"):
        if name not in args:
            raise ConfigError(
                f'{where} needs {name}, a command; add e.g. {name} = "relay 3 {name}"'
            )
    commands = {}
    for name, text in args.items():
        try:
            commands[name] = shlex.split(text)
        except ValueError as error:
            raise ConfigError(
                f"{where} {name} = {text!r} cannot be split into words ({error}); close the quote"
            ) from error
        if not commands[name]:
            raise ConfigError(f"{where} {name} is empty; give a command, or remove it")
    return CommandSwitch(board.id, commands)
