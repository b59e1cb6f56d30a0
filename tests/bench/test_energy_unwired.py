"""Energy without a marker pin: what the board is asked for, which tier finds its windows, refusals."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from hilbench.bench.energy import EnergyRequest, measure_energy
from hilbench.errors import UsageError, WindowError
from hilbench.measurement.power import pattern
from hilbench.protocol.messages import RunFlag
from tests.bench.device_time_board import CONFIG, Client, board, timed, variant

GUARDED = RunFlag.MARKER_WINDOW | RunFlag.GUARD
UNWIRED = replace(CONFIG, meter=replace(CONFIG.meter, marker=None))
SUPPLY_V, ACTIVE_MA, IDLE_MA = 3.0, 5.0, 1.0  # of the board


class TalkingClient(Client):
    """Draws as much while it talks as in an inference, as a real board does."""

    def run(self, vector, **asked):
        self._pulse(0.007)
        told = super().run(vector, **asked)
        self._pulse(0.002)
        return told


def measure(client, request=None, config=UNWIRED):
    told = timed(client)
    client.edges.clear()
    return measure_energy(board(client, config), variant(), told, request or EnergyRequest())


def agrees(found, inference_s):
    gross_uj = SUPPLY_V * ACTIVE_MA * inference_s * 1e3
    net_uj = SUPPLY_V * (ACTIVE_MA - IDLE_MA) * inference_s * 1e3
    for known, true_uj in ((found.energy.gross, gross_uj), (found.energy.net, net_uj)):
        assert abs(known.energy_uj - true_uj) < known.absolute_uj
        assert known.energy_uj == pytest.approx(true_uj, rel=3e-3)


@pytest.mark.parametrize(
    ("kind", "inference_s", "slots"),
    [
        (Client, 0.011, 8),
        (TalkingClient, 0.0007, 8),
        (TalkingClient, 0.011, 0),
        (TalkingClient, 0.09, 8),
    ],
)
def test_windows_are_found_between_guards_behind_a_pattern(kind, inference_s, slots):
    client = kind(inference_s=(inference_s,), slots=slots)
    found = measure(client)
    agrees(found, inference_s)
    assert found.record.texts["energy_marker"] == "pattern"
    assert found.record.texts["energy_idle"] == "before and after"
    assert found.record.texts.get("energy_warnings", "") == ""
    assert found.energy.idle_ma == pytest.approx(IDLE_MA, rel=2e-3)
    flags = [request[0] for request in client.requests]
    first = GUARDED | RunFlag.PATTERN  # of the probe, and of the session
    assert (flags.count(first), set(flags)) == (2, {first, GUARDED})
    assert flags[0] == first


def test_without_its_pattern_a_session_has_steps(monkeypatch):
    find = pattern.find

    def in_the_probe_only(recording, stretches, marked, gap_s):
        if len(marked) > 1:
            raise WindowError("pulse pattern of 6 stretches is not in the current")
        return find(recording, stretches, marked, gap_s)

    monkeypatch.setattr(pattern, "find", in_the_probe_only)
    found = measure(TalkingClient(inference_s=(0.0045,)))
    agrees(found, 0.0045)
    assert found.record.texts["energy_marker"] == "edge"
    assert found.record.texts["energy_warnings"] == (
        "windows by steps of the current, not by the pulse pattern: pulse pattern of 6 stretches is "
        "not in the current"
    )


def test_windows_that_noise_hides_are_refused():
    noisy = replace(UNWIRED, current=replace(UNWIRED.current, noise_ma=400.0))
    with pytest.raises(WindowError) as error:
        measure(Client(inference_s=(0.004,)), config=noisy)
    assert re.fullmatch(
        r"board desk: windows are found in the current neither by a pulse pattern nor by steps "
        r"\(window 1 of 1 .*\); wire the board's marker pin to a logic input of the meter, and name "
        r"that as marker in \[board.desk.meter\]",
        str(error.value),
    )


def test_operators_need_the_pin():
    client = Client()
    sentence = (
        "board desk: energy per operator needs the marker pin; wire it to a logic input of the meter "
        "and name that as marker in [board.desk.meter], or leave out --energy-operators"
    )
    with pytest.raises(UsageError, match=re.escape(sentence)):
        measure(client, EnergyRequest(operators=True))
    assert client.requests == []
