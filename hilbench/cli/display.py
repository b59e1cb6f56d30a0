"""The live display: a line per board on a terminal, a line per event elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live
from rich.table import Table

from hilbench.bench.progress import BoardProgress, Progress

_REFRESH_PER_S = 4


def _table(progress: Progress) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("board", "state", "variant", "session"):
        table.add_column(name)
    for name in ("vectors", "rate /s", "ETA"):
        table.add_column(name, justify="right")
    now = time.monotonic()
    for line in progress.lines():
        rate, eta = line.rate_per_s(now), line.eta_s(now)
        table.add_row(
            line.board,
            _state(line),
            line.variant,
            str(line.session or ""),
            f"{line.vectors_done}/{line.vectors_total}",
            "-" if rate is None else f"{rate:.0f}",
            "-" if eta is None or line.finished else f"{eta:.0f} s",
        )
    return table


def _state(line: BoardProgress) -> str:
    if line.error:
        return f"[red]{line.state}: an error, see below[/red]"
    return f"[green]{line.state}[/green]" if line.finished else line.state


@contextlib.contextmanager
def live(console: Console) -> Iterator[Progress]:
    """Yield the progress to report to; shows it until the block ends."""
    if not console.is_terminal:
        yield Progress(lambda before, after: _print_event(console, before, after))
        return
    progress = Progress()
    with Live(
        get_renderable=lambda: _table(progress),
        console=console,
        refresh_per_second=_REFRESH_PER_S,
        transient=False,
    ):
        yield progress


def _print_event(console: Console, before: BoardProgress, after: BoardProgress) -> None:
    if after.error and after.error != before.error:
        what = f"error: {after.error}"
    elif (before.state, before.variant) != (after.state, after.variant):
        what = f"{after.state} {after.variant}".strip()
    else:
        return
    console.print(
        f"{after.board}: {what} ({after.vectors_done}/{after.vectors_total} vectors)",
        markup=False,
        soft_wrap=True,
        highlight=False,
    )
