"""Kernels for the DSP extension (Cortex-M4, M7, M33): two 16-bit multiplications an instruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hilbench.models.planner.layout import Record
    from hilbench.models.planner.sets import Lowering

ORDER: Final = 1

RECORDS: Final[tuple[Record, ...]] = ()

LOWERINGS: Final[dict[str, Lowering]] = {}
