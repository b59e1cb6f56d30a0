"""How long to look: inferences per window, windows, idle between them. Pure.

What a plan bounds is the part of the uncertainty that more measuring makes smaller: edges and type
A. Gain and offset of the meter stay what they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from hilbench.errors import UsageError
from hilbench.power import MeterSpec

Marker = Literal["MARKER_EACH", "MARKER_WINDOW"]

MIN_WINDOWS = 10  # Student's factor for 9 degrees of freedom is 2.3, for 2 it is 4.5
RUNS_OF_EACH = 5  # idle stretches around these follow a drift
MIN_SAMPLES = 32  # in a window: 16 batches of 2
MIN_IDLE_SAMPLES = 200
MAX_IDLE_S = 1.0
MAX_FACTOR = 1e12
SETTLING_TAUS = 5.0  # exp(-5) = 0.7 % of the step is left
APART_S, APART_SAMPLES = 50e-6, 4  # less is taken for a bounce, or not seen at all
EDGES_U = 1 / math.sqrt(6)  # samples: both edges at a random phase, see u_edge of a window

T = TypeVar("T")


@dataclass(frozen=True)
class EnergyPlan:
    """What a session does: idle, then ``runs`` times a RUN and idle again."""

    marker: Marker
    inferences_per_window: int
    windows: int  # in all; MARKER_EACH has one for every inference
    runs: int  # RUN requests
    inferences_per_run: int
    idle_s: float  # of each of runs + 1 idle windows
    edge_u: float  # relative standard uncertainty of one window's energy from its edges
    type_a_u: float | None  # of the session's mean from noise; None: nobody said how much
    total_s: float  # marker up; talking to the board comes on top
    says: str


def plan_windows(
    spec: MeterSpec,
    inference_s: float,
    active_a: float,
    idle_a: float,
    *,
    target: float = 0.001,
    noise_a: float | None = None,
    tau_s: float = 0.0,
    restore_s: float = 0.0,
    apart_s: float | None = None,
    idle_s: float | None = None,
    time_limit_s: float = 300.0,
) -> EnergyPlan:
    """Choose windows so that edges and type A together stay below ``target``.

    Edges are kept below the target in every single window, although they average out over windows:
    where the board's pace and the sample clock are in step, they do not. Type A has the rest.

    Args:
        spec: of the meter as configured.
        inference_s: estimated duration of one inference.
        active_a: estimated current while inferring.
        idle_a: estimated current in idle.
        target: relative standard uncertainty.
        noise_a: rms noise of one sample, of meter and board together; None: unknown, left out.
        tau_s: time constant between board and meter, 0 where unknown: no settling is waited for.
        restore_s: estimated time for restoring an input between two inferences.
        apart_s: the marker is down that long between two inferences that are marked each; None:
            for ``restore_s``.
        idle_s: that the board gives before and after every run, where it cannot be chosen.
        time_limit_s: for all windows, idle and run.

    Raises:
        UsageError: a quantity that cannot be, or a target out of reach; says what is in reach.
    """
    _check(inference_s=inference_s, active_a=active_a, target=target, time_limit_s=time_limit_s)
    wish = _Wish(inference_s, active_a, idle_a, target, noise_a, tau_s, restore_s, apart_s, idle_s)
    plan = _design(wish, spec.sample_hz)
    if plan.total_s <= time_limit_s:
        return plan
    reach = _first(
        lambda k: _design(replace(wish, target=target * k), spec.sample_hz), time_limit_s
    )
    faster = _first(lambda k: _design(wish, spec.sample_hz * k), time_limit_s)
    raise UsageError(
        f"{_percent(target)} takes {_time(plan.total_s)} at {spec.sample_hz:g} samples/s, limit "
        f"{_time(time_limit_s)}; ask for {_percent(target * reach)}, or use a meter of "
        f"{spec.sample_hz * faster:.3g} samples/s"
    )


@dataclass(frozen=True)
class _Wish:
    """Arguments of ``plan_windows``."""

    inference_s: float
    active_a: float
    idle_a: float
    target: float
    noise_a: float | None
    tau_s: float
    restore_s: float
    apart_s: float | None
    idle_s: float | None


def _design(wish: _Wish, sample_hz: float) -> EnergyPlan:
    dt = 1 / sample_hz
    noise = (wish.noise_a or 0.0) / wish.active_a
    once_u = EDGES_U * dt / wish.inference_s
    wanted = _ceil(once_u / wish.target)
    shortest_s = max(MIN_SAMPLES * dt, SETTLING_TAUS * wish.tau_s)
    apart_s = wish.restore_s if wish.apart_s is None else wish.apart_s
    each = (
        wanted == 1 and wish.inference_s >= shortest_s and apart_s >= APART_S + APART_SAMPLES * dt
    )
    pitch_s = wish.inference_s + (0.0 if each else wish.restore_s)
    n = max(wanted, _ceil(shortest_s / pitch_s))
    edge_u = once_u / n
    noise_u = noise * math.sqrt(dt / (n * pitch_s))  # of one window
    windows = max(MIN_WINDOWS, _ceil((noise_u**2 + edge_u**2) / wish.target**2))
    per_run = math.ceil(windows / RUNS_OF_EACH) if each else n
    runs = math.ceil(windows / per_run) if each else windows
    windows = runs * per_run if each else windows
    run_s = per_run * (wish.inference_s + wish.restore_s)
    idle_samples = max(MIN_IDLE_SAMPLES, math.ceil((noise / wish.target) ** 2 / (runs + 1)))
    idle_s = SETTLING_TAUS * wish.tau_s + max(idle_samples * dt, min(run_s / 2, MAX_IDLE_S))
    idles = runs + 1
    if wish.idle_s is not None:
        idle_s, idles = wish.idle_s, 2 * runs
    type_a_u = None if wish.noise_a is None else noise_u / math.sqrt(windows)
    total_s = runs * run_s + idles * idle_s
    marker: Marker = "MARKER_EACH" if each else "MARKER_WINDOW"
    plan = EnergyPlan(marker, n, windows, runs, per_run, idle_s, edge_u, type_a_u, total_s, says="")
    return replace(plan, says=_says(plan, once_u, wanted, wish))


def _says(plan: EnergyPlan, once_u: float, wanted: int, wish: _Wish) -> str:
    runs = f"{plan.windows} windows of n={plan.inferences_per_window} ({plan.marker}"
    if plan.marker == "MARKER_EACH":
        runs += f", input restore outside, {plan.inferences_per_run} in a run"
    noise = "unknown" if plan.type_a_u is None else f"{_percent(plan.type_a_u)} of the mean"
    return (
        f"{runs}), idle {_time(plan.idle_s)} around each run, {_time(plan.total_s)} in all: edge "
        f"{_percent(once_u)} at n=1, needs n >= {wanted} for {_percent(wish.target)}; edge "
        f"{_percent(plan.edge_u)} of a window, noise {noise}, idle "
        f"{_percent(wish.idle_a / wish.active_a)} of gross"
    )


def _first(design: Callable[[float], EnergyPlan], time_limit_s: float) -> float:
    """Return the smallest factor of 1.25, 1.25 ** 2, ... whose plan keeps to the limit."""
    factor = 1.25
    while design(factor).total_s > time_limit_s and factor < MAX_FACTOR:
        factor *= 1.25
    return factor


def abba(first: T, second: T, pairs: int) -> tuple[T, ...]:
    """Return an order of sessions A B B A A B B A ..., in which a linear drift hits both alike.

    It cancels exactly after every second pair.

    Raises:
        UsageError: fewer than 1 pair.
    """
    if pairs < 1:
        raise UsageError(f"{pairs} pairs of sessions, limit 1; ask for at least 1 session")
    order: list[T] = []
    for pair in range(pairs):
        order += (second, first) if pair % 2 else (first, second)
    return tuple(order)


def _check(**quantities: float) -> None:
    units = {"inference_s": "s", "active_a": "A", "target": "", "time_limit_s": "s"}
    for name, value in quantities.items():
        if not 0 < value < math.inf:
            raise UsageError(
                f"{name} is {value:g} {units[name]}".rstrip()
                + ", limit > 0; give an estimate of it"
            )


def _ceil(value: float) -> int:
    """Round up, but not a value that is whole but for rounding."""
    return max(1, math.ceil(value - 1e-9))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"
