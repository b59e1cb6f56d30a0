"""``hilbench meter``: the instruments of a bench, and what they capture. docs/energy.md explains."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from hilbench.cli.common import add_boards_argument

HELP = "power meters: list, identify, capture a trace, decode one again"
EXAMPLES = """\
  hilbench meter list                        what is plugged in, and what a driver lacks
  hilbench meter identify                    who they are: model, firmware, calibration
  hilbench meter identify --driver ppk2 --port /dev/ttyACM0
  hilbench meter capture --driver ppk2 --duration 10 --supply 3.3 -o trace.npz
                                             in series: the board has its own supply of 3.3 V
  hilbench meter capture --driver ppk2 --supply 3.3 --supplies --supply-max 3.6 -o trace.npz
                                             the meter powers the board, until Ctrl-C
  hilbench meter capture --board desk --duration 10 -o trace.npz
                                             as the board's table in boards.toml says
  hilbench meter decode trace.npz            its figures again
  hilbench meter decode trace.npz --marker D0 --filter vendor
                                             charge and energy of every pulse of the marker pin
  hilbench meter decode trace.npz -o trace.jls --plot trace.png"""

_EXIT_CODES = """\
exit codes: 0 done · 2 usage · 3 could not measure (meter, package, file) · 130 Ctrl-C, what was
captured is kept"""
FILTERS = ("hold-forward", "vendor")
_TIMEOUT_S = 10.0
_DEBOUNCE_US = 50.0  # of EEMBC's energy runner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the four actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = _action(actions, "list", "what is plugged in; opens nothing")
    listing.add_argument("--json", action="store_true", help="one JSON array instead of a table")

    identify = _action(actions, "identify", "ask instruments who they are")
    identify.add_argument("--driver", metavar="NAME", help="default: all that are plugged in")
    _add_port(identify)
    identify.add_argument("--json", action="store_true", help="one JSON array instead of lines")

    capture = _action(actions, "capture", "capture a trace; Ctrl-C ends it and keeps what it has")
    whose = capture.add_mutually_exclusive_group(required=True)
    whose.add_argument("--driver", metavar="NAME", help="e.g. ppk2; needs --supply")
    whose.add_argument(
        "--board", metavar="ID", help="the meter and the supply of this board in boards.toml"
    )
    add_boards_argument(capture)
    _add_port(capture)
    _add_capture(capture)

    decode = _action(
        actions, "decode", "decode a capture or another tool's file, print its figures"
    )
    decode.add_argument(
        "file", type=Path, metavar="FILE", help="evidence (.npz), or what replay reads"
    )
    _add_decode(decode)


def _action(actions: argparse._SubParsersAction, name: str, text: str) -> argparse.ArgumentParser:  # type: ignore[type-arg]
    """Return the parser of an action, with the examples that concern it."""
    blocks = EXAMPLES.split("\n  hilbench ")
    mine = [b.removeprefix("  hilbench ") for b in blocks if f"meter {name}" in b]
    shown = "\n".join(f"  hilbench {block}" for block in mine)
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=text,
        description=text,
        epilog=f"examples:\n{shown}\n\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", metavar="PATH", help="where the instrument is (default: the only one plugged in)"
    )
    _add_arg(parser, "the driver's own, as args in boards.toml; may be repeated")
    parser.add_argument(
        "--timeout",
        type=float,
        default=_TIMEOUT_S,
        metavar="S",
        help=f"for the instrument to answer (default: {_TIMEOUT_S:g})",
    )


def _add_arg(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--arg", action="append", metavar="KEY=VALUE", default=[], help=text)


def _add_capture(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--duration", type=float, metavar="S", help="default: until Ctrl-C")
    parser.add_argument("--supply", type=float, metavar="V", help="the board's supply")
    parser.add_argument(
        "--supplies", action="store_true", help="the meter powers the board; needs --supply-max"
    )
    parser.add_argument(
        "--supply-max", type=float, metavar="V", help="highest voltage that the board bears"
    )
    parser.add_argument("--rate", type=float, metavar="HZ", help="default: the meter's own best")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: nothing is kept"
    )
    parser.add_argument(
        "--format", choices=("npz", "jls", "csv"), help="of -o (default: by the name's ending)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="waveform as .png or .svg")


def _add_decode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--filter",
        choices=FILTERS,
        help="what stands for samples during a range switch, where the driver has a choice",
    )
    parser.add_argument(
        "--marker", metavar="INPUT", help="find windows on this logic input, e.g. D0"
    )
    parser.add_argument(
        "--debounce",
        type=float,
        default=_DEBOUNCE_US,
        metavar="US",
        help=f"shorter levels of the marker are bounces (default: {_DEBOUNCE_US:g})",
    )
    parser.add_argument(
        "--supply", type=float, metavar="V", help="for files that hold current without a voltage"
    )
    parser.add_argument(
        "--rate", type=float, metavar="HZ", help="for tables that hold samples without times"
    )
    _add_arg(parser, "what else the file does not say, as args of meter replay; may be repeated")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="export, .npz .jls .csv")
    parser.add_argument(
        "--format", choices=("npz", "jls", "csv"), help="of -o (default: by the name's ending)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="waveform as .png or .svg")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object, all windows, SI units"
    )


def run(args: argparse.Namespace) -> int:
    """Do the action."""
    return _handler(args.action)(args)


def _handler(action: str) -> Callable[[argparse.Namespace], int]:
    """Import no more than the action needs."""
    if action == "capture":
        from hilbench.cli.metering.capture import capture  # noqa: PLC0415

        return capture
    if action == "decode":
        from hilbench.cli.metering.decode import decode  # noqa: PLC0415

        return decode
    from hilbench.cli.metering import instruments  # noqa: PLC0415

    return instruments.identify if action == "identify" else instruments.list_instruments
