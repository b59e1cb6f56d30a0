"""A capture: a thread that reads the meter, keeps the codes, and tells figures while it runs."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hilbench.errors import HilbenchError, MeterError
from hilbench.interfaces import PowerMeter
from hilbench.power import CaptureEnd, Chunk, Recording
from hilbench.recordings import Spool

_READ_S = 0.25
_SILENT_S = 3.0
_STOP_S = 10.0
_AFTER_S = 0.1  # captured after stop() was asked for: what happened before it is on its way still
_FIGURES_S = 1.0  # over which live figures are taken


@dataclass(frozen=True)
class LiveFigures:
    """What a person watches while a capture runs."""

    elapsed_s: float
    samples: int
    lost: int
    rate_hz: float  # samples delivered over host time
    current_a: float  # mean of the last second; NaN before the first sample
    power_w: float


class Capture:
    """One capture from start() to stop(). The thread is the only one that touches the meter.

    Args:
        meter: configured, and its supply as it shall be.
        spool: keeps the chunks.
        on_figures: told after every chunk, in the capture's thread.
    """

    def __init__(
        self,
        meter: PowerMeter,
        spool: Spool,
        on_figures: Callable[[LiveFigures], None] | None = None,
    ) -> None:
        self._meter = meter
        self._spool = spool
        self._on_figures = on_figures
        self._stopping = threading.Event()
        self._running = threading.Event()
        # Not the thread's join(): interrupted, it may call a running thread ended (CPython 3.11).
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._end: CaptureEnd | None = None
        self._recent: deque[tuple[float, int, float, float]] = deque()  # time, n, sum i, sum p
        self._samples = self._lost = 0
        self._began_s = self._until_s = 0.0  # host time of the start; when it shall end, from there
        self._thread = threading.Thread(target=self._read_all, name="meter", daemon=True)

    def start(self, timeout_s: float) -> None:
        """Return when the first samples are here: nothing before them can be measured.

        Raises:
            MeterError: it refuses, is unplugged, or sends nothing within ``timeout_s``.
        """
        self._thread.start()
        if not self._running.wait(timeout_s) and self._error is None:
            self._stopping.set()
            self._ended.wait(_STOP_S)
            raise MeterError(
                f"meter {self._meter.identity.model} at {self._meter.identity.address}: no sample "
                f"within {timeout_s:g} s of its start; unplug it and plug it in again"
            )
        self.check()

    def check(self) -> None:
        """Raise what ended the capture early; nothing while it runs."""
        if self._error is not None:
            raise self._error

    def wait(self, seconds: float) -> None:
        """Let it run for a while.

        Raises:
            MeterError: it failed.
        """
        self._ended.wait(seconds)
        self.check()

    def stop(self) -> Recording:
        """End the capture.

        Raises:
            MeterError: it failed on the way: what was read until then is no measurement.
        """
        self._until_s = time.monotonic() - self._began_s + _AFTER_S
        self._stopping.set()
        self._ended.wait(_STOP_S)
        self.check()
        if self._end is None:
            raise MeterError(
                f"meter {self._meter.identity.model} at {self._meter.identity.address}: did not "
                f"stop within {_STOP_S:g} s; unplug it and plug it in again"
            )
        return self._spool.finish(self._end)

    def abandon(self) -> BaseException | None:
        """End a capture that nobody wants any more; return what had ended it early, if anything."""
        self._stopping.set()
        self._ended.wait(_STOP_S)
        self._spool.close()
        return self._error

    def _read_all(self) -> None:
        try:
            self._meter.start()
            try:
                self._read_until_over()
                last, end = self._meter.stop()
            except BaseException:  # the meter may live: let it not stream into the next capture
                with contextlib.suppress(HilbenchError, OSError):
                    self._meter.stop()
                raise
            if last is not None:
                self._take(last, time.monotonic() - self._began_s)
            self._end = end
        except BaseException as error:  # noqa: BLE001 - raised where the capture is waited for
            self._error = error
            self._spool.close()
        finally:
            self._ended.set()
            self._running.set()

    def _read_until_over(self) -> None:
        heard_s = self._began_s = time.monotonic()
        while not self._is_over(heard_s):
            chunk = self._meter.read(_READ_S)
            now_s = time.monotonic()
            if chunk is not None:
                heard_s = now_s
                self._take(chunk, now_s - self._began_s)
            elif now_s - heard_s > _SILENT_S:
                raise MeterError(
                    f"meter {self._meter.identity.model} at {self._meter.identity.address}: "
                    f"its stream stopped {now_s - heard_s:.1f} s ago, after {self._samples:,} "
                    f"samples; unplug it and plug it in again"
                )

    def _is_over(self, heard_s: float) -> bool:
        """Stop when the time line has come to the moment of stop(), or nothing comes any more."""
        if not self._stopping.is_set():
            return False
        spec = self._meter.spec
        slow = (
            1 if math.isnan(spec.clock_limit) else 1 + spec.clock_limit
        )  # the meter's clock may be
        seen_s = (self._samples + self._lost) / spec.sample_hz
        return seen_s >= self._until_s * slow or time.monotonic() - heard_s > _SILENT_S

    def _take(self, chunk: Chunk, elapsed_s: float) -> None:
        self._spool.append(chunk)
        valid = chunk.valid
        count = int(valid.sum())
        self._samples += count
        self._lost += len(chunk) - count
        self._running.set()
        if self._on_figures is None:
            return
        current = chunk.current_a[valid]
        voltage = chunk.voltage_v if isinstance(chunk.voltage_v, float) else chunk.voltage_v[valid]
        recent = self._recent
        recent.append((elapsed_s, count, float(current.sum()), float((current * voltage).sum())))
        while elapsed_s - recent[0][0] > _FIGURES_S:
            recent.popleft()
        n, sum_i, sum_p = (sum(entry[k] for entry in recent) for k in (1, 2, 3))
        self._on_figures(
            LiveFigures(
                elapsed_s=elapsed_s,
                samples=self._samples,
                lost=self._lost,
                rate_hz=self._samples / elapsed_s if elapsed_s > 0 else np.nan,
                current_a=sum_i / n if n else np.nan,
                power_w=sum_p / n if n else np.nan,
            )
        )
