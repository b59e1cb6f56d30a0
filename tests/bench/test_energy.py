"""Energy of a session: what the board is asked to mark, what comes of it, what is refused."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import hilbench
from hilbench.bench import energy as energy_module
from hilbench.bench import run_suite
from hilbench.bench.energy import EnergyRequest, measure_energy, meter_text
from hilbench.board.metering import LiveMetering
from hilbench.drivers.emulated_meters import device_time
from hilbench.errors import (
    ConfigError,
    LostSamplesError,
    MeasurementError,
    MeterError,
    UsageError,
    WindowError,
)
from hilbench.measurement.power import mlperf
from hilbench.power import MeterIdentity
from hilbench.protocol.messages import RunFlag
from hilbench.recordings import load_evidence
from hilbench.records import FlasherConfig, MeterConfig
from hilbench.runs import read_journal
from hilbench.runs.energy_columns import ENERGY_COLUMNS, MEASURED
from hilbench.runs.schema import ErrorRecord
from tests.bench.device_time_board import CONFIG, Client, board, timed, variant
from tests.end_to_end.conftest import need_image


def measure(client, request=None, *, config=CONFIG, of=None):
    told = timed(client)
    return measure_energy(board(client, config), of or variant(), told, request or EnergyRequest())


def true_uj(seconds, current_ma=5.0):
    return 3.0 * current_ma * seconds * 1e3


# -- what is marked, and what comes of it -----------------------------------------------------------


def test_long_inferences_are_marked_each_and_restoring_is_outside():
    client = Client(inference_s=(0.02,), restore_s=0.001)
    found = measure(client)
    assert found.record.texts["energy_restore"] == "outside"
    planned = [request for request in client.requests if request[0] & RunFlag.MARKER_EACH]
    assert planned == client.requests[1:]  # behind the probe
    assert found.energy.gross.energy_uj == pytest.approx(true_uj(0.02), rel=1e-3)
    assert found.energy.net.energy_uj == pytest.approx(true_uj(0.02, 4.0), rel=1e-3)
    assert found.source == "synthetic"


def test_short_inferences_share_a_window_and_restoring_is_subtracted():
    client = Client(inference_s=(0.0004,), restore_s=0.00001)
    found = measure(client)
    numbers = found.record.numbers
    assert found.record.texts["energy_restore"] == "subtracted"
    assert numbers["energy_inferences_per_window"] > 1
    assert found.energy.gross.energy_uj == pytest.approx(true_uj(0.0004), rel=1e-3)
    assert numbers["energy_restore_uj"] == pytest.approx(true_uj(0.00001), rel=0.01)
    assert numbers["energy_delta_n_uj"] == pytest.approx(true_uj(0.0004), rel=0.01)
    flags, inferences = {r[0] for r in client.requests}, [r[1] for r in client.requests[1:]]
    assert flags == {RunFlag.MARKER_WINDOW}
    assert inferences[-1] == inferences[0] // 2  # another n, for the slope


def test_a_board_without_memory_for_inputs_runs_one_inference_a_request():
    client = Client(inference_s=(0.01,), slots=0)
    found = measure(client)
    assert {request[1] for request in client.requests} == {1}
    assert found.record.numbers["energy_inferences_per_window"] == 1
    assert found.energy.gross.energy_uj == pytest.approx(true_uj(0.01), rel=1e-3)


def test_a_coarser_target_takes_less():
    few, many = Client(inference_s=(0.0004,)), Client(inference_s=(0.0004,))
    coarse = measure(few, EnergyRequest(target=0.01))
    fine = measure(many, EnergyRequest(target=0.001))
    runs = [sum(r[1] for r in client.requests[1:]) for client in (few, many)]  # not the probe
    assert runs[0] < runs[1] / 2
    sizes = [x.record.numbers["energy_u_edges_uj"] for x in (coarse, fine)]
    assert sizes[0] > 2 * sizes[1]


def test_a_board_without_samples_has_no_energy_of_a_meter():
    client = Client()
    told = timed(client)
    open_board = board(client)
    open_board.metering = None
    assert measure_energy(open_board, variant(), told, EnergyRequest()) is None


def test_five_inputs_have_a_window_each(monkeypatch):
    monkeypatch.setattr(mlperf, "MIN_WINDOW_S", 0.1)
    seconds = (0.004, 0.005, 0.001, 0.0045, 0.0046)
    with pytest.raises(MeasurementError, match="limit"):  # the third is too short for its window
        measure(Client(inference_s=seconds), EnergyRequest(mlperf=True))
    seconds = (0.004, 0.005, 0.007, 0.0045, 0.0046)
    client = Client(inference_s=seconds)
    found = measure(client, EnergyRequest(mlperf=True))
    assert [(n >= 25, index) for _, n, index in client.requests] == [(True, k) for k in range(5)]
    assert found.record.numbers["energy_mlperf_uj"] == pytest.approx(true_uj(0.0046), rel=1e-3)


def test_operators_have_their_energy_where_they_can_be_seen():
    client = Client(inference_s=(0.0042,), operators_s=(0.003, 0.00001, 0.0012))
    found = measure(client, EnergyRequest(operators=True), of=variant(operators=3))
    long, too_short, short = found.record.operators_uj
    assert long == pytest.approx(true_uj(0.003), rel=0.01)
    assert short == pytest.approx(true_uj(0.0012), rel=0.01)
    assert too_short is None
    widths = found.record.operators_absolute_uj
    assert widths[1] is None
    for seconds, uj, half_width in ((0.003, long, widths[0]), (0.0012, short, widths[2])):
        assert abs(uj - true_uj(seconds)) <= half_width < 0.2 * uj
    assert len(found.captures["-operators"].windows) == 2 + 10 * 2  # idle around, two seen


def test_a_probe_and_the_meter_s_own_words_are_warnings(monkeypatch):
    """As on a real board: probe_warning itself is tested with its room."""
    monkeypatch.setattr(energy_module, "probe_warning", lambda config: "a probe")
    real_trace = device_time.trace

    def trace(config, edges):
        recording, truth = real_trace(config, edges)
        recording.end = replace(recording.end, notes=("hot", "old"))
        return recording, truth

    monkeypatch.setattr(device_time, "trace", trace)
    assert measure(Client()).record.texts["energy_warnings"] == "a probe; hot; old"


@pytest.mark.parametrize("capture", [2, 3])
def test_what_nobody_can_tell_is_not_taken_for_measured(monkeypatch, capture):
    """The session's own capture, and that of its operators."""
    real_trace, captures = device_time.trace, []

    def trace(config, edges):
        recording, truth = real_trace(config, edges)
        captures.append(recording)
        if len(captures) == capture:
            recording.end = replace(recording.end, uncertain=recording.end.samples // 100)
        return recording, truth

    monkeypatch.setattr(device_time, "trace", trace)
    client = Client(inference_s=(0.0042,), operators_s=(0.003, 0.00001, 0.0012))
    with pytest.raises(LostSamplesError, match=r"^meter lost 0 of \d+ samples and maybe \d+ more "):
        measure(client, EnergyRequest(operators=True), of=variant(operators=3))
    assert len(captures) == capture


def test_a_real_board_s_probe_is_in_the_row():
    real = replace(CONFIG, emulator=None, flasher=FlasherConfig("openocd"))
    warning = measure(Client(), config=real).record.texts["energy_warnings"]
    assert warning == (
        "the debug probe of openocd is still attached: it may feed the board or keep its debug logic "
        "awake; compare with the probe unplugged"
    )
    assert measure(Client()).record.texts["energy_warnings"] == ""


def test_every_column_of_energy_is_filled_or_known_to_be_empty():
    client = Client(inference_s=(0.0004,))
    record = measure(client).record
    empty = set(MEASURED) - set(record.numbers) - set(record.texts)
    assert empty == {"energy_mlperf_uj"}
    assert set(record.numbers) | set(record.texts) <= {c.name for c in ENERGY_COLUMNS}


@pytest.mark.parametrize(
    ("identity", "text"),
    [
        (MeterIdentity("ppk2", "PPK2 HW 1", "C0FFEE", "", "p", False, ""), "PPK2 HW 1 C0FFEE"),
        (
            MeterIdentity("lpm01a", "LPM01A", "", "1.0.9", "p", True, ""),
            "LPM01A firmware 1.0.9 (emulated)",
        ),
    ],
)
def test_who_measured(identity, text):
    assert meter_text(identity) == text


# -- what is refused ----------------------------------------------------------------------------------


def test_a_marker_that_is_on_no_input():
    config = replace(CONFIG, meter=replace(CONFIG.meter, marker="D0"))
    open_board = board(Client(), config)
    open_board.config = replace(config, meter=replace(config.meter, marker="D8"))
    sentence = (
        "board desk: marker = 'D8' is no logic input of the device time; it has: D0, D1, D2, "
        "D3, D4, D5, D6, D7"
    )
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        measure_energy(open_board, variant(), timed(Client()), EnergyRequest())


def test_a_meter_whose_clock_nobody_vouches_for():
    client = Client()
    open_board = board(client)
    open_board.metering.spec = replace(open_board.metering.spec, clock_limit=float("nan"))
    sentence = (
        "board desk: nobody says how far the clock of the device time may be off, so its windows "
        "cannot be told by their duration; add it to args of [board.desk.meter], see docs/energy.md"
    )
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        measure_energy(open_board, variant(), timed(client), EnergyRequest())
    assert client.requests == []


def test_windows_whose_durations_were_not_told_cannot_be_told_apart():
    client = Client(inference_s=(0.02,), restore_s=0.001)
    client.forget_ticks = True
    sentence = (
        "board desk: told 0 of 2 durations of single inferences, so their windows cannot be told "
        "apart; use a coarser --energy-target"
    )
    with pytest.raises(MeasurementError, match=re.escape(sentence)):
        measure(client)


def test_a_board_that_tells_other_durations_than_the_meter_sees():
    client = Client()
    honest = client.idle

    def idle(duration_us, marker=False):
        return honest(duration_us, marker) * 1.2

    client.idle = idle
    open_board, told = board(client), timed(client)
    with pytest.raises(
        WindowError, match=r"window 1 of 3 \(idle\) lasts 0\.120000 s by the device"
    ):
        measure_energy(open_board, variant(), told, EnergyRequest())
    with pytest.raises(MeterError, match="no capture runs"):  # it was ended
        open_board.metering.stop()


def test_mlperf_needs_five_inputs():
    sentence = "variant small: 4 vectors, --mlperf takes 5: one for each window; use more"
    client = Client()
    with pytest.raises(UsageError, match=re.escape(sentence)):
        measure(client, EnergyRequest(mlperf=True), of=variant(vectors=4))
    assert client.requests == []


def test_mlperf_needs_memory_for_an_input():
    sentence = (
        "board desk: has no memory to keep an input of small, so its inferences cannot follow each "
        "other in a window of 10 s; leave out --mlperf, or this board"
    )
    with pytest.raises(UsageError, match=re.escape(sentence)):
        measure(Client(slots=0), EnergyRequest(mlperf=True))


def test_a_target_out_of_reach_says_what_is_in_reach():
    with pytest.raises(UsageError, match=r"takes .* limit 0\.5 s; ask for |limit 500 ms; ask for "):
        measure(Client(), EnergyRequest(target=1e-6, time_limit_s=0.5))


# -- one cell's fault is its own ----------------------------------------------------------------------


def cells(outcome):
    """Return error and energy of each variant."""
    frame = hilbench.load(outcome.folder).set_index("variant")
    return frame["error"], frame["energy_uj"]


def pair(suite, **changes):
    chosen = tuple(
        replace(v, parent=None) for v in suite.variants if v.name in {"mlp_int8", "student_int8"}
    )
    return replace(suite, variants=chosen, sessions=2, iterations=2, **changes)


@pytest.mark.qemu
@pytest.mark.parametrize("fault", ["window", "meter"])
def test_a_session_without_energy_ends_its_cell_and_no_other(
    fault,
    boards,
    zoo,
    tmp_path,
    monkeypatch,
):
    need_image(boards["m4-energy"].firmware)
    real_trace, calls = device_time.trace, []

    def trace(config, edges):
        calls.append(len(edges))
        if len(calls) != 2:  # the second is of the first session's windows
            return real_trace(config, edges)
        if fault == "meter":
            raise MeterError("the trace was lost; measure again")
        return real_trace(config, edges[2:])  # a pulse is missing

    monkeypatch.setattr(device_time, "trace", trace)
    suite = pair(zoo)
    first, second = (v.name for v in suite.variants)
    outcome = run_suite(suite, [boards["m4-energy"]], results=tmp_path, limit=3)
    expected, words = {
        "window": (WindowError, "by the device"),
        "meter": (MeterError, "the trace was lost; measure again"),
    }[fault]
    assert [type(e) for e in outcome.errors] == [expected]
    assert outcome.exit_code == 3
    errors, energy = cells(outcome)
    assert words in errors[first]
    assert (errors[second], np.isnan(energy[first]), energy[second] > 0) == ("", True, True)
    (record,) = [r for r in read_journal(outcome.folder).records if isinstance(r, ErrorRecord)]
    assert (record.variant, record.session) == (first, 1)
    kept = f"energy/m4-energy/{first}-1-refused.npz"
    assert (kept in record.sentence) == (outcome.folder / kept).exists() == (fault == "window")
    if fault == "window":
        assert load_evidence(outcome.folder / kept).end.samples > 0
    assert len(calls) == 2 + 2 * 2  # each session of the other cell has a probe and its windows


@pytest.mark.firmware
def test_a_meter_that_dies_is_told_by_every_cell_that_follows(boards, zoo, tmp_path, monkeypatch):
    need_image("posix")
    real_start, starts = LiveMetering.start, []

    def start(metering, on_figures=None):
        starts.append(metering)
        real_start(metering, on_figures)
        if len(starts) == 2:  # the first looks for power, the second is of the first cell
            metering._emulated.stop()  # as if unplugged

    monkeypatch.setattr(LiveMetering, "start", start)
    config = replace(
        boards["native"],
        supply_v=3.3,
        supply_max_v=3.6,
        meter=MeterConfig("ppk2", emulator="ppk2", supplies=True, marker="D0"),
        current=boards["uno-ppk2"].current,
    )
    suite = pair(zoo)
    outcome = run_suite(suite, [config], results=tmp_path, limit=3)
    assert [type(e) for e in outcome.errors] == [MeterError, MeterError], outcome.errors
    first, second = map(str, outcome.errors)
    assert re.search(r"PPK2 at .* went away .*; plug it in", first)
    assert second == f"board native: not measured, because its meter failed before: {first}"
    errors, energy = cells(outcome)
    assert [first in text for text in errors] == [True, True]
    assert energy.isna().all()
    assert len(starts) == 2
