"""What each fault does to the bytes, and that the log knows it exactly."""

from __future__ import annotations

import errno
import time

import numpy as np
import pytest
from ppk2lab.calibration import Calibration
from ppk2lab.protocol.metadata import parse_metadata

from tests.drivers.emulated_meters.conftest import (
    DEADLINE_S,
    RawClient,
    board,
    counters,
    ranges,
)

POWER_ON, START, STOP, METADATA = "0c01", "06", "07", "19"


def lost_by_counter(words):
    """Samples lost before each word but the first, as far as six bits tell."""
    return (np.diff(counters(words)) - 1) % 64


def until(meter, reached):
    """Ask the meter until its log is as wanted."""
    end = time.monotonic() + DEADLINE_S
    while not reached(log := meter.log()):
        assert time.monotonic() < end, log
    return log


def test_without_faults_every_sample_comes(start, connect):
    meter = start()
    client = connect(meter)
    client.send(POWER_ON, START)
    words = client.words(5000)
    client.send(STOP)
    log = until(meter, lambda log: "07" in log.notes)
    words = np.concatenate([words, np.frombuffer(client.rest + client.quiet(), "<u4")])
    assert not lost_by_counter(words).any()
    assert counters(words)[0] == 0
    assert len(words) == log.made == log.delivered
    assert log.losses == ()


def test_random_gaps(start, connect):
    meter = start(None, "--fault", "gaps:count=12,within=12000,longest=63,seed=5")
    client = connect(meter)
    client.send(START)
    words = client.words(12_000)
    seen = lost_by_counter(words)
    told = [loss for loss in meter.log().losses if loss.start < 12_000]
    assert len(told) == 12
    assert len({loss.samples for loss in told}) > 5
    places = np.flatnonzero(seen)
    before = 0
    for place, loss in zip(places, told, strict=True):
        assert (place + 1 + before, seen[place]) == (loss.start, loss.samples)
        before += loss.samples


def test_a_gap_of_64_is_invisible_to_the_counter(start, connect):
    meter = start(None, "--fault", "gap:at=1000,samples=64")
    client = connect(meter)
    client.send(START)
    assert not lost_by_counter(client.words(3000)).any()
    (loss,) = meter.log().losses
    assert (loss.start, loss.samples, loss.why, loss.capture) == (1000, 64, "gap", 1)
    log = meter.log()
    assert log.made == log.delivered + 64


def test_a_lost_byte_shifts_what_follows(start, connect):
    meter = start(None, "--fault", "lost-byte:at=700,byte=2")
    client = connect(meter)
    client.send(START)
    words = client.words(2000)
    assert not lost_by_counter(words[:700]).any()
    shifted = np.frombuffer(words[700:].tobytes()[3:-1], "<u4")
    assert not lost_by_counter(shifted).any()
    assert counters(shifted)[0] == 701 % 64
    (loss,) = meter.log().losses
    assert (loss.start, loss.samples, loss.why) == (700, 1, "lost-byte")


def test_a_stopped_stream_stops_and_the_meter_still_answers(start, connect):
    meter = start(None, "--fault", "stopped-stream:at=500")
    client = connect(meter)
    client.send(START)
    client.words(500)
    assert client.rest + client.quiet() == b""
    client.send(METADATA)
    assert client.text().endswith("END\n")
    (loss,) = meter.log().losses
    assert (loss.start, loss.why) == (500, "stopped-stream")
    assert loss.samples > 0


def test_unplug(start, connect):
    meter = start(None, "--fault", "unplug:at=2000")
    client = connect(meter)
    client.send(START)
    data = b"".join(iter(client.bytes, b""))  # the end of file is a PTY's hang-up
    assert len(data) <= 8000
    with pytest.raises(OSError, match="Input/output error") as caught:
        client.send(STOP)
    assert caught.value.errno == errno.EIO
    assert meter.truth() == ()
    assert meter.log().delivered == 2000


def test_a_stale_stream_is_there_before_the_client(start, connect):
    meter = start(None, "--fault", "stale-stream")
    client = connect(meter)
    assert len(client.words(3000)) == 3000
    client.send(STOP)
    client.rest = b""
    client.quiet()
    client.send(METADATA)
    assert client.text().startswith("Calibrated: 0\n")


def test_metadata_in_pieces(start, connect):
    meter = start(None, "--fault", "split-metadata:bytes=5", "--fault", "slow-metadata:ms=50")
    client = connect(meter)
    client.send(METADATA)
    pieces = [client.bytes()]
    while not b"".join(pieces).endswith(b"END\n"):
        pieces.append(client.bytes())
    assert len(pieces) > 3
    assert parse_metadata(b"".join(pieces).decode()).missing_cal_ranges() == []


def test_metadata_without_end(start, connect):
    client = connect(start(None, "--fault", "endless-metadata"))
    client.send(METADATA)
    assert client.quiet().endswith(b"IA: 56\n")


def test_calibration_that_cannot_be(start, connect):
    faults = ("--fault", "nan-calibration:key=GI1", "--fault", "corrupt-calibration:key=R3,value=0")
    client = connect(start(None, *faults))
    client.send(METADATA)
    lines = client.text().splitlines()
    assert "GI1: -nan" in lines
    assert "R3: 0" in lines


def test_range_chatter(start, connect):
    meter = start(None, "--fault", "range-chatter:at=100,samples=60,period=10")
    client = connect(meter)
    client.send(POWER_ON)
    until(meter, lambda log: log.notes)
    client.send(START)
    seen = ranges(client.words(300))
    settled = seen[299]
    up = settled + 1
    assert set(seen[:100]) == {settled}
    assert seen[100:160].tolist() == ([up] * 10 + [settled] * 10) * 3
    assert set(seen[160:]) == {settled}


def test_bounce_is_in_the_pin_and_not_in_the_truth(start, connect, edges):
    edges.zero(in_ms=0)
    for i in range(500):
        edges.window(40 * i, 40 * i + 20)
    meter = start(None, "--fault", "marker-bounce:times=4,us=100,seed=3")
    client = connect(meter)
    client.send(START)
    pin = client.words(20_000) >> 24 & 1
    pulses = np.count_nonzero(np.diff(pin.astype(int)) == 1)
    assert pulses > 12  # of 5 windows; each edge bounces 4 times, some faster than a sample
    assert all(w.end_s - w.start_s == pytest.approx(0.020, abs=1e-6) for w in meter.truth())


def test_a_spurious_pulse(start, connect):
    client = connect(start(None, "--fault", "spurious-pulse:at=1500,samples=5"))
    client.send(START)
    assert np.flatnonzero(client.words(3000) >> 24 & 1).tolist() == list(range(1500, 1505))


def test_a_board_without_power_draws_nothing(start, connect, edges):
    edges.window(0, 20)
    meter = start(None, "--fault", "unpowered")
    client = connect(meter)
    client.send(METADATA)
    calibration = Calibration.from_metadata(parse_metadata(client.text()))
    client.send(POWER_ON, START)
    words = client.words(1000)
    shown = [calibration.convert(w & 0x3FFF, 0) for w in words.tolist()]
    assert set(ranges(words)) == {0}
    assert max(map(abs, shown)) < 0.03  # uA, half a code
    until(meter, lambda _: meter.truth())
    assert meter.truth()[0].charge_c == 0


def test_a_client_that_does_not_read_loses_samples_and_the_counter_runs(start, connect):
    meter = start(None, "--fifo-bytes", "4096")
    client = connect(meter)
    client.send(START)
    until(meter, lambda log: log.losses and log.losses[0].samples > 10_000)
    client.send(STOP)
    log = until(meter, lambda log: "07" in log.notes)
    words = np.frombuffer(client.quiet(), "<u4")
    lost = sum(loss.samples for loss in log.losses)
    assert len(words) == log.delivered == log.made - lost
    assert {loss.why for loss in log.losses} == {"overflow"}
    assert not lost_by_counter(words[: log.losses[0].start]).any()
    assert lost_by_counter(words).sum() == sum(loss.samples % 64 for loss in log.losses[:-1])


def test_after_a_range_switch_three_samples_are_unsettled(start, connect, edges):
    edges.zero(in_ms=0)
    for i in range(2000):
        edges.window(10 * i, 10 * i + 5)
    meter = start(board(idle_ma=0.02, active_ma=12.0))
    client = connect(meter)
    client.send(METADATA)
    calibration = Calibration.from_metadata(parse_metadata(client.text()))
    client.send(POWER_ON, START)
    words = client.words(8000)[2000:]
    seen = ranges(words)
    current_ua = np.array(
        [calibration.convert(w & 0x3FFF, w >> 14 & 7, 3000) for w in words.tolist()]
    )
    ups = np.flatnonzero((seen[1:5000] == 3) & (seen[:4999] < 3)) + 1
    assert len(ups) >= 4
    for up in ups:
        # The first sample's share of the step is by the phase of the edge.
        assert current_ua[up + 1 : up + 3] == pytest.approx([15000, 13500], abs=23)
        assert current_ua[up + 3 : up + 100] == pytest.approx(12000, abs=23)


def test_power_goes_when_the_port_is_closed(start):
    meter = start()
    client = RawClient(meter.address)
    client.send(POWER_ON)
    until(meter, lambda log: log.notes == ("0c 01",))
    client.close()
    assert until(meter, lambda log: len(log.notes) > 1).notes[-1] == "power off"
