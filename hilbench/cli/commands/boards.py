"""``hilbench boards``: what boards.toml describes, what is plugged in, and how one becomes other."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilbench import plugins
from hilbench.cli.common import add_boards_argument, load_boards_file
from hilbench.errors import BoardError, ImageError, UsageError

if TYPE_CHECKING:
    from hilbench.records import BoardConfig

HELP = "list the boards with their state; find new ones (scan), write them down (add)"
EXAMPLES = """\
  hilbench boards                            the boards and whether they could run now
  hilbench boards --json                     the same for a program
  hilbench boards scan                       tables for what is plugged in and not in the file
  hilbench boards add desk-uno               write such a table into boards.toml
  hilbench boards add desk-uno --port /dev/ttyUSB0 --firmware atmega328p
  hilbench boards add rack-3 --port rfc2217://rack:4003?ign_set_control --firmware stm32l4"""

_PACKAGES = ("esptool", "pyocd")  # flashers that are Python packages of the same name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the list and its two neighbours."""
    add_boards_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")
    actions = parser.add_subparsers(dest="action", metavar="scan | add")
    scan = actions.add_parser(
        "scan", help="print tables for what is plugged in and not described; writes nothing"
    )
    add = actions.add_parser("add", help="append a table to boards.toml")
    add.add_argument("name", help="the new board's id")
    add.add_argument(
        "--port", metavar="PATH", help="path or pyserial URL (default: the one new device)"
    )
    add.add_argument(
        "--firmware", metavar="NAME", help="firmware port (default: what the kit suggests)"
    )
    for sub in (scan, add):
        sub.add_argument(  # before or after the action: without SUPPRESS it would undo the former
            "--boards", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="boards file"
        )


def run(args: argparse.Namespace) -> int:
    """List, scan or add."""
    if args.action == "scan":
        return _scan(args)
    if args.action == "add":
        return _add(args)
    return _list(args)


@dataclass(frozen=True)
class Line:
    """One board of the list."""

    id: str
    firmware: str
    chip: str
    emulator: str | None
    serial: str | None
    port: str | None  # what serial leads to now
    image: str
    state: str  # ready | absent | busy | quarantined | needs tool
    detail: str
    tags: tuple[str, ...]
    source: str


def _list(args: argparse.Namespace) -> int:
    ports = plugins.load("links", "serial").list_ports()
    today = date.today()  # noqa: DTZ011 - the bench's own day
    lines = say_twins([describe(b, ports, today) for b in load_boards_file(args).values()])
    if args.json:
        print(json.dumps([asdict(line) for line in lines], indent=2))
        return 0
    from rich.markup import escape  # noqa: PLC0415

    from hilbench.cli.console import PipeConsole  # noqa: PLC0415
    from hilbench.report.tables import TextColumn, print_table  # noqa: PLC0415

    def column(title: str, text: Callable[[Line], str]) -> TextColumn:
        return TextColumn(title, [escape(text(line)) for line in lines])  # [board.x] is no markup

    print_table(
        PipeConsole(),
        "boards",
        [column("board", lambda line: line.id)],
        [
            column("firmware", lambda line: line.firmware),
            column("chip", lambda line: line.chip or "-"),
            column("emulated by", lambda line: line.emulator or "no: hardware"),
            column("link", lambda line: line.port or line.serial or "PTY at start"),
            column("state", lambda line: ": ".join(filter(None, (line.state, line.detail)))),
            column("image", lambda line: line.image),
        ],
    )
    return 0


def describe(board: BoardConfig, ports: Sequence[Any], today: date) -> Line:
    """Say what stands in a board's way, without opening anything."""
    from hilbench.records import SerialMatch  # noqa: PLC0415

    links = plugins.load("links", "serial")
    port, absent = _port(board, ports)
    state, detail = _state(board, absent, today)
    serial = board.serial
    return Line(
        id=board.id,
        firmware=board.firmware,
        chip=board.chip,
        emulator=board.emulator,
        serial=links.describe_match(serial) if isinstance(serial, SerialMatch) else serial,
        port=port,
        image=_image(board),
        state=state,
        detail=detail,
        tags=board.tags,
        source=board.source,
    )


def say_twins(lines: list[Line]) -> list[Line]:
    """Say where two tables lead to one port: they are one board, or one of them is wrong."""
    users: dict[str, list[str]] = {}
    for line in lines:
        if line.port is not None:
            users.setdefault(os.path.realpath(line.port), []).append(line.id)

    def with_twins(line: Line) -> Line:
        port = os.path.realpath(line.port) if line.port is not None else ""
        twins = [name for name in users.get(port, []) if name != line.id]
        if not twins:
            return line
        said = f"same port as {', '.join(twins)}"
        return replace(line, detail="; ".join(filter(None, (line.detail, said))))

    return [with_twins(line) for line in lines]


def _image(board: BoardConfig) -> str:
    from hilbench.board.images import find_image  # noqa: PLC0415

    try:
        return find_image(board.firmware).build_id[:12]
    except ImageError as error:
        return str(error)


def _port(board: BoardConfig, ports: Sequence[Any]) -> tuple[str | None, str]:
    """Return a real board's path or URL, and why there is none."""
    links = plugins.load("links", "serial")
    if board.serial is None:
        return None, ""
    if not isinstance(board.serial, str):
        try:
            return links.resolve(board.serial, board.id, ports), ""
        except BoardError as error:
            return None, str(error).removeprefix(f"board {board.id}: ")
    if "://" not in board.serial and not Path(board.serial).exists():
        return None, f"no {board.serial}"
    instrument = links.is_instrument(board.serial, ports)
    if instrument is not None:
        return None, f"{board.serial} is a {instrument}, an instrument"
    return board.serial, ""


def _state(board: BoardConfig, absent: str, today: date) -> tuple[str, str]:
    from hilbench.board.locks import holder, is_held  # noqa: PLC0415
    from hilbench.board.quarantine import has_expired, quarantine_note  # noqa: PLC0415

    if is_held(board):
        return "busy", holder(board)
    stop = board.quarantine
    if stop is not None and not has_expired(board, today):
        return f"quarantined until {stop.until}" if stop.until else "quarantined", stop.reason
    if missing := _missing_tool(board):
        return "needs tool", missing
    if absent:
        return "absent", absent
    remote = "a URL, not tried" if isinstance(board.serial, str) and "://" in board.serial else ""
    return "ready", quarantine_note(board, today) or remote


def _missing_tool(board: BoardConfig) -> str:
    """Return what is not installed and the line that adds it; "" when nothing is missing."""
    flasher, power = board.flasher, board.power
    program = flasher.command[0] if flasher and flasher.command else ""
    if program and shutil.which(program) is None:
        return f"{program} is not on the PATH"
    drivers = (
        ("emulators", board.emulator),
        ("flashers", flasher.tool if flasher else None),
        ("switches", power.driver if power else None),
    )
    missing = (_missing(kind, name) for kind, name in drivers if name is not None)
    return next(filter(None, missing), "")


def _missing(kind: str, name: str) -> str:
    driver = plugins.load(kind, name)
    if hasattr(driver, "missing_tool"):
        return str(driver.missing_tool())
    program = getattr(driver, "PROGRAM", "")
    absent = program != "" and shutil.which(program) is None
    if kind == "flashers" and name in _PACKAGES:
        absent = importlib.util.find_spec(name) is None
    return f"{program or name}: {driver.INSTALL}" if absent else ""


def _scan(args: argparse.Namespace) -> int:
    """Print TOML that could be pasted as it is; what is not TOML is behind a '#'."""
    boards = load_boards_file(args)
    links = plugins.load("links", "serial")
    found, remarks = links.proposals(links.list_ports(), boards.values())
    taken = set(boards)
    for proposal in found:
        board_id = _free_id(proposal.kit.slug, taken)
        taken.add(board_id)
        print("".join(f"# {remark}\n" for remark in proposal.remarks), end="")
        print(proposal.table(board_id))
    for remark in remarks:
        print(f"# {remark}")
    if not found:
        print("# nothing is plugged in that the boards file does not describe")
    return 0


def _free_id(slug: str, taken: set[str]) -> str:
    number, board_id = 1, slug
    while board_id in taken:
        number += 1
        board_id = f"{slug}-{number}"
    return board_id


def _add(args: argparse.Namespace) -> int:
    from hilbench.config.edit import append_board, check_new  # noqa: PLC0415

    path = args.boards or Path("boards.toml")
    if not path.exists():
        raise UsageError(f"no {path} to add to; make one with: hilbench init")
    args.boards = path
    boards = load_boards_file(args)
    check_new(boards, args.name)
    table = _new_table(args, boards)
    append_board(path, args.name, table)
    print(table, end="")
    print(f"# appended to {path}; next: hilbench boards")
    return 0


def _new_table(args: argparse.Namespace, boards: dict[str, BoardConfig]) -> str:
    """Return the table for --port, or for the one device that is new."""
    links = plugins.load("links", "serial")
    ports = links.list_ports()
    if args.port is not None and "://" in args.port:
        return _plain_table(args)
    found = links.find_path(args.port, ports) if args.port else _only_new(ports, boards)
    if found is None:  # then there is a --port
        if not Path(str(args.port)).exists():
            here = "; ".join(map(links.describe_port, ports)) or "no serial port"
            raise UsageError(f"no port {args.port}; plugged in: {here}")
        return _plain_table(args)
    for board in boards.values():
        if links.board_ports(board, ports) == [found]:
            raise UsageError(f"port {found.device} is board {board.id!r} already; edit its table")
    if found.vid is None:
        return _plain_table(args)
    proposal = links.propose(found, ports)
    if args.firmware is None and proposal.kit.firmware is None:
        raise UsageError(
            f"{found.device} is: {proposal.kit.name}; its firmware cannot be guessed, say it: "
            f"--firmware NAME"
        )
    table: str = proposal.table(args.name, args.firmware)
    return table


def _plain_table(args: argparse.Namespace) -> str:
    """Return the table of a URL, or of a path that USB says nothing of."""
    if args.firmware is None:
        raise UsageError(
            f"{args.port} says nothing of the board behind it; say its firmware: --firmware NAME"
        )
    links = plugins.load("links", "serial")
    return (
        f"[board.{links.toml_key(args.name)}]\n"
        f"firmware = {links.toml_string(args.firmware)}\n"
        f"serial = {links.toml_string(args.port)}\n"
    )


def _only_new(ports: Sequence[Any], boards: dict[str, BoardConfig]) -> Any:
    links = plugins.load("links", "serial")
    found, _ = links.proposals(ports, boards.values())
    if not found:
        raise UsageError(
            "nothing new is plugged in; plug the board in, or name its port: --port PATH"
        )
    if len(found) > 1:
        here = "; ".join(links.describe_port(p.port) for p in found)
        raise UsageError(f"{len(found)} new devices are plugged in, say which: --port PATH; {here}")
    return found[0].port
