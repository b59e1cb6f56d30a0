"""The driver on instruments behind a PTY: ppk2lab's own simulator, and faulty ones."""

from __future__ import annotations

import time

import numpy as np
import pytest
from ppk2lab.protocol.commands import Opcode
from ppk2lab.testing import ConstantProfile, StepProfile
from ppk2lab.types import Mode

from hilbench import plugins
from hilbench.errors import CalibrationError, ConfigError, MeterError
from hilbench.power import MeterSetup
from hilbench.records import MeterConfig
from tests.drivers.power.ppk2 import unit
from tests.drivers.power.ppk2.instrument import Scripted, Simulated

DRIVER = plugins.load("power", "ppk2")
SOURCE = MeterSetup(3.3, supplies=True)
AGAIN = "unplug it and plug it in again"


def opened(instrument, timeout_s=5.0):
    return DRIVER.open_meter(MeterConfig("ppk2"), instrument.address, timeout_s)


def captured(meter, samples):
    """At least so many samples as (chunks, account)."""
    meter.start()
    chunks, count = [], 0
    while count < samples:
        chunk = meter.read(0.25)
        if chunk is not None:
            chunks.append(chunk)
            count += len(chunk)
    last, end = meter.stop()
    return [*chunks, *([last] if last is not None else [])], end


def read_on(meter):
    while True:
        meter.read(0.25)


# -- on ppk2lab's simulator --------------------------------------------------------------------


def test_identity_and_source_mode():
    with Simulated(metadata_chunk_bytes=37) as instrument:
        meter = opened(instrument)
        try:
            assert meter.identity.driver == "ppk2"
            assert meter.identity.model == "PPK2 HW 2"
            assert meter.identity.emulated
            assert meter.identity.calibration.endswith("END\n")
            meter.configure(SOURCE)
            assert instrument.device.dut_power is False
            meter.set_supply(on=True)
            meter.set_supply(on=False)
            meter.set_supply(on=True)
            assert meter.spec.voltage == "set"
            assert meter.spec.sample_hz == 100_000
            assert meter.spec.logic_inputs == ("D0", "D1", "D2", "D3", "D4", "D5", "D6", "D7")
        finally:
            meter.close()
            meter.close()
        wait_for(lambda: len(instrument.device.command_log) == 11)
        log = [(Opcode(o), p.hex()) for o, p in instrument.device.command_log]
        assert log == [
            (Opcode.STOP_MEASURING, ""),
            (Opcode.SET_DUT_POWER, "00"),
            (Opcode.GET_METADATA, ""),
            (Opcode.SET_DUT_POWER, "00"),
            (Opcode.SET_MODE, "02"),
            (Opcode.SET_SOURCE_VOLTAGE, "0ce4"),
            (Opcode.SET_DUT_POWER, "01"),
            (Opcode.SET_DUT_POWER, "00"),
            (Opcode.SET_DUT_POWER, "01"),
            (Opcode.STOP_MEASURING, ""),
            (Opcode.SET_DUT_POWER, "00"),
        ]


def wait_for(condition, timeout_s=5.0):
    until_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.001)


def test_ampere_mode_closes_the_series_switch():
    with Simulated() as instrument:
        meter = opened(instrument)
        meter.configure(MeterSetup(1.8, supplies=False))
        wait_for(lambda: instrument.device.dut_power)
        assert instrument.device.mode is Mode.AMPERE
        assert instrument.device.vdd_mv == 1800
        assert meter.spec.voltage == "declared"
        meter.close()
        wait_for(lambda: not instrument.device.dut_power)


def test_supply_survives_another_filter_but_not_another_voltage():
    with Simulated() as instrument:
        meter = opened(instrument)
        meter.configure(SOURCE)
        meter.set_supply(on=True)
        meter.configure(MeterSetup(3.3, supplies=True, args=(("filter", "vendor"),)))
        wait_for(lambda: instrument.device.dut_power)
        meter.configure(MeterSetup(3.0, supplies=True))
        wait_for(lambda: instrument.device.vdd_mv == 3000)
        assert not instrument.device.dut_power
        meter.close()


def test_samples_are_what_the_simulator_makes():
    """2 ms of 4 mA, then of 40 uA, D2 with the first: ranges 0 and 2."""
    profile = StepProfile([(200, 4000.0, 4), (200, 40.0, 0)], repeat=True)
    with Simulated(profile=profile) as instrument:
        meter = opened(instrument)
        meter.configure(SOURCE)
        meter.set_supply(on=True)
        chunks, end = captured(meter, 150_000)
        meter.close()
    starts = np.cumsum([0, *(len(c) for c in chunks)])
    assert [c.start for c in chunks] == starts[:-1].tolist()
    current = np.concatenate([c.current_a for c in chunks])
    logic = np.concatenate([c.logic for c in chunks])
    ranges = np.concatenate([c.range for c in chunks])
    valid = np.concatenate([c.valid for c in chunks])
    assert len(current) == end.samples + end.lost
    assert int((~valid).sum()) == end.lost
    assert not [g for g in end.gaps if g.by != "clock"]
    current, logic, ranges = current[valid], logic[valid], ranges[valid]
    busy = np.arange(len(current)) % 400 < 200
    assert np.array_equal(logic == 4, busy)
    assert np.array_equal(ranges, np.where(busy, 2, 0))
    assert current[busy] == pytest.approx(4e-3, rel=1e-3)
    assert current[~busy] == pytest.approx(40e-6, rel=1e-3)
    vendor = np.concatenate([c.vendor_a for c in chunks])[valid]
    assert (vendor != current).mean() == pytest.approx(3 / 200, rel=0.01)
    again = list(DRIVER.decode(b"".join(c.raw for c in chunks), meter.identity, SOURCE, 0))
    assert np.array_equal(np.concatenate([c.current_a for c in again])[valid], current)
    assert chunks[0].voltage_v == 3.3


def test_gaps_of_the_simulator():
    gaps = {20_000: 7, 50_000: 63, 50_100: 1, 90_000: 20}
    with Simulated(profile=ConstantProfile(250.0), gaps=gaps) as instrument:
        meter = opened(instrument)
        meter.configure(SOURCE)
        chunks, end = captured(meter, 120_000)
        meter.close()
    by_counter = [g for g in end.gaps if g.by == "counter"]
    assert [g.samples for g in by_counter] == [7, 63, 1, 20]
    late = end.lost - sum(g.samples for g in by_counter)  # a busy host may look like a loss of 64
    assert by_counter[0].start - 20_000 in range(late + 1)
    valid = np.concatenate([c.valid for c in chunks])
    for gap in end.gaps:
        assert not valid[gap.start : gap.start + gap.samples].any()


def test_two_captures_of_one_meter():
    with Simulated() as instrument:
        meter = opened(instrument)
        meter.configure(SOURCE)
        for _ in range(2):
            chunks, end = captured(meter, 1000)
            assert chunks[0].start == 0
            assert sum(map(len, chunks)) == end.samples + end.lost
        meter.close()


def test_supply_is_off_when_the_meter_is_forgotten():
    with Simulated() as instrument:
        meter = opened(instrument)
        meter.configure(SOURCE)
        meter.set_supply(on=True)
        wait_for(lambda: instrument.device.dut_power)
        del meter
        wait_for(lambda: not instrument.device.dut_power)


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setup", "sentence"),
    [
        (
            MeterSetup(5.5, supplies=True),
            "supply_v 5.5 V is out of its limits, 0.8 V to 5 V; correct supply_v of the board",
        ),
        (
            MeterSetup(0.7, supplies=False),
            "supply_v 0.7 V is out of its limits, 0.8 V to 5 V; correct supply_v of the board",
        ),
        (
            MeterSetup(float("nan"), supplies=True),
            "supply_v nan V is out of its limits, 0.8 V to 5 V; correct supply_v of the board",
        ),
        (
            MeterSetup(3.3, supplies=True, sample_hz=10_000.0),
            "sample_hz 10000 is not possible, it samples at 100000 Hz only; leave sample_hz out",
        ),
    ],
)
def test_impossible_setups(setup, sentence):
    with Simulated() as instrument:
        meter = opened(instrument)
        before = len(instrument.device.command_log)
        with pytest.raises(ConfigError) as caught:
            meter.configure(setup)
        assert len(instrument.device.command_log) == before
        meter.close()
    assert str(caught.value) == f"PPK2 at {instrument.address}: {sentence}"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ((("colour", "red"),), "meter driver ppk2 has no argument 'colour'; known: filter"),
        (
            (("filter", "none"),),
            "meter driver ppk2: filter = 'none'; known: hold (samples after a range switch take the "
            "first settled value), vendor (the running mean of the vendor's app)",
        ),
    ],
)
def test_unknown_arguments(args, sentence):
    with pytest.raises(ConfigError) as caught:
        DRIVER.open_meter(MeterConfig("ppk2", args=args), "/dev/null", 1.0)
    assert str(caught.value) == sentence


def test_order_of_calls():
    with Scripted() as instrument:
        meter = opened(instrument)
        at = f"PPK2 at {instrument.address} "
        for call in (meter.start, lambda: meter.set_supply(on=True)):
            with pytest.raises(MeterError) as caught:
                call()
            assert str(caught.value) == at + "is not configured; configure it"
        for call in (meter.stop, lambda: meter.read(0.1)):
            with pytest.raises(MeterError) as caught:
                call()
            assert str(caught.value) == at + "is not capturing; start it"
        meter.configure(SOURCE)
        meter.start()
        with pytest.raises(MeterError) as caught:
            meter.configure(SOURCE)
        assert str(caught.value) == at + "is capturing; stop it before it is configured"
        with pytest.raises(MeterError) as caught:
            meter.start()
        assert str(caught.value) == at + "is capturing; stop it before"
        meter.close()
        with pytest.raises(MeterError, match="is closed; open it again"):
            meter.configure(MeterSetup(3.0, supplies=True))


# -- faults --------------------------------------------------------------------------------------


def test_stale_stream_at_connect():
    with Scripted(streaming=True) as instrument:
        wait_for(lambda: instrument.count > 500)
        meter = opened(instrument)
        assert meter.identity.calibration == unit.METADATA
        meter.close()


def test_stream_that_does_not_end():
    with Scripted(streaming=True, deaf=True) as instrument, pytest.raises(MeterError) as caught:
        opened(instrument, 0.3)
    said = str(caught.value)
    assert said.startswith(f"PPK2 at {instrument.address} goes on streaming 0.")
    assert said.endswith(f" s after it was told to stop; {AGAIN}")


def test_stop_that_does_not_end(monkeypatch):
    monkeypatch.setattr(DRIVER, "_STOP_S", 0.3)
    with Scripted(deaf=True) as instrument:
        meter = opened(instrument)
        meter.configure(SOURCE)
        meter.start()
        with pytest.raises(MeterError) as caught:
            meter.stop()
        meter.close()
    assert str(caught.value) == (
        f"PPK2 at {instrument.address} goes on streaming 0.3 s after it was told to stop; {AGAIN}"
    )


@pytest.mark.parametrize(
    ("reply", "error", "sentence"),
    [
        (
            b"",
            MeterError,
            " does not answer within 0.3 s when asked for its calibration; " + AGAIN,
        ),
        (
            unit.METADATA[:100].encode(),
            CalibrationError,
            ": calibration stops after 100 bytes without END, limit 0.3 s; unplug it, plug it in "
            "and try again",
        ),
    ],
)
def test_no_calibration(reply, error, sentence):
    with Scripted(reply) as instrument, pytest.raises(error) as caught:
        opened(instrument, 0.3)
    assert str(caught.value) == f"PPK2 at {instrument.address}{sentence}"


def test_calibration_that_cannot_be_true_leaves_the_supply_off():
    with Scripted(unit.METADATA.replace("0.9636", "-nan").encode()) as instrument:
        with pytest.raises(CalibrationError, match="calibration has R3: -nan, but it is between"):
            opened(instrument)
        assert bytes(instrument.heard) == b"\x07\x0c\x00\x19"


def test_stream_that_stops(monkeypatch):
    monkeypatch.setattr(DRIVER, "_SILENT_S", 0.3)
    with Scripted() as instrument:
        meter = opened(instrument)
        meter.configure(SOURCE)
        meter.start()
        wait_for(lambda: instrument.count > 1000)
        instrument.streaming = False
        with pytest.raises(MeterError) as caught:
            read_on(meter)
        meter.close()
    said = str(caught.value)
    assert said.startswith(
        f"PPK2 at {instrument.address} has stopped sending: its last sample is 0."
    )
    assert said.endswith(f" s old, limit 0.3 s; {AGAIN}")


def test_stream_that_never_begins(monkeypatch):
    monkeypatch.setattr(DRIVER, "_SILENT_S", 0.3)
    with Scripted() as instrument:
        meter = opened(instrument)
        meter.configure(SOURCE)
        monkeypatch.setattr(instrument, "say", lambda: b"")
        meter.start()
        assert meter.read(0.01) is None
        with pytest.raises(MeterError, match="no sample since the start") as caught:
            meter.read(5.0)
        meter.close()
    assert str(caught.value).endswith(f" s ago, limit 0.3 s; {AGAIN}")


def test_unplugged():
    with Scripted() as instrument:
        meter = opened(instrument)
        meter.configure(SOURCE)
        meter.start()
        wait_for(lambda: instrument.count > 1000)
        instrument.unplug()
        with pytest.raises(MeterError) as caught:
            read_on(meter)
        meter.close()
    said = str(caught.value)
    assert said.startswith(f"PPK2 at {instrument.address} went away (")
    assert said.endswith("); plug it in; the board has no supply now")
