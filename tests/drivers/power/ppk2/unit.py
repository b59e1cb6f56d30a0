"""A PPK2 as it came out of the factory, its words, and how they arrive at a host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import ppk2_api.ppk2_api as vendor
import pytest

from hilbench.drivers.power import _ppk2_calibration as calibration
from hilbench.drivers.power import _ppk2_words as w
from hilbench.drivers.power._ppk2_stream import Stream

METADATA = """Calibrated: 0
R0: 1003.3506
R1: 101.5865
R2: 10.3027
R3: 0.9636
R4: 0.0564
GS0: 0.0000
GS1: 112.7890
GS2: 18.0115
GS3: 2.4217
GS4: 0.0729
GI0: 1.0000
GI1: 0.9695
GI2: 0.9609
GI3: 0.9519
GI4: 0.9582
O0: 112.9420
O1: 75.4627
O2: 64.6020
O3: 50.4983
O4: 87.2177
VDD: 3000
HW: 9173
mode: 2
S0: 0.000000048
S1: 0.000000596
S2: 0.000005281
S3: 0.000062577
S4: 0.002940743
I0: -0.000000104
I1: -0.000001443
I2: 0.000036439
I3: -0.000374119
I4: -0.009388455
UG0: 1.00
UG1: 1.00
UG2: 1.00
UG3: 1.00
UG4: 1.00
IA: 56
END
"""
SUPPLY_V = 3.3


def table():
    return calibration.table(calibration.parse(METADATA.encode(), "here"), SUPPLY_V)


def words(ranges, adc, logic=0, first=0):
    """Words of successive samples."""
    ranges, adc = np.asarray(ranges, np.uint32), np.asarray(adc, np.uint32)
    counter = (first + np.arange(len(ranges), dtype=np.uint32)) & 63
    top = np.asarray(logic, np.uint32) << 24
    return (adc | ranges << 14 | counter << 18 | top).astype(w.DTYPE)


def random_words(rng, n, longest=12):
    """Words with random codes and logic, and a range that changes every 1 to ``longest`` samples."""
    ranges = np.repeat(rng.integers(0, 5, n), rng.integers(1, longest + 1, n))[:n]
    return words(ranges, rng.integers(0, 1 << 14, n), rng.integers(0, 256, n))


def vendor_samples(raw, metadata=METADATA, supply_v=SUPPLY_V):
    """What ppk2-api makes of bytes: A, and logic."""

    class NoPort:
        baudrate = 0

        def close(self):
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vendor.serial, "Serial", lambda *_a, **_k: NoPort())
        api = vendor.PPK2_API("nowhere")
    assert api._parse_metadata(metadata)
    api.current_vdd = round(supply_v * 1000)
    samples, logic = api.get_samples(raw)
    return np.array(samples) * 1e-6, np.array(logic)


@dataclass(frozen=True)
class Look:
    data: bytes
    before_s: float
    after_s: float


def arrivals(rng, seconds, gaps=(), rate_error=0.0, stall=0.001):
    """How a stream with gaps arrives: USB frames of 1 ms, a host that looks every 5 ms or later.

    Args:
        gaps: (first sample, samples) on the true time line.
        stall: probability that a look comes 20 ms to 150 ms late.

    Returns:
        The looks, and how many samples there were, lost ones included.
    """
    hz = 1e5 * (1 + rate_error)
    index = np.arange(int(seconds * hz))
    kept = np.ones(len(index), bool)
    for first, count in gaps:
        kept[first : first + count] = False
    raw = words(np.full(len(index), 2), index % (1 << 14))[kept]
    frame_s, phase_s = 1e-3, rng.uniform(0, 1e-3)
    taken_s = (index[kept] + 1) / hz
    arrived_s = np.ceil((taken_s - phase_s) / frame_s) * frame_s + phase_s + 50e-6
    origin_s = rng.uniform(0, 1e5)
    looks, sent, now_s = [], 0, 0.0
    while sent < len(raw):
        now_s += 0.005 + rng.exponential(2e-4)
        if rng.random() < 0.01:
            now_s += rng.exponential(5e-3)
        if rng.random() < stall:
            now_s += rng.uniform(0.02, 0.15)
        for waits in (False, True):
            if waits:
                if sent == len(raw) or arrived_s[sent] - now_s > 2e-3:
                    break
                now_s = max(now_s, arrived_s[sent]) + rng.exponential(60e-6)
            put_off_s = rng.exponential(1e-5 if rng.random() > 0.02 else 2e-3)
            there = int(np.searchsorted(arrived_s, now_s, "right"))
            if there > sent:
                times = origin_s + now_s, origin_s + now_s + put_off_s
                looks.append(Look(raw[sent:there].tobytes(), *times))
                sent = there
            now_s += put_off_s
    return looks, len(index)


def received(looks, rate_hz=None):
    """What the driver's stream makes of looks: words, and its account."""
    stream = Stream("here", rate_hz)
    parts = []
    for k, look in enumerate(looks):
        stream.add(look.data, look.before_s, look.after_s)
        if k % 40 == 0:
            parts.append(stream.take())
    parts.append(stream.take(last=True))
    return np.concatenate(parts), stream.end()
