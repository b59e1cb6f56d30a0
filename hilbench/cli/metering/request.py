"""What a capture asks of a meter: by options, or as a board's table in boards.toml says."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace

from hilbench.board.metering import check_supply, meter_address, setup_of
from hilbench.cli.common import boards_file, choose_boards, load_boards_file
from hilbench.cli.metering.instruments import parse_args, sampling_drivers
from hilbench.errors import UsageError
from hilbench.power import MeterSetup
from hilbench.records import BoardConfig, MeterConfig

_OF_A_TABLE = ("port", "supply", "supplies", "supply_max", "arg")


@dataclass(frozen=True)
class Request:
    """A meter, and what it shall do."""

    driver: str
    port: str | None  # None: the only one that is plugged in
    config: MeterConfig
    setup: MeterSetup
    board: BoardConfig | None  # whose meter it is; None: options say everything


def request_of(args: argparse.Namespace) -> Request:
    """Return what is asked for; nothing was opened or powered.

    Raises:
        UsageError: options that do not go together, or a supply that may not be.
        ConfigError: the board's table does not allow it.
        MeterError: the board's meter is not plugged in, or not to be told from others.
    """
    if args.duration is not None and not args.duration > 0:
        raise UsageError(f"--duration is {args.duration:g} s, must be above 0 s")
    if args.board is not None:
        return _of_board(args)
    setup = _setup(args)
    config = MeterConfig(args.driver, serial=args.port, supplies=args.supplies, args=setup.args)
    return Request(args.driver, args.port, config, setup, None)


def _of_board(args: argparse.Namespace) -> Request:
    for name in _OF_A_TABLE:
        if getattr(args, name):
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option} goes with --driver; of board {args.board} its table says that: leave "
                "it out"
            )
    (board,) = choose_boards(load_boards_file(args), [args.board], boards_file(args))
    meter = board.meter
    if meter.emulator is not None:
        raise UsageError(
            f"board {board.id}: its meter is emulated and runs only beside the board: "
            "hilbench run; docs/energy.md says how to start one alone"
        )
    if meter.driver not in sampling_drivers():
        raise UsageError(
            f'board {board.id}: meter = "{meter.driver}" is no instrument; say one in '
            f"[board.{board.id}.meter]"
        )
    check_supply(board)
    setup = replace(setup_of(board), sample_hz=args.rate)
    return Request(meter.driver, meter_address(board.id, meter), meter, setup, board)


def _setup(args: argparse.Namespace) -> MeterSetup:
    """Return what options ask for; nothing is powered that was not asked for by name."""
    if args.supply is None:
        raise UsageError(
            "--supply V is missing: energy is voltage times charge; say the board's supply, "
            "e.g. --supply 3.3"
        )
    if args.supply_max is not None and not args.supplies:
        raise UsageError(
            "--supply-max belongs to --supplies: without it the meter powers nothing; drop the "
            "one or add the other"
        )
    if args.supplies and args.supply_max is None:
        raise UsageError(
            "--supplies makes the meter power the board: add --supply-max V, the highest voltage "
            "that the board bears"
        )
    if not 0 < args.supply < math.inf:
        raise UsageError(f"--supply is {args.supply:g} V, must be above 0 V")
    if args.supplies and not args.supply <= args.supply_max:  # also NaN
        raise UsageError(
            f"--supply {args.supply:g} V is above --supply-max {args.supply_max:g} V; nothing was "
            "powered"
        )
    return MeterSetup(args.supply, args.supplies, args.rate, parse_args(args.arg))
