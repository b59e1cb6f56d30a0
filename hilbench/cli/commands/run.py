"""``hilbench run``: a suite, or a user's own model with no suite file."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilbench.cli.common import (
    add_boards_argument,
    add_results_argument,
    boards_file,
    choose_boards,
    parse_limit,
    parse_seconds,
    parse_share,
    run_folder,
)
from hilbench.errors import UsageError

if TYPE_CHECKING:
    from hilbench.bench.energy import EnergyRequest
    from hilbench.records import SuiteConfig

HELP = "bench a suite.toml, or one .tflite model, on boards"
EXAMPLES = """\
  hilbench run suite.toml
  hilbench run suite.toml --board m4 --board native --sessions 6
  hilbench run model.tflite --vectors test.npz --board m4
  hilbench run model.tflite --vectors images/ --dtype uint8 --quantise offset128 --board m55
  hilbench run model.tflite --vectors x.npy --labels labels.csv --board m4
  hilbench run suite.toml --board uno-ppk2 --energy-target 0.5%
  hilbench run suite.toml --board lab --abba dense pruned --sessions 6
  hilbench run --resume 20260101-120000-digits   only what is missing"""

OWN_MODEL_OPTIONS = ("vectors", "labels", "dtype", "metric", "quantise")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare target, vectors and repetition."""
    parser.add_argument("target", type=Path, nargs="?", metavar="SUITE.toml|MODEL.tflite")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with an interrupted or killed run; its own command line, unless one is given",
    )
    parser.add_argument(
        "--board",
        action="append",
        metavar="ID",
        default=[],
        help="may be repeated; a suite without --board runs on every board that has no tag 'extra'",
    )
    own = parser.add_argument_group("for a .tflite model")
    own.add_argument("--vectors", type=Path, metavar="FILE", help=".npz with x and y, .npy, folder")
    own.add_argument("--labels", type=Path, metavar="CSV", help="labels of a .npy file")
    own.add_argument("--dtype", help="of raw .bin files, e.g. uint8")
    own.add_argument("--metric", choices=("top1", "auc", "mse", "none"), help="default: top1")
    own.add_argument(
        "--quantise",
        choices=("host", "offset128", "none"),
        help="float vectors for an int8 model by the host (default); uint8 by x - 128; or refused",
    )
    parser.add_argument(
        "--limit", type=parse_limit, metavar="N|all", help="only the first N vectors"
    )
    parser.add_argument("--sessions", type=int, metavar="N", help="reset to reset (default: 3)")
    parser.add_argument("--warm-up", type=int, metavar="N", help="untimed inferences (default: 1)")
    parser.add_argument(
        "--iterations", type=int, metavar="N", help="timed inferences (default: 10)"
    )
    _add_energy_arguments(parser)
    add_boards_argument(parser)
    add_results_argument(parser)


def _add_energy_arguments(parser: argparse.ArgumentParser) -> None:
    energy = parser.add_argument_group("for boards with a power meter (docs/energy.md)")
    energy.add_argument(
        "--energy-target",
        type=parse_share,
        metavar="SHARE",
        help="standard uncertainty of window edges and scatter, e.g. 0.1%% (default) or 0.01",
    )
    energy.add_argument(
        "--energy-limit",
        type=parse_seconds,
        metavar="S",
        help="longest time for a session's windows (default: 300)",
    )
    energy.add_argument(
        "--mlperf",
        action="store_true",
        help="5 windows of at least 10 s, one an input; median, gross: as MLPerf Tiny measures",
    )
    energy.add_argument(
        "--energy-operators", action="store_true", help="mark every operator: energy of each"
    )
    energy.add_argument(
        "--full-trace", action="store_true", help="keep every sample, not windows and margins only"
    )
    energy.add_argument(
        "--abba",
        nargs=2,
        metavar=("A", "B"),
        help="sessions of two variants take turns, A B B A: a drift hits both alike",
    )


def run(args: argparse.Namespace) -> int:
    """Bench and print the table."""
    from hilbench.cli.benching import bench_and_print  # noqa: PLC0415
    from hilbench.config import load_boards  # noqa: PLC0415

    resume = None
    if args.resume is not None:
        resume = run_folder(argparse.Namespace(run=args.resume, results=args.results))
        args = args if args.target is not None else _as_started(resume)
    if args.target is None:
        raise UsageError("say what: a suite.toml, a model.tflite, or --resume RUN")
    file = boards_file(args)
    known = load_boards(file)
    if args.target.suffix == ".toml":
        suite = _suite(args)
        wanted = args.board or [b.id for b in known.values() if "extra" not in b.tags]
    else:
        suite = _own_model(args)
        wanted = args.board
        if not wanted:
            raise UsageError(f"say where: --board ID; {file} has: {', '.join(known)}")
    return bench_and_print(
        suite,
        choose_boards(known, wanted, file),
        limit=args.limit,
        results=args.results,
        files=[args.target],
        energy=_energy(args),
        abba=None if args.abba is None else tuple(args.abba),
        resume=resume,
    )


def _as_started(folder: Path) -> argparse.Namespace:
    """Return the arguments that a run was started with."""
    from hilbench.cli import parser  # noqa: PLC0415
    from hilbench.runs import read_journal  # noqa: PLC0415

    argv = read_journal(folder).provenance.argv
    if argv[1:2] != ("run",):
        raise UsageError(
            f"run {folder.name}: was not started by hilbench run but by {' '.join(argv) or 'nobody'}; "
            f"name its suite: hilbench run SUITE.toml --resume {folder.name}"
        )
    started = parser().parse_args(list(argv[1:]))
    if not started.target.exists():
        raise UsageError(
            f"run {folder.name}: was started with {started.target}, which is not here; go where it "
            f"was started, or name it: hilbench run {started.target.name} --resume {folder}"
        )
    return started


def _energy(args: argparse.Namespace) -> EnergyRequest:
    from hilbench.bench.energy import EnergyRequest  # noqa: PLC0415

    chosen = {"target": args.energy_target, "time_limit_s": args.energy_limit}
    return EnergyRequest(
        mlperf=args.mlperf,
        operators=args.energy_operators,
        full_trace=args.full_trace,
        **{name: value for name, value in chosen.items() if value is not None},
    )


def _suite(args: argparse.Namespace) -> SuiteConfig:
    from hilbench.config import load_suite  # noqa: PLC0415

    for option in OWN_MODEL_OPTIONS:
        if getattr(args, option) is not None:
            raise UsageError(
                f"--{option} belongs to a .tflite model; {args.target} says it for each variant"
            )
    suite = load_suite(args.target)
    return replace(suite, **_repetition(args))


def _own_model(args: argparse.Namespace) -> SuiteConfig:
    from hilbench.bench import single_model_suite  # noqa: PLC0415
    from hilbench.records import VectorsConfig  # noqa: PLC0415

    if args.vectors is None:
        raise UsageError(f"{args.target} needs test vectors: --vectors FILE.npz with x and y")
    vectors = VectorsConfig(
        name=args.vectors.stem,
        file=args.vectors,
        labels=args.labels,
        metric=args.metric or "top1",
        quantise=args.quantise or "host",
        dtype=args.dtype,
    )
    suite = single_model_suite(args.target, vectors, sessions=3, warm_up=1, iterations=10)
    return replace(suite, **_repetition(args))


def _repetition(args: argparse.Namespace) -> dict[str, Any]:
    """Overrides from the command line; run_suite checks them."""
    chosen = {name: getattr(args, name) for name in ("sessions", "warm_up", "iterations")}
    return {name: value for name, value in chosen.items() if value is not None}
