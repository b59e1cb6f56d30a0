"""Energy of boards whose marker pin goes nowhere, against what they were made to draw."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hilbench.bench.energy import EnergyRequest
from hilbench.drivers.emulators import simavr
from tests.end_to_end import test_energy
from tests.end_to_end.test_energy import (
    evidence_integrates_again,
    inference_s,
    measured,
    truth_uj,
)

pytestmark = pytest.mark.bench
m4, mlp, uno = test_energy.m4, test_energy.mlp, test_energy.uno


def unwired(board):
    return replace(board, meter=replace(board.meter, marker=None))


@pytest.fixture
def late_us(monkeypatch):
    """Real time that the emulated Uno had to give up, as it says itself before it stops."""
    told, start = [], simavr.start

    def watched(board, timeout_s):
        emulated = start(board, timeout_s)
        stop = emulated.stop

        def tell_and_stop():
            if not told:
                told.append(emulated.status().late_us)
            stop()

        emulated.stop = tell_and_stop
        return emulated

    monkeypatch.setattr(simavr, "start", watched)
    return told


def check(board, row, session, tier="pattern"):
    gross, net = truth_uj(board, row, session)
    assert abs(row["energy_uj"] - gross) < row["energy_absolute_uj"]
    assert abs(row["energy_net_uj"] - net) < row["energy_net_absolute_uj"]
    assert row["energy_marker"] == tier
    assert row["energy_idle"] == "before and after"
    assert row["energy_u_edges_uj"] > 0
    assert row["energy_window_us"] >= inference_s(row, session) * 1e6


@pytest.mark.qemu
def test_a_board_in_its_own_time(m4, mlp, tmp_path):
    folder, row, (session,) = measured(mlp, unwired(m4), tmp_path, EnergyRequest())
    check(m4, row, session)
    assert row["energy_idle_ma"] == pytest.approx(m4.current.idle_ma, rel=0.01)
    assert row["energy_restore"] == "subtracted"
    evidence_integrates_again(folder, row, session)


def test_an_uno_that_runs_one_inference_a_request(uno, mlp, tmp_path, late_us):
    folder, row, (session,) = measured(mlp, unwired(uno), tmp_path, EnergyRequest())
    tier = "pattern"
    if (
        late_us[0] and row["energy_marker"] == "edge"
    ):  # a chip was longer than 20 ms, and it is said
        assert "pulse pattern of 6 stretches is not in the current" in row["energy_warnings"]
        tier = "edge"
    check(uno, row, session, tier)
    evidence_integrates_again(folder, row, session)
