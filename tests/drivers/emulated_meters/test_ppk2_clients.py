"""The emulated PPK2, by clients that were written for the real one."""

from __future__ import annotations

import time

import numpy as np
import pytest
from ppk2_api.ppk2_api import PPK2_API
from ppk2lab import PPK2, Mode
from ppk2lab.transport.serial import SerialTransport
from ppk2lab.types import GapEvent

from tests.drivers.emulated_meters.conftest import DEADLINE_S, board

LSB_3_A = 46e-6  # of the range from 5 to 60 mA


def windows_of(current_a, high):
    """Excess charge over 5 mA of each pulse: its edges' samples may lie anywhere."""
    rises = np.flatnonzero(np.diff(high.astype(int)) == 1) + 1
    margin = 200
    whole = [r for r in rises if r >= margin and r + 500 + margin <= len(high)]
    return [(current_a[r - margin : r + 500 + margin] - 5e-3).sum() * 1e-5 for r in whole]


def charge_is_true(excess_c, truth):
    """Compare 5 ms pulses of 7 mA over idle with the truth, within half a code."""
    assert len(excess_c) >= 8
    for one in truth[-5:]:  # earlier ones may have been before the power
        assert one.charge_c == pytest.approx((one.end_s - one.start_s) * 12e-3, rel=1e-9)
    told = truth[-1].charge_c - 5e-3 * (truth[-1].end_s - truth[-1].start_s)
    assert np.mean(excess_c) == pytest.approx(told, abs=LSB_3_A / 2 * 5e-3 + 400e-5 * 2.2e-6)


def pulses(edges, count=3000):  # for a minute, however slow the computer
    edges.zero(in_ms=0)
    lines = ((edges.ns(20 * i + at), level) for i in range(count) for at, level in ((0, 1), (5, 0)))
    edges.path.write_text("".join(f"{ns} {level}\n" for ns, level in lines))


def test_ppk2_api(start, edges):
    pulses(edges)
    meter = start(board(idle_ma=5.0, tail_us=30.0))
    client = PPK2_API(meter.address, timeout=1, write_timeout=1, exclusive=True)
    assert client.get_modifiers()
    assert client.modifiers["R"]["4"] == 0.05721
    client.use_source_meter()
    client.set_source_voltage(3300)
    client.toggle_DUT_power("ON")
    client.start_measuring()
    current_ua, bits = [], []
    end = time.monotonic() + DEADLINE_S
    while len(current_ua) < 30_000 and time.monotonic() < end:
        if data := client.get_data():
            samples, raw_bits = client.get_samples(data)
            current_ua += samples
            bits += raw_bits
    client.stop_measuring()
    high = np.array(client.digital_channels(bits)[0]) == 1
    current_a = np.array(current_ua) * 1e-6
    charge_is_true(windows_of(current_a, high), meter.truth())
    assert np.count_nonzero(high[:28_000]) == pytest.approx(7000, abs=500)  # 14 periods, any phase
    log = meter.log()
    assert log.losses == ()
    assert log.notes[:5] == ("19", "11 02", "0d 0ce4", "0c 01", "06")


def test_ppk2lab(start, edges):
    pulses(edges)
    meter = start(board(), "--fault", "gap:at=8000,samples=50", "--fault", "gap:at=9001,samples=1")
    with PPK2.open(transport=SerialTransport(meter.address)) as device:
        device.set_mode(Mode.SOURCE)
        assert not device.set_source_voltage_mv(3300).warnings
        device.set_dut_power(on=True)
        gaps, blocks = [], []
        stream = device.stream()
        with stream as events:
            for event in events:
                (gaps if isinstance(event, GapEvent) else blocks).append(event)
                if sum(len(block.adc) for block in blocks) >= 30_000:
                    break
        truth = meter.truth()  # closing takes the power away
        current_ua = [x for block in blocks for x in device.calibration.convert_block(block, 3300)]
    high = np.array([bit & 1 for block in blocks for bit in block.logic], bool)
    assert [(gap.index, gap.missing) for gap in gaps] == [(8000, 50), (9001, 1)]
    losses = [(loss.start, loss.samples, loss.why) for loss in meter.log().losses]
    assert losses == [(8000, 50, "gap"), (9001, 1, "gap")]
    # Away from the gaps, which shorten the list.
    charge_is_true(windows_of(np.array(current_ua[9200:]) * 1e-6, high[9200:]), truth)


def test_metadata_follow_the_client(start):
    meter = start()
    with PPK2.open(transport=SerialTransport(meter.address)) as device:
        assert device.metadata.terminated
        assert device.metadata.vdd_mv == 3000
        device.set_mode(Mode.AMPERE)
        device.set_source_voltage_mv(1800)
        device.set_user_gain(2, 1.25)
        metadata = device.refresh_metadata()
    assert (metadata.vdd_mv, metadata.mode) == (1800, 1)
    assert metadata.cal_value("UG", 2) == 1.25
    assert metadata.missing_cal_ranges() == []
