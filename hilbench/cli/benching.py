"""What ``run`` and ``demo`` share: bench with a live display, then the table, then where it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hilbench.bench import run_suite
from hilbench.cli.display import live
from hilbench.records import BoardConfig, SuiteConfig
from hilbench.report.terminal import print_run


def bench_and_print(
    suite: SuiteConfig,
    boards: Sequence[BoardConfig],
    *,
    limit: int | None,
    results: Path,
    files: Sequence[Path],
) -> int:
    """Bench a suite; returns the exit code."""
    console = Console()
    sources = sorted({Path(b.source) for b in boards if b.source})
    with live(console) as progress:
        outcome = run_suite(
            suite, boards, results=results, limit=limit, progress=progress, files=[*files, *sources]
        )
    print_run(outcome.folder, console)
    if outcome.interrupted:
        console.print(f"interrupted: boards are off; what was measured is in {outcome.folder}")
    return outcome.exit_code
