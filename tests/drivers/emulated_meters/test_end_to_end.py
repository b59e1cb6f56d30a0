"""Our driver on our emulator: charge is the truth, and each fault has its own outcome."""

from __future__ import annotations

from itertools import compress

import numpy as np
import pytest

from hilbench import plugins
from hilbench.errors import CalibrationError, MeterError
from hilbench.power import MeterSetup
from hilbench.records import MeterConfig
from tests.drivers.emulated_meters.conftest import DEADLINE_S, board

SETUP = MeterSetup(supply_v=3.0, supplies=True)
IDLE_A = 5e-3
MARGIN = 400  # samples before and after a window, 4 ms


@pytest.fixture
def opened(start, request):
    """Start an emulated PPK2 and open the product's driver on it."""

    def opened(config=None, *options, timeout_s=DEADLINE_S):
        emulated = start(config or board(noise_ma=0.1), *options)
        meter = plugins.load("power", "ppk2").open_meter(
            MeterConfig("ppk2"), emulated.address, timeout_s
        )
        request.addfinalizer(meter.close)
        meter.configure(SETUP)
        meter.set_supply(on=True)
        return emulated, meter

    return opened


def capture(meter, samples):
    """Return current, validity, D0 of at least so many samples, and the account of the loss."""
    meter.start()
    chunks = []
    while sum(map(len, chunks)) < samples:
        if chunk := meter.read(1.0):
            chunks.append(chunk)
    last, end = meter.stop()
    chunks += [last] if last else []
    assert [chunk.start for chunk in chunks] == np.cumsum([0, *map(len, chunks[:-1])]).tolist()
    fields = (np.concatenate([getattr(c, f) for c in chunks]) for f in ("current_a", "valid"))
    return *fields, np.concatenate([chunk.logic & 1 for chunk in chunks]).astype(bool), end


def counted(end):
    """Losses by the meter's counter, where the meter has them.

    The clock's are no matter for a test: on a busy computer samples are late, and are taken for lost.
    """
    clock = [gap for gap in end.gaps if gap.by == "clock"]
    return [
        (gap.start - sum(c.samples for c in clock if c.start < gap.start), gap.samples)
        for gap in end.gaps
        if gap.by == "counter"
    ]


def test_charge_of_twenty_windows(opened, edges):
    emulated, meter = opened(board(noise_ma=0.1, tail_us=200.0, clock_ppm=300.0))
    edges.zero(in_ms=200)
    for i in range(20):
        edges.window(80 * i, 80 * i + 30 + i)
    current_a, valid, high, end = capture(meter, 200_000)
    truth = emulated.truth()
    assert len(truth) == 20
    assert counted(end) == []
    rises, falls = (np.flatnonzero(np.diff(high.astype(int)) == d) + 1 for d in (1, -1))
    assert len(rises) == len(falls) == 20
    whole = [valid[r - MARGIN : f + MARGIN].all() for r, f in zip(rises, falls, strict=True)]
    assert sum(whole) >= 15
    for rise, fall, told in compress(zip(rises, falls, truth, strict=True), whole):
        assert fall - rise == pytest.approx((told.end_s - told.start_s) * 1e5 * 1.0003, abs=1)
        excess_c = (current_a[rise - MARGIN : fall + MARGIN] - IDLE_A).sum() * 1e-5
        told_c = told.charge_c - IDLE_A * (told.end_s - told.start_s)
        # Noise of n samples, 5 sigma; the clock; what 0.1 mA of noise leaves of a code of 46 uA.
        n = fall - rise + 2 * MARGIN
        bound_c = 5 * 0.1e-3 * np.sqrt(n) * 1e-5 + 300e-6 * told_c + 0.2e-6 * n * 1e-5
        assert excess_c == pytest.approx(told_c, abs=bound_c)
        assert told.energy_j == pytest.approx(3.0 * told.charge_c, rel=1e-12)


def test_gaps_that_the_counter_tells_are_found_exactly(opened):
    """Longer ones are told by the clock: no matter for a test on a busy computer."""
    emulated, meter = opened(None, "--fault", "gaps:count=15,within=75000,longest=63,seed=7")
    _, valid, _, end = capture(meter, 80_000)
    told = [(loss.start, loss.samples) for loss in emulated.log().losses]
    assert len(told) == 15
    assert counted(end) == told
    assert not valid[
        np.concatenate([np.arange(g.start, g.start + g.samples) for g in end.gaps])
    ].any()


def test_a_lost_byte_costs_a_few_samples_in_its_place(opened):
    _, meter = opened(None, "--fault", "lost-byte:at=20000,byte=1")
    current_a, valid, _, end = capture(meter, 50_000)
    ((start, lost),) = counted(end)
    assert start <= 20_000 < start + lost
    assert lost <= 4  # which of four bytes is lost cannot be told
    assert not valid[end.gaps[0].start]
    assert np.nanmax(np.abs(current_a - IDLE_A)) < 1e-3


def test_what_the_driver_gets_over(opened):
    faults = ("stale-stream", "split-metadata:bytes=3", "slow-metadata:ms=200")
    _, meter = opened(None, *(word for fault in faults for word in ("--fault", fault)))
    current_a, _, _, end = capture(meter, 20_000)
    assert counted(end) == []
    assert np.nanmean(current_a) == pytest.approx(IDLE_A, rel=1e-3)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("endless-metadata", "without END"),
        ("nan-calibration:key=GI3", "GI3"),
        ("corrupt-calibration:key=R2,value=0.0", "R2"),
        ("corrupt-calibration:key=R1,value=1e30", "R1"),
    ],
)
def test_calibrations_that_are_refused(opened, fault, words):
    with pytest.raises(CalibrationError, match=words):
        opened(None, "--fault", fault, timeout_s=1.5)


@pytest.mark.parametrize(
    ("fault", "words"),
    [("stopped-stream:at=20000", "has stopped sending"), ("unplug:at=20000", "went away")],
)
def test_streams_that_end(opened, fault, words):
    _, meter = opened(None, "--fault", fault)
    with pytest.raises(MeterError, match=words):
        capture(meter, 10_000_000)


def test_chatter_is_settled_before_it_is_believed(opened):
    _, meter = opened(
        board(idle_ma=20.0, active_ma=30.0),
        "--fault",
        "range-chatter:at=5000,samples=30000,period=50",
    )
    current_a, valid, _, end = capture(meter, 50_000)
    assert counted(end) == []
    # In the top range a code is 0.8 mA.
    assert current_a[valid] == pytest.approx(20e-3, abs=0.5e-3)
