"""How fast the samples of a PPK2 are decoded, and how near to the vendor's library.

The same words through both, in one process: 100 range switches a second, 2 % noise. Ours in pieces
of 640 ms: aligned, checked against the counter, calibrated, held forward at range switches, with the
vendor's filter beside it. ppk2-api in pieces of 4 KiB, which is what it reads at once. CPU time;
best of several, and the median.

    python benchmarks/energy_decode.py
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import ppk2_api.ppk2_api as vendor

from hilbench.drivers.emulated_meters import _ppk2_codes as codes
from hilbench.drivers.power._ppk2_align import Aligner
from hilbench.drivers.power._ppk2_calibration import parse, table
from hilbench.drivers.power._ppk2_decode import Decoder, Filter

SUPPLY_V = 3.0
SOURCE_METER = 2
SAMPLES = 3_200_000  # 32 s
VENDOR_SAMPLES = 200_000
BLOCK_BYTES = 640 * 100 * 4  # 640 ms
VENDOR_BLOCK_BYTES = 4096
REPEATS = 5
PERIOD, BUSY = 2000, 500  # samples: up and down again, 100 switches a second
SPIKE = 0.5  # of the first unsettled sample
RATE_GOAL = 20e6
RATIO_GOAL = 50.0
DIFFERENCE_GOAL = 1e-6


def words() -> bytes:
    """Return samples of 20 uA, and 90 mA for 5 ms of every 20 ms."""
    rng = np.random.default_rng(1)
    busy = np.arange(SAMPLES) % PERIOD < BUSY
    current_a = np.where(busy, 90e-3, 20e-6) * (1 + 0.02 * rng.standard_normal(SAMPLES))
    ranges, reading_a = codes.Ranges(SPIKE).follow(current_a, None)
    return codes.encode(reading_a, ranges, busy.astype(np.uint8), 0, SUPPLY_V).tobytes()


def ours(raw: bytes, metadata: str, filter_: Filter) -> tuple[float, Any]:
    """Return CPU seconds and the currents."""
    decoder = Decoder(table(parse(metadata.encode(), "bench"), SUPPLY_V), filter_)
    aligner = Aligner("bench")
    begun_s = time.process_time()
    currents = [
        decoder.feed(aligner.feed(raw[k : k + BLOCK_BYTES])).current_a
        for k in range(0, len(raw), BLOCK_BYTES)
    ]
    spent_s = time.process_time() - begun_s
    currents += [decoder.feed(aligner.feed(b"", last=True)).current_a, decoder.end().current_a]
    return spent_s, np.concatenate(currents)


def theirs(raw: bytes, metadata: str) -> tuple[float, Any]:
    """Return CPU seconds and the currents of ppk2-api."""

    class NoPort:
        def close(self) -> None:
            pass

    real, vendor.serial.Serial = vendor.serial.Serial, lambda *_a, **_k: NoPort()
    try:
        api = vendor.PPK2_API("")
    finally:
        vendor.serial.Serial = real
    api._parse_metadata(metadata)  # noqa: SLF001 - its only other way is a port
    api.current_vdd = round(SUPPLY_V * 1000)
    begun_s = time.process_time()
    currents: list[float] = []
    for k in range(0, len(raw), VENDOR_BLOCK_BYTES):
        currents += api.get_samples(raw[k : k + VENDOR_BLOCK_BYTES])[0]
    return time.process_time() - begun_s, np.array(currents) * 1e-6


def rates(samples: int, run: Callable[[], tuple[float, Any]]) -> list[float]:
    """Return samples per CPU second of several runs."""
    return [samples / run()[0] for _ in range(REPEATS)]


def measure() -> dict[str, object]:
    """Return figures and whether they meet the goals."""
    raw = words()
    metadata = codes.metadata(round(SUPPLY_V * 1000), SOURCE_METER, [1.0] * 5, {}) + "END\n"
    head = raw[: VENDOR_SAMPLES * 4]
    expected_a = theirs(head, metadata)[1]
    difference = float(np.abs(ours(head, metadata, "vendor")[1] / expected_a - 1).max())
    fast = rates(SAMPLES, lambda: ours(raw, metadata, "hold"))
    slow = rates(VENDOR_SAMPLES, lambda: theirs(head, metadata))
    ratio = statistics.median(fast) / statistics.median(slow)
    return {
        "samples_per_s": max(fast),
        "samples_per_s_median": statistics.median(fast),
        "ppk2_api_samples_per_s": max(slow),
        "ppk2_api_samples_per_s_median": statistics.median(slow),
        "ratio": ratio,
        "difference": difference,
        "samples_per_s_goal": RATE_GOAL,
        "ratio_goal": RATIO_GOAL,
        "difference_goal": DIFFERENCE_GOAL,
        "met": statistics.median(fast) >= RATE_GOAL
        and ratio >= RATIO_GOAL
        and difference <= DIFFERENCE_GOAL,
    }


if __name__ == "__main__":
    figures = measure()
    print(json.dumps(figures, indent=2))
    sys.exit(not figures["met"])
