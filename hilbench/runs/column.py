"""What a column of a frame is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dtype = Literal["string", "boolean", "int64", "float64"]
Over = Literal["first", "each", "median", "min", "max", "sum", "all", "cell"]


@dataclass(frozen=True)
class Column:
    """One column. ``over``: how the values of a cell's sessions become the cell's."""

    name: str
    dtype: Dtype  # "" is a missing string, NaN a missing number, NA a missing boolean
    unit: str
    over: Over  # "cell": not a figure of a session at all
    meaning: str
