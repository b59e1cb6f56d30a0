"""What the gate's commands share: a gate as tables, and the measuring behind ``--confirm``."""

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
from hilbench.gate.confirm import combine, flagged, jobs, merged
from hilbench.gate.judge import judge
from hilbench.gate.snapshot import Snapshot, snapshot
from hilbench.gate.verdicts import GOOD, CellVerdict, GateResult
from hilbench.metrics import show
from hilbench.records import BoardConfig
from hilbench.report.tables import TextColumn, print_table
from hilbench.runs.journal import read_journal

WIDE = 160  # of a file or a pipe


def print_gate(result: GateResult, console: Console, *, everything: bool) -> None:
    """Print waivers, the table worst first, why, warnings, and last the headline."""
    if not console.is_terminal:
        console.width = WIDE
    shown = [c for c in result.cells if everything or c.verdict not in {"PASS", "NEW"}]
    if shown:
        print_table(console, "gate", *_columns(shown))
    hidden = len(result.cells) - len(shown)
    if hidden:
        _line(console, f"{hidden} more cells are PASS or NEW; --all shows them")
    for cell in shown:
        if cell.verdict not in GOOD:
            _line(console, f"{cell.verdict} {cell.cell}: {cell.reason}")
    for title, texts in (
        ("waiver", result.waivers), ("stale", result.stale), ("warning", result.warnings),
    ):  # fmt: skip
        for text in texts:
            _line(console, f"{title}: {text}")
    _line(console, result.headline())


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _columns(cells: Sequence[CellVerdict]) -> tuple[list[TextColumn], list[TextColumn]]:
    keys = [
        TextColumn("verdict", [c.verdict for c in cells]),
        TextColumn("board", [c.board for c in cells]),
        TextColumn("variant", [c.variant for c in cells]),
        TextColumn("metric", [c.metric for c in cells]),
    ]
    return keys, [
        TextColumn("baseline", [show(c.metric, c.baseline) for c in cells], right=True),
        TextColumn("now", [show(c.metric, c.now) for c in cells], right=True),
        TextColumn("change", [_percent(c.change) for c in cells], right=True),
        TextColumn("bounds", [_bounds(c) for c in cells], right=True),
        TextColumn("margin", [_margin(c) for c in cells], right=True),
        TextColumn("seen from", [_percent(c.mde) for c in cells], right=True),
        TextColumn("p adj", [_p(c.p_adjusted) for c in cells], right=True),
        TextColumn("n", [_n(c) for c in cells], right=True),
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.2f} %"


def _bounds(cell: CellVerdict) -> str:
    if cell.low is None or cell.high is None:
        return "-"
    return f"{100 * cell.low:+.2f} {100 * cell.high:+.2f}"


def _margin(cell: CellVerdict) -> str:
    if cell.margin is None:
        return "-"
    return f"{cell.margin:g}" if cell.kind == "exact" else f"{100 * cell.margin:g} %"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"


def _n(cell: CellVerdict) -> str:
    known = [str(n) for n in (cell.n_baseline, cell.n_now) if n is not None]
    return "+".join(known) or "-"


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
    for job in jobs(names, config):
        if job.board not in known:
            raise UsageError(f"--confirm: no board {job.board!r} in the boards file; it has: "
                             f"{', '.join(known)}")  # fmt: skip
        chosen = [v for v in suite.variants if v.name in job.variants]
        if len(chosen) != len(job.variants):
            gone = sorted(set(job.variants) - {v.name for v in chosen})
            raise UsageError(f"--confirm: suite {suite.source} has no variant {gone[0]!r} any more")
        n = run.cells[job.board, job.variants[-1]].fingerprint["vectors_n"]
        with live(console) as progress:
            outcome = run_suite(
                replace(
                    suite,
                    variants=tuple(replace(v, parent=None) for v in chosen),
                    sessions=config.confirm_sessions,
                    warm_up=provenance.warm_up,
                    iterations=provenance.iterations,
                ),
                [known[job.board]],
                results=results,
                limit=int(n),
                progress=progress,
                files=[Path(suite.source), *files_of([known[job.board]])],
                abba=job.abba,
            )
        if outcome.interrupted:
            raise KeyboardInterrupt
        if outcome.errors:
            raise outcome.errors[0]
        fresh.append(snapshot(outcome.folder))
    again = judge(
        merged(fresh), baseline, config, today=today, only=set(names), adjust="bonferroni"
    )
    return combine(screen, again)


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
