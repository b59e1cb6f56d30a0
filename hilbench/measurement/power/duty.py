"""Average power and battery life of a board that infers r times a second and sleeps in between.

Pure. Average power is r * E + (1 - r * T) * P_sleep, with gross energy E of an inference of duration
T: what waking up and falling asleep again costs is in it only as far as the window held it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hilbench.errors import UsageError

TINYML_W = 1e-3
"""What TinyML means by little: below 1 mW (Warden and Situnayake, TinyML, 2019, chapter 1)."""

DAY_S = 86_400.0
YEAR_S = 365.25 * DAY_S
RATES_HZ = (1 / 3600, 1 / 60, 0.1, 1.0, 10.0)


@dataclass(frozen=True)
class Battery:
    """A fresh battery at room temperature."""

    name: str
    capacity_ah: float
    voltage_v: float  # mean over the discharge, all cells in series
    self_discharge: float  # share lost in a year
    pulse_max_a: float  # while it infers
    mean_max_a: float  # above it the capacity does not hold
    source: str  # of the figures


BATTERIES = (
    Battery(
        "CR2032", 0.225, 3.0, 0.01, 0.015, 0.003,
        "typical of makers' data sheets: 225 mAh at 0.2 mA to 2.0 V, pulses to 15 mA, 1 % a year",
    ),
    Battery(
        "2 x AA alkaline", 2.5, 2.4, 0.03, 1.0, 0.1,
        "typical of makers' data sheets: 2500 mAh at 25 mA to 0.8 V, 1.2 V mean; 3 % a year",
    ),
    Battery(
        "LiPo 1000 mAh", 1.0, 3.7, 0.3, 1.0, 1.0,
        "a cell of 1000 mAh assumed, 3 % a month with its protection circuit",
    ),
)  # fmt: skip

ASSUMPTIONS = (
    "lossless conversion to the board's supply, room temperature, capacity down to the cell's end "
    "voltage: an upper bound"
)


@dataclass(frozen=True)
class BatteryLife:
    """How long a battery lasts."""

    battery: Battery
    days: float | None  # None: it does not bear the current, see reason
    reason: str


@dataclass(frozen=True)
class DutyPoint:
    """One rate."""

    rate_hz: float
    active_share: float  # of the time
    average_w: float
    below_tinyml: bool
    inference_share: float  # of the average power: what a better model can save
    lives: tuple[BatteryLife, ...]


@dataclass(frozen=True)
class DutyCycle:
    """All rates."""

    points: tuple[DutyPoint, ...]
    sleep_w: float
    break_even_hz: float | None  # average power is 1 mW; None: at no rate, see says
    max_hz: float  # 1 / duration
    synthetic: bool  # the renderer prints SYNTHETIC across it
    assumptions: str
    says: str


def duty_cycle(
    energy_j: float,
    inference_s: float,
    sleep_a: float,
    supply_v: float,
    rates_hz: Sequence[float] | None = None,
    *,
    synthetic: bool = False,
    batteries: Sequence[Battery] = BATTERIES,
) -> DutyCycle:
    """Return average power and battery life at each rate.

    Args:
        energy_j: gross energy of one inference.
        inference_s: its duration.
        sleep_a: measured current between inferences.
        supply_v: of the board.
        rates_hz: inferences a second; None: those of ``RATES_HZ`` that the board can keep up with.
        synthetic: energy or current are no measurement of a chip.
        batteries: to tell the life of.

    Raises:
        UsageError: a rate that the board cannot keep up with, or a quantity that cannot be.
    """
    for name, value, unit in (
        ("energy", energy_j, "J"),
        ("duration", inference_s, "s"),
        ("supply", supply_v, "V"),
    ):
        if not 0 < value < math.inf:
            raise UsageError(f"{name} is {value:g} {unit}, limit > 0 {unit}; measure it first")
    if not 0 <= sleep_a < math.inf:
        raise UsageError(
            f"sleep current is {sleep_a:g} A, limit >= 0 A; measure idle windows with an offset "
            "below it"
        )
    if rates_hz is None:
        rates_hz = [r for r in RATES_HZ if r * inference_s <= 1]
    for rate in rates_hz:
        if not 0 < rate * inference_s <= 1:
            raise UsageError(
                f"{rate:g} inferences/s of {1e3 * inference_s:g} ms keep the board busy for "
                f"{100 * rate * inference_s:g} % of the time, limit 100 %; at most "
                f"{1 / inference_s:g} inferences/s"
            )
    sleep_w = sleep_a * supply_v
    points = tuple(_point(r, energy_j, inference_s, sleep_w, batteries) for r in rates_hz)
    break_even, says = _break_even(energy_j, inference_s, sleep_w)
    return DutyCycle(points, sleep_w, break_even, 1 / inference_s, synthetic, ASSUMPTIONS, says)


def life_s(battery: Battery, average_w: float) -> float:
    """Return how long a battery lasts that also discharges itself by a constant share a time.

    dE/dt = -P - k * E, so t = ln(1 + k * E0 / P) / k.
    """
    rate = -math.log1p(-battery.self_discharge) / YEAR_S
    energy_j = battery.capacity_ah * 3600 * battery.voltage_v
    return math.log1p(rate * energy_j / average_w) / rate if rate else energy_j / average_w


def _point(
    rate_hz: float,
    energy_j: float,
    inference_s: float,
    sleep_w: float,
    batteries: Sequence[Battery],
) -> DutyPoint:
    busy = rate_hz * inference_s
    average_w = rate_hz * energy_j + (1 - busy) * sleep_w
    peak_w = max(energy_j / inference_s, sleep_w)
    return DutyPoint(
        rate_hz=rate_hz,
        active_share=busy,
        average_w=average_w,
        below_tinyml=average_w < TINYML_W,
        inference_share=rate_hz * energy_j / average_w,
        lives=tuple(_life(b, average_w, peak_w) for b in batteries),
    )


def _life(battery: Battery, average_w: float, peak_w: float) -> BatteryLife:
    for what, power_w, limit_a in (
        ("while it infers", peak_w, battery.pulse_max_a),
        ("on average", average_w, battery.mean_max_a),
    ):
        needed_a = power_w / battery.voltage_v
        if needed_a > limit_a:
            reason = f"{1e3 * needed_a:.1f} mA {what}, limit of {battery.name} {1e3 * limit_a:g} mA"
            return BatteryLife(battery, None, reason)
    return BatteryLife(battery, life_s(battery, average_w) / DAY_S, "")


def _break_even(energy_j: float, inference_s: float, sleep_w: float) -> tuple[float | None, str]:
    """Return the rate at which average power is 1 mW, and the sentence about it."""
    if sleep_w >= TINYML_W:
        return None, f"above 1 mW at any rate: sleep alone takes {1e3 * sleep_w:.3g} mW"
    active_w = energy_j / inference_s
    if active_w <= TINYML_W:
        return None, f"below 1 mW at any rate: inferring all the time takes {1e3 * active_w:.3g} mW"
    rate = (TINYML_W - sleep_w) / (energy_j - sleep_w * inference_s)
    return rate, f"below 1 mW up to {rate:.3g} inferences/s"
