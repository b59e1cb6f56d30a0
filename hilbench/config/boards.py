"""boards.toml to :class:`~hilbench.records.BoardConfig`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hilbench.config.tables import Key, check, check_name, read
from hilbench.errors import ConfigError
from hilbench.records import BoardConfig, FlasherConfig, Timeouts

SCHEMA = 1
TOP_KEYS = {"board": Key("table", required=True, example="a table [board.NAME]")}
BOARD_KEYS = {
    "firmware": Key("string", required=True),
    "chip": Key("string"),
    "emulator": Key("string", plugin="emulators"),
    "emulator_args": Key("table of strings"),
    "serial": Key("string"),
    "baud": Key("integer", at_least=1),
    "flasher": Key("string", plugin="flashers"),
    "meter": Key("string", plugin="power"),
    "memory_bytes": Key("integer", at_least=1),
    "supply_v": Key("number", above=0),
    "active_ma": Key("number", above=0),
    "tags": Key("list of strings"),
    "notes": Key("string"),
    "timeouts": Key("table"),
}
TIMEOUT_KEYS = {
    name: Key("number", above=0) for name in ("start_s", "hello_s", "reply_s", "run_s", "flash_s")
}


def load_boards(path: Path) -> dict[str, BoardConfig]:
    """Read boards.toml: board id to its description, in the file's order.

    Raises:
        ConfigError: absent, not TOML, or anything in it is unknown, missing or of a wrong type.
    """
    path = Path(path)
    tables = read(path, SCHEMA, TOP_KEYS)["board"]
    if not tables:
        raise ConfigError(f"{path}: no board; add a table [board.NAME]")
    return {name: _board(name, table, path) for name, table in tables.items()}


def _board(name: str, table: Any, path: Path) -> BoardConfig:
    where = f"{path}: [board.{name}]"
    check_name(name, where)
    check({f"board.{name}": table}, {f"board.{name}": Key("table")}, f"{path}:")
    check(table, BOARD_KEYS, where)
    check(table.get("timeouts", {}), TIMEOUT_KEYS, f"{path}: [board.{name}.timeouts]")
    if table.get("meter") == "synthetic":
        for key, meaning in (("supply_v", "the supply in V"), ("active_ma", "the current in mA")):
            if key not in table:  # no default: it would become an energy
                raise ConfigError(
                    f'{where} meter = "synthetic" needs {key}, {meaning} while an inference runs; '
                    f'add it, or use meter = "none"'
                )
    values = dict(table)
    for key in ("supply_v", "active_ma"):
        if key in values:
            values[key] = float(values[key])
    values["tags"] = tuple(table.get("tags", ()))
    values["emulator_args"] = tuple(table.get("emulator_args", {}).items())
    if "flasher" in values:
        values["flasher"] = FlasherConfig(values["flasher"])
    values["timeouts"] = Timeouts(**{k: float(v) for k, v in table.get("timeouts", {}).items()})
    board = BoardConfig(id=name, source=str(path), **values)
    _check_whole(board, where)
    return board


def _check_whole(board: BoardConfig, where: str) -> None:
    """What no single key can tell."""
    if board.emulator is None and board.serial is None:
        raise ConfigError(
            f"{where} has neither emulator nor serial; "
            f'add emulator = "qemu", or the port of a real board: serial = "/dev/ttyACM0"'
        )
    if board.emulator is not None and board.serial is not None:
        raise ConfigError(
            f"{where} has emulator and serial; a board is emulated or real, remove one of them"
        )
    if board.emulator is None and board.emulator_args:
        raise ConfigError(f"{where} has emulator_args but no emulator; remove emulator_args")
