"""The nouns of power measuring: what a meter is, what it delivers, what a window holds.

Quantities are in SI units (A, V, C, J, s) between meter and result; columns of the frame and keys of
boards.toml are in the units that people read (mA, uJ, us).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

VoltageSource = Literal["measured", "set", "declared"]
"""Measured with the current; set: the meter supplies it and never looks; declared: boards.toml says."""

MarkerTier = Literal["gpio", "pattern", "edge"]
"""How a window was found: marker pin on a logic input, pulse pattern in the current, current steps."""


@dataclass(frozen=True)
class MeterIdentity:
    """Who the meter is, as it says itself."""

    driver: str
    model: str  # e.g. "PPK2"
    serial_number: str  # "" where it has none
    firmware: str  # "" where it does not say
    address: str
    emulated: bool  # a program behind a pseudo-terminal, or a synthetic trace
    calibration: str  # text as the instrument sent it; "" where it keeps that to itself


@dataclass(frozen=True)
class RangeSpec:
    """One current range. Limits are the vendor's, taken as rectangular distributions."""

    lsb_a: float  # one code, around the middle of the range
    gain_limit: float  # relative
    offset_limit_a: float
    top_a: float  # largest current that it shows


@dataclass(frozen=True)
class MeterSpec:
    """What the meter delivers as it is configured now."""

    sample_hz: float
    clock_limit: float  # relative error of sample_hz
    ranges: tuple[RangeSpec, ...]  # index: Chunk.range
    logic_inputs: tuple[str, ...]  # bit 0 first, e.g. ("D0", ..., "D7"); () without
    voltage: VoltageSource
    voltage_limit: float  # relative error of the voltage
    source: str  # where the limits come from: datasheet, manual, its own word


@dataclass(frozen=True)
class MeterSetup:
    """What is asked of a meter before it starts."""

    supply_v: float  # of the board: what a supplying meter sets, what others take as declared
    supplies: bool  # the meter is the board's supply; else it is in series with it
    sample_hz: float | None = None  # None: the meter's own best rate
    args: tuple[tuple[str, str], ...] = ()  # driver's own, from boards.toml


@dataclass(frozen=True)
class Chunk:
    """Consecutive samples on the meter's own time line, lost ones included.

    Sample k covers the time [k, k + 1) / sample_hz since the capture began. A lost sample has
    ``valid`` False and NaN in ``current_a``: nobody fills it in but who says so.
    """

    start: int  # index of the first sample
    current_a: NDArray[np.float64]  # [n]
    voltage_v: NDArray[np.float64] | float  # [n] measured, or the one that is set or declared
    logic: NDArray[np.uint8]  # [n], bit b: MeterSpec.logic_inputs[b]; of a lost sample: the last
    valid: NDArray[np.bool_]  # [n]
    range: NDArray[np.uint8]  # [n]; of a lost sample: the last
    raw: bytes = b""  # the codes as they came: evidence, decodable by the driver again
    vendor_a: NDArray[np.float64] | None = None  # [n] by the vendor's own filter, where it has one

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.current_a)


@dataclass(frozen=True)
class Gap:
    """Samples that are known to be lost, and how that is known."""

    start: int  # index of the first; of a gap by the clock: the earliest it can be
    samples: int
    by: Literal["counter", "clock", "meter"]  # the meter's counter, host time, its own error text


@dataclass(frozen=True)
class CaptureEnd:
    """How a capture ended; samples + lost is the length of its time line."""

    samples: int  # delivered
    lost: int
    gaps: tuple[Gap, ...]
    rate_hz: float | None  # seen by the host's clock over the whole capture; None: too short
    rate_u: float | None  # its standard uncertainty, relative
    notes: tuple[str, ...] = ()  # what else a person should know, e.g. the meter's own words
    uncertain: int = 0  # samples that may be lost besides, or that are counted as lost and are not
    uncertain_step: int = 1  # and come in multiples of this: what the meter's counter cannot see


class Recording(Protocol):
    """A capture that can be read again and again, in memory of one chunk."""

    identity: MeterIdentity
    spec: MeterSpec
    setup: MeterSetup
    end: CaptureEnd

    def chunks(self) -> Iterator[Chunk]:
        """Yield all chunks from index 0 on, without holes between them."""


@dataclass(frozen=True)
class Marked:
    """What the device says that it did while the marker was up, in the order of the capture."""

    kind: Literal["run", "idle"]
    inferences: int  # 0 for idle
    duration_s: float  # by the device's counter
    tick_s: float  # resolution of that
    restore_s: float = 0.0  # of it, spent on restoring inputs


@dataclass(frozen=True)
class Window:
    """A stretch of the capture, in samples since its beginning."""

    marked: Marked
    start: float
    end: float
    tier: MarkerTier
    u_edge: float  # standard uncertainty of one edge, samples


@dataclass(frozen=True)
class WindowSums:
    """Integrals over a window. Partial samples at its edges count by their share."""

    window: Window
    samples: int  # valid
    lost: int
    charge_c: float  # of lost samples: their neighbours' mean, see u_loss of the budget
    energy_j: float
    duration_s: float  # (end - start) / sample_hz
    current_min_a: float
    current_max_a: float
    start_a: float  # current just after the rise: what the RC tail correction needs
    end_a: float  # just before the fall
    tail_charge_c: float  # tau * (end_a - start_a): already part of charge_c
    tail_energy_j: float
    tau_s: float  # 0: none was found
    u_tau_s: float
    range_charge_c: NDArray[np.float64]  # [ranges]
    range_energy_j: NDArray[np.float64]  # [ranges]
    range_s: NDArray[np.float64]  # [ranges] time spent in each
    switches: int  # of range
    switch_charge_c: float  # |hold-forward - vendor's filter|, 0 where the meter has no such filter
    batch_a: NDArray[np.float64] = field(repr=False)  # means of equal parts of the window


@dataclass(frozen=True)
class InjectedWindow:
    """The truth of an emulated meter about one window of the marker: what it was made to draw."""

    start_s: float  # device or host time of the rising edge, as told by the board
    end_s: float
    charge_c: float  # drawn by the board between them, before any RC
    energy_j: float
