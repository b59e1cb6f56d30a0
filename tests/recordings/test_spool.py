"""Captures on the disk and in memory read back as they were delivered."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hilbench import plugins
from hilbench.errors import MeterError, StoreError
from hilbench.power import CaptureEnd, Chunk
from hilbench.recordings import InMemory, Spool, account, spool
from tests.recordings import counting_meter as meter


def same(a, b):
    assert a.start == b.start
    assert a.raw == b.raw
    for name in ("current_a", "logic", "valid", "range"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_array_equal(a.voltage_v, b.voltage_v)


def spooled(chunks, end, spec=meter.SPEC):
    capture = Spool(meter.IDENTITY, spec, meter.SETUP)
    for chunk in chunks:
        capture.append(chunk)
    return capture.finish(end)


def plain(start, n, **changes):
    values = {
        "current_a": np.linspace(0, 1e-3, n),
        "voltage_v": 3.0,
        "logic": np.zeros(n, np.uint8),
        "valid": np.ones(n, bool),
        "range": np.zeros(n, np.uint8),
    }
    return Chunk(start, **(values | changes))


@pytest.mark.parametrize("block", [1, 3000, 1 << 17])
@pytest.mark.parametrize("chunk", [3, 37, 700, 5000])
def test_codes_decode_to_what_was_delivered_wherever_blocks_end(monkeypatch, block, chunk):
    monkeypatch.setattr(plugins, "load", meter.load)
    monkeypatch.setattr(spool, "BLOCK_SAMPLES", block)
    monkeypatch.setattr(spool, "CONTEXT_SAMPLES", 64)
    gaps = [(5, 3), (699, 1), (700, 40), (1401, 64), (8000, 128)]
    chunks, end = meter.capture(
        1, 9000 if chunk > 3 else 3000, chunk, gaps[: 4 if chunk == 3 else 5]
    )
    recording = spooled(chunks, end)
    assert recording.end == end
    for _ in range(2):  # again and again
        again = list(recording.chunks())
        assert len(again) == len(chunks)
        for a, b in zip(again, chunks, strict=True):
            same(a, b)


def test_two_readers_do_not_disturb_each_other(monkeypatch):
    monkeypatch.setattr(plugins, "load", meter.load)
    chunks, end = meter.capture(2, 5000, 100)
    recording = spooled(chunks, end)
    for a, b, chunk in zip(recording.chunks(), recording.chunks(), chunks, strict=True):
        same(a, chunk)
        same(b, chunk)


def test_samples_without_codes_are_kept_as_they_are():
    rng = np.random.default_rng(3)
    chunks = [
        plain(0, 5, voltage_v=rng.normal(3, 0.1, 5)),
        plain(5, 2, voltage_v=rng.normal(3, 0.1, 2), logic=np.array([1, 3], np.uint8)),
        plain(7, 1, current_a=np.array([np.nan]), valid=np.array([False]), voltage_v=np.ones(1)),
        plain(8, 300, voltage_v=rng.normal(3, 0.1, 300)),
    ]
    spec = dataclasses.replace(meter.SPEC, voltage="measured")
    recording = spooled(chunks, account(chunks), spec)
    for a, b in zip(recording.chunks(), chunks, strict=True):
        if b.valid.any():
            same(dataclasses.replace(a, raw=b""), b)
        else:
            assert np.isnan(a.current_a).all()
            assert not a.valid.any()
            assert a.logic.tolist() == [3]  # of a lost sample: the last
            assert np.isnan(a.voltage_v).all()


def test_lost_samples_at_the_end_need_no_codes(monkeypatch):
    monkeypatch.setattr(plugins, "load", meter.load)
    chunks, end = meter.capture(4, 1000, 300)
    lost = plain(1000, 50, current_a=np.full(50, np.nan), valid=np.zeros(50, bool))
    again = list(spooled([*chunks, lost], end).chunks())
    assert again[-1].start == 1000
    assert not again[-1].valid.any()
    same(again[0], chunks[0])


def test_a_capture_may_be_empty():
    assert list(spooled([plain(0, 0)], account([])).chunks()) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda c: spooled(c, account(c)),
        lambda c: InMemory(meter.IDENTITY, meter.SPEC, meter.SETUP, c),
    ],
)
def test_a_hole_between_chunks_is_the_drivers_fault(make):
    with pytest.raises(MeterError) as error:
        make([plain(0, 10), plain(11, 5)])
    assert str(error.value) == (
        "a chunk begins at sample 11, the one before it ended at 10; the driver must deliver lost "
        "samples, too (valid False, NaN)"
    )


def test_codes_always_or_never(monkeypatch):
    capture = Spool(meter.IDENTITY, meter.SPEC, meter.SETUP)
    capture.append(plain(0, 1, raw=b"abcd"))
    with pytest.raises(MeterError) as error:
        capture.append(plain(1, 1))
    assert str(error.value) == (
        "counting gave no codes with sample 1, but with earlier ones; a driver gives them always "
        "or never"
    )


def test_another_decoder_is_noticed(monkeypatch):
    monkeypatch.setattr(plugins, "load", meter.load)
    recording = spooled([plain(0, 3, raw=bytes(8))], account([]))
    with pytest.raises(MeterError) as error:
        list(recording.chunks())
    assert str(error.value) == (
        "counting decodes 2 samples from codes that were 3 samples from 0 on; the file is of "
        "another version of the driver, or damaged"
    )


def test_a_full_disk_is_told(monkeypatch):
    capture = Spool(meter.IDENTITY, meter.SPEC, meter.SETUP)
    monkeypatch.setattr(spool.tempfile, "gettempdir", lambda: "/somewhere")

    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

    capture._codes.file = Full()
    with pytest.raises(StoreError) as error:
        capture.append(plain(0, 1))
    assert str(error.value) == (
        "a capture cannot be spooled (No space left on device); free the disk below /somewhere, or "
        "set TMPDIR to another one"
    )


def test_no_folder_to_spool_in(tmp_path):
    with pytest.raises(StoreError, match=r"cannot be spooled \(No such file or directory\)"):
        Spool(meter.IDENTITY, meter.SPEC, meter.SETUP, tmp_path / "absent")


def test_account_joins_gaps_across_chunks():
    lost = {"current_a": np.full(2, np.nan), "valid": np.zeros(2, bool)}
    part = {"current_a": np.array([np.nan, 1, np.nan]), "valid": np.array([False, True, False])}
    chunks = [plain(0, 3), plain(3, 2, **lost), plain(5, 3, **part), plain(8, 2)]
    end = account(chunks)
    assert (end.samples, end.lost) == (6, 4)
    assert [(g.start, g.samples, g.by) for g in end.gaps] == [(3, 3, "meter"), (7, 1, "meter")]
    memory = InMemory(meter.IDENTITY, meter.SPEC, meter.SETUP, chunks)
    assert memory.end == end
    assert [c.start for c in memory.chunks()] == [0, 3, 5, 8]
    assert isinstance(memory.end, CaptureEnd)
