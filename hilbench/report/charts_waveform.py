"""The current over time with its windows shaded, from a session's evidence."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.power import Window
from hilbench.recordings.evidence import Evidence
from hilbench.report._decimate import Waveform, decimate
from hilbench.report.contents import tick
from hilbench.report.quantities import si
from hilbench.report.svg import COLOURS, Canvas, Scale, box, element, label

_WIDTH, _HEIGHT = 1080, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 30, 44, 40
_MOST_COLUMNS = 800
RUN, IDLE = COLOURS[1], COLOURS[4]
_LEADING_ZERO = re.compile(r"(?<![0-9.])0\.")
_FEW = 0.5  # px: a window is never narrower
_LITTLE, _AROUND = 0.5, 0.1  # of the capture; of what is drawn instead, to each side


@dataclass(frozen=True)
class Trace:
    """What is drawn of a capture, and what the table says of it."""

    board: str
    variant: str
    session: int
    file: str
    emulated: bool
    sample_hz: float
    samples: int
    lost: int
    waveform: Waveform
    windows: tuple[Window, ...]
    kept: tuple[tuple[int, int], ...]

    @property
    def shown(self) -> tuple[float, float]:
        """Return from when to when it is drawn, in s: all, or the windows where they are little."""
        length_s = self.samples / self.sample_hz
        if not self.windows:
            return 0.0, length_s
        first = min(w.start for w in self.windows) / self.sample_hz
        last = max(w.end for w in self.windows) / self.sample_hz
        if last - first >= _LITTLE * length_s:
            return 0.0, length_s
        margin = _AROUND * (last - first)
        return max(0.0, first - margin), min(length_s, last + margin)


def trace_of(evidence: Evidence, cell: tuple[str, str, int], file: str) -> Trace:
    """Read an evidence file's current in columns."""
    waveform = decimate(evidence)
    return Trace(
        *cell, file, evidence.identity.emulated, evidence.spec.sample_hz, waveform.samples,
        evidence.end.lost, waveform, tuple(evidence.windows), tuple(evidence.kept),
    )  # fmt: skip


def waveform(trace: Trace, table: str) -> str:
    """Return the current of a capture: mean as a line, range as a shade, gaps left open."""
    start_s, end_s = trace.shown
    length_s = trace.samples / trace.sample_hz
    column_s = trace.waveform.width / trace.sample_hz
    first = int(start_s / column_s)
    data = merged(_columns(trace.waveform, first, math.ceil(end_s / column_s)), _MOST_COLUMNS)
    runs = sum(w.marked.kind == "run" for w in trace.windows)
    canvas = Canvas(
        _WIDTH,
        _HEIGHT,
        f"current of {trace.board} {trace.variant}, session {trace.session}"
        + (", operators marked" if "-operators." in trace.file else ""),
        f"{si(length_s, 's')} at {si(trace.sample_hz, 'Hz')}; {runs} run windows shaded; "
        f"{trace.lost} samples lost."
        + (" Synthetic: not a current of a chip." if trace.emulated else ""),
        table,
    )
    peak = float(np.nanmax(data.high_a, initial=0.0))
    floor = float(np.nanmin(data.low_a, initial=0.0))
    x = Scale(start_s, end_s, _LEFT, _WIDTH - _RIGHT)
    y = Scale(floor, (peak or 1e-9) * 1.06, _HEIGHT - _BOTTOM, _TOP)
    _shade(canvas, trace, x)
    if trace.emulated:
        canvas.synthetic(_LEFT, _TOP, _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM)
    canvas.axes(
        x, y, ("time since the capture began", "current"),
        lambda axis, value: tick(value, "s" if axis == "x" else "A"),
    )  # fmt: skip
    canvas.add(label(4, 14, canvas.title, font_weight="bold"))
    _key(canvas)
    per_column_s = data.width / trace.sample_hz
    times = first * column_s + (np.arange(len(data.mean_a)) + 0.5) * per_column_s
    for stretch in _stretches(np.isfinite(data.mean_a)):
        xs = [x(min(max(float(t), start_s), end_s)) for t in times[stretch]]
        high = [y(float(v)) for v in data.high_a[stretch]]
        low = [y(float(v)) for v in data.low_a[stretch]]
        mean = [y(float(v)) for v in data.mean_a[stretch]]
        band = path([*zip(xs, high, strict=True), *zip(xs[::-1], low[::-1], strict=True)])
        canvas.add(
            element("path", d=f"{band}z", fill="currentColor", opacity=0.3),
            element("path", d=path(list(zip(xs, mean, strict=True))), fill="none",
                    stroke="currentColor"),
        )  # fmt: skip
    return canvas.render()


def _columns(data: Waveform, first: int, last: int) -> Waveform:
    """Return the columns from ``first`` to before ``last``."""
    part = slice(first, last)
    return Waveform(
        data.samples, data.width, data.low_a[part], data.mean_a[part], data.high_a[part]
    )


def path(points: Sequence[tuple[float, float]]) -> str:
    """Return a path in steps of a tenth of a pixel, relative: half the bytes."""
    tenths = [(round(10 * px), round(10 * py)) for px, py in points]
    parts = [f"M{tenths[0][0] / 10:g} {tenths[0][1] / 10:g}l"]
    before = tenths[0]
    for point in tenths[1:]:
        dx, dy = point[0] - before[0], point[1] - before[1]
        parts.append(f"{dx / 10:g} {dy / 10:g} ".replace(" -", "-"))
        before = point
    if len(points) == 1:
        return f"{parts[0]}0 0"
    return _LEADING_ZERO.sub(".", "".join(parts)).rstrip()


def merged(data: Waveform, most: int) -> Waveform:
    """Return the columns merged until there are no more than ``most``; unknown ones stay unknown."""
    every = math.ceil(len(data.mean_a) / most)
    if every <= 1:
        return data
    return Waveform(
        data.samples,
        data.width * every,
        _reduced(data.low_a, every, np.fmin.reduce),
        _reduced(data.mean_a, every, _mean),
        _reduced(data.high_a, every, np.fmax.reduce),
    )


def _reduced(
    values: NDArray[np.float64], every: int, how: Callable[[NDArray[np.float64]], float]
) -> NDArray[np.float64]:
    return np.array([how(values[k : k + every]) for k in range(0, len(values), every)])


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _stretches(known: NDArray[np.bool_]) -> Iterable[slice]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]])))
    return [slice(int(a), int(b)) for a, b in zip(edges[0::2], edges[1::2], strict=True)]


def _shade(canvas: Canvas, trace: Trace, x: Scale) -> None:
    height = _HEIGHT - _TOP - _BOTTOM
    for kind, colour in (("run", RUN), ("idle", IDLE)):
        drawn = []
        for window in (w for w in trace.windows if w.marked.kind == kind):
            start, end = x(window.start / trace.sample_hz), x(window.end / trace.sample_hz)
            drawn.append(box(start, _TOP, max(_FEW, end - start), height))
        canvas.add(element("path", d="".join(drawn), fill=colour, opacity=0.4))


def _key(canvas: Canvas) -> None:
    """Say what shades are; run and idle are also told apart by their height in the current."""
    for left, colour, words in (
        (_WIDTH - 250, RUN, "run window"),
        (_WIDTH - 130, IDLE, "idle window"),
    ):
        canvas.add(
            element("rect", x=left, y=5, width=14, height=11, fill=colour, opacity=0.6),
            label(left + 20, 14, words),
        )
