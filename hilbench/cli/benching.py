"""What ``run`` and ``demo`` share: bench with a live display, then the table, then where it is."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from hilbench.bench import run_suite
from hilbench.bench.energy import EnergyRequest
from hilbench.cli.console import PipeConsole
from hilbench.cli.display import live
from hilbench.config.boards import files_of
from hilbench.errors import StoreError
from hilbench.records import BoardConfig, SuiteConfig
from hilbench.report.terminal import print_run


def bench_and_print(
    suite: SuiteConfig,
    boards: Sequence[BoardConfig],
    *,
    limit: int | None,
    results: Path,
    files: Sequence[Path],
    energy: EnergyRequest | None = None,
    abba: tuple[str, str] | None = None,
    resume: Path | None = None,
) -> int:
    """Bench a suite; returns the exit code."""
    console = PipeConsole()
    with live(console) as progress:
        outcome = run_suite(
            suite,
            boards,
            results=results,
            limit=limit,
            progress=progress,
            files=[*files, *files_of(boards)],
            energy=energy,
            abba=abba,
            resume=resume,
        )
    for error in outcome.errors:
        if isinstance(error, StoreError):  # the tables below may lack what could not be kept
            print(f"hilbench: {error}", file=sys.stderr)
    with contextlib.suppress(BrokenPipeError):  # what was measured decides the exit code
        print_run(outcome.folder, console)
        if outcome.interrupted:
            console.print(f"interrupted: boards are off; what was measured is in {outcome.folder}")
            console.print(f"go on with: hilbench run --resume {outcome.folder}")
    return outcome.exit_code
