"""Windows of one session to energy per inference, gross and net, with its uncertainty budget. Pure.

Gross is all energy that went into the board while the marker was up, divided by the inferences.
Net leaves out what the board would have drawn in idle over the same time. Every column says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import LostSamplesError, MeasurementError
from hilbench.measurement.power.budget import UJ, Budget, budget
from hilbench.measurement.power.windows import BOARD_CLOCK_LIMIT, MARKER_LIMIT_S
from hilbench.power import CaptureEnd, MarkerTier, MeterSetup, MeterSpec, WindowSums

IdleTaken = Literal["before and after", "before", "after", "before or after", "none"]
"""Where idle power of a run window comes from; "before or after": some windows have only one."""

Restore = Literal["outside", "subtracted", "none"]
"""Where restoring inputs went: marker was down; subtracted by time share; the board did not."""

TIERS: tuple[MarkerTier, ...] = ("gpio", "pattern", "edge")  # best first


@dataclass(frozen=True)
class EnergyLimits:
    """What a session must keep to.

    Idle share: net is a difference, so its relative uncertainty is that of gross times
    1 / (1 - share): 5 times at 0.8, where a meter of 10 % knows net to 50 %.
    Lost share: where EEMBC's energy runner gives up, too.
    """

    idle_share: float = 0.8
    lost_share: float = 0.001


LIMITS = EnergyLimits()

LEAST_ALIKE = 3  # windows that tell their shape from noise


@dataclass(frozen=True)
class SessionEnergy:
    """All that one session says about energy. Per inference where nothing else is said."""

    gross: Budget  # gross.energy_uj
    net: Budget | None
    net_reason: str  # why there is no net energy; "" where there is
    idle: IdleTaken
    idle_share: float | None  # of gross
    idle_ma: float | None  # current in idle: what a duty cycle needs as sleep current
    idle_mw: float | None
    charge_uc: float
    mean_ma: float  # while inferences ran
    peak_ma: float  # largest sample in any run window
    mean_mw: float
    inference_us: float  # by the meter's clock, restore left out
    window_us: float  # mean length of a run window, restore included
    windows: int  # run windows
    inferences: int  # in all of them
    inferences_per_window: float  # mean
    lost_samples: int  # in run and idle windows
    lost_share: float
    delta_n_uj: float | None  # slope of energy over n; None: all windows have the same n
    delta_n_u_uj: float | None  # its standard uncertainty, from scatter and edges
    delta_n_disagreement: float | None  # delta_n_uj / gross - 1
    restore: Restore
    restore_uj: float  # subtracted; 0 otherwise
    tier: MarkerTier  # the worst of all windows
    tau_us: float  # between board and meter; 0: none was found
    u_tau_us: float
    clock_ratio: float  # meter's duration / board's, over run windows
    clock_ratio_u: float  # standard uncertainty from edges and ticks
    supply_v: float
    voltage: str  # measured, set, declared
    synthetic: bool  # an emulated meter or trace: says nothing about a chip

    def row(self) -> dict[str, float | int | str | bool | None]:
        """Return everything as flat columns, named ``energy_...``; gross is ``energy_uj``."""
        plain: dict[str, float | int | str | bool | None] = {
            f"energy_{name}": value
            for name, value in self.__dict__.items()
            if name not in {"gross", "net"}
        }
        plain["energy_uj"] = self.gross.energy_uj
        plain["energy_net_uj"] = None if self.net is None else self.net.energy_uj
        plain |= self.gross.row("energy")
        names = self.gross.row("energy_net")
        return plain | (dict.fromkeys(names) if self.net is None else self.net.row("energy_net"))


def session_energy(
    sums: Sequence[WindowSums],
    spec: MeterSpec,
    setup: MeterSetup,
    limits: EnergyLimits = LIMITS,
    *,
    marker_each: bool = False,
    synthetic: bool = False,
    end: CaptureEnd | None = None,
) -> SessionEnergy:
    """Return a session's energy per inference from its idle and run windows in time order.

    Energy is the sum over run windows divided by the sum of inferences. Idle power of a run window
    is interpolated linearly between the nearest idle windows before and after it.

    Args:
        sums: all windows of the session.
        spec: the meter as it was configured.
        setup: what it was asked for.
        limits: beyond which there is no net energy, or none at all.
        marker_each: the marker was up for inferences only, so restoring lies outside the windows.
        synthetic: an emulated meter or trace.
        end: of the capture; its samples whose loss nobody can tell count as far as the windows can
            hide them. None: there are none.

    Raises:
        LostSamplesError: more samples lost than the limit, or nobody can tell that there are not.
        MeasurementError: no run window, no energy, or too little to know its scatter.
    """
    windows, idles = _split(sums)
    lost = check_lost(sums, spec, limits, end)
    runs = _Runs.of(windows)
    gross_j = float(runs.energy_j.sum()) / runs.total
    if not gross_j > 0:
        raise MeasurementError(
            f"gross energy is {gross_j * UJ:g} uJ per inference, limit > 0 uJ; does the meter see "
            "the board's supply current?"
        )
    idle, shares = idle_weights(windows, idles)
    net, reason, idle_share = _net(runs, idles, shares, spec, limits)
    slope = _delta_n(runs, spec)
    ratio, ratio_u = clock_ratio(sums, spec)
    charge_c = float(runs.kept @ [r.charge_c for r in windows])
    run_s = float(runs.duration_s.sum())
    return SessionEnergy(
        gross=_gross(runs, idles, spec),
        net=net,
        net_reason=reason,
        idle=idle,
        idle_share=idle_share,
        idle_ma=_per_second([i.charge_c for i in idles], idles),
        idle_mw=_per_second([i.energy_j for i in idles], idles),
        charge_uc=charge_c / runs.total * 1e6,
        mean_ma=charge_c / run_s * 1e3,
        peak_ma=max(r.current_max_a for r in windows) * 1e3,
        mean_mw=gross_j * runs.total / run_s * 1e3,
        inference_us=run_s / runs.total * 1e6,
        window_us=float(np.mean([r.duration_s for r in windows])) * 1e6,
        windows=len(windows),
        inferences=runs.total,
        inferences_per_window=runs.total / len(windows),
        lost_samples=lost,
        lost_share=lost / (lost + sum(s.samples for s in sums)),
        delta_n_uj=None if slope is None else slope[0] * UJ,
        delta_n_u_uj=None if slope is None else slope[1] * UJ,
        delta_n_disagreement=None if slope is None else slope[0] / gross_j - 1,
        restore="outside" if marker_each else "subtracted" if runs.kept.min() < 1 else "none",
        restore_uj=float((1 - runs.kept) @ [r.energy_j for r in windows]) / runs.total * UJ,
        tier=max((s.window.tier for s in sums), key=TIERS.index),
        tau_us=max(s.tau_s for s in sums) * 1e6,
        u_tau_us=max(s.u_tau_s for s in sums) * 1e6,
        clock_ratio=ratio,
        clock_ratio_u=ratio_u,
        supply_v=setup.supply_v,
        voltage=spec.voltage,
        synthetic=synthetic,
    )


@dataclass(frozen=True)
class _Runs:
    """Run windows as arrays [windows], restoring left out by its share of the window's time."""

    windows: list[WindowSums]
    kept: NDArray[np.float64]  # share
    inferences: NDArray[np.int64]
    energy_j: NDArray[np.float64]
    duration_s: NDArray[np.float64]

    @classmethod
    def of(cls, windows: list[WindowSums]) -> _Runs:
        told = [w.window.marked for w in windows]
        kept = np.array([1 - t.restore_s / t.duration_s for t in told])
        return cls(
            windows,
            kept,
            np.array([t.inferences for t in told]),
            kept * np.array([w.energy_j for w in windows]),
            kept * np.array([w.duration_s for w in windows]),
        )

    @property
    def total(self) -> int:
        return int(self.inferences.sum())


def _gross(runs: _Runs, idles: Sequence[WindowSums], spec: MeterSpec) -> Budget:
    return budget(
        runs.windows,
        runs.kept / runs.total,
        spec,
        restore_j=_restore_u_j(runs.windows, idles) / runs.total,
        noise_a={"run": _noise_a(runs.windows)},
        scatter_j=_scatter_j(runs, runs.energy_j),
        idle_j=(0.0, np.inf),
    )


def _net(
    runs: _Runs,
    idles: Sequence[WindowSums],
    shares: NDArray[np.float64],
    spec: MeterSpec,
    limits: EnergyLimits,
) -> tuple[Budget | None, str, float | None]:
    """Return net energy or why there is none, and the share of idle in gross."""
    if not idles:
        return None, "no idle window was measured", None
    idle_w = np.array([i.energy_j / i.duration_s for i in idles])
    idle_j = runs.duration_s * (shares @ idle_w)
    share = float(idle_j.sum() / runs.energy_j.sum())
    if share > limits.idle_share:
        reason = f"idle is {100 * share:.1f} % of gross, limit {100 * limits.idle_share:g} %"
        if share < 1:
            reason += f": net would be {1 / (1 - share):.0f} times as uncertain as gross"
        return None, reason, share
    subtracted_s = runs.duration_s @ shares  # [idles]
    weights = np.concatenate((runs.kept, -subtracted_s / [i.duration_s for i in idles]))
    net = budget(
        [*runs.windows, *idles],
        weights / runs.total,
        spec,
        restore_j=_restore_u_j(runs.windows, idles) / runs.total,
        noise_a={"run": _noise_a(runs.windows), "idle": _noise_a(idles)},
        scatter_j=_scatter_j(runs, runs.energy_j - idle_j),
        idle_j=_idle_j(idles, subtracted_s / runs.total),
    )
    return net, "", share


def idle_weights(
    runs: Sequence[WindowSums], idles: Sequence[WindowSums]
) -> tuple[IdleTaken, NDArray[np.float64]]:
    """Return how idle is taken and [runs, idles]: shares of each idle power for each run window.

    The nearest idle windows before and after, weighted so that a linear drift between their middles
    is followed; the only one where there is none on the other side.
    """
    shares = np.zeros((len(runs), len(idles)))
    sides = set()
    middles = [(i.window.start + i.window.end) / 2 for i in idles]
    for k, run in enumerate(runs):
        middle = (run.window.start + run.window.end) / 2
        before = [j for j, m in enumerate(middles) if m < middle]
        after = [j for j, m in enumerate(middles) if m > middle]
        if before and after:
            i, j = before[-1], after[0]
            late = (middle - middles[i]) / (middles[j] - middles[i])
            shares[k, i], shares[k, j] = 1 - late, late
        elif before or after:
            shares[k, before[-1] if before else after[0]] = 1
        sides.add((bool(before), bool(after)))
    names: dict[tuple[bool, bool], IdleTaken] = {
        (True, True): "before and after",
        (True, False): "before",
        (False, True): "after",
        (False, False): "none",
    }
    one_sided = sides - {(True, True)}
    if len(one_sided) > 1:
        return "before or after", shares
    return names[one_sided.pop() if one_sided else (True, True)], shares


def clock_ratio(sums: Sequence[WindowSums], spec: MeterSpec) -> tuple[float, float]:
    """Return the meter's time over the board's in run windows, and its standard uncertainty.

    Idle windows have no part: what still settles in them has been cut off.
    """
    runs = [s for s in sums if s.window.marked.kind == "run"]
    seen = sum(s.duration_s for s in runs)
    told = sum(s.window.marked.duration_s for s in runs)
    edges = [np.sqrt(2) * s.window.u_edge / spec.sample_hz for s in runs]
    ticks = [s.window.marked.tick_s / np.sqrt(6) for s in runs]
    return seen / told, float(np.linalg.norm(edges + ticks)) / told


def _split(sums: Sequence[WindowSums]) -> tuple[list[WindowSums], list[WindowSums]]:
    runs = [s for s in sums if s.window.marked.kind == "run"]
    idles = [s for s in sums if s.window.marked.kind == "idle"]
    if not runs:
        raise MeasurementError(
            f"session has {len(idles)} idle windows and no run window, limit 1; measure inferences"
        )
    for k, s in enumerate(sums):
        if not (np.isfinite(s.energy_j) and np.isfinite(s.charge_c)):
            raise MeasurementError(
                f"window {k} ({s.window.marked.kind}) has energy {s.energy_j} J and charge "
                f"{s.charge_c} C; look at its samples with `hilbench meter decode`"
            )
    for k, r in enumerate(runs):
        told = r.window.marked
        if told.inferences < 1 or not 0 <= told.restore_s < told.duration_s:
            raise MeasurementError(
                f"run window {k}: board tells {told.inferences} inferences and {told.restore_s:g} s "
                f"of restoring in {told.duration_s:g} s; rerun the session"
            )
    return runs, idles


def hidden_losses(sums: Sequence[WindowSums], spec: MeterSpec, end: CaptureEnd) -> int:
    """Return how many of the samples whose loss nobody can tell may lie in run windows.

    A loss shortens its window on the meter's time line, and the board has told how long that is: by
    less than both clocks may differ, nothing shows. Idle windows give a mean, which needs no length.
    """
    hidden = 0
    for s in sums:
        told = s.window.marked
        if told.kind == "run":
            longest_s = told.duration_s * (1 + spec.clock_limit + BOARD_CLOCK_LIMIT)
            longest_s += 2 * told.tick_s + MARKER_LIMIT_S
            reach = 2 * np.sqrt(3) * s.window.u_edge
            short = longest_s * spec.sample_hz + reach - (s.window.end - s.window.start)
            hidden += int(max(0.0, short) // end.uncertain_step) * end.uncertain_step
    return min(end.uncertain, hidden)


def check_lost(
    sums: Sequence[WindowSums],
    spec: MeterSpec,
    limits: EnergyLimits = LIMITS,
    end: CaptureEnd | None = None,
) -> int:
    """Return how many samples of all windows were lost.

    Raises:
        LostSamplesError: as ``session_energy``.
    """
    lost = sum(s.lost for s in sums)
    total = lost + sum(s.samples for s in sums)
    most = limits.lost_share * total
    uncertain = 0 if end is None else hidden_losses(sums, spec, end)
    if lost + uncertain > most:
        share = f"{100 * (lost if lost > most else lost + uncertain) / total:.2f} %"
        unsure = "" if lost > most else f" and maybe {uncertain} more"
        raise LostSamplesError(
            f"meter lost {lost} of {total} samples{unsure} ({share}), limit "
            f"{100 * limits.lost_share:g} %; use another USB port or a less busy host"
        )
    return lost


def _per_second(amounts: Sequence[float], windows: Sequence[WindowSums]) -> float | None:
    """Return the mean rate in thousandths: mA of charges, mW of energies."""
    return sum(amounts) / sum(w.duration_s for w in windows) * 1e3 if windows else None


def _scatter_j(runs: _Runs, energy_j: NDArray[np.float64]) -> tuple[float, float]:
    """Return type A of sum(energy) / sum(inferences), and its degrees of freedom.

    Several windows: scatter of a ratio estimator, whose windows may differ in n. One window: its
    batch means; those see what differs within the window and nothing that differs between windows.
    """
    windows = len(runs.windows)
    if windows > 1:
        rest = energy_j - runs.inferences * (energy_j.sum() / runs.total)
        spread = np.sqrt(windows / (windows - 1) * (rest @ rest))
        return float(spread) / runs.total, windows - 1.0
    only = runs.windows[0]
    batches = only.batch_a
    if len(batches) < 2:  # noqa: PLR2004 - one value has no scatter
        raise MeasurementError(
            f"session has 1 run window of {len(batches)} batches, so no scatter is known; limit 2 "
            "windows: measure more"
        )
    mean_u_a = float(batches.std(ddof=1)) / np.sqrt(len(batches))
    per_ampere_j = runs.energy_j[0] * only.duration_s / only.charge_c
    return float(mean_u_a * per_ampere_j) / runs.total, len(batches) - 1.0


def _idle_j(idles: Sequence[WindowSums], seconds: NDArray[np.float64]) -> tuple[float, float]:
    """Return type A of idle power times the seconds it was subtracted for, and its dof.

    The larger of two spreads of one idle window's power: what its batches say, and how much
    successive idle windows differ.
    """
    power_w = np.array([i.energy_j / i.duration_s for i in idles])
    volts = sum(i.energy_j for i in idles) / sum(i.charge_c for i in idles)
    batches = [i.batch_a for i in idles if len(i.batch_a) > 1]
    inner = (
        float(np.sqrt(np.mean([b.var(ddof=1) / len(b) for b in batches]))) * volts
        if batches
        else 0.0
    )
    outer = float(np.sqrt(np.mean(np.diff(power_w) ** 2) / 2)) if len(idles) > 1 else 0.0
    spread, dof = (
        (outer, len(idles) - 1.0)
        if outer > inner
        else (inner, float(sum(len(b) - 1 for b in batches)))
    )
    return spread * float(np.linalg.norm(seconds)), max(dof, 1.0)


def _restore_u_j(runs: Sequence[WindowSums], idles: Sequence[WindowSums]) -> float:
    """Return u of restoring at the window's mean power: it drew anything from idle to peak.

    Rectangular over that, about the mean power that was taken; wrong alike in all windows.
    """
    total = 0.0
    for run in runs:
        mean_a = run.charge_c / run.duration_s
        low_a = min((i.charge_c / i.duration_s for i in idles), default=run.current_min_a)
        middle_a = (low_a + run.current_max_a) / 2
        spread_a = np.hypot((run.current_max_a - low_a) / np.sqrt(12), middle_a - mean_a)
        total += run.window.marked.restore_s * run.energy_j / run.charge_c * spread_a
    return float(total)


def _noise_a(windows: Sequence[WindowSums]) -> float | None:
    """Return rms noise of one sample, or None where it cannot be told from the windows' shape.

    What windows of the same n have in common is their shape. Medians, because a quiet current that
    crosses one code in one batch is no noise.
    """
    counts = [w.window.marked.inferences for w in windows]
    most = max(set(counts), key=counts.count)
    alike = [w for w in windows if w.window.marked.inferences == most]
    batches = {len(w.batch_a) for w in alike}
    if len(alike) < LEAST_ALIKE or len(batches) != 1:
        return None
    table = np.array([w.batch_a for w in alike])
    rest = table - np.median(table, axis=0)
    rest -= np.median(rest, axis=1, keepdims=True)
    samples = np.median([w.samples for w in alike]) / table.shape[1]
    return float(1.4826 * np.median(np.abs(rest)) * np.sqrt(samples))


def _delta_n(runs: _Runs, spec: MeterSpec) -> tuple[float, float] | None:
    """Return the slope of window energy over n and its u: free of edges, tail and fixed cost.

    (E(n1) - E(n2)) / (n1 - n2) where there are two n; least squares where there are more.
    """
    away = runs.inferences - runs.inferences.mean()
    if not away.any():
        return None
    slope = float(away @ runs.energy_j / (away @ away))
    rest = runs.energy_j - runs.energy_j.mean() - slope * away
    spread = rest @ rest / (len(rest) - 2) if len(rest) > 2 else 0.0  # noqa: PLR2004 - a line has 2
    slip_s = [r.window.u_edge * np.sqrt(2) / spec.sample_hz for r in runs.windows]
    edges = np.mean(np.square(runs.energy_j / runs.duration_s * slip_s))
    return slope, float(np.sqrt(max(spread, edges) / (away @ away)))
