"""Traces in device time: what comes out must hold the charge that the model says went in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hilbench
from hilbench import plugins
from hilbench.board.client import BoardClient
from hilbench.board.resident import needs_resident, patch_image
from hilbench.drivers.emulated_meters import device_time
from hilbench.drivers.links.serial import open_link
from hilbench.errors import ConfigError, MeterError, ToolMissingError
from hilbench.measurement.power import integrate, tail, windows
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.power import Marked
from hilbench.protocol.messages import RunFlag
from hilbench.recordings import load_evidence, write_evidence
from hilbench.records import BoardConfig, CurrentModel, Edge, MeterConfig, Timeouts
from tests.drivers.emulators.emulated_line import TIMEOUT_S, image_or_skip

ZOO = Path(hilbench.__path__[0]) / "zoo" / "digits"
SUPPLY_V = 3.0
MODEL = CurrentModel(idle_ma=2.0, active_ma=12.0)
IDLE = (Edge(100.0, high=True, asleep=True), Edge(100.05, high=False))
RUN = (Edge(100.0612345, high=True), Edge(100.1, high=False))


def board(model=MODEL, marker="D3", supply_v=SUPPLY_V, **arguments):
    meter = MeterConfig("replay", "device_time", marker=marker, args=tuple(arguments.items()))
    return BoardConfig(
        "m4", "mps2-an386", emulator="qemu", supply_v=supply_v, meter=meter, current=model
    )


def samples(recording):
    chunks = list(recording.chunks())
    return tuple(
        np.concatenate([getattr(c, name) for c in chunks]) for name in ("current_a", "logic")
    )


def test_the_truth_is_current_times_time():
    recording, truth = device_time.trace(board(), (*IDLE, *RUN))
    asleep, active = truth
    assert (asleep.start_s, asleep.end_s, active.start_s, active.end_s) == (
        100.0, 100.05, 100.0612345, 100.1,
    )  # fmt: skip
    assert asleep.charge_c == pytest.approx(2e-3 * 0.05, rel=1e-9)
    assert active.charge_c == pytest.approx(12e-3 * (100.1 - 100.0612345), rel=1e-9)
    assert active.energy_j == pytest.approx(SUPPLY_V * active.charge_c, rel=1e-12)
    current, logic = samples(recording)
    assert set(np.unique(logic)) == {0, 1 << 3}
    # All the charge of the trace: idle current throughout, and the rest in the run.
    rest = (current - 2e-3).sum() / device_time.SAMPLE_HZ
    assert rest == pytest.approx(10e-3 * (100.1 - 100.0612345), rel=1e-9)
    assert recording.identity.emulated
    assert recording.end.lost == 0
    assert recording.end.samples == len(current)


@pytest.mark.parametrize(
    "model",
    [
        MODEL,
        CurrentModel(idle_ma=1.0, active_ma=20.0, tail_us=500.0, noise_ma=0.05, clock_ppm=40.0),
        CurrentModel(
            idle_ma=1.0, active_ma=20.0, operators_ma=(5.0,), drift_ma_per_s=0.05, noise_ma=0.05
        ),
    ],
)
def test_windows_found_and_integrated_hold_the_truth(model, tmp_path):
    """Through evidence and the measuring code, which know nothing of the model."""
    edges, marked = [], []
    at_s = 5.0
    for k in range(4):
        length_s = 0.08 + 0.0137 * k
        edges += [Edge(at_s, True, asleep=k % 2 == 0), Edge(at_s + length_s, False)]
        marked.append(Marked("run" if k % 2 else "idle", k % 2, length_s, 1e-6))
        at_s += length_s + 0.03
    config = board(model)
    recording, truth = device_time.trace(config, edges)
    write_evidence(tmp_path / "trace.npz", recording, margin_s=None)
    opened = load_evidence(tmp_path / "trace.npz")
    assert np.array_equal(samples(opened)[0], samples(recording)[0])
    hz = opened.spec.sample_hz
    found = windows.match(windows.marker_edges(opened.chunks(), 3, 1e-4, hz), marked, opened.spec)
    assert len(found) == len(truth) == 4
    fitted = tail.fit(opened, found)
    for one, injected in zip(integrate.sums(opened, found, fitted), truth, strict=True):
        # An edge is known to a sample's time: 10 us of 80 ms, at the step's height.
        assert one.energy_j == pytest.approx(injected.energy_j, rel=2e-3)
        assert one.duration_s == pytest.approx(injected.end_s - injected.start_s, abs=2.1e-5)


def test_noise_differs_between_captures_and_not_between_processes():
    config = board(CurrentModel(idle_ma=2.0, active_ma=12.0, noise_ma=0.1, seed=4))
    first, _ = samples(device_time.trace(config, RUN)[0])
    again, _ = samples(device_time.trace(config, RUN)[0])
    later, _ = samples(device_time.trace(config, [Edge(e.t_s + 1, e.high) for e in RUN])[0])
    assert np.array_equal(first, again)
    assert abs(np.corrcoef(first[:900], later[:900])[0, 1]) < 0.2
    assert first[:900].std() == pytest.approx(1e-4, rel=0.15)


def test_rate_and_marker_are_as_configured():
    config = board(marker=None, sample_hz="2500")
    recording, _ = device_time.trace(config, RUN)
    current, logic = samples(recording)
    assert recording.spec == device_time.spec(config)
    assert recording.spec.sample_hz == 2500
    assert len(current) == pytest.approx(2500 * (0.02 + RUN[1].t_s - RUN[0].t_s), abs=1.5)
    assert not logic.any()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (board(model=None), "an emulated meter needs to know [board.m4.current] with idle_ma and "
         "active_ma; add it to boards.toml"),
        (board(supply_v=None), "an emulated meter needs to know supply_v; add it to boards.toml"),
        (board(marker="P7"), "meter.marker = 'P7' is no logic input of the device_time meter; "
         "known: D0, D1, D2, D3, D4, D5, D6, D7"),
        (board(sample_hz="fast"), "sample_hz = 'fast' is no rate; write samples per second above 0"),
        (board(sample_hz="0"), "sample_hz = '0' is no rate; write samples per second above 0"),
        (board(rate="5"), "the device_time meter has no argument 'rate'; known: sample_hz"),
    ],
)  # fmt: skip
def test_what_the_table_lacks(config, sentence):
    with pytest.raises(ConfigError) as caught:
        device_time.trace(config, RUN)
    assert str(caught.value) == f"board m4: {sentence}"


def test_edges_that_are_no_pulses():
    with pytest.raises(MeterError) as caught:
        device_time.trace(board(), ())
    assert str(caught.value) == (
        "board m4: its marker did not move, so there is nothing to trace; mark a RUN or IDLE "
        "between start and stop"
    )
    for edges in (RUN[:1], RUN[1:], RUN[::-1]):
        with pytest.raises(MeterError) as caught:
            device_time.trace(board(), edges)
        assert str(caught.value) == (
            f"board m4: {len(edges)} marker edges are no whole pulses; start and stop while the "
            "marker is down"
        )


@pytest.mark.parametrize(
    ("port", "emulator", "arguments"),
    [
        pytest.param("mps2-an386", "qemu", {"plugin": "classes"}, marks=pytest.mark.qemu),
        pytest.param("nrf51", "qemu", {"plugin": "classes"}, marks=pytest.mark.qemu),
        pytest.param("atmega328p", "simavr", {"pace": "free"}, marks=pytest.mark.bench),
        pytest.param("riscv-vexriscv", "verilator", {}, marks=pytest.mark.bench),
    ],
)
def test_what_the_firmware_tells_finds_its_windows_in_the_trace(
    port, emulator, arguments, tmp_path
):
    """The device's own durations against the emulator's edges, and energy against the truth."""
    plan = plan_model(read_model(ZOO / "mlp_int8.tflite"))
    image = image_or_skip(port)
    image = patch_image(image, plan, tmp_path) if needs_resident(image) else image
    config = BoardConfig(port, port, emulator_args=tuple(arguments.items()))
    try:
        emulated = plugins.load("emulators", emulator).start(config, TIMEOUT_S)
    except ToolMissingError as error:
        pytest.skip(str(error))
    try:
        emulated.flash(image)
        client = BoardClient(
            open_link(emulated.link_address, 115200), port, Timeouts(), baud=115200
        )
        tick_s = 1 / client.hello().counter_hz
        client.load(plan.data, bytes.fromhex(plan.sha256))
        vectors = np.zeros((1, plan.input.bytes), np.uint8)
        client.run(vectors)
        marked = []
        for n in (20, 30):
            marked.append(Marked("idle", 0, client.idle(20_000, marker=True) * tick_s, tick_s))
            ran = client.run(vectors, iterations=n, flags=RunFlag.MARKER_WINDOW, want_ticks=False)
            marked.append(Marked("run", n, ran.window_ticks * tick_s, tick_s))
        client.close()
        edges = emulated.marker_edges()
    finally:
        emulated.stop()
    recording, truth = device_time.trace(board(), edges)
    hz = recording.spec.sample_hz
    seen = windows.marker_edges(recording.chunks(), 3, 0.0, hz)
    found = windows.match(seen, marked, recording.spec)
    assert [w.marked.kind for w in found] == ["idle", "run", "idle", "run"]
    sums = integrate.sums(recording, found, tail.fit(recording, found))
    for one, injected in zip(sums, truth, strict=True):
        # The truth: what is drawn asleep or working, for as long as the firmware says.
        current_a = 2e-3 if one.window.marked.kind == "idle" else 12e-3
        told_c = current_a * one.window.marked.duration_s
        assert injected.charge_c == pytest.approx(told_c, rel=5e-3)
        # An edge is known to a sample's time.
        edge_c = 2 * 12e-3 / hz
        assert one.charge_c == pytest.approx(injected.charge_c, abs=edge_c)
