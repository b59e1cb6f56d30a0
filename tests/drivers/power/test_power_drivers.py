"""Power drivers are found by their name and keep the interface."""

from __future__ import annotations

import numpy as np
import pytest

from hilbench import plugins
from hilbench.records import BoardConfig


def test_names():
    assert {"none", "synthetic"} <= set(plugins.names("power"))


@pytest.mark.parametrize("name", ["none", "synthetic"])
def test_interface(name):
    board = BoardConfig("b", "p", supply_v=3.3, active_ma=10.0)
    meter = plugins.load("power", name).estimate(board)
    assert meter.energy_source == name
    energy = meter.energy_uj(np.array([0.0, 1000.0, 2000.0]))
    if name == "none":
        assert energy is None
    else:
        assert energy.tolist() == pytest.approx([0.0, 33.0, 66.0])  # 33 mW for 1 and 2 ms
