"""One row per metric: what its column means to a table, a gate and a report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher", "exact"]
MetricClass = Literal["exact", "cycles", "energy", "accuracy"]


@dataclass(frozen=True)
class Metric:
    """A column of the frame that can be compared between runs."""

    name: str  # the column
    unit: str  # "" where the row's own column `unit` says it
    direction: Direction  # which change is better; "exact": any change is worth a word
    kind: MetricClass  # how a gate compares it
    decimals: int  # at least, in tables
    label: str  # heading in tables


METRICS = (
    Metric("accuracy", "", "higher", "accuracy", 4, "accuracy"),
    Metric("agreement_tflm", "", "exact", "exact", 4, "TFLM agreement"),
    Metric("agreement_reference", "", "exact", "exact", 4, "reference agreement"),
    Metric("lsb_max_reference", "LSB", "lower", "exact", 0, "max difference"),
    Metric("latency_median", "", "lower", "cycles", 0, "latency"),
    Metric("latency_max", "", "lower", "cycles", 0, "latency max"),
    Metric("latency_cold", "", "lower", "cycles", 0, "first inference"),
    Metric("latency_us", "us", "lower", "cycles", 1, "latency"),
    Metric("energy_uj", "uJ", "lower", "energy", 2, "energy"),
    Metric("tflite_bytes", "B", "lower", "exact", 0, ".tflite"),
    Metric("zlib_bytes", "B", "lower", "exact", 0, "zlib"),
    Metric("plan_bytes", "B", "lower", "exact", 0, "plan"),
    Metric("arena_bytes", "B", "lower", "exact", 0, "arena"),
    Metric("stack_used_bytes", "B", "lower", "exact", 0, "stack used"),
    Metric("flash_bytes", "B", "lower", "exact", 0, "flash of image"),
    Metric("ram_bytes", "B", "lower", "exact", 0, "RAM of image"),
)
_SIGNIFICANT = 4
BY_NAME = {metric.name: metric for metric in METRICS}


def show(name: str, value: float | None) -> str:
    """Return the value as a table shows it, without its unit; a dash for an unknown one.

    What is measured has four significant digits at least, so that a change of a margin is seen.
    """
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return "-"
    metric = BY_NAME[name]
    decimals = metric.decimals
    if metric.kind != "exact" and math.isfinite(value) and not float(value).is_integer():
        decimals = max(decimals, _SIGNIFICANT - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"
