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
from hilbench.measurement.power import budget as bg
from hilbench.measurement.power.budget import UJ, Budget, Content
from hilbench.power import MarkerTier, MeterSetup, MeterSpec, WindowSums

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
    clock_ratio: float  # meter's duration / board's, over all windows
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

    Raises:
        LostSamplesError: more samples lost than the limit.
        MeasurementError: no run window, no energy, or too little to know its scatter.
    """
    raise NotImplementedError
