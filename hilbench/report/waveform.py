"""Waveforms as PNG or SVG: the current over time, windows shaded, what was lost left open."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hilbench.errors import ToolMissingError, UsageError
from hilbench.power import MeterIdentity, Recording, Window
from hilbench.report._decimate import Waveform, decimate
from hilbench.runs.journal import write_atomically

_FORMATS = (".png", ".svg")
_INCHES = (12.0, 5.0)
_DPI = 150
# Okabe and Ito's colours: told apart with any colour vision, and in grey.
_TRACE, _RUN, _IDLE, _LOST = "#000000", "#E69F00", "#56B4E9", "#D55E00"
_UNITS = ((1.0, "A"), (1e-3, "mA"), (1e-6, "uA"), (1e-9, "nA"))
_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


def plot_waveform(
    recording: Recording, windows: Sequence[Window], path: Path, board: str = ""
) -> None:
    """Draw a recording, or evidence, with its windows.

    The line is the mean of a few thousand columns, the shade around it their range. Samples that
    were lost are gaps, with a mark at the bottom that is seen however few they are; what evidence
    did not keep is hatched.

    Args:
        recording: read once, in memory of one chunk.
        windows: run and idle ones are shaded differently.
        path: ``.png`` or ``.svg``.
        board: for the title.

    Raises:
        ToolMissingError: matplotlib is not installed.
        UsageError: another ending, or the recording is empty.
        StoreError: not written.
    """
    ending = path.suffix.lower()
    if ending not in _FORMATS:
        raise UsageError(f"{path}: a waveform is drawn as .png or .svg; name it so")
    try:
        import matplotlib as mpl  # noqa: PLC0415 - optional and slow to import
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise ToolMissingError(
            f"{path}: plots need matplotlib; install it with: pip install 'hilbench[plots]'"
        ) from error
    waveform = decimate(recording)
    if waveform.samples == 0:
        raise UsageError(f"{path}: nothing to draw, the recording holds no sample")
    style = {"svg.fonttype": "none", "svg.hashsalt": "hilbench", "font.size": 11.0}
    with mpl.rc_context(style):
        figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
        _draw(figure, recording, windows, waveform, board)
        buffer = io.BytesIO()
        metadata = {"Date": None} if ending == ".svg" else {}  # the same file from the same data
        figure.savefig(buffer, format=ending[1:], metadata=metadata)
    write_atomically(path, buffer.getvalue())


def _draw(
    figure: Any, recording: Recording, windows: Sequence[Window], waveform: Waveform, board: str
) -> None:
    rate_hz = recording.spec.sample_hz
    length_s = waveform.samples / rate_hz
    per_s, time_unit = _scale(length_s, _TIMES)
    peak = np.nanmax(np.abs(np.append(waveform.high_a, waveform.low_a)), initial=0.0)
    per_a, unit = _scale(float(peak), _UNITS)

    def at(sample: float) -> float:
        return sample / rate_hz / per_s

    axes = figure.add_subplot()
    _windows(axes, windows, at)
    centres = (np.arange(len(waveform.mean_a)) + 0.5) * waveform.width
    times = centres / rate_hz / per_s
    axes.fill_between(
        times, waveform.low_a / per_a, waveform.high_a / per_a,
        color=_TRACE, alpha=0.3, linewidth=0, label=_range_label(waveform, rate_hz),
    )  # fmt: skip
    axes.plot(times, waveform.mean_a / per_a, color=_TRACE, linewidth=1.0, label="mean")
    _missing(axes, recording, waveform, at)
    axes.set_xlim(0, at(waveform.samples))
    axes.set_ylim(*_limits(waveform, per_a))
    axes.set_xlabel(f"time ({time_unit})")
    axes.set_ylabel(f"current ({unit})")
    axes.grid(visible=True, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(_title(recording, board), loc="left", fontsize=12, fontweight="bold")
    axes.set_title(_subtitle(recording, length_s), loc="right", fontsize=9)
    figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=10)
    if recording.identity.emulated:
        axes.text(
            0.5, 0.5, "SYNTHETIC", transform=axes.transAxes, fontsize=72, color="#777777",
            alpha=0.35, ha="center", va="center", rotation=18, fontweight="bold", zorder=5,
        )  # fmt: skip


def _windows(axes: Any, windows: Sequence[Window], at: Callable[[float], float]) -> None:
    for kind, colour, alpha in (("run", _RUN, 0.45), ("idle", _IDLE, 0.35)):
        spans = [(at(w.start), at(w.end)) for w in windows if w.marked.kind == kind]
        label = f"{kind} window{'s' * (len(spans) > 1)} ({len(spans):,})"
        _shade(axes, spans, facecolor=colour, edgecolor=colour, alpha=alpha, label=label)


def _missing(
    axes: Any, recording: Recording, waveform: Waveform, at: Callable[[float], float]
) -> None:
    """Mark what is not there: lost by the meter, or not kept."""
    kept = getattr(recording, "kept", None)
    if kept is not None:
        edges = [0, *(sample for stretch in kept for sample in stretch), waveform.samples]
        holes = zip(edges[0::2], edges[1::2], strict=True)
        spans = [(at(begin), at(end)) for begin, end in holes if end > begin]
        _shade(axes, spans, facecolor="#F2F2F2", edgecolor="#BBBBBB", hatch="//", label="not kept")
    gaps = recording.end.gaps
    if gaps:
        middles = [at(gap.start + gap.samples / 2) for gap in gaps]
        axes.plot(
            middles, np.zeros(len(middles)), linestyle="none", marker="^", markersize=7,
            color=_LOST, transform=axes.get_xaxis_transform(), clip_on=False, zorder=6,
            label=f"lost ({recording.end.lost:,} samples in {len(gaps):,} gap{'s' * (len(gaps) > 1)})",
        )  # fmt: skip


def _shade(axes: Any, spans: Sequence[tuple[float, float]], **style: Any) -> None:
    """Shade stretches of time over the whole height; even the shortest is a line."""
    if spans:
        ranges = [(begin, end - begin) for begin, end in spans]
        height = axes.get_xaxis_transform()
        axes.broken_barh(ranges, (0, 1), transform=height, linewidth=0.5, zorder=0.5, **style)


def _limits(waveform: Waveform, per_a: float) -> tuple[float, float]:
    """Return the lowest and highest current to show: 0 is always there."""
    low = float(np.nanmin(waveform.low_a, initial=0.0)) / per_a
    high = float(np.nanmax(waveform.high_a, initial=0.0)) / per_a
    margin = 0.08 * ((high - low) or 1.0)
    return low - margin, high + margin


def _range_label(waveform: Waveform, rate_hz: float) -> str:
    if waveform.width == 1:
        return "samples"
    per_s, unit = _scale(waveform.width / rate_hz, _TIMES)
    return f"least to largest in {waveform.width / rate_hz / per_s:.3g} {unit}"


def _title(recording: Recording, board: str) -> str:
    return ", ".join(part for part in (_meter(recording.identity), board) if part)


def _meter(who: MeterIdentity) -> str:
    return " ".join(part for part in (who.model or who.driver, who.serial_number) if part)


def _subtitle(recording: Recording, length_s: float) -> str:
    spec = recording.spec
    supply = "voltage" if spec.voltage == "measured" else f"{recording.setup.supply_v:g} V"
    parts = [
        f"{supply} {spec.voltage}",
        f"{spec.sample_hz:,.6g} samples/s".replace(",", " "),
        f"{length_s:.4g} s",
    ]
    if recording.identity.emulated:
        parts.append("SYNTHETIC")
    return ", ".join(parts)


def _scale(largest: float, units: Sequence[tuple[float, str]]) -> tuple[float, str]:
    """Return the unit in which a value is at least 1, or the smallest."""
    for size, name in units:
        if largest >= size:
            return size, name
    return units[-1]
