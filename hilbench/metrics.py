"""One row per metric: what its column means to a table, a gate and a report."""

from __future__ import annotations

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
    format: str  # of str.format
    label: str  # heading in tables


METRICS = (
    Metric("accuracy", "", "higher", "accuracy", "{:.4f}", "accuracy"),
    Metric("agreement_tflm", "", "exact", "exact", "{:.4f}", "TFLM agreement"),
    Metric("agreement_reference", "", "exact", "exact", "{:.4f}", "reference agreement"),
    Metric("lsb_max_reference", "LSB", "lower", "exact", "{:.0f}", "max difference"),
    Metric("latency_median", "", "lower", "cycles", "{:,.0f}", "latency"),
    Metric("latency_max", "", "lower", "cycles", "{:,.0f}", "latency max"),
    Metric("latency_cold", "", "lower", "cycles", "{:,.0f}", "first inference"),
    Metric("latency_us", "us", "lower", "cycles", "{:,.1f}", "latency"),
    Metric("energy_uj", "uJ", "lower", "energy", "{:,.2f}", "energy"),
    Metric("tflite_bytes", "B", "lower", "exact", "{:,.0f}", ".tflite"),
    Metric("zlib_bytes", "B", "lower", "exact", "{:,.0f}", "zlib"),
    Metric("plan_bytes", "B", "lower", "exact", "{:,.0f}", "plan"),
    Metric("arena_bytes", "B", "lower", "exact", "{:,.0f}", "arena"),
    Metric("stack_used_bytes", "B", "lower", "exact", "{:,.0f}", "stack used"),
    Metric("flash_bytes", "B", "lower", "exact", "{:,.0f}", "flash of image"),
    Metric("ram_bytes", "B", "lower", "exact", "{:,.0f}", "RAM of image"),
)
BY_NAME = {metric.name: metric for metric in METRICS}


def show(name: str, value: float | None) -> str:
    """Return the value as a table shows it, without its unit; a dash for an unknown one."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return "-"
    return BY_NAME[name].format.format(value)
