"""No meter: energy stays unknown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilbench.records import BoardConfig


class NoMeter:
    """Gives no energy at all, rather than a zero."""

    energy_source = "none"

    def energy_uj(self, duration_us: NDArray[np.float64]) -> NDArray[np.float64] | None:  # noqa: ARG002 - interface
        """Return None."""
        return None


def estimate(board: BoardConfig) -> NoMeter:  # noqa: ARG001 - interface
    """Return a meter that measures nothing."""
    return NoMeter()
