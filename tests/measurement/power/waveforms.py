"""Recordings whose truth is known exactly: piecewise constant current behind a first-order RC.

The board draws ``Stretch.current_a`` for ``Stretch.duration_s`` each; the meter sees it through a
time constant, samples it by averaging over the sample or at its middle, and adds noise. Integrals
are closed forms, nothing is integrated numerically.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from hilbench.power import (
    CaptureEnd,
    Chunk,
    Gap,
    InjectedWindow,
    Marked,
    MeterIdentity,
    MeterSetup,
    MeterSpec,
    RangeSpec,
)

IDENTITY = MeterIdentity("waveforms", "analytic", "1", "", "memory", emulated=True, calibration="")


@dataclass(frozen=True)
class Stretch:
    """The board's own current, before any RC. The marker is up while kind is run or idle."""

    kind: Literal["run", "idle", "talk"]
    duration_s: float  # true
    current_a: float | tuple[float, ...]  # several: equal parts in turn, e.g. operators
    inferences: int = 0


@dataclass(frozen=True)
class Waveform:
    """How a meter sees stretches."""

    sample_hz: float = 100_000.0  # nominal
    tau_s: float = 0.0
    noise_a: float = 0.0  # rms, white, after the RC
    seed: int = 1
    meter_clock: float = 0.0  # relative: a meter that is fast takes more samples in a true second
    board_clock: float = 0.0  # relative: a board that is fast tells longer durations
    tick_s: float = 1e-6  # of the board's counter
    phase: float = 0.0  # of sample 0 within a sample, 0..1
    sampling: Literal["mean", "point"] = "mean"
    supply_v: float = 3.3
    voltage_noise_v: float | None = None  # None: voltage is one number
    range_tops_a: tuple[float, ...] = (1.0,)  # range r is in use up to its top
    gaps: tuple[tuple[int, int], ...] = ()  # (first sample, samples) lost
    glitches: tuple[tuple[float, float], ...] = ()  # (true time, width) of inverted marker
    clock_limit: float = 1e-4  # of the spec
    chunk: int = 4096


@dataclass(frozen=True)
class InMemory:
    """A Recording."""

    whole: Chunk
    spec: MeterSpec
    setup: MeterSetup
    end: CaptureEnd
    identity: MeterIdentity = IDENTITY
    sizes: tuple[int, ...] = (4096,)  # of chunks, in turn and again

    def chunks(self) -> Iterator[Chunk]:
        """Yield the samples in chunks of ``sizes``."""
        at = turn = 0
        while at < len(self.whole):
            stop = min(at + self.sizes[turn % len(self.sizes)], len(self.whole))
            yield piece(self.whole, at, stop)
            at, turn = stop, turn + 1

    def rechunked(self, *sizes: int) -> InMemory:
        """Return the same samples in other chunks."""
        return replace(self, sizes=sizes)


def piece(whole: Chunk, start: int, stop: int) -> Chunk:
    """Return samples [start, stop) of a chunk that starts at 0."""
    volts = whole.voltage_v
    return Chunk(
        start,
        whole.current_a[start:stop],
        volts if isinstance(volts, float) else volts[start:stop],
        whole.logic[start:stop],
        whole.valid[start:stop],
        whole.range[start:stop],
    )


@dataclass(frozen=True)
class Made:
    """A recording and the truth about it."""

    recording: InMemory
    marked: tuple[Marked, ...]  # as the device tells
    truth: tuple[InjectedWindow, ...]  # same order; true seconds since sample 0, true charge
    edges: np.ndarray = field(repr=False)  # [windows, 2] true start and end, samples


class Response:
    """Current after the RC and its integral, exact at any time. It has settled before time 0."""

    def __init__(self, durations_s: Sequence[float], levels_a: Sequence[float], tau_s: float):
        self.tau_s = tau_s
        self.starts = np.concatenate(([0.0], np.cumsum(durations_s)))[:-1]
        self.levels = np.asarray(levels_a, float)
        self.charge = np.concatenate(([0.0], np.cumsum(np.asarray(durations_s) * self.levels)))[:-1]
        self.entry = np.empty(len(self.levels))  # response at the start of each stretch
        level = self.levels[0]
        for j, (duration, wanted) in enumerate(zip(durations_s, self.levels, strict=True)):
            self.entry[j] = level
            decay = np.exp(-duration / tau_s) if tau_s else 0.0
            level = wanted + (level - wanted) * decay

    def drawn_c(self, t: np.ndarray) -> np.ndarray:
        """Charge that the board drew since time 0."""
        j = np.searchsorted(self.starts, t, side="right") - 1
        j = np.maximum(j, 0)
        return self.charge[j] + self.levels[j] * (t - self.starts[j])

    def current_a(self, t: np.ndarray) -> np.ndarray:
        """Current that the meter sees."""
        j = np.maximum(np.searchsorted(self.starts, t, side="right") - 1, 0)
        if not self.tau_s:
            return self.levels[j]
        return self.levels[j] + (self.entry[j] - self.levels[j]) * np.exp(
            -(t - self.starts[j]) / self.tau_s
        )

    def seen_c(self, t: np.ndarray) -> np.ndarray:
        """Charge that passed the meter since time 0."""
        return self.drawn_c(t) - self.tau_s * (self.current_a(t) - self.levels[0])


def make(stretches: Sequence[Stretch], waveform: Waveform | None = None, **changes) -> Made:
    """Let a meter see what a board draws."""
    how = replace(waveform or Waveform(), **changes)
    durations, levels, marks, at = [], [], [], 0.0
    for stretch in stretches:
        parts = stretch.current_a if isinstance(stretch.current_a, tuple) else (stretch.current_a,)
        durations += [stretch.duration_s / len(parts)] * len(parts)
        levels += parts
        if stretch.kind != "talk":
            marks.append((at, at + stretch.duration_s, stretch))
        at += stretch.duration_s
    seen = Response(durations, levels, how.tau_s)
    rate = how.sample_hz * (1 + how.meter_clock)
    samples = int(at * rate - 1)
    limits = (np.arange(samples + 1) + how.phase) / rate  # true times of sample borders
    chunk = _sampled(how, seen, limits, marks)
    lost = int((~chunk.valid).sum())
    spec = MeterSpec(
        how.sample_hz,
        how.clock_limit,
        tuple(RangeSpec(1e-9 * top, 0.01, 1e-6 * top, top) for top in how.range_tops_a),
        ("D0",),
        "set" if how.voltage_noise_v is None else "measured",
        0.01,
        "waveforms",
    )
    gaps = tuple(Gap(start, n, "counter") for start, n in how.gaps)
    recording = InMemory(
        chunk,
        spec,
        MeterSetup(how.supply_v, supplies=True),
        CaptureEnd(samples - lost, lost, gaps, None, None),
        sizes=(how.chunk,),
    )
    return Made(recording, *_told(how, seen, marks, rate))


def _sampled(how: Waveform, seen: Response, limits: np.ndarray, marks: list) -> Chunk:
    rng = np.random.default_rng(how.seed)
    middle = (limits[:-1] + limits[1:]) / 2
    if how.sampling == "mean":
        clean = np.diff(seen.seen_c(limits)) / np.diff(limits)
    else:
        clean = seen.current_a(middle)
    current = clean + how.noise_a * rng.standard_normal(len(clean))
    up = np.zeros(len(middle), bool)
    for start, end, _ in marks:
        up[np.searchsorted(middle, start) : np.searchsorted(middle, end)] = True
    for start, width in how.glitches:
        up[np.searchsorted(middle, start) : np.searchsorted(middle, start + width)] ^= True
    logic = up.astype(np.uint8)
    ranges = np.searchsorted(np.array(how.range_tops_a[:-1]), clean).astype(np.uint8)
    valid = np.ones(len(current), bool)
    for start, n in how.gaps:
        valid[start : start + n] = False
        before = max(start - 1, 0)
        logic[start : start + n] = logic[before]
        ranges[start : start + n] = ranges[before]
    current[~valid] = np.nan
    volts: float | np.ndarray = how.supply_v
    if how.voltage_noise_v is not None:
        volts = how.supply_v + how.voltage_noise_v * rng.standard_normal(len(current))
        volts[~valid] = np.nan
    return Chunk(0, current, volts, logic, valid, ranges)


def _told(how: Waveform, seen: Response, marks: list, rate: float):
    marked, truth, edges = [], [], []
    for start, end, stretch in marks:
        told = (end - start) * (1 + how.board_clock)
        told = round(told / how.tick_s) * how.tick_s
        marked.append(Marked(stretch.kind, stretch.inferences, told, how.tick_s))
        zero = how.phase / rate  # true time of sample 0
        charge = float(np.diff(seen.drawn_c(np.array([start, end])))[0])
        truth.append(InjectedWindow(start - zero, end - zero, charge, charge * how.supply_v))
        edges.append(((start - zero) * rate, (end - zero) * rate))
    return tuple(marked), tuple(truth), np.array(edges).reshape(-1, 2)


def session(
    runs: int = 3,
    *,
    run_s: float = 0.05,
    idle_s: float = 0.03,
    active_a: float | tuple[float, ...] = 0.012,
    idle_a: float = 0.005,
    talk_s: float = 0.004,
    talk_a: float = 0.009,
    inferences: int = 10,
) -> list[Stretch]:
    """Return talk, idle, talk, run, talk, idle, ... idle, talk: what an energy session draws."""
    talk = Stretch("talk", talk_s, talk_a)
    idle = Stretch("idle", idle_s, idle_a)
    run = Stretch("run", run_s, active_a, inferences)
    stretches = [talk, idle, talk]
    for _ in range(runs):
        stretches += [run, talk, idle, talk]
    return stretches
