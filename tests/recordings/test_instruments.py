"""Evidence of the instruments' own codes, captured live from their emulators, gaps included."""

from __future__ import annotations

import numpy as np
import pytest

from hilbench import plugins
from hilbench.power import Marked, MeterSetup, Window
from hilbench.recordings import Spool, load_evidence, write_evidence
from hilbench.records import MeterConfig
from tests.drivers.emulated_meters.conftest import DEADLINE_S, Edges, board

COLUMNS = ("current_a", "logic", "valid", "range", "vendor_a")


def captured(driver, meter, setup, samples):
    """Return the chunks as delivered, and the same capture as a recording."""
    meter.configure(setup)
    meter.set_supply(on=True)
    spool = Spool(meter.identity, meter.spec, setup)
    chunks = []

    def take(chunk):
        if chunk is not None:
            chunks.append(chunk)
            spool.append(chunk)

    meter.start()
    while spool.samples < samples:
        take(meter.read(DEADLINE_S))
    last, end = meter.stop()
    take(last)
    return chunks, spool.finish(end)


def joined(chunks):
    chunks = list(chunks)
    with_vendor = all(c.vendor_a is not None for c in chunks if c.valid.any())
    return {
        name: np.concatenate([
            np.full(len(c), np.nan) if getattr(c, name) is None else getattr(c, name)
            for c in chunks
        ])
        for name in COLUMNS
        if name != "vendor_a" or with_vendor
    }  # fmt: skip


def same(a, b, part=slice(None)):
    assert a.keys() == b.keys()
    for name, values in a.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(b[name][part], values[part], rtol=1e-12, atol=0)
        else:
            np.testing.assert_array_equal(b[name][part], values[part])


GAPS = ("gap:at=31000,samples=64", "gap:at=45000,samples=1", "gap:at=70000,samples=130")


@pytest.mark.parametrize(
    ("driver", "samples", "sample_hz"),
    [("ppk2", 80_000, None), ("lpm01a", 30_000, 50_000.0), ("lpm01a", 1_000, 2_000.0)],
)
def test_codes_of_a_live_capture(tmp_path, request, driver, samples, sample_hz):
    marker, faults = ("D0", GAPS) if driver == "ppk2" else ("D7", ())
    edges = Edges(tmp_path / "edges.txt")
    emulator = plugins.load("emulated_meters", driver)
    options = [word for fault in faults for word in ("--fault", fault)]
    config = board(marker=marker, noise_ma=0.005, idle_ma=0.03, active_ma=20.0, tail_us=100.0)
    process = emulator.start(config, str(edges.path), DEADLINE_S, options)
    request.addfinalizer(process.stop)
    meter = plugins.load("power", driver).open_meter(MeterConfig(driver), process.address, 10.0)
    request.addfinalizer(meter.close)
    edges.zero(in_ms=200)
    for k in range(12):
        edges.window(90 * k, 90 * k + 40)
    setup = MeterSetup(3.0, supplies=True, sample_hz=sample_hz)
    chunks, recording = captured(driver, meter, setup, samples)
    live = joined(chunks)
    assert (live["valid"].sum(), (~live["valid"]).sum()) == (
        recording.end.samples,
        recording.end.lost,
    )
    assert recording.end.lost >= (3 if faults else 0)  # what the counter alone sees
    same(live, joined(recording.chunks()))

    total = len(live["valid"])
    marked = Marked("run", 1, 0.1, 1e-6)
    windows = [
        Window(marked, 0.3 * total, 0.33 * total, "gpio", 0.4),
        Window(marked, 0.7 * total, 0.72 * total, "gpio", 0.4),
    ]
    write_evidence(tmp_path / "e.npz", recording, windows)
    kept = load_evidence(tmp_path / "e.npz")
    again = joined(kept.chunks())
    assert len(again["valid"]) == total
    margin = 0.02 * recording.spec.sample_hz
    for window in windows:
        same(live, again, slice(int(window.start - margin), int(window.end + margin)))
