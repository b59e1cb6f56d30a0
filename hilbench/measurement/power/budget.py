"""Uncertainty of an energy per inference, component by component, and of the ratio of two.

After JCGM 100:2008 (GUM). A component is a standard uncertainty (k = 1) in uJ per inference. Limits
that a vendor states are half-widths of rectangular distributions: limit / sqrt(3). What is wrong by
the same factor in every window (gain, offset, supply, clock, tail, ...) does not shrink with more
windows and is summed linearly over them; what is random does and is summed in quadrature.

The expanded uncertainty is k times the combined one. k is Student's factor for 95.45 % at the
effective degrees of freedom of Welch and Satterthwaite, so 2.00 where few windows play no part and
more where the scatter of few windows dominates: an interval from 3 windows that claims k = 2 holds
the truth in 82 %, not in 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import MeasurementError
from hilbench.power import MeterSpec, WindowSums

UJ = 1e6  # uJ in a J
RECTANGULAR = 1 / math.sqrt(3)

# JCGM 100:2008, table G.2, fraction p = 95.45 %: degrees of freedom, Student's factor.
_STUDENT = {
    1: 13.97, 2: 4.53, 3: 3.31, 4: 2.87, 5: 2.65, 6: 2.52, 7: 2.43, 8: 2.37, 9: 2.32, 10: 2.28,
    12: 2.23, 15: 2.18, 20: 2.13, 25: 2.11, 30: 2.09, 40: 2.06, 50: 2.05, 100: 2.025, math.inf: 2.0,
}  # fmt: skip

CANCELS = ("gain_uj", "offset_uj", "supply_uj", "clock_uj")
"""The same factor on both sides of a comparison: same unit, same ranges, like currents."""

COMPONENTS = (
    *CANCELS,
    "quantisation_uj",
    "edges_uj",
    "loss_uj",
    "switches_uj",
    "tail_uj",
    "restore_uj",
    "idle_uj",
    "type_a_uj",
)


@dataclass(frozen=True)
class Content:
    """What one inference's energy was measured with. Net contents are signed differences."""

    energy_j: float
    voltage_v: float  # energy / charge
    range_energy_j: NDArray[np.float64]  # [ranges]
    range_s: NDArray[np.float64]  # [ranges]


@dataclass(frozen=True)
class Budget:
    """Components of the uncertainty of ``energy_uj``, k = 1, uJ per inference."""

    energy_uj: float
    gain_uj: float  # linear over ranges: one calibration made them all
    offset_uj: float  # likewise
    supply_uj: float  # of the voltage
    clock_uj: float  # of the meter
    quantisation_uj: float
    edges_uj: float
    loss_uj: float
    switches_uj: float  # of range: how much the vendor's filter would change
    tail_uj: float  # of the time constant between board and meter
    restore_uj: float  # of inputs, where it was subtracted
    idle_uj: float  # 0 for gross
    type_a_uj: float  # scatter of windows beyond that of their edges
    idle_dof: float
    type_a_dof: float
    content: Content

    @property
    def standard_uj(self) -> float:
        """Combined standard uncertainty."""
        return self._combined(COMPONENTS)

    @property
    def coverage_k(self) -> float:
        """Student's factor for 95.45 %; 2.00 where few windows play no part."""
        return coverage_factor(self._dof(COMPONENTS))

    @property
    def absolute_uj(self) -> float:
        """Half-width of the interval that holds the energy with 95 %."""
        return self.coverage_k * self.standard_uj

    @property
    def comparative_uj(self) -> float:
        """As absolute, without what cancels against the same unit, same ranges, like currents."""
        rest = tuple(c for c in COMPONENTS if c not in CANCELS)
        return coverage_factor(self._dof(rest)) * self._combined(rest)

    def row(self, prefix: str) -> dict[str, float]:
        """Return all figures as columns named ``<prefix>_u_<component>_uj``, ``..._absolute_uj``."""
        found = {f"{prefix}_u_{name}": float(getattr(self, name)) for name in COMPONENTS}
        found[f"{prefix}_absolute_uj"] = self.absolute_uj
        found[f"{prefix}_comparative_uj"] = self.comparative_uj
        found[f"{prefix}_coverage_k"] = self.coverage_k
        return found

    def _combined(self, names: Sequence[str]) -> float:
        return float(np.sqrt(sum(getattr(self, name) ** 2 for name in names)))

    def _dof(self, names: Sequence[str]) -> float:
        random = [(self.type_a_uj, self.type_a_dof), (self.idle_uj, self.idle_dof)]
        return effective_dof(self._combined(names), random)


def coverage_factor(dof: float) -> float:
    """Return Student's factor for 95.45 %, interpolated in 1 / dof (too large, never too small).

    Raises:
        MeasurementError: less than 1 degree of freedom.
    """
    if not dof >= 1:
        raise MeasurementError(
            f"{dof:g} degrees of freedom give no coverage factor, limit 1; measure more windows"
        )
    return float(np.interp(-1 / dof, [-1 / d for d in _STUDENT], [*_STUDENT.values()]))


def effective_dof(combined: float, random: Sequence[tuple[float, float]]) -> float:
    """Welch-Satterthwaite: ``random`` is (standard uncertainty, degrees of freedom) of type A."""
    found = [(u / combined, dof) for u, dof in random if u > 0]
    if not found:
        return math.inf
    # Never below the smallest, but for rounding.
    return float(max(1 / sum(u**4 / dof for u, dof in found), min(dof for _, dof in found)))


def budget(
    sums: Sequence[WindowSums],
    weights: NDArray[np.float64],
    spec: MeterSpec,
    *,
    restore_j: float,
    noise_a: Mapping[str, float | None],
    scatter_j: tuple[float, float],
    idle_j: tuple[float, float],
) -> Budget:
    """Return the budget of the energy ``weights @ [s.energy_j for s in sums]``.

    Gross and net are both such sums: gross weighs run windows alone, net has negative weights on
    idle windows, so that gains and offsets cancel in it as far as both lie in the same ranges.

    Args:
        sums: windows, runs and idles.
        weights: [windows], so that the sum is per inference.
        spec: limits of the meter.
        restore_j: standard uncertainty of what was subtracted for restoring inputs.
        noise_a: rms noise of one sample in run and in idle windows; None: unknown.
        scatter_j: type A of the run windows and its degrees of freedom, edges included.
        idle_j: type A of the idle power that was subtracted and its degrees of freedom.
    """
    content = _content(sums, weights)
    volts = content.voltage_v
    tail = sum(w * (s.end_a - s.start_a) for w, s in zip(weights, sums, strict=True))
    u_tau_s = max(s.u_tau_s for s in sums)
    edges = _edges_j(sums, weights, spec)
    random = all(s.window.tier == "gpio" for s in sums)
    type_a, dof = scatter_j
    beyond = np.sqrt(max(0.0, type_a**2 - edges**2)) if random else type_a
    joules = {
        "gain": _gain_j(content, spec),
        "offset": _offset_j(content, spec),
        "supply": abs(content.energy_j) * spec.voltage_limit * RECTANGULAR,
        "clock": abs(content.energy_j) * spec.clock_limit * RECTANGULAR,
        "quantisation": _quantisation_j(sums, weights, spec, volts, noise_a),
        "edges": edges,
        "loss": sum(abs(w) * _loss_j(s) for w, s in zip(weights, sums, strict=True)),
        "switches": volts
        * sum(abs(w) * s.switch_charge_c for w, s in zip(weights, sums, strict=True))
        * RECTANGULAR,
        "tail": abs(tail) * volts * u_tau_s,
        "restore": restore_j,
        "idle": idle_j[0],
        "type_a": float(beyond),
    }
    return Budget(
        energy_uj=content.energy_j * UJ,
        idle_dof=idle_j[1],
        type_a_dof=dof,
        content=content,
        **{f"{name}_uj": float(value) * UJ for name, value in joules.items()},
    )


def _content(sums: Sequence[WindowSums], weights: NDArray[np.float64]) -> Content:
    energy = np.array([s.energy_j for s in sums])
    gross = weights > 0
    charge = np.array([s.charge_c for s in sums])
    return Content(
        energy_j=float(weights @ energy),
        voltage_v=float(weights[gross] @ energy[gross] / (weights[gross] @ charge[gross])),
        range_energy_j=weights @ np.array([_scaled(s.range_energy_j, s.energy_j) for s in sums]),
        range_s=weights @ np.array([_scaled(s.range_s, s.duration_s) for s in sums]),
    )


def _scaled(parts: NDArray[np.float64], whole: float) -> NDArray[np.float64]:
    """Lost samples and the tail belong to no range: they count like the rest of their window."""
    total = parts.sum()
    return parts * (whole / total) if total else parts


def _gain_j(content: Content, spec: MeterSpec) -> float:
    """All ranges' gains are wrong in the same direction."""
    limits = np.array([r.gain_limit for r in spec.ranges])
    return float(np.abs(content.range_energy_j) @ limits) * RECTANGULAR


def _offset_j(content: Content, spec: MeterSpec) -> float:
    """All ranges' offsets are wrong in the same direction."""
    limits = np.array([r.offset_limit_a for r in spec.ranges])
    return content.voltage_v * float(np.abs(content.range_s) @ limits) * RECTANGULAR


def _quantisation_j(
    sums: Sequence[WindowSums],
    weights: NDArray[np.float64],
    spec: MeterSpec,
    voltage_v: float,
    noise_a: Mapping[str, float | None],
) -> float:
    """Rounding averages out only where noise of at least half a code moves the codes.

    The mean of a quiet current is wrong by up to half a code however long one looks, in the same
    way in every window of its kind; run and idle currents fall on different codes.
    """
    lsb_a = np.array([r.lsb_a for r in spec.ranges])
    total = 0.0
    for kind, noise in noise_a.items():
        dithered = np.zeros(len(lsb_a), bool) if noise is None else noise >= lsb_a / 2
        part = [(w, s) for w, s in zip(weights, sums, strict=True) if s.window.marked.kind == kind]
        seconds = sum((w * _scaled(s.range_s, s.duration_s) for w, s in part), np.zeros(len(lsb_a)))
        samples = max(1, sum(s.samples for w, s in part if w))
        each = voltage_v * seconds * lsb_a / np.sqrt(12)
        total += float(np.sum(np.where(dithered, each / np.sqrt(samples), each) ** 2))
    return float(np.sqrt(total))


def _edges_j(sums: Sequence[WindowSums], weights: NDArray[np.float64], spec: MeterSpec) -> float:
    """An edge that is off by a sample moves the power of a run window into or out of it.

    Marker edges fall at a random phase of the sample clock, so they average out over windows (the
    planner keeps those of a single window small, should they be in step); edges found in the
    current itself are off in the same way each time, so they do not. In net energy only the power
    above idle moves: idle power is subtracted up to the same edge.
    """
    gross = sum(w * s.energy_j for w, s in zip(weights, sums, strict=True) if w > 0)
    net = float(sum(w * s.energy_j for w, s in zip(weights, sums, strict=True)))
    above_idle = abs(net) / gross
    each = [
        w * s.energy_j / s.duration_s * s.window.u_edge * np.sqrt(2) / spec.sample_hz * above_idle
        for w, s in zip(weights, sums, strict=True)
        if w > 0
    ]
    random = all(s.window.tier == "gpio" for s in sums)
    return float(np.linalg.norm(each) if random else np.sum(each))


def _loss_j(sums: WindowSums) -> float:
    """Lost samples count as their neighbours' mean; they were anything between min and max."""
    if sums.lost == 0:
        return 0.0
    share = sums.lost / (sums.lost + sums.samples)
    mean_a = sums.charge_c / sums.duration_s
    most_a = max(sums.current_max_a - mean_a, mean_a - sums.current_min_a)
    return share * most_a / mean_a * sums.energy_j * RECTANGULAR


@dataclass(frozen=True)
class Comparison:
    """Energy of A over energy of B; standard uncertainties relative to the ratio."""

    ratio: float
    gain_u: float  # what the ranges' gains leave: 0 when A and B spend like shares in each
    offset_u: float
    rest_u: float  # quantisation, edges, loss, switches, tail, restore
    type_a_u: float
    dof: float
    coverage_k: float
    expanded: float  # half-width of the 95 % interval, relative
    gain_cancels: bool
    says: str


# Charge shares closer than this count as the same ranges; a calibration off by 10 % in one of two
# ranges then leaves 0.1 % in the ratio, which is in gain_u in any case.
SAME_RANGES = 0.01


def compare(
    a: Sequence[Budget], b: Sequence[Budget], spec: MeterSpec, *, same_meter: bool
) -> Comparison:
    """Return the ratio of A to B from sessions in pairs, as ABBA order gives them.

    A gain that is wrong by d changes the ratio by d * (A's share in that range - B's share): it
    cancels exactly where charge lies in the same ranges, and not elsewhere. Supply and clock cancel
    on the same meter. Without ``same_meter`` nothing does.

    Type A is what the windows' scatter says, and what pairs scatter beyond all that.

    Raises:
        MeasurementError: no pairs, or an energy that is not positive.
    """
    if len(a) != len(b) or not a:
        raise MeasurementError(
            f"comparison has {len(a)} sessions of A and {len(b)} of B; it needs pairs, at least 1"
        )
    lowest = min(x.energy_uj for x in (*a, *b))
    if lowest <= 0:
        raise MeasurementError(
            f"energy of {lowest:g} uJ cannot be compared, limit 0 uJ; compare gross energies"
        )
    logs = np.array([np.log(x.energy_uj / y.energy_uj) for x, y in zip(a, b, strict=True)])
    gain_u, offset_u, moved = _residuals(a, b, spec, same_meter=same_meter)
    kept = ("quantisation_uj", "loss_uj", "switches_uj", "tail_uj", "restore_uj")
    rest = [np.mean([_relative(x, kept) for x in side]) for side in (a, b)]
    edges = [np.sum([_relative(x, ("edges_uj",)) ** 2 for x in side]) for side in (a, b)]
    rest_u = float(np.sqrt(np.sum(np.square(rest)) + np.sum(edges) / len(a) ** 2))
    random = _random(a, b, logs, rest_u)
    type_a_u = float(np.linalg.norm([u for u, _ in random]))
    systematic = float(np.linalg.norm([gain_u, offset_u, rest_u]))
    if not same_meter:
        systematic = float(np.hypot(systematic, _scale_u(a, b)))
    combined = float(np.hypot(systematic, type_a_u))
    dof = effective_dof(combined, random)
    factor = coverage_factor(dof)
    cancels = same_meter and moved <= SAME_RANGES
    ratio = float(np.exp(logs.mean()))
    why = (
        "gain cancels: same meter, same ranges"
        if cancels
        else f"gain does not cancel: {100 * moved:.1f} % of the energy lies in other ranges"
        if same_meter
        else "gain does not cancel: two meters"
    )
    return Comparison(
        ratio=ratio,
        gain_u=gain_u,
        offset_u=offset_u,
        rest_u=rest_u,
        type_a_u=type_a_u,
        dof=dof,
        coverage_k=factor,
        expanded=factor * combined,
        gain_cancels=cancels,
        says=f"A is {ratio:.4f} of B, within {100 * factor * combined:.2f} % (k={factor:.2f}); {why}",
    )


def _relative(budget: Budget, names: Sequence[str]) -> float:
    return float(np.sqrt(sum(getattr(budget, n) ** 2 for n in names))) / budget.energy_uj


def _scale_u(a: Sequence[Budget], b: Sequence[Budget]) -> float:
    """Supply and clock of two meters are independent."""
    sides = [np.mean([_relative(x, ("supply_uj", "clock_uj")) for x in side]) for side in (a, b)]
    return float(np.linalg.norm(sides))


def _residuals(
    a: Sequence[Budget], b: Sequence[Budget], spec: MeterSpec, *, same_meter: bool
) -> tuple[float, float, float]:
    """Return what gains and offsets leave in the ratio, and the share that moved between ranges."""
    shares = [np.mean([_shares(x) for x in side], axis=0) for side in (a, b)]
    offsets = [np.mean([_per_offset(x) for x in side], axis=0) for side in (a, b)]
    gain_u = np.array([r.gain_limit for r in spec.ranges]) * RECTANGULAR
    offset_u = np.array([r.offset_limit_a for r in spec.ranges]) * RECTANGULAR
    moved = float(np.abs(shares[0] - shares[1]).sum() / 2)
    if same_meter:
        gain = np.abs(shares[0] - shares[1]) @ gain_u
        return float(gain), float(np.abs(offsets[0] - offsets[1]) @ offset_u), moved
    both = np.linalg.norm([np.abs(share) @ gain_u for share in shares])
    return float(both), float(np.linalg.norm([np.abs(o) @ offset_u for o in offsets])), moved


def _shares(budget: Budget) -> NDArray[np.float64]:
    """Share of the energy in each range."""
    return budget.content.range_energy_j / budget.content.energy_j


def _per_offset(budget: Budget) -> NDArray[np.float64]:
    """Relative energy per ampere of each range's offset."""
    return budget.content.range_s * (budget.content.voltage_v / budget.content.energy_j)


def _random(
    a: Sequence[Budget], b: Sequence[Budget], logs: NDArray[np.float64], rest_u: float
) -> list[tuple[float, float]]:
    """Type A of all sessions, and the pairs' scatter beyond it, with degrees of freedom."""
    found = [
        (_relative(x, (name,)) / len(logs), dof)
        for x in (*a, *b)
        for name, dof in (("type_a_uj", x.type_a_dof), ("idle_uj", x.idle_dof))
    ]
    if len(logs) > 1:
        pairs_u = float(logs.std(ddof=1) / np.sqrt(len(logs)))
        explained = sum(u**2 for u, _ in found) + rest_u**2
        found.append((np.sqrt(max(0.0, pairs_u**2 - explained)), len(logs) - 1.0))
    return found
