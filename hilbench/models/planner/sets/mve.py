"""Kernels for Helium (Cortex-M55): sixteen 8-bit multiplications an instruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hilbench.models.planner.layout import Record
    from hilbench.models.planner.sets import Lowering

ORDER: Final = 2

RECORDS: Final[tuple[Record, ...]] = ()

LOWERINGS: Final[dict[str, Lowering]] = {}
