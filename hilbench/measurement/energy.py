"""Durations and a meter to energy per inference. Pure but for the meter it is given.

A duration is ticks / counter_hz: real time on real boards and on the native one, virtual device
time on boards that count instructions. Virtual time is no time of a chip, which is one reason why
rows of such boards carry energy_source "synthetic".
"""

from __future__ import annotations

import numpy as np

from hilbench.errors import MeasurementError
from hilbench.interfaces import EnergyEstimate
from hilbench.measurement.latency import TicksSummary
from hilbench.records import ClockInfo

US_PER_S = 1e6


def duration_us(ticks: float, clock: ClockInfo) -> float:
    """Return device time in microseconds."""
    if clock.counter_hz <= 0:
        raise MeasurementError(
            f"counter rate is {clock.counter_hz} Hz, so ticks have no duration; fix the port"
        )
    return ticks / clock.counter_hz * US_PER_S


def session_energy_uj(meter: EnergyEstimate, ticks: TicksSummary, clock: ClockInfo) -> float | None:
    """Return the mean energy of one inference of a session in microjoule, None without a meter.

    The mean, because energy adds up: the window's energy divided by its inferences.

    Raises:
        MeasurementError: the counter has no rate, or the meter gives no finite energy.
    """
    mean_us = duration_us(ticks.sum / ticks.inferences, clock)
    energy = meter.energy_uj(np.array([mean_us]))
    if energy is None:
        return None
    value = float(energy[0])
    if not np.isfinite(value) or value < 0:
        raise MeasurementError(
            f"meter {meter.energy_source!r} gives {value} uJ for {mean_us:g} us; check the meter"
        )
    return value
