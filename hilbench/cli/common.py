"""Arguments that several subcommands share."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilbench.errors import UsageError

if TYPE_CHECKING:
    from hilbench.gate.config import GateConfig
    from hilbench.records import BoardConfig


def add_boards_argument(parser: argparse.ArgumentParser) -> None:
    """``--boards FILE``."""
    parser.add_argument(
        "--boards",
        type=Path,
        metavar="FILE",
        help="boards file (default: ./boards.toml, else the emulated boards that hilbench carries)",
    )


def add_results_argument(parser: argparse.ArgumentParser) -> None:
    """``--results FOLDER``."""
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="FOLDER",
        help="where run folders go (default: ./results)",
    )


def boards_file(args: argparse.Namespace) -> Path:
    """Return the boards file that the arguments or this folder name."""
    from hilbench.config.defaults import default_boards_path  # noqa: PLC0415

    path: Path = args.boards or default_boards_path()
    return path


def load_boards_file(args: argparse.Namespace) -> dict[str, BoardConfig]:
    """Load the boards file that the arguments or this folder name."""
    from hilbench.config import load_boards  # noqa: PLC0415

    return load_boards(boards_file(args))


def choose_boards(
    known: dict[str, BoardConfig], wanted: list[str], file: Path
) -> list[BoardConfig]:
    """Return the boards asked for, in that order.

    Raises:
        UsageError: an id that the boards file does not have.
    """
    missing = [name for name in wanted if name not in known]
    if missing:
        raise UsageError(f"no board {missing[0]!r} in {file}; it has: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(wanted)]


def gate_config(file: Path | None) -> GateConfig:
    """Load the gate.toml that was named, else this folder's, else what holds without one."""
    from hilbench.gate.config import GateConfig, load_gate  # noqa: PLC0415

    default = Path("gate.toml")
    chosen = file or (default if default.exists() else None)
    return GateConfig() if chosen is None else load_gate(chosen)


def baseline_file(args: argparse.Namespace, suite: str) -> Path:
    """Return the baseline that was named, else that of the suite."""
    path: Path = args.baseline or Path("baselines") / f"{suite}.toml"
    return path


def print_json(value: Any) -> None:
    """Print strict JSON: what nobody knows is null, and so is infinity, which JSON has not."""
    print(json.dumps(_known(value), indent=2, allow_nan=False))


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def run_folder(args: argparse.Namespace) -> Path:
    """Return the run that was named, else the newest.

    Raises:
        UsageError: there is none.
    """
    if args.run is None:
        runs = sorted(p.parent for p in args.results.glob("*/journal.jsonl"))
        if not runs:
            raise UsageError(f"no run in {args.results}; make one with: hilbench demo")
        return Path(runs[-1])
    for path in (Path(args.run), args.results / args.run):
        if (path / "journal.jsonl").exists():
            return path
    names = sorted(p.parent.name for p in args.results.glob("*/journal.jsonl"))
    there = f"it has: {', '.join(names[-3:])}" if names else "it has none"
    raise UsageError(f"no run {args.run!r} in {args.results}; {there}")


def parse_limit(text: str) -> int | None:
    """``all`` or a number of at least 1, for argparse."""
    if text == "all":
        return None
    value = int(text) if text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'all' nor a number of at least 1")
    return value


def parse_share(text: str) -> float:
    """Return ``0.5%`` or ``0.005`` as a share above 0 and below 1, for argparse."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share above 0 and below 1, e.g. 0.5%")
    return value


def parse_seconds(text: str) -> float:
    """Return a time above 0, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no time in s above 0, e.g. 300")
    return value
