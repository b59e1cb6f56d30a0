"""``hilbench meter decode``: a capture, or another tool's file, to figures and windows again."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hilbench.cli.common import print_json
from hilbench.cli.console import PipeConsole
from hilbench.cli.metering.figures import (
    MarkedWindows,
    as_json,
    print_figures,
    print_windows,
    windows_as_json,
)
from hilbench.cli.metering.files import check_plot, check_target, load, plot, save, windows_of
from hilbench.cli.metering.instruments import parse_args
from hilbench.errors import MeasurementError, UsageError
from hilbench.measurement.power.integrate import sums
from hilbench.measurement.power.overview import overview
from hilbench.measurement.power.tail import Tail, fit
from hilbench.measurement.power.windows import Edges, marker_edges
from hilbench.power import Marked, MeterSetup, Recording, Window

_WIDE = 120  # columns of a pipe or a file


def decode(args: argparse.Namespace) -> int:
    """Print, export and draw what a file holds."""
    check_target(args.output, args.format)
    check_plot(args.plot)
    supply_v = math.nan if args.supply is None else args.supply
    setup = MeterSetup(supply_v, supplies=False, sample_hz=args.rate, args=parse_args(args.arg))
    recording = load(args.file, setup, args.filter)
    marked = _marked(args, recording) if args.marker is not None else _of_run(recording)
    # Files first: whoever reads the figures may leave early.
    if args.output is not None:
        save(recording, args.output, args.format)
    if args.plot is not None:
        plot(recording, args.plot, [] if marked is None else [w.window for w in marked.sums])
    if args.json:
        print_json(_as_json(recording, marked))
    else:
        console = PipeConsole()
        if not console.is_terminal:
            console.width = _WIDE
        print_figures(recording, console)
        if marked is not None:
            print_windows(marked, recording.spec.sample_hz, console)
    return 0


def _as_json(recording: Recording, marked: MarkedWindows | None) -> dict[str, Any]:
    found = as_json(recording, overview(recording))
    return found if marked is None else found | windows_as_json(marked, recording.spec.sample_hz)


def _marked(args: argparse.Namespace, recording: Recording) -> MarkedWindows:
    bit = _bit(recording, args.marker, args.file)
    hz = recording.spec.sample_hz
    edges = marker_edges(recording.chunks(), bit, args.debounce * 1e-6, hz)
    windows, remarks = marker_windows(edges, hz)
    if not windows:
        return MarkedWindows(args.marker, (), tuple(remarks))
    tail, says = _tail(recording, windows)
    return MarkedWindows(args.marker, tuple(sums(recording, windows, tail)), (*remarks, says))


def _of_run(recording: Recording) -> MarkedWindows | None:
    """Return the windows that a run kept with its evidence, None where there are none."""
    windows = windows_of(recording)
    if not windows:
        return None
    tail, says = _tail(recording, windows)
    return MarkedWindows("the run", tuple(sums(recording, windows, tail)), (says,))


def _tail(recording: Recording, windows: Sequence[Window]) -> tuple[Tail, str]:
    """Return the time constant, and what is done about it."""
    try:
        tail = fit(recording, windows)
    except MeasurementError as error:
        return Tail(0.0, 0.0), f"NOT corrected for a tail between board and meter: {error}"
    return tail, f"corrected for the tail between board and meter: {tail.says}"


def _bit(recording: Recording, marker: str, path: Path) -> int:
    """Return the number of a logic input.

    Raises:
        UsageError: the capture has no such input.
    """
    inputs = recording.spec.logic_inputs
    if marker not in inputs:
        there = f"it has: {', '.join(inputs)}" if inputs else "it has none"
        raise UsageError(f"--marker {marker}: no such logic input in {path}; {there}")
    return inputs.index(marker)


def marker_windows(edges: Edges, sample_hz: float) -> tuple[list[Window], list[str]]:
    """Return every whole pulse of the marker, and what was left out.

    No device tells here how long they were, nor how many inferences are in them.
    """
    rises, falls = edges.rises, edges.falls
    remarks = []
    if edges.bounces:
        remarks.append(f"ignored as bounces: {edges.bounces} pulses shorter than --debounce")
    if edges.level_at_start:
        remarks.append("left out: the first pulse began before the capture")
    after = np.searchsorted(falls, rises, side="right")
    windows = [
        _window(int(rise), int(falls[k]), (edges.u_rises[n], edges.u_falls[k]), sample_hz)
        for n, (rise, k) in enumerate(zip(rises, after, strict=True))
        if k < len(falls)
    ]
    if len(windows) < len(rises):
        remarks.append("left out: the last pulse had not ended")
    return windows, remarks


def _window(start: int, end: int, u: tuple[float, float], sample_hz: float) -> Window:
    told = Marked("run", 0, (end - start) / sample_hz, 1 / sample_hz)
    u_edge = math.sqrt((u[0] ** 2 + u[1] ** 2) / 2)
    return Window(told, float(start), float(end), "gpio", u_edge)
