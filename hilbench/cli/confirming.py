"""The measuring behind ``hilbench gate --confirm``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from rich.console import Console

from hilbench.bench import run_suite
from hilbench.cli.display import live
from hilbench.config import load_suite
from hilbench.config.boards import files_of
from hilbench.errors import UsageError
from hilbench.gate.baseline import Baseline
from hilbench.gate.config import GateConfig
from hilbench.gate.confirm import Job, confirm, flagged, jobs, merged
from hilbench.gate.judge import judge
from hilbench.gate.snapshot import Snapshot, snapshot
from hilbench.gate.verdicts import GateResult
from hilbench.records import BoardConfig, SuiteConfig
from hilbench.runs.journal import read_journal


def confirmed(
    folder: Path,
    run: Snapshot,
    baseline: Baseline,
    config: GateConfig,
    *,
    today: date,
    boards: Sequence[str],
    known: dict[str, BoardConfig],
    suite_file: Path | None,
    results: Path,
    console: Console,
) -> GateResult:
    """Screen, measure flagged cells again, and judge those.

    Raises:
        HilbenchError: the suite cannot be measured again, or a session fails.
    """
    screen = judge(run, baseline, config, today=today, boards=boards, adjust="none")
    names = flagged(screen, config)
    if not names:
        return screen
    fresh = []
    provenance = read_journal(folder).provenance
    suite = load_suite(suite_file or _suite_of(provenance.files, folder))
    suite = replace(
        suite,
        sessions=config.confirm_sessions,
        warm_up=provenance.warm_up,
        iterations=provenance.iterations,
    )
    for job in jobs(names, config):
        if job.board not in known:
            raise UsageError(
                f"--confirm: no board {job.board!r} in the boards file; it has: {', '.join(known)}"
            )
        vectors = run.cells[job.board, job.variants[-1]].fingerprint["vectors_n"]
        with live(console) as progress:
            outcome = run_suite(
                _reduced(suite, job),
                [known[job.board]],
                results=results,
                limit=int(vectors),
                progress=progress,
                files=[Path(suite.source), *files_of([known[job.board]])],
                abba=job.abba,
            )
        if outcome.interrupted:
            raise KeyboardInterrupt
        if outcome.errors:
            raise outcome.errors[0]
        fresh.append(snapshot(outcome.folder))
    return confirm(screen, merged(fresh), baseline, config, today)


def _reduced(suite: SuiteConfig, job: Job) -> SuiteConfig:
    """Return the suite with the job's variants alone; parents play no part in a second look."""
    chosen = tuple(replace(v, parent=None) for v in suite.variants if v.name in job.variants)
    if gone := sorted(set(job.variants) - {v.name for v in chosen}):
        raise UsageError(f"--confirm: suite {suite.source} has no variant {gone[0]!r} any more")
    return replace(suite, variants=chosen)


def _suite_of(files: dict[str, str], folder: Path) -> Path:
    """Return the suite file that the run names, when it is still what it was."""
    name = next(iter(files), "")
    path = Path(name)
    if path.suffix != ".toml":
        raise UsageError(f"--confirm: run {folder.name} names no suite.toml; add --suite FILE")
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != files[name]:
        raise UsageError(
            f"--confirm: {path} is not there as run {folder.name} used it; add --suite FILE"
        )
    return path
