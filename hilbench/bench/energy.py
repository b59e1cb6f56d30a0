"""Energy of one session on one board: a probe, a plan, then idle and inferences between markers.

What the device tells of every marked stretch and what the meter saw of the pin must agree; the
arithmetic is in ``measurement.power``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from hilbench.bench._unwired import GUARD_S, find_windows, run_flags
from hilbench.bench.prepare import PreparedVariant
from hilbench.board.life import OpenBoard
from hilbench.board.metering import Metering, probe_warning
from hilbench.errors import ConfigError, MeasurementError, UsageError
from hilbench.measurement.power import mlperf
from hilbench.measurement.power.energy import SessionEnergy, check_lost, session_energy
from hilbench.measurement.power.integrate import sums
from hilbench.measurement.power.plan import APART_S, EnergyPlan, plan_windows
from hilbench.measurement.power.tail import Tail, fit
from hilbench.measurement.power.windows import marker_edges, match, settled
from hilbench.power import Marked, MeterIdentity, Recording, Window, WindowSums
from hilbench.protocol.messages import Region, RunFlag
from hilbench.recordings import VendorFiltered, has_vendor_filter
from hilbench.records import RunResult
from hilbench.runs.energy_columns import MEASURED
from hilbench.runs.schema import EnergyRecord

DEBOUNCE_S = APART_S  # that of EEMBC's energy runner
OPERATOR_INFERENCES = 10
_PROBE_IDLE_S = 0.1
_PROBE_RUN_S = 0.2
_US = 1e6


@dataclass(frozen=True)
class EnergyRequest:
    """How a session measures energy."""

    target: float = 0.001  # relative standard uncertainty of edges and scatter
    time_limit_s: float = 300.0  # marker up, of one session
    mlperf: bool = False  # 5 windows of at least 10 s, one an input; median, gross
    operators: bool = False  # mark every operator, for energy per operator
    full_trace: bool = False  # keep everything, not windows and their margin only


@dataclass(frozen=True)
class Captured:
    """A capture and the windows in it."""

    recording: Recording
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class OperatorEnergy:
    """Gross energy of one operator in one inference; None: too short to see."""

    uj: float | None = None
    absolute_uj: float | None = None  # half-width of the interval that holds it with 95 %


@dataclass(frozen=True)
class EnergyData:
    """A session's energy and the evidence for it."""

    source: str  # column energy_source
    energy: SessionEnergy
    record: EnergyRecord
    captures: dict[str, Captured]  # evidence by the end of its name
    full_trace: bool


def measure_energy(
    board: OpenBoard, variant: PreparedVariant, timed: RunResult, request: EnergyRequest
) -> EnergyData | None:
    """Measure the energy of the loaded model; None where the board has no meter with samples.

    Args:
        board: in a session, the variant loaded and run.
        variant: what is loaded.
        timed: its timed inferences: how long one takes, and restoring its input.
        request: what is asked for.

    Raises:
        WindowError: the meter's windows are not those that the device told.
        LostSamplesError, MeasurementError, MeterError, UsageError.
    """
    metering = board.metering
    if metering is None:
        return None
    if math.isnan(metering.spec.clock_limit):
        raise ConfigError(
            f"board {board.config.id}: nobody says how far the clock of the "
            f"{metering.identity.model} may be off, so its windows cannot be told by their "
            f"duration; add it to args of [board.{board.config.id}.meter], see docs/energy.md"
        )
    session = _Session(board, metering, variant)
    if request.operators and not session.wired:
        raise UsageError(
            f"board {board.config.id}: energy per operator needs the marker pin; wire it to a logic "
            f"input of the meter and name that as marker in [board.{board.config.id}.meter], or "
            "leave out --energy-operators"
        )
    tick_s = 1 / board.clock.counter_hz
    inference_s = timed.ticks_sum / timed.inferences * tick_s
    restore_s = timed.restore_ticks_sum / timed.inferences * tick_s
    if request.mlperf:
        _check_mlperf(board, variant)
        plan = _mlperf_plan(inference_s + restore_s)
    else:
        plan = session.plan(inference_s, restore_s, request)
    each = plan.marker == "MARKER_EACH"
    with session.captured():
        for k in range(plan.runs):
            session.idle(plan.idle_s)
            session.run(plan.inferences_per_run, each=each, vector=k if request.mlperf else 0)
        if not each and plan.inferences_per_run > 1 and not request.mlperf:
            session.idle(plan.idle_s)  # another n: energy over n has a slope
            session.run(plan.inferences_per_run // 2, each=False)
        session.idle(plan.idle_s)
    recording, windows, found = session.integrate()
    energy = session_energy(
        found,
        recording.spec,
        recording.setup,
        marker_each=each,
        synthetic=recording.identity.emulated,
        end=recording.end,
    )
    captures = {"": Captured(recording, tuple(windows))}
    operators: tuple[OperatorEnergy, ...] = ()
    if request.operators:
        operators, captures["-operators"] = session.operators(plan.idle_s)
    identity = recording.identity
    record = energy_record(
        energy,
        identity,
        plan=plan.says,
        warnings="; ".join(
            filter(None, (probe_warning(board.config), *recording.end.notes, session.note))
        ),
        mlperf_uj=mlperf.from_sums(found).median_uj if request.mlperf else None,
        operators=operators,
    )
    source = "synthetic" if identity.emulated else f"{identity.model} {identity.serial_number}"
    return EnergyData(
        source=source.strip(),
        energy=energy,
        record=record,
        captures=captures,
        full_trace=request.full_trace,
    )


def energy_record(
    energy: SessionEnergy,
    identity: MeterIdentity,
    *,
    plan: str,
    warnings: str,
    mlperf_uj: float | None,
    operators: tuple[OperatorEnergy, ...],
) -> EnergyRecord:
    """Return what is kept of a session's energy, by column name."""
    calibration = identity.calibration.encode()
    values = energy.row() | {
        "energy_marker": energy.tier,
        "energy_tau_u_us": energy.u_tau_us,
        "energy_meter": meter_text(identity),
        "energy_calibration_sha256": hashlib.sha256(calibration).hexdigest() if calibration else "",
        "energy_mlperf_uj": mlperf_uj,
        "energy_plan": plan,
        "energy_warnings": warnings,
    }
    known = {name: value for name in MEASURED if (value := values.get(name)) is not None}
    content = energy.gross.content
    return EnergyRecord(
        # A limit that nobody knows makes an uncertainty that nobody knows: NaN, and left out.
        numbers={
            k: float(v) for k, v in known.items() if not isinstance(v, str) and not math.isnan(v)
        },
        texts={k: v for k, v in known.items() if isinstance(v, str)},
        range_energy_uj=tuple(float(e) * _US for e in content.range_energy_j),
        range_us=tuple(float(s) * _US for s in content.range_s),
        operators_uj=tuple(o.uj for o in operators),
        operators_absolute_uj=tuple(o.absolute_uj for o in operators),
    )


def meter_text(identity: MeterIdentity) -> str:
    """Return who measured, for people."""
    words = [identity.model, identity.serial_number]
    if identity.firmware:
        words.append(f"firmware {identity.firmware}")
    if identity.emulated:
        words.append("(emulated)")
    return " ".join(filter(None, words))


def _check_mlperf(board: OpenBoard, variant: PreparedVariant) -> None:
    inputs = len(variant.vectors.x)
    if inputs < mlperf.WINDOWS:
        raise UsageError(
            f"variant {variant.config.name}: {inputs} vectors, --mlperf takes {mlperf.WINDOWS}: one "
            "for each window; use more"
        )
    if not board.client.slots:
        raise UsageError(
            f"board {board.config.id}: has no memory to keep an input of {variant.config.name}, so "
            "its inferences cannot follow each other in a window of 10 s; leave out --mlperf, or "
            "this board"
        )


def _mlperf_plan(pitch_s: float) -> EnergyPlan:
    """Five windows of at least 10 s, one an input: the rules of MLPerf Tiny's energy mode."""
    n = mlperf.inferences_per_window(pitch_s)
    window_s = n * pitch_s
    return EnergyPlan(
        marker="MARKER_WINDOW",
        inferences_per_window=n,
        windows=mlperf.WINDOWS,
        runs=mlperf.WINDOWS,
        inferences_per_run=n,
        idle_s=1.0,
        edge_u=0.0,
        type_a_u=None,
        total_s=mlperf.WINDOWS * (window_s + 1.0),
        says=f"MLPerf Tiny: {mlperf.WINDOWS} inputs, {n} inferences each, at least "
        f"{mlperf.MIN_WINDOW_S:g} s; median, gross",
    )


class _Session:
    """What the device was asked to mark, beside the capture of it."""

    def __init__(self, board: OpenBoard, metering: Metering, variant: PreparedVariant) -> None:
        self._board = board
        self._metering = metering
        self._variant = variant
        self._client = board.client
        self._tick_s = 1 / board.clock.counter_hz
        self._marked: list[Marked] = []
        self._recording: Recording | None = None
        self._bit = _marker_bit(board, metering)
        self.wired = self._bit is not None
        self.note = ""  # how the windows of the last capture were found, where that is worth a word

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Everything marked in this block is captured."""
        self._marked = []
        self._metering.start()
        try:
            yield
            self._recording = self._metering.stop()
        finally:
            self._metering.abandon()

    def idle(self, seconds: float) -> None:
        """Let the board sleep, marked; nothing without a pin: guards are idle."""
        if not self.wired:
            return
        ticks = self._client.idle(round(seconds * _US), marker=True)
        self._marked.append(Marked("idle", 0, ticks * self._tick_s, self._tick_s))

    def run(self, inferences: int, *, each: bool, vector: int = 0) -> None:
        """Run inferences of one vector, marked each or all together."""
        row = self._variant.input_bytes[vector : vector + 1]
        # A board that cannot keep its input runs one inference a request: each is a window.
        requests = 1 if self._client.slots else inferences
        flags = RunFlag.MARKER_EACH if each else RunFlag.MARKER_WINDOW
        for _ in range(requests):
            if not self.wired:
                flags = run_flags(first=not self._marked)
            done = self._client.run(
                row,
                iterations=inferences // requests,
                flags=flags,
                want_ticks=each,
                want_outputs=False,
            )
            self._marked += self._told(done, each=each)

    def _told(self, done: RunResult, *, each: bool) -> list[Marked]:
        tick_s = self._tick_s
        if not each:
            told_s = done.window_ticks * tick_s
            # What is no inference is the harness's: restoring inputs, and its loop.
            rest_s = (done.window_ticks - done.ticks_sum) * tick_s
            return [Marked("run", done.inferences, told_s, tick_s, rest_s)]
        if len(done.ticks) != done.inferences:
            raise MeasurementError(
                f"board {self._board.config.id}: told {len(done.ticks)} of {done.inferences} "
                "durations of single inferences, so their windows cannot be told apart; use a "
                "coarser --energy-target"
            )
        # The pin is up a little longer than the counter runs: the same in every inference.
        around_s = (done.window_ticks - done.ticks_sum) / done.inferences * tick_s
        return [Marked("run", 1, t * tick_s + around_s, tick_s, around_s) for t in done.ticks]

    def plan(self, inference_s: float, restore_s: float, request: EnergyRequest) -> EnergyPlan:
        """Look at currents, noise and tail in a short capture, and choose windows."""
        n = max(1, round(_PROBE_RUN_S / (inference_s + restore_s)))
        with self.captured():
            self.idle(_PROBE_IDLE_S)
            self.run(n if self._client.slots else min(n, 10), each=False)
            self.idle(_PROBE_IDLE_S)
        recording, _, found = self.integrate()
        runs = [s for s in found if s.window.marked.kind == "run"]
        idles = [s for s in found if s.window.marked.kind == "idle"]
        # As long as the harness takes between two inferences, a marker of each would be down.
        harness_s = runs[0].window.marked.restore_s / runs[0].window.marked.inferences
        return plan_windows(
            recording.spec,
            inference_s,
            _mean_a(runs),
            _mean_a(idles),
            target=request.target,
            noise_a=max(map(_noise_a, idles)),
            tau_s=found[0].tau_s,
            restore_s=harness_s,
            apart_s=self._apart_s(harness_s),
            idle_s=None if self.wired else GUARD_S,
            time_limit_s=request.time_limit_s,
        )

    def _apart_s(self, harness_s: float) -> float:
        """Return how long a marker of each inference would be down between two."""
        if not self.wired:
            return 0.0  # the current does not show it
        return harness_s if self._client.slots else math.inf  # a request lies between

    def integrate(self) -> tuple[Recording, list[Window], list[WindowSums]]:
        """Find the marked windows in the capture, and integrate them."""
        recording = self._recording
        assert recording is not None
        try:
            return self._integrated(recording)
        except MeasurementError as error:
            error.capture = recording  # the run keeps what the error is about
            raise

    def _integrated(self, recording: Recording) -> tuple[Recording, list[Window], list[WindowSums]]:
        hz = recording.spec.sample_hz
        windows = self._windows(recording)
        tail: Tail = fit(recording, windows)
        windows = [settled(w, tail.tau_s, hz) if w.marked.kind == "idle" else w for w in windows]
        found = sums(recording, windows, tail)
        if any(s.switches for s in found) and has_vendor_filter(recording):
            found = sums(recording, windows, tail, VendorFiltered(recording))
        return recording, windows, found

    def _windows(self, recording: Recording) -> list[Window]:
        if self._bit is None:
            windows, self.note = find_windows(recording, self._marked, self._board.config.id)
            return windows
        edges = marker_edges(recording.chunks(), self._bit, DEBOUNCE_S, recording.spec.sample_hz)
        return match(edges, self._marked, recording.spec)

    def operators(self, idle_s: float) -> tuple[tuple[OperatorEnergy, ...], Captured]:
        """Return the energy of every operator and the capture that it is from.

        The marker is up around every operator; how long each takes is the device's own profile.
        """
        count = len(self._variant.plan.operators)
        spent = np.zeros(count)
        requests = 1 if self._client.slots else OPERATOR_INFERENCES
        with self.captured():
            self.idle(idle_s)
            for _ in range(requests):
                self._client.run(
                    self._variant.input_bytes[:1],
                    iterations=OPERATOR_INFERENCES // requests,
                    flags=RunFlag.MARKER_OPERATORS | RunFlag.PROFILE,
                    want_ticks=False,
                    want_outputs=False,
                )
                spent += np.frombuffer(self._client.read(Region.PROFILE, 0, 8 * count), "<u8")
            seconds = spent / OPERATOR_INFERENCES * self._tick_s
            shortest_s = DEBOUNCE_S + 2 / self._metering.spec.sample_hz
            seen = [k for k in range(count) if seconds[k] >= shortest_s]
            self._marked += [
                Marked("run", 1, float(seconds[k]), self._tick_s)
                for _ in range(OPERATOR_INFERENCES)
                for k in seen
            ]
            self.idle(idle_s)
        recording, windows, found = self.integrate()
        check_lost(found, recording.spec, end=recording.end)
        runs = [s for s in found if s.window.marked.kind == "run"]
        idles = [s for s in found if s.window.marked.kind == "idle"]
        result = [OperatorEnergy()] * count
        for place, k in enumerate(seen):
            own = [*runs[place :: len(seen)], *idles]
            found_k = session_energy(own, recording.spec, recording.setup, marker_each=True)
            # An operator recurs in step with itself: its edges' error may be the same every time.
            sample_uj = found_k.mean_mw * 1e3 / recording.spec.sample_hz
            half_width_uj = math.hypot(found_k.gross.absolute_uj, sample_uj)
            result[k] = OperatorEnergy(found_k.gross.energy_uj, half_width_uj)
        return tuple(result), Captured(recording, tuple(windows))


def _mean_a(windows: list[WindowSums]) -> float:
    return sum(w.charge_c for w in windows) / sum(w.duration_s for w in windows)


def _noise_a(idle: WindowSums) -> float:
    """Return rms noise of one sample from the batch means of a steady current."""
    per_batch = idle.samples / len(idle.batch_a)
    return float(np.std(idle.batch_a, ddof=1) * np.sqrt(per_batch))


def _marker_bit(board: OpenBoard, metering: Metering) -> int | None:
    name, inputs = board.config.meter.marker, metering.spec.logic_inputs
    if name is None:
        return None
    if name not in inputs:
        raise ConfigError(
            f"board {board.config.id}: marker = {name!r} is no logic input of the "
            f"{metering.identity.model}; it has: {', '.join(inputs) or 'none'}"
        )
    return inputs.index(name)
