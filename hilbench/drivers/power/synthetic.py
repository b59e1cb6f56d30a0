"""A meter that measures nothing and says so: constant current times voltage times time.

The duration of an inference is that of the board's own counter. On a board that counts instructions
this is virtual device time, so that the energy is proportional to instructions and to nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import ConfigError
from hilbench.records import BoardConfig

NJ_PER_UJ = 1e3  # V * mA * us = nJ


@dataclass(frozen=True)
class SyntheticMeter:
    """Constant current while an inference runs."""

    supply_v: float
    active_ma: float
    energy_source: str = "synthetic"

    def energy_uj(self, duration_us: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return supply_v * active_ma * duration, in microjoule, elementwise."""
        return self.supply_v * self.active_ma * np.asarray(duration_us, np.float64) / NJ_PER_UJ


def estimate(board: BoardConfig) -> SyntheticMeter:
    """Return the estimate for a board.

    Raises:
        ConfigError: boards.toml does not say active_ma.
    """
    if board.supply_v is None:
        raise ConfigError(
            f'{board.source}: [board.{board.id}] meter = "synthetic" needs supply_v, the supply in '
            f'V while an inference runs; add it, or use meter = "none"'
        )
    if board.active_ma is None:
        raise ConfigError(
            f'{board.source}: [board.{board.id}] meter = "synthetic" needs active_ma, the current '
            f'in mA while an inference runs; add it, or use meter = "none"'
        )
    return SyntheticMeter(board.supply_v, board.active_ma)
