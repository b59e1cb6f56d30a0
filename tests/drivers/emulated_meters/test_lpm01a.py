"""The emulated LPM01A, by a client that was made from the protocol's text."""

from __future__ import annotations

import time

import numpy as np
import pytest

from hilbench.drivers.emulated_meters import lpm01a
from tests.drivers.emulated_meters.conftest import DEADLINE_S, board
from tests.drivers.emulated_meters.lpm_client import LpmClient

VOLT = 3.3
QUICK = ("--fault", "calibration:ms=20")


def a_board(**current):
    return board(marker="D7", **current)


@pytest.fixture
def meet(start, request):
    """Start an emulated LPM01A and connect to it."""

    def meet(config=None, *options):
        quick = () if any("calibration" in o for o in options) else QUICK
        # 1.5 s for each voltage is the instrument's; most tests are not about that.
        meter = start(config or a_board(), *quick, *options, module=lpm01a)
        client = LpmClient(meter.address)
        request.addfinalizer(client.close)
        client.commands("htc")
        return meter, client

    return meet


def pulses(edges, period_ms=40, high_ms=10, count=1500):
    edges.zero(in_ms=0)
    lines = (
        (edges.ns(period_ms * i + at), level)
        for i in range(count)
        for at, level in ((0, 1), (high_ms, 0))
    )
    edges.path.write_text("".join(f"{ns} {level}\n" for ns, level in lines))


def test_ascii_current_with_events(meet, edges):
    pulses(edges)
    meter, client = meet()
    client.commands("pwr on", "format ascii_dec", "output current", "freq 5k", "acqtime inf")
    client.commands("eventsrc d7 ris", "eventsrc d7 fal", "trigdelay 0", "pwrend on")
    made = client.acquire(2500)
    values = np.array(made.values)
    assert set(np.unique(values).round(9)) >= {5e-3, 12e-3}
    assert [number for _, number, _ in made.events] == list(range(len(made.events)))
    rises = [at for at, _, word in made.events if word == "ris"]
    falls = [at for at, _, word in made.events if word == "fal"]
    assert len(rises) >= 10
    truth = meter.truth()
    pairs = [(r, f) for r in rises for f in falls if f - r in (49, 50, 51) and r > 40]
    pairs = [(r, f) for r, f in pairs if f + 40 < len(values)]
    assert len(pairs) >= 9
    for rise, fall in pairs:
        excess = (values[rise - 40 : fall + 40] - 5e-3).sum() / 5000
        # Half of the fourth digit of each sample that is not round, two per pulse.
        assert excess == pytest.approx(truth[-1].charge_c - 5e-3 * 0.010, abs=2 * 5e-6 / 5000)
    assert truth[-1].energy_j == pytest.approx(VOLT * 12e-3 * 0.010, rel=1e-6)
    assert [(at, ms) for at, ms, _ in made.stamps] == [
        (1000 * i, 200 * i) for i in range(len(made.stamps))
    ]
    assert "Acquisition completed" in made.words
    assert "summary beg" in made.words


def test_one_kind_of_event_is_called_ris(meet, edges):
    pulses(edges)
    _, client = meet()
    client.commands("freq 1k", "acqtime inf", "eventsrc d7 fal")
    made = client.acquire(300)
    assert {word for _, _, word in made.events} == {"ris"}
    values = np.array(made.values)
    for at, _, _ in made.events:
        if 5 <= at < len(values) - 5:
            assert values[at - 3] == pytest.approx(12e-3)
            assert values[at + 3] == pytest.approx(5e-3)


def test_energy_is_reset_with_each_sample(meet, edges):
    pulses(edges)
    meter, client = meet()
    client.commands("volt 2000m", "output energy", "freq 1k", "acqtime inf")
    client.commands("eventsrc d7 ris", "eventsrc d7 fal")
    made = client.acquire(400)
    values = np.array(made.values)
    idle_j, active_j = 2.0 * 5e-3 / 1000, 2.0 * 12e-3 / 1000
    assert values.min() == pytest.approx(idle_j, rel=1e-3)
    assert values.max() == pytest.approx(active_j, rel=1e-3)
    rises = [at for at, _, word in made.events if word == "ris" and 10 <= at < len(values) - 30]
    sums = [values[at - 10 : at + 30].sum() - 40 * idle_j for at in rises]
    told = meter.truth()[-1].energy_j - 10 * idle_j
    assert len(sums) >= 5
    assert sums == pytest.approx([told] * len(sums), abs=2 * 5e-9)


def test_binary_at_full_rate(meet, edges):
    pulses(edges)
    meter, client = meet()
    client.commands("format bin_hexa", "freq 100k", "acqtime inf", "pwr on")
    client.commands("acqtime 300m")
    made = client.acquire(None, binary=True)
    assert len(made.values) == 30_000
    assert [(at, ms) for at, ms, _ in made.stamps] == [(1000 * i, 10 * i) for i in range(30)]
    # 12-bit mantissas: 5 mA is 1312 / 16**4 / 4 ...
    lsb = 16.0**-4
    assert made.values[0] == round(made.values[0] / lsb) * lsb
    levels = np.array(made.values)
    assert levels.min() == pytest.approx(round(5e-3 / lsb) * lsb)
    assert levels.max() == pytest.approx(round(12e-3 / lsb) * lsb)
    assert made.words.startswith("\xf0\xf4\xff\xff")
    assert meter.log().losses == ()


def test_static_mode_gives_one_average(meet):
    _, client = meet(a_board(idle_ma=5.0))
    client.commands("acqmode stat", "acqtime 200m", "freq 1k", "pwr on")
    made = client.acquire(None)
    assert made.values == [pytest.approx(5e-3)]
    assert made.stamps == []


def test_an_acquisition_that_waits_for_d7(meet, edges):
    meter, client = meet()
    client.commands("trigsrc d7", "acqtime 20m", "freq 5k", "pwr on")
    edges.zero(in_ms=300)
    edges.window(0, 10)
    made = client.acquire(None)
    assert made.values[:50] == [pytest.approx(12e-3)] * 50
    assert made.values[50:] == [pytest.approx(5e-3)] * 50
    assert len(meter.truth()) == 1


def test_a_stale_pwrend_gives_a_valid_file_of_an_unpowered_board(meet):
    _, client = meet(None, "--fault", "stale-pwrend")
    client.commands("acqtime 100m", "freq 1k")
    unpowered = client.acquire(None)
    assert unpowered.values == [0.0] * 100
    assert "error" not in unpowered.words
    client.commands("pwr on", "pwrend on")
    assert client.acquire(None).values == [pytest.approx(5e-3)] * 100


def test_power_follows_the_first_run_and_pwrend(meet):
    _, client = meet()
    assert client.command("pwr get") == "off"
    client.commands("acqtime 10m", "freq 1k", "pwrend off")
    assert client.acquire(None).values == [pytest.approx(5e-3)] * 10
    assert client.command("pwr get") == "off"
    assert client.acquire(None).values == [0.0] * 10  # not the first run any more
    client.commands("pwr on")
    assert client.command("pwr get") == "on"


def test_volt_and_the_calibration_that_follows(meet):
    meter, client = meet(None, "--fault", "calibration:ms=300")
    client.commands("volt 1800m")
    client.tell("volt get")
    assert meter.log().notes[-1] == "volt 1800m"  # the next waits for the calibration
    assert "1800-03" in client.text(end=b"\r\n\r\n")
    client.commands("volt 2-0")
    assert client.command("volt get") == "2000-03"


def test_commands(meet):
    _, client = meet()
    for command, answer in (
        ("version", "1.0.6"),
        ("powershield", "PowerShield present: 0123456789ABCDEF01234567"),
        ("status", "ok"),
        ('lcd 1 "  hello  "', ""),
        ("freq 100k", ""),
        ("freq 300", "error: Argument is no sampling frequency"),
        ("volt 1", "error: Argument out of range 1.8 to 3.3"),
        ("volt high", "error: Argument is no number"),
        ("acqmode fast", "error: Argument must be one of dyn, stat"),
        ("acqtime 101", "error: Argument out of range 0 to 100"),
        ("eventsrc d2 ris", "error: Arguments must be d7 and one of ris, fal"),
        ("make coffee", "error: Command unknown"),
    ):
        assert client.command(command) == answer


def test_what_the_line_cannot_carry(meet):
    _, client = meet()
    client.commands("freq 20k", "acqtime 1")
    assert client.command("start") == (
        "error: Acquisition time too long for format and sampling frequency"
    )
    client.commands("output energy", "acqtime 100m")
    assert client.command("start") == "error: Sampling frequency too high for output energy"


def test_an_old_firmware(meet):
    _, client = meet(None, "--fault", "old-firmware")
    assert client.command("version") == "1.0.3"
    assert client.command("pwr off") == "error: Not possible"


def test_gaps_leave_the_stamps_alone(meet):
    meter, client = meet(None, "--fault", "gap:at=1500,samples=70")
    client.commands("freq 5k", "acqtime 500m")
    made = client.acquire(None)
    assert len(made.values) == 2500 - 70
    assert [(at, ms) for at, ms, _ in made.stamps] == [(0, 0), (1000, 200), (1930, 400)]
    (loss,) = meter.log().losses
    assert (loss.start, loss.samples, loss.why) == (1500, 70, "gap")


def test_overcurrent_takes_the_power_away(meet):
    meter, client = meet(None, "--fault", "overcurrent:at=500")
    client.commands("format bin_hexa", "freq 10k", "acqtime inf")
    client.command("start")
    data = client.rest
    while not data.endswith(b"\xf0\xf5\xff\xff"):
        data += client.bytes()
    assert len(client.parsed(data, binary=True).values) == 500
    assert client.command("pwr get") == "off"
    assert meter.log().delivered == 500


def test_a_client_that_does_not_read_loses_samples_and_the_stamps_run(meet):
    meter, client = meet(None, "--fifo-bytes", "4096")
    client.commands("format bin_hexa", "freq 100k", "acqtime inf")
    client.command("start")
    end = time.monotonic() + DEADLINE_S
    while sum(loss.samples for loss in meter.log().losses) < 20_000:
        assert time.monotonic() < end
    client.tell("stop")
    data = client.rest
    while b"summary end" not in data:
        data += client.bytes()
    made, log = client.parsed(data, binary=True), meter.log()
    lost = sum(loss.samples for loss in log.losses)
    assert len(made.values) == log.delivered == log.made - lost
