"""A recording's figures as lines and tables, and as JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console

from hilbench.measurement.power.overview import Overview, overview
from hilbench.power import RangeSpec, Recording, WindowSums
from hilbench.report.quantities import si
from hilbench.report.tables import TextColumn, print_table

_TABLE_ROWS = 20  # of windows; the rest is in --json and the CSV
_OFFSETS = 3.0  # as many offset limits away from 0 A is more than nothing


def print_figures(recording: Recording, console: Console) -> None:
    """Print what a recording says at first sight.

    Raises:
        MeasurementError: no valid sample.
    """
    seen = overview(recording)
    identity = recording.identity
    number = f" {identity.serial_number}" if identity.serial_number else ""
    lines = [
        ("meter", f"{identity.model}{number}{', EMULATED' if identity.emulated else ''}"),
        ("duration", f"{si(seen.duration_s, 's')} at {si(recording.spec.sample_hz, 'Hz')}"),
        ("samples", _samples(recording, seen)),
        ("lost", _lost(recording)),
        ("current", _current(seen)),
        ("power", f"mean {si(seen.mean_w, 'W')} at {_volts(recording)}"),
        ("charge", si(seen.charge_c, "C")),
        ("energy", si(seen.energy_j, "J")),
        ("rate", _rate(recording)),
    ]
    lines += _ranges(recording, seen)
    lines += [("note", note) for note in notes(recording, seen)]
    _print_lines((f"{name:<9} {text}" for name, text in lines), console)


def _samples(recording: Recording, seen: Overview) -> str:
    """Kept ones and, of evidence around windows, how many there were."""
    not_kept = seen.missing - recording.end.lost
    if not_kept <= 0:
        return f"{seen.samples:,}"
    return f"{seen.samples:,} kept of {recording.end.samples:,}; what follows is of these alone"


def _lost(recording: Recording) -> str:
    end = recording.end
    unsure = f"; of {end.uncertain:,} more nobody can tell" if end.uncertain else ""
    if not end.lost:
        return f"0{unsure}"
    share = 100 * end.lost / (end.samples + end.lost)
    gaps = len(end.gaps)
    by = ", ".join(dict.fromkeys(gap.by for gap in end.gaps))
    known = f"in {gaps} gap{'s' * (gaps != 1)}, known by: {by or '?'}"
    return f"{end.lost:,} ({share:.2g} %) {known}{unsure}"


def _current(seen: Overview) -> str:
    return f"mean {si(seen.mean_a, 'A')}, min {si(seen.min_a, 'A')}, max {si(seen.max_a, 'A')}"


def _volts(recording: Recording) -> str:
    if recording.spec.voltage == "measured":
        return "measured voltage"
    return f"{recording.setup.supply_v:g} V ({recording.spec.voltage}, not measured)"


def _rate(recording: Recording) -> str:
    end = recording.end
    if end.rate_hz is None:
        return "not checked against another clock"
    off_ppm = (end.rate_hz / recording.spec.sample_hz - 1) * 1e6
    within = "" if end.rate_u is None else f" ± {end.rate_u * 1e6:.0f}"
    return f"by the host's clock {off_ppm:+.0f}{within} ppm from its own"


def _ranges(recording: Recording, seen: Overview) -> list[tuple[str, str]]:
    """One line per range that was used."""
    return [
        (
            f"range {index}",
            f"{100 * time:.3g} % of the time, {100 * charge:.3g} % of the charge{_limits(spec)}",
        )
        for index, (spec, time, charge) in enumerate(
            zip(recording.spec.ranges, seen.range_time, seen.range_charge, strict=False)
        )
        if time > 0
    ]


def _limits(spec: RangeSpec) -> str:
    """Of files of other tools nobody knows them."""
    if math.isnan(spec.top_a) or math.isnan(spec.lsb_a):
        return ""
    return f"; to {si(spec.top_a, 'A')}, one code {si(spec.lsb_a, 'A')}"


def notes(recording: Recording, seen: Overview) -> list[str]:
    """Return what a person should know before using the figures."""
    found = [
        f"{note} ({times} times)" if times > 1 else note
        for note, times in Counter(recording.end.notes).items()
    ]
    offsets = [r.offset_limit_a for r in recording.spec.ranges]
    known = [o for o in offsets if not math.isnan(o)]
    if known and abs(seen.mean_a) < _OFFSETS * min(known):
        found.append(
            f"{si(seen.mean_a, 'A')} cannot be told from none: has the board power, is it wired?"
        )
    if recording.end.lost:
        found.append("charge and energy are of delivered samples; nothing stands in for lost ones")
    if dict(recording.setup.args).get("filter") == "vendor":
        found.append("range switches as the vendor's filter shows them: short windows are biased")
    if recording.identity.emulated:
        found.append("SYNTHETIC: an emulated meter; this says nothing about a chip")
    return found


@dataclass(frozen=True)
class MarkedWindows:
    """What a logic input framed."""

    marker: str
    sums: tuple[WindowSums, ...]
    remarks: tuple[str, ...]  # what was left out, and what was done about the tail


def print_windows(marked: MarkedWindows, sample_hz: float, console: Console) -> None:
    """Print one row per marker window, and their sum."""
    shown = marked.sums[:_TABLE_ROWS]
    title = f"windows of {marked.marker}: {len(marked.sums)}"
    if not shown:
        _print_lines((title, *marked.remarks), console)
        return
    print_table(
        console,
        title,
        [TextColumn("window", [_name(k, w) for k, w in enumerate(shown)], right=True)],
        [
            TextColumn(name, cells, right=True)
            for name, cells in (
                ("begins", [f"{w.window.start / sample_hz:.6f} s" for w in shown]),
                ("duration", [si(w.duration_s, "s") for w in shown]),
                ("mean", [si(w.charge_c / w.duration_s, "A") for w in shown]),
                ("max", [si(w.current_max_a, "A") for w in shown]),
                ("charge", [si(w.charge_c, "C") for w in shown]),
                ("energy", [si(w.energy_j, "J") for w in shown]),
                ("an inference", [_per_inference(w) for w in shown]),
                ("lost", [f"{w.lost:,}" for w in shown]),
            )
            if name != "an inference" or any(w.window.marked.inferences for w in shown)
        ],
    )
    more = len(marked.sums) - len(shown)
    lines = [f"and {more} more: --json has all"] if more else []
    _print_lines((*lines, _together(marked.sums), *marked.remarks), console)


def _together(windows: Sequence[WindowSums]) -> str:
    """Of a run's windows idle ones are no part of it."""
    runs = [w for w in windows if w.window.marked.kind == "run"]
    if not runs:
        return "no run window: nothing but idle"
    duration_s, charge_c, energy_j = (
        sum(getattr(w, name) for w in runs) for name in ("duration_s", "charge_c", "energy_j")
    )
    total = f"{si(duration_s, 's')}, {si(charge_c, 'C')}, {si(energy_j, 'J')}"
    n = sum(w.window.marked.inferences for w in runs)
    if n:
        return (
            f"runs together: {total}; of {n:,} inferences each: {si(energy_j / n, 'J')}, with "
            "whatever the harness did in the windows"
        )
    mean = f"{si(charge_c / len(runs), 'C')}, {si(energy_j / len(runs), 'J')}"
    return f"together: {total}; mean of a window: {mean}"


def _name(number: int, window: WindowSums) -> str:
    """Of a run's windows the board told what they are."""
    marked = window.window.marked
    if marked.kind == "idle":
        return f"{number} idle"
    return f"{number} run of {marked.inferences}" if marked.inferences else str(number)


def _per_inference(window: WindowSums) -> str:
    n = window.window.marked.inferences
    return si(window.energy_j / n, "J") if n else "-"


def _print_lines(lines: Iterable[str], console: Console) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def windows_as_json(marked: MarkedWindows, sample_hz: float) -> dict[str, Any]:
    """Return all windows in SI units."""
    return {
        "marker": marked.marker,
        "remarks": list(marked.remarks),
        "windows": [
            {
                "what": _name(k, w).partition(" ")[2] or None,
                "start_s": w.window.start / sample_hz,
                "duration_s": w.duration_s,
                "samples": w.samples,
                "lost": w.lost,
                "charge_c": w.charge_c,
                "energy_j": w.energy_j,
                "current_min_a": w.current_min_a,
                "current_max_a": w.current_max_a,
                "tail_charge_c": w.tail_charge_c,
            }
            for k, w in enumerate(marked.sums)
        ],
    }


def as_json(recording: Recording, seen: Overview) -> dict[str, Any]:
    """Return everything in SI units."""
    end = recording.end
    found: dict[str, Any] = {
        "identity": {k: v for k, v in asdict(recording.identity).items() if k != "calibration"},
        "setup": asdict(recording.setup),
        "sample_hz": recording.spec.sample_hz,
        "voltage": recording.spec.voltage,
        "lost": end.lost,
        "uncertain": end.uncertain,
        "gaps": [asdict(gap) for gap in end.gaps],
        "rate_hz": end.rate_hz,
        "rate_u": end.rate_u,
        "notes": notes(recording, seen),
    }
    return found | {k: v.tolist() if hasattr(v, "tolist") else v for k, v in asdict(seen).items()}
