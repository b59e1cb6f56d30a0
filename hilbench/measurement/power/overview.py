"""What a whole recording says at first sight: duration, current, charge, energy, ranges, loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import MeasurementError
from hilbench.power import Recording


@dataclass(frozen=True)
class Overview:
    """Figures of the samples that are there; nothing stands in for those that are not."""

    duration_s: float  # of the time line, missing samples included
    samples: int  # valid
    missing: int  # lost by the meter, or not kept
    mean_a: float
    min_a: float
    max_a: float
    mean_w: float
    charge_c: float  # of valid samples
    energy_j: float  # of valid samples
    range_time: NDArray[np.float64]  # [ranges] share of the valid samples
    range_charge: NDArray[np.float64]  # [ranges] share of their |charge|


def overview(recording: Recording) -> Overview:
    """Read a recording once, in memory of one chunk.

    Raises:
        MeasurementError: no valid sample.
    """
    ranges = max(1, len(recording.spec.ranges))
    counts, charges = np.zeros(ranges), np.zeros(ranges)
    total = samples = 0
    sum_a = sum_w = 0.0
    low, high = np.inf, -np.inf
    for chunk in recording.chunks():
        total += len(chunk)
        valid = chunk.valid
        current = chunk.current_a[valid]
        if not len(current):
            continue
        voltage = chunk.voltage_v
        samples += len(current)
        sum_a += float(current.sum())
        sum_w += float(
            (current * (voltage[valid] if isinstance(voltage, np.ndarray) else voltage)).sum()
        )
        low, high = min(low, float(current.min())), max(high, float(current.max()))
        index = chunk.range[valid]
        counts += np.bincount(index, minlength=ranges)
        charges += np.bincount(index, np.abs(current), minlength=ranges)
    if samples == 0:
        raise MeasurementError(
            f"none of {total:,} samples is valid: there is no current to speak of; capture again"
        )
    step_s = 1 / recording.spec.sample_hz
    return Overview(
        duration_s=total * step_s,
        samples=samples,
        missing=total - samples,
        mean_a=sum_a / samples,
        min_a=low,
        max_a=high,
        mean_w=sum_w / samples,
        charge_c=sum_a * step_s,
        energy_j=sum_w * step_s,
        range_time=counts / samples,
        range_charge=charges / charges.sum() if charges.sum() > 0 else np.full(ranges, np.nan),
    )
