"""boards.toml to :class:`~hilbench.records.BoardConfig`.

``boards.local.toml`` beside it is what this computer knows better: it overrides key by key, deep in
tables, and may add boards. Each file is checked by itself, so that a sentence names the right one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hilbench.config.tables import Key, Keys, as_date, check, check_name, parse, read
from hilbench.errors import ConfigError
from hilbench.records import (
    BoardConfig,
    CurrentModel,
    FlasherConfig,
    MeterConfig,
    PowerSwitchConfig,
    Quarantine,
    SerialMatch,
    Timeouts,
)

SCHEMA = 1
TOP_KEYS = {"board": Key("table", required=True, example="a table [board.NAME]")}
BOARD_KEYS = {
    "firmware": Key("string", required=True),
    "chip": Key("string"),
    "emulator": Key("string", plugin="emulators"),
    "emulator_args": Key("table of strings"),
    "serial": Key("string or table"),
    "baud": Key("integer", at_least=1),
    "flasher": Key("string or table", plugin="flashers"),
    "meter": Key("string or table", plugin="power"),
    "supply_v": Key("number", above=0),
    "supply_max_v": Key("number", above=0),
    "powered_ma": Key("number", above=0),
    "current": Key("table"),
    "active_ma": Key("number", above=0),
    "power": Key("table"),
    "quarantine": Key("table"),
    "tags": Key("list of strings"),
    "notes": Key("string"),
    "timeouts": Key("table"),
}
_USB_ID = Key(
    "string", pattern="[0-9A-Fa-f]{4}", pattern_says='four hex digits in quotes, e.g. "0483"'
)
SERIAL_KEYS = {
    "vid": _USB_ID,
    "pid": _USB_ID,
    "serial_number": Key("string", not_blank=True),
    "interface": Key("string", pattern="[0-9]{1,2}", pattern_says='a number in quotes, e.g. "2"'),
    "location": Key(
        "string",
        pattern=r"[0-9]+-[0-9.]+(:[0-9x]+\.[0-9]+)?",
        pattern_says='a USB location in quotes, e.g. "1-1.2"',
    ),
}
FLASHER_KEYS = {
    "tool": Key("string", required=True, plugin="flashers"),
    "probe_serial": Key("string", not_blank=True),
    "target": Key("string"),
    "args": Key("list of strings"),
    "verify": Key("boolean"),
    "command": Key("list of strings"),
    "expect": Key("string"),
}
POWER_KEYS = {
    "driver": Key("string", required=True, plugin="switches"),
    "args": Key("table of strings"),
}
METER_KEYS = {
    "driver": Key("string", required=True, plugin="power"),
    "emulator": Key("string", plugin="emulated_meters"),
    "serial": Key("string or table"),
    "supplies": Key("boolean"),
    "marker": Key("string", not_blank=True),
    "args": Key("table of strings"),
}
CURRENT_KEYS = {
    "idle_ma": Key("number", required=True, at_least=0),
    "active_ma": Key("number", required=True, above=0),
    "operators_ma": Key("list of numbers"),
    "tail_us": Key("number", at_least=0),
    "noise_ma": Key("number", at_least=0),
    "drift_ma_per_s": Key("number"),
    "clock_ppm": Key("number"),
    "seed": Key("integer", at_least=0),
}
QUARANTINE_KEYS = {"reason": Key("string", required=True), "until": Key("date")}
TIMEOUT_KEYS = {
    name: Key("number", above=0) for name in ("start_s", "hello_s", "reply_s", "run_s", "flash_s")
}
TABLES: Mapping[str, Keys] = {
    "serial": SERIAL_KEYS,
    "flasher": FLASHER_KEYS,
    "power": POWER_KEYS,
    "meter": METER_KEYS,
    "current": CURRENT_KEYS,
    "quarantine": QUARANTINE_KEYS,
    "timeouts": TIMEOUT_KEYS,
}


def load_boards(path: Path) -> dict[str, BoardConfig]:
    """Read boards.toml and what is beside it: board id to its description, in the file's order.

    Raises:
        ConfigError: absent, not TOML, or anything in it is unknown, missing or of a wrong type.
    """
    path = Path(path)
    return _load(read(path, SCHEMA, TOP_KEYS), path)


def parse_boards(data: bytes, path: Path) -> dict[str, BoardConfig]:
    """Do what :func:`load_boards` does, as if the file held ``data``.

    Raises:
        ConfigError: as :func:`load_boards`.
    """
    return _load(parse(data, path, SCHEMA, TOP_KEYS), path)


def local_path(path: Path) -> Path:
    """Return where a boards file's overrides are: boards.toml, boards.local.toml."""
    return path.with_name(f"{path.stem}.local{path.suffix}")


def files_of(boards: Iterable[BoardConfig]) -> list[Path]:
    """Return the files that boards were read from, overrides included."""
    tables = {Path(board.source) for board in boards if board.source}
    return sorted(tables | {local for t in tables if (local := local_path(t)).exists()})


def _load(document: Mapping[str, Any], path: Path) -> dict[str, BoardConfig]:
    layers = [(path, document)]
    if local_path(path).exists():
        layers.append((local_path(path), read(local_path(path), SCHEMA, TOP_KEYS)))
    merged: dict[str, _Merged] = {}
    for file, layer in layers:
        for name, table in layer["board"].items():
            _check_layer(name, table, file)
            merged.setdefault(name, _Merged(name)).add(table, file)
    if not merged:
        raise ConfigError(f"{path}: no board; add a table [board.NAME]")
    return {name: _board(found) for name, found in merged.items()}


def _check_layer(name: str, table: Any, file: Path) -> None:
    """Check what one file says of a board, apart from what it may leave to the other."""
    where = f"{file}: [board.{name}]"
    check_name(name, where)
    check({f"board.{name}": table}, {f"board.{name}": Key("table")}, f"{file}:")
    check(table, BOARD_KEYS, where, partial=True)
    for key, keys in TABLES.items():
        if isinstance(table.get(key), dict):
            check(table[key], keys, f"{file}: [board.{name}.{key}]", partial=True)


_SHORT = {"flasher": "tool", "meter": "driver"}  # flasher = "x" is short for its tool


@dataclass
class _Merged:
    """A board's table as all files make it, and which of them gave each key."""

    name: str
    table: dict[str, Any] = field(default_factory=dict)
    files: dict[str, list[Path]] = field(default_factory=dict)  # of each key; "" is the table

    def add(self, table: Mapping[str, Any], file: Path) -> None:
        self.files.setdefault("", []).append(file)
        for key, value in table.items():
            before = self.table.get(key)
            if key in _SHORT and isinstance(before, str) and isinstance(value, dict):
                before = {_SHORT[key]: before}
            if isinstance(before, dict) and isinstance(value, dict):
                self.table[key] = _deep(before, value)
                self.files[key].append(file)
            else:
                self.table[key] = value
                self.files[key] = [file]

    def where(self, *keys: str, table: str = "") -> str:
        """Return what starts a sentence about keys: their files, then the table."""
        found = [f for key in keys for f in self.files.get(key, [])] or self.files[""]
        files = " and ".join(dict.fromkeys(map(str, found)))
        return f"{files}: [board.{self.name}{'.' + table if table else ''}]"


def _deep(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        result[key] = _deep(old, value) if both else value  # type: ignore[arg-type]
    return result


def _board(found: _Merged) -> BoardConfig:
    table = found.table
    check(table, BOARD_KEYS, found.where())
    for key, keys in TABLES.items():
        if isinstance(table.get(key), dict):
            check(table[key], keys, found.where(key, table=key))
    _check_whole(found)
    values = dict(table)
    for key in ("supply_v", "supply_max_v", "active_ma", "powered_ma"):
        if key in values:
            values[key] = float(values[key])
    values["tags"] = tuple(table.get("tags", ()))
    values["emulator_args"] = tuple(table.get("emulator_args", {}).items())
    values["timeouts"] = Timeouts(**{k: float(v) for k, v in table.get("timeouts", {}).items()})
    values |= {key: _MAKE[key](table[key]) for key in _MAKE if key in table}
    return BoardConfig(id=found.name, source=str(found.files[""][0]), **values)


def _serial(value: str | dict[str, str]) -> str | SerialMatch:
    if isinstance(value, str):
        return value
    return SerialMatch(**{k: v.lower() if k in {"vid", "pid"} else v for k, v in value.items()})


def _flasher(value: str | dict[str, Any]) -> FlasherConfig:
    if isinstance(value, str):
        return FlasherConfig(value)
    values = dict(value)
    for key in ("args", "command"):
        values[key] = tuple(value.get(key, ()))
    return FlasherConfig(**values)


def _power(value: dict[str, Any]) -> PowerSwitchConfig:
    return PowerSwitchConfig(value["driver"], tuple(value.get("args", {}).items()))


def _quarantine(value: dict[str, Any]) -> Quarantine:
    return Quarantine(value["reason"], as_date(value.get("until")))


def _meter(value: str | dict[str, Any]) -> MeterConfig:
    if isinstance(value, str):
        return MeterConfig(value)
    values = dict(value)
    if "serial" in values:
        values["serial"] = _serial(values["serial"])
    values["args"] = tuple(value.get("args", {}).items())
    return MeterConfig(**values)


def _current(value: dict[str, Any]) -> CurrentModel:
    values: dict[str, Any] = {
        k: v if k == "seed" else float(v) for k, v in value.items() if k != "operators_ma"
    }
    operators = tuple(float(v) for v in value.get("operators_ma", ()))
    return CurrentModel(**values, operators_ma=operators)


_MAKE = {
    "meter": _meter,
    "current": _current,
    "serial": _serial,
    "flasher": _flasher,
    "power": _power,
    "quarantine": _quarantine,
}


def _check_whole(found: _Merged) -> None:
    """What no single key can tell."""
    table = found.table
    emulated, serial = "emulator" in table, table.get("serial")
    if not emulated and serial is None:
        raise ConfigError(
            f"{found.where()} has neither emulator nor serial; "
            f'add emulator = "qemu", or the port of a real board: serial = "/dev/ttyACM0"'
        )
    if emulated and serial is not None:
        raise ConfigError(
            f"{found.where('emulator', 'serial')} has emulator and serial; "
            f"a board is emulated or real, remove one of them"
        )
    if not emulated and table.get("emulator_args"):
        raise ConfigError(
            f"{found.where('emulator_args')} has emulator_args but no emulator; remove emulator_args"
        )
    meter = table.get("meter", "none")
    if isinstance(meter, str):
        meter = {"driver": meter}
    if meter["driver"] != "synthetic":
        _check_meter(meter, found)
    else:
        for key, meaning in (("supply_v", "the supply in V"), ("active_ma", "the current in mA")):
            if key not in table:  # no default: it would become an energy
                raise ConfigError(
                    f'{found.where("meter")} meter = "synthetic" needs {key}, {meaning} while an '
                    f'inference runs; add it, or use meter = "none"'
                )
    if serial is not None:
        _check_serial(serial, found)
    if "flasher" in table:
        _check_flasher(table["flasher"], found)


def _check_meter(meter: dict[str, Any], found: _Merged) -> None:
    where = found.where("meter", table="meter")
    if isinstance(meter.get("serial"), dict):
        check(meter["serial"], SERIAL_KEYS, f"{where} serial")
    if "emulator" in meter and "serial" in meter:
        raise ConfigError(
            f"{where} has emulator and serial; a meter is emulated or real, remove one of them"
        )
    if "emulator" in meter and "emulator" not in found.table:
        raise ConfigError(
            f"{where} has emulator, but the board is real; an emulated meter measures emulated "
            "boards only, remove emulator"
        )
    if meter["driver"] == "replay" and "emulator" not in meter:
        raise ConfigError(
            f"{where} replay reads files and measures no board; use `hilbench meter decode FILE`, or "
            f'emulator = "device_time" on an emulated board'
        )
    if meter["driver"] != "none" and "emulator" not in meter and "emulator" in found.table:
        raise ConfigError(
            f"{where} is a real meter, but the board is emulated and draws no current; name the "
            f'emulated one, e.g. emulator = "ppk2"'
        )
    if "emulator" in meter and "current" not in found.table:
        raise ConfigError(
            f"{where} has emulator, but nothing says what the board draws; add a table "
            f"[board.{found.name}.current] with idle_ma and active_ma"
        )
    if "supply_v" not in found.table and meter["driver"] != "none":
        raise ConfigError(
            f"{where} measures current, and energy needs supply_v, the board's supply in V; add it "
            f"to [board.{found.name}]"
        )
    if meter.get("supplies") and "supply_max_v" not in found.table:
        raise ConfigError(
            f"{where} supplies = true needs supply_max_v, the highest voltage in V that the board "
            f"bears; add it to [board.{found.name}]"
        )
    ceiling, supply = found.table.get("supply_max_v"), found.table.get("supply_v")
    if ceiling is not None and supply is not None and supply > ceiling:
        raise ConfigError(
            f"{found.where('supply_v', 'supply_max_v')} supply_v = {supply:g} is above "
            f"supply_max_v = {ceiling:g}; correct one of them before anything is powered"
        )


def _check_serial(serial: str | dict[str, str], found: _Merged) -> None:
    if serial == "":
        raise ConfigError(
            f"{found.where('serial')} serial is empty; name a path, a URL or a table, as printed "
            f"by `hilbench boards scan`"
        )
    if isinstance(serial, str):
        return
    where = found.where("serial", table="serial")
    if "pid" in serial and "vid" not in serial:
        raise ConfigError(f"{where} has pid but no vid; a product id means nothing alone, add vid")
    if not serial.keys() & {"vid", "serial_number", "location"}:
        raise ConfigError(
            f"{where} identifies no port; add vid and pid, serial_number or location, as printed by "
            f"`hilbench boards scan`"
        )


def _check_flasher(flasher: str | dict[str, Any], found: _Merged) -> None:
    tool = flasher if isinstance(flasher, str) else flasher["tool"]
    command = [] if isinstance(flasher, str) else flasher.get("command", [])
    where = found.where("flasher", table="flasher")
    if tool == "command" and not command:
        raise ConfigError(
            f'{where} tool = "command" needs command, what to run; add it, e.g. '
            f'command = ["picotool", "load", "-x", "{{image}}"]'
        )
    if command and tool != "command":
        raise ConfigError(
            f'{where} has command, but tool is {tool!r}; use tool = "command" or remove command'
        )
