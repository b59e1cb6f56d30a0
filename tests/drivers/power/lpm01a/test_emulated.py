"""Our LPM01A driver on the emulated instrument, which was written from ST's text by other hands."""

from __future__ import annotations

import numpy as np
import pytest

from hilbench.drivers.emulated_meters import lpm01a as emulated
from hilbench.drivers.power import lpm01a
from hilbench.errors import MeterError
from hilbench.power import MeterSetup
from hilbench.records import MeterConfig
from tests.drivers.emulated_meters.conftest import DEADLINE_S, Edges, board


@pytest.fixture
def edges(tmp_path):
    return Edges(tmp_path / "edges.txt")


@pytest.fixture
def meet(edges, request):
    """Start an emulated LPM01A and open it."""

    def meet(*faults, sample_hz=None, args=(), **current):
        config = board(marker="D7", **current)
        options = [word for fault in faults for word in ("--fault", fault)]
        process = emulated.start(config, str(edges.path), DEADLINE_S, options)
        request.addfinalizer(process.stop)
        meter = lpm01a.open_meter(MeterConfig("lpm01a"), process.address, 5.0)
        request.addfinalizer(meter.close)
        meter.configure(MeterSetup(3.3, supplies=True, sample_hz=sample_hz, args=args))
        meter.set_supply(on=True)
        return process, meter

    return meet


def pulses(edges, period_ms, high_ms, count):
    edges.zero(in_ms=0)
    for i in range(count):
        edges.window(period_ms * i, period_ms * i + high_ms)


def capture(meter, samples):
    meter.start()
    chunks = []
    while sum(map(len, chunks)) < samples:
        chunk = meter.read(DEADLINE_S)
        assert chunk is not None
        chunks.append(chunk)
    last, end = meter.stop()
    chunks += [last] if last is not None else []
    joined = {
        name: np.concatenate([getattr(c, name) for c in chunks])
        for name in ("current_a", "logic", "valid")
    }
    assert end.samples + end.lost == len(joined["valid"])
    again = list(lpm01a.decode(b"".join(c.raw for c in chunks), meter.identity, SETUP(meter), 0))
    current = np.concatenate([c.current_a for c in again])
    assert np.array_equal(current, joined["current_a"], equal_nan=True)
    return joined, end


def SETUP(meter):  # noqa: N802 - what the meter was configured with
    spec = meter.spec
    energy = (("output", "energy"),) if "energies" in spec.source else ()
    return MeterSetup(3.3, supplies=True, sample_hz=spec.sample_hz, args=energy)


def windows(joined, around):
    """Rises and falls of D7 with so many samples around them."""
    steps = np.diff(joined["logic"].astype(int))
    rises, falls = np.flatnonzero(steps == 1) + 1, np.flatnonzero(steps == -1) + 1
    falls = falls[falls > rises[0]]
    pairs = zip(rises, falls, strict=False)
    return [(r, f) for r, f in pairs if r > around and f + around < len(joined["logic"])]


def test_window_charge_is_what_was_injected(meet, edges):
    pulses(edges, 50, 20, 400)
    process, meter = meet()
    joined, end = capture(meter, 5000)
    assert joined["valid"].all()
    assert end.rate_hz == pytest.approx(5000, rel=0.2)
    found = windows(joined, 20)
    assert len(found) >= 15
    truth = process.truth()[-1].charge_c - 5e-3 * 0.020
    for rise, fall in found:
        excess_c = (joined["current_a"][rise - 20 : fall + 20] - 5e-3).sum() / 5000
        assert excess_c == pytest.approx(truth, rel=1e-3)
        assert abs((fall - rise) - 100) <= 1  # D7 is known to one sample
    assert process.log().losses == ()


def test_energy_mode_carries_the_same_charge(meet, edges):
    pulses(edges, 50, 20, 400)
    process, meter = meet(sample_hz=1000, args=(("output", "energy"),))
    joined, _ = capture(meter, 1000)
    truth = process.truth()[-1].energy_j - 3.3 * 5e-3 * 0.020
    found = windows(joined, 10)
    assert len(found) >= 10
    for rise, fall in found:
        excess_j = 3.3 * (joined["current_a"][rise - 10 : fall + 10] - 5e-3).sum() / 1000
        assert excess_j == pytest.approx(truth, rel=2e-3)


def test_binary_gaps_are_holes_in_the_right_place(meet, edges):
    pulses(edges, 50, 20, 400)
    faults = ("gap:at=4321,samples=64", "gap:at=20999,samples=2", "lost-byte:at=41500")
    process, meter = meet(*faults, sample_hz=100_000)
    joined, end = capture(meter, 60_000)
    lost = {loss.start: loss.samples for loss in process.log().losses}
    assert lost[4321] == 64
    assert lost[20999] == 2
    blocks = [(g.start, g.samples) for g in end.gaps]
    for hole in ((4000, 1000), (20_000, 2000), (41_000, 1000)):
        assert hole in blocks
    invalid = np.zeros(len(joined["valid"]), bool)
    for start, samples in blocks:
        invalid[start : start + samples] = True
    assert np.array_equal(~joined["valid"], invalid)
    # The levels go on in phase: 20 ms of 12 mA in every 50 ms.
    current = joined["current_a"]
    high = np.flatnonzero(np.diff((current > 8e-3).astype(int)) == 1)
    high = high[joined["valid"][high]]  # not the end of a hole
    assert len(high) >= 8
    assert np.isin((high - high[0]) % 5000, [4999, 0, 1]).all()
    known = current[~np.isnan(current)].round(6)
    between = ~np.isin(known, [0.005005, 0.011993])
    assert between.sum() <= 2 * len(high) + 2  # the sample that an edge is in


@pytest.mark.parametrize(
    ("fault", "hz", "says"),
    [
        (
            "overcurrent",
            5000,
            "the LPM01A at PTY has cut the supply at {t} s: overcurrent (it trips at 59 mA; it "
            "measures up to 50 mA); use a meter with a higher range, or look for a short circuit",
        ),
        (
            "one-event-kind",
            5000,
            "the LPM01A at PTY tells two ris events of D7 in a row at {t} s: its firmware tells one "
            "kind of edge only, so that the pin's level is unknown; set events = 'none' and find "
            "windows by their pulse pattern",
        ),
        (
            "unplug:at=1500",
            5000,
            "the LPM01A at PTY went away ({t}); is its cable plugged in?",
        ),
    ],
)
def test_faults(meet, edges, fault, hz, says):
    pulses(edges, 50, 20, 400)
    process, meter = meet(fault, sample_hz=hz)
    with pytest.raises(MeterError) as error:
        capture(meter, 50_000)
    text = str(error.value).replace(process.address, "PTY")
    before, after = says.split("{t}")
    assert text.startswith(before)
    assert text.endswith(after)


def test_bounce_and_an_unpowered_board(meet, edges):
    """Bounces are told as they are; a board without power draws nothing, and that is told too."""
    pulses(edges, 50, 20, 400)
    _, meter = meet("marker-bounce:times=3,us=400,seed=2", "unpowered")
    joined, _ = capture(meter, 2000)
    assert not joined["current_a"].any()
    assert np.diff(joined["logic"].astype(int)).any()


def test_old_firmware(edges, request):
    options = ("--fault", "old-firmware")
    process = emulated.start(board(marker="D7"), str(edges.path), DEADLINE_S, options)
    request.addfinalizer(process.stop)
    with pytest.raises(MeterError) as error:
        lpm01a.open_meter(MeterConfig("lpm01a"), process.address, 5.0)
    assert "has firmware 1.0.3, which cannot switch the supply off" in str(error.value)


def test_a_link_to_a_pty_hides_no_program(edges, tmp_path, request):
    process = emulated.start(board(marker="D7"), str(edges.path), DEADLINE_S)
    request.addfinalizer(process.stop)
    link = tmp_path / "ttyLPM01A"
    link.symlink_to(process.address)
    meter = lpm01a.open_meter(MeterConfig("lpm01a"), str(link), 5.0)
    request.addfinalizer(meter.close)
    assert meter.identity.emulated
