"""A capture as it goes: figures in place on a terminal, a line a second elsewhere."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live
from rich.table import Table

from hilbench.board.capture import LiveFigures
from hilbench.report.quantities import si

_REFRESH_PER_S = 8
_LINE_EVERY_S = 1.0
_RATE_S = 2.0


@contextlib.contextmanager
def live(
    console: Console, sample_hz: float, duration_s: float | None
) -> Iterator[Callable[[LiveFigures], None]]:
    """Yield what to call with figures, from any thread; shows them until the block ends."""
    line = _Line(sample_hz, duration_s)
    if not console.is_terminal:
        yield _Printer(console, line)
        return
    latest = _Latest()
    with Live(
        get_renderable=lambda: _table(line, latest.figures),
        console=console,
        refresh_per_second=_REFRESH_PER_S,
    ):
        yield latest


class _Latest:
    def __init__(self) -> None:
        self.figures: LiveFigures | None = None

    def __call__(self, figures: LiveFigures) -> None:
        self.figures = figures


class _Line:
    """Figures as text."""

    def __init__(self, sample_hz: float, duration_s: float | None) -> None:
        self._sample_hz = sample_hz
        self._of = "" if duration_s is None else f" of {duration_s:g}"
        self._recent: deque[LiveFigures] = deque()

    def trace_s(self, figures: LiveFigures) -> float:
        """Return how long the trace is, by the meter's clock."""
        return (figures.samples + figures.lost) / self._sample_hz

    def cells(self, figures: LiveFigures) -> list[tuple[str, str]]:
        """Return names and values."""
        return [
            ("t", f"{self.trace_s(figures):.1f}{self._of} s"),
            ("current", si(figures.current_a, "A")),
            ("power", si(figures.power_w, "W")),
            ("samples", f"{figures.samples:,}"),
            ("rate", self._rate(figures)),
            ("lost", _lost(figures)),
        ]

    def _rate(self, now: LiveFigures) -> str:
        """Of the last seconds, by the host's clock: "-" until they are full.

        Drivers hold back the beginning until they know where it belongs, so the mean since the
        start would look like a loss.
        """
        recent = self._recent
        if not recent or recent[-1].elapsed_s < now.elapsed_s:
            recent.append(now)
        while len(recent) > 1 and now.elapsed_s - recent[1].elapsed_s >= _RATE_S:
            recent.popleft()
        seconds = now.elapsed_s - recent[0].elapsed_s
        if seconds < _RATE_S:
            return "-"
        return f"{si((now.samples - recent[0].samples) / seconds, 'S')}/s"


def _lost(figures: LiveFigures) -> str:
    share = 100 * figures.lost / max(1, figures.samples + figures.lost)
    return f"{figures.lost:,} ({share:.2g} %)" if figures.lost else "0"


class _Printer:
    """Prints at most one line a second of the trace."""

    def __init__(self, console: Console, line: _Line) -> None:
        self._console = console
        self._line = line
        self._next_s = 0.0
        self._reader_left = False

    def __call__(self, figures: LiveFigures) -> None:
        cells = self._line.cells(figures)
        trace_s = self._line.trace_s(figures)
        if trace_s < self._next_s or self._reader_left:
            return
        self._next_s = trace_s // _LINE_EVERY_S * _LINE_EVERY_S + _LINE_EVERY_S
        try:
            self._console.print(
                "  ".join(f"{name} {value}" for name, value in cells),
                soft_wrap=True,
                highlight=False,
                markup=False,
            )
        except BrokenPipeError:  # the data are wanted all the same
            self._reader_left = True


def _table(line: _Line, figures: LiveFigures | None) -> Table:
    table = Table(
        box=None, pad_edge=False, padding=(0, 3, 0, 0), caption="Ctrl-C ends it and keeps the data",
        caption_justify="left",
    )  # fmt: skip
    if figures is None:
        table.add_column("waiting for the first samples")
        return table
    style = {"current": "bold cyan", "power": "bold", "lost": "red" if figures.lost else "green"}
    cells = line.cells(figures)
    for name, _ in cells:
        table.add_column(name, justify="right", style=style.get(name, ""), no_wrap=True)
    table.add_row(*(value for _, value in cells))
    return table
