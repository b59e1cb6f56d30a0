"""A run as a duty cycle: what its boards draw at r inferences a second, and how long batteries last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Console

from hilbench.errors import HilbenchError, UsageError
from hilbench.measurement.power.duty import DutyCycle, DutyPoint, duty_cycle
from hilbench.report.quantities import si, span
from hilbench.report.tables import TextColumn, print_table

RATES_HZ = (0.01, 0.1, 1.0, 10.0)
SYNTHETIC = "SYNTHETIC: emulated or assumed currents, nothing here was measured on a chip"
_SLEEP_COLUMNS = ("energy_idle_ma",)
# By the meter, with what the harness does around an inference as in the energy; else the board's.
_DURATION_COLUMNS = ("energy_inference_us", "latency_us")
_NO_TIME = {
    "instructions": "its time base counts instructions, which are not a time",
    "unknown": "its ticks are of a program behind a PTY, and no time that anybody knows",
}
_SI = {"ma": 1e-3, "uj": 1e-6, "us": 1e-6}


@dataclass(frozen=True)
class DutyCell:
    """One board x variant."""

    board: str
    variant: str
    energy_uj: float
    inference_us: float  # that the energy was spent in
    sleep_ma: float
    sleep_from: str  # measured, or said
    source: str  # of the energy: synthetic, or the instrument
    duty: DutyCycle


@dataclass(frozen=True)
class NoDuty:
    """One board x variant without a duty cycle, and why."""

    board: str
    variant: str
    reason: str


def duty_cells(
    frame: pd.DataFrame, rates_hz: Sequence[float] | None, sleep_ma: float | None
) -> tuple[list[DutyCell], list[NoDuty]]:
    """Return the duty cycle of every row that has what it takes.

    Args:
        frame: of ``hilbench.load``.
        rates_hz: inferences a second; None: those of ``RATES_HZ`` that a board keeps up with.
        sleep_ma: current between inferences; None: as measured.

    Raises:
        UsageError: a rate that a board cannot keep up with.
    """
    cells: list[DutyCell] = []
    refused: list[NoDuty] = []
    for _, row in frame.iterrows():
        reason = _lacks(row, sleep_ma)
        if reason:
            refused.append(NoDuty(row["board"], row["variant"], reason))
            continue
        try:
            cells.append(_cell(row, rates_hz, sleep_ma))
        except HilbenchError as error:
            raise UsageError(f"{row['board']} {row['variant']}: {error}") from error
    return cells, refused


def _lacks(row: pd.Series[Any], sleep_ma: float | None) -> str:
    """Say what a row lacks; "" when nothing."""
    if row["time_base"] in _NO_TIME:
        return _NO_TIME[row["time_base"]]
    if math.isnan(row["energy_uj"]):
        return row["error"] or "its energy was not measured; give the board a meter in boards.toml"
    if _first(row, _DURATION_COLUMNS) is None:
        return f"its latency in {row['unit'] or 'ticks'} is not known as a time"
    if math.isnan(row["supply_v"]):
        return "its supply voltage is not known; add supply_v in boards.toml"
    if sleep_ma is None and _first(row, _SLEEP_COLUMNS) is None:
        return "its sleep current was not measured; say one: --sleep-ma"
    return ""


def _first(row: pd.Series[Any], columns: Sequence[str]) -> float | None:
    """Return the first of the columns that is known."""
    known = (row.get(name) for name in columns)
    return next((float(v) for v in known if v is not None and not math.isnan(v)), None)


def _cell(
    row: pd.Series[Any], rates_hz: Sequence[float] | None, sleep_ma: float | None
) -> DutyCell:
    inference_us, measured_ma = _first(row, _DURATION_COLUMNS), _first(row, _SLEEP_COLUMNS)
    assert inference_us is not None  # _lacks has looked
    asleep_ma = measured_ma if sleep_ma is None else sleep_ma
    assert asleep_ma is not None
    inference_s = inference_us * _SI["us"]
    if rates_hz is None:
        rates_hz = [r for r in RATES_HZ if r * inference_s <= 1]
    return DutyCell(
        board=row["board"],
        variant=row["variant"],
        energy_uj=float(row["energy_uj"]),
        inference_us=inference_us,
        sleep_ma=asleep_ma,
        sleep_from="measured between windows" if sleep_ma is None else "as --sleep-ma says",
        source=row["energy_source"],
        duty=duty_cycle(
            float(row["energy_uj"]) * _SI["uj"],
            inference_s,
            asleep_ma * _SI["ma"],
            float(row["supply_v"]),
            rates_hz,
            synthetic=row["energy_source"] == "synthetic",
        ),
    )


def print_duty(cells: Sequence[DutyCell], refused: Sequence[NoDuty], console: Console) -> None:
    """Print what was measured and what is synthetic in tables of their own, then what is missing."""
    for synthetic in (False, True):
        chosen = [cell for cell in cells if cell.duty.synthetic is synthetic]
        if not chosen:
            continue
        if synthetic:
            _across(console)
        _print_cells(chosen, console, "SYNTHETIC " if synthetic else "")
        if synthetic:
            _across(console)
    if cells:
        console.print(f"assumed: {cells[0].duty.assumptions}", style="dim", highlight=False)
    for row in refused:
        _line(console, f"{row.board} {row.variant}: no duty cycle: {row.reason}")


def _across(console: Console) -> None:
    console.rule(f"[bold red]{SYNTHETIC}[/bold red]", characters="/", style="red")


def _print_cells(cells: Sequence[DutyCell], console: Console, mark: str) -> None:
    rows = [(cell, point) for cell in cells for point in cell.duty.points]
    firsts = [k for k, (_, point) in enumerate(rows) if k and point is rows[k][0].duty.points[0]]

    def column(title: str, cells: list[str]) -> TextColumn:
        return TextColumn(title, cells, right=True)

    batteries = [life.battery.name for life in rows[0][1].lives] if rows else []
    print_table(
        console,
        f"{mark}duty cycle: r inferences a second, asleep in between",
        [
            TextColumn("board", [cell.board for cell, _ in rows]),
            TextColumn("variant", [cell.variant for cell, _ in rows]),
            TextColumn("energy", [mark.strip() or cell.source for cell, _ in rows]),
            column("r /s", [f"{point.rate_hz:g}" for _, point in rows]),
        ],
        [
            column("average", [si(point.average_w, "W") for _, point in rows]),
            column("< 1 mW", ["yes" if point.below_tinyml else "no" for _, point in rows]),
            column("inferring", [_percent(point.inference_share) for _, point in rows]),
            column("busy", [_percent(point.active_share) for _, point in rows]),
            *(
                column(_two_lines(name), [_life(point, k) for _, point in rows])
                for k, name in enumerate(batteries)
            ),
        ],
        sections=firsts,
    )
    for cell in cells:
        _line(
            console,
            f"{mark}{cell.board} {cell.variant}: {cell.duty.says}; {cell.energy_uj:.4g} uJ and "
            f"{cell.inference_us:.4g} us an inference, asleep {si(cell.sleep_ma * 1e-3, 'A')} "
            f"({cell.sleep_from})",
        )
    for line in _without_life(cells):
        _line(console, line)


def _without_life(cells: Sequence[DutyCell]) -> list[str]:
    """Say once for each battery why it has no life."""
    reasons: dict[str, list[str]] = {}
    for cell in cells:
        for life in (life for point in cell.duty.points for life in point.lives if life.reason):
            reasons.setdefault(life.battery.name, []).append(
                f"{cell.board} {cell.variant}: {life.reason}"
            )
    return [
        f"no life on {name}: {said[0]}{f'; {more} more' if (more := len(set(said)) - 1) else ''}"
        for name, said in reasons.items()
    ]


def _two_lines(title: str) -> str:
    first, space, last = title.rpartition(" ")
    return f"{first}\n{last}" if space else title


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _life(point: DutyPoint, battery: int) -> str:
    days = point.lives[battery].days
    return "-" if days is None else span(days * 86_400)


def _line(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
