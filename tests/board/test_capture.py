"""The capture thread against a meter in this process: what it keeps, and what it says went wrong."""

from __future__ import annotations

import math
import re
import threading
import time
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hilbench.board import capture as capture_module
from hilbench.board.capture import Capture
from hilbench.errors import MeterError, StoreError
from hilbench.power import CaptureEnd, Chunk
from hilbench.recordings import Spool
from tests.board.live_meter import IDENTITY, RATE_HZ, SETUP, SPEC, UNPLUGGED, LiveMeter

LIMIT_S = 20.0


def capture_of(meter, on_figures=None):
    return Capture(meter, Spool(meter.identity, meter.spec, SETUP), on_figures)


def start_and_stop(capture):
    """A fault in the thread meets one of both."""
    capture.start(LIMIT_S)
    capture.stop()


def test_what_was_delivered_is_the_recording():
    meter = LiveMeter(supplied=True, lost=(100, 130))
    capture = capture_of(meter)
    capture.start(LIMIT_S)
    capture.wait(0.05)
    capture.check()
    recording = capture.stop()
    assert meter.diary == ["start", "stop"]
    valid = np.concatenate([c.valid for c in recording.chunks()])
    current = np.concatenate([c.current_a for c in recording.chunks()])
    assert len(valid) == recording.end.samples + recording.end.lost
    assert np.flatnonzero(~valid).tolist() == list(range(100, 130))
    assert (current[valid] == 5e-3).all()
    assert np.isnan(current[~valid]).all()


def test_what_happened_before_stop_is_in_it_however_late_it_is_delivered():
    meter = LiveMeter(latency_s=0.3)
    capture = capture_of(meter)
    capture.start(LIMIT_S)
    stopped_s = time.monotonic() - meter.began_s
    recording = capture.stop()
    assert (recording.end.samples + recording.end.lost) / RATE_HZ >= stopped_s


def test_nothing_is_captured_after_it_was_abandoned():
    meter = LiveMeter(latency_s=0.3)
    capture = capture_of(meter)
    capture.start(LIMIT_S)
    stopped_s = time.monotonic() - meter.began_s
    assert capture.abandon() is None
    assert meter.diary == ["start", "stop"]
    assert not meter.capturing
    assert meter.at / RATE_HZ < stopped_s  # the late rest was not waited for


def test_an_unplugged_meter_is_told_to_whoever_waits():
    meter = LiveMeter(ends_at=500, unplugged=True)
    capture = capture_of(meter)
    capture.start(LIMIT_S)
    for _ in range(2):  # as often as somebody asks
        with pytest.raises(MeterError, match=re.escape(UNPLUGGED)):
            capture.wait(LIMIT_S)
    with pytest.raises(MeterError, match=re.escape(UNPLUGGED)):
        capture.check()
    with pytest.raises(MeterError, match=re.escape(UNPLUGGED)):
        capture.stop()
    assert str(capture.abandon()) == UNPLUGGED
    assert meter.diary == ["start", "stop"]  # it may have been a lesser fault: it is told to stop


def test_a_meter_that_refuses_to_start():
    refusal = MeterError("meter L1: busy; end the other program")
    meter = LiveMeter(refuses={"start": refusal})
    capture = capture_of(meter)
    with pytest.raises(MeterError, match="busy; end the other program"):
        capture.start(LIMIT_S)
    assert meter.diary == ["start"]


def test_a_meter_that_fails_at_the_end_has_measured_nothing():
    meter = LiveMeter(refuses={"stop": MeterError("meter L1: does not stop; unplug it")})
    capture = capture_of(meter)
    capture.start(LIMIT_S)
    with pytest.raises(MeterError, match="does not stop; unplug it"):
        capture.stop()


def test_a_silent_meter():
    meter = LiveMeter(ends_at=0)
    capture = capture_of(meter)
    sentence = (
        "meter L1 at /dev/live: no sample within 0.2 s of its start; unplug it and plug it in again"
    )
    with pytest.raises(MeterError, match=re.escape(sentence)):
        capture.start(0.2)
    assert meter.diary == ["start", "stop"]


@pytest.mark.parametrize("how", ["wait", "stop"])
def test_a_stream_that_stops(how, monkeypatch):
    monkeypatch.setattr(capture_module, "_SILENT_S", 0.2)
    monkeypatch.setattr(capture_module, "_READ_S", 0.05)
    meter = LiveMeter(ends_at=1500)
    capture = capture_of(meter)
    capture.start(LIMIT_S)
    sentence = (
        r"meter L1 at /dev/live: its stream stopped \d\.\d s ago, after 1,500 samples; unplug it and "
        "plug it in again"
    )
    with pytest.raises(MeterError, match=sentence):
        capture.wait(LIMIT_S)
    with pytest.raises(MeterError, match=sentence):
        capture.stop()


def test_a_stream_that_stops_just_before_stop(monkeypatch):
    """Nothing comes any more, and the time line does not reach the moment of stop()."""
    monkeypatch.setattr(capture_module, "_SILENT_S", 0.3)
    meter = LiveMeter(ends_at=1)
    capture = capture_of(meter)
    capture.start(LIMIT_S)
    with pytest.raises(MeterError, match=r"its stream stopped .* after 1 samples"):
        capture.stop()


def test_a_meter_that_hangs(monkeypatch):
    monkeypatch.setattr(capture_module, "_STOP_S", 0.2)
    meter = LiveMeter()
    returns = threading.Event()

    def hang(_):
        returns.wait(LIMIT_S)
        raise MeterError("at last")

    capture = capture_of(meter)
    capture.start(LIMIT_S)
    meter.read = hang
    sentence = "meter L1 at /dev/live: did not stop within 0.2 s; unplug it and plug it in again"
    with pytest.raises(MeterError, match=re.escape(sentence)):
        capture.stop()
    returns.set()
    assert str(capture.abandon()) == "at last"


def test_a_mistake_of_ours_surfaces_where_the_capture_is_waited_for():
    def mistaken(_):
        raise ZeroDivisionError

    meter = LiveMeter()
    capture = capture_of(meter, mistaken)
    with pytest.raises(ZeroDivisionError):
        start_and_stop(capture)
    assert meter.diary == ["start", "stop"]


def test_a_full_disk_ends_it_with_its_own_sentence():
    class Full:
        closed = False

        def append(self, chunk):
            raise StoreError("a capture cannot be spooled (disk full); free the disk")

        def close(self):
            self.closed = True

    meter, spool = LiveMeter(), Full()
    capture = Capture(meter, spool)
    with pytest.raises(StoreError, match="disk full"):
        start_and_stop(capture)
    assert spool.closed
    assert meter.diary == ["start", "stop"]


@pytest.mark.parametrize("voltage_v", [3.3, (3.3,)])  # set, and measured with every sample
def test_live_figures(voltage_v):
    seen = []
    meter = LiveMeter(supplied=True, lost=(0, 700), voltage_v=voltage_v)
    capture = capture_of(meter, seen.append)
    capture.start(LIMIT_S)
    while not seen or seen[-1].samples < 2000:
        capture.wait(0.01)
    end = capture.stop().end
    assert math.isnan(seen[0].current_a) or seen[0].samples > 0  # lost samples have no mean
    assert [f.samples for f in seen] == sorted(f.samples for f in seen)
    last = seen[-1]
    assert (last.samples, last.lost) == (end.samples, end.lost) == (end.samples, 700)
    assert last.current_a == pytest.approx(5e-3)
    assert last.power_w == pytest.approx(16.5e-3)
    assert last.rate_hz == pytest.approx(last.samples / last.elapsed_s)


class Fast:
    """Ten thousand samples at every look; the current counts the looks."""

    chunk_samples = 10_000

    def __init__(self, chunks):
        self.identity, self.spec = IDENTITY, replace(SPEC, sample_hz=1e9)
        self.left, self.at = chunks, 0

    def start(self):
        pass

    def read(self, timeout_s):
        if self.left == 0:
            raise MeterError("all was read")
        self.left -= 1
        n, start = self.chunk_samples, self.at
        self.at += n
        none = np.zeros(n, np.uint8)
        return Chunk(start, np.full(n, start / n), 3.3, none, np.ones(n, bool), none)

    def stop(self):
        return None, CaptureEnd(self.at, 0, (), None, None)


def test_memory_does_not_grow_with_the_capture():
    def peak_bytes(chunks):
        capture = capture_of(Fast(chunks), lambda _: None)
        tracemalloc.start()
        try:
            capture.start(LIMIT_S)
            with pytest.raises(MeterError, match="all was read"):
                capture.wait(LIMIT_S)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    short, long = peak_bytes(20), peak_bytes(400)
    assert long < short + 500_000  # of 4 million samples, 40 MB and more


def test_live_figures_are_of_the_last_second(monkeypatch):
    """Not of the whole capture: a person waits for a board to fall asleep."""
    clock = iter(np.arange(0, 100, 0.25))  # told once for each chunk
    clocks = SimpleNamespace(monotonic=lambda: float(next(clock)))
    monkeypatch.setattr(capture_module, "time", clocks)
    seen = []
    capture = capture_of(Fast(12), seen.append)
    capture._read_all()  # in this thread: the clock is ours
    assert str(capture._error) == "all was read"
    assert [f.elapsed_s for f in seen[-5:]] == [2.0, 2.25, 2.5, 2.75, 3.0]
    assert seen[-1].current_a == np.mean([7, 8, 9, 10, 11])
