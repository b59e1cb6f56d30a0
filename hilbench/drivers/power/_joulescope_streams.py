"""Streams of a Joulescope, each at its own pace, on one time line.

A message has ``sample_id``, the tick of its first sample, and ``decimate_factor``, ticks per sample;
its next sample is the next message's, unless ``sample_id`` jumps. Lost samples are such jumps or NaN;
the digital streams know no NaN. Ref: pyjoulescope_driver, ``jsdrv_stream_signal_s``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import MeterError
from hilbench.power import Chunk, Gap

_SILENT_S = 2.0  # of the others' samples, without one of this stream
_JUMP_LIMIT_S = 60.0
_BITS = 8
# The last byte of a digital message may be filled up: its last bits wait for the next message.
_FILL_BITS = 7


@dataclass
class _Stream:
    """What has arrived and is not delivered yet."""

    name: str
    digital: bool
    decimate: int = 0  # 0: nothing has arrived
    end: int = 0  # tick behind the last sample
    parts: list[tuple[int, NDArray[Any]]] = field(default_factory=list)  # first tick, samples

    @property
    def certain_end(self) -> int:
        return self.end - _FILL_BITS * self.decimate if self.digital else self.end


class Streams:
    """Messages in, chunks out. The grid is that of the current stream."""

    def __init__(self, gpi: Sequence[str], sample_hz: float, where: str) -> None:
        """``gpi``: digital streams, in the order of the logic bits."""
        self._where, self._sample_hz = where, sample_hz
        self._current = _Stream("i", digital=False)
        self._voltage = _Stream("v", digital=False)
        self._gpi = [_Stream(f"gpi/{index}", digital=True) for index in gpi]
        self._all = {s.name: s for s in (self._current, self._voltage, *self._gpi)}
        self._tick: int | None = None  # of the next sample that is delivered
        self._rate_hz = 0
        self._logic = 0  # of the last sample
        self.position = 0
        self.lost = 0
        self.gaps: list[Gap] = []

    def add(self, name: str, message: Mapping[str, Any]) -> None:
        """Take a message of a stream: "i", "v" or "gpi/N".

        Raises:
            MeterError: its rate is not the one that was asked for, or it goes back in time.
        """
        stream = self._all[name]
        decimate, rate_hz = int(message["decimate_factor"]), int(message["sample_rate"])
        data, start = message["data"], int(message["sample_id"])
        self._check_rate(stream, decimate, rate_hz)
        samples: NDArray[Any] = (
            np.unpackbits(np.asarray(data, np.uint8), bitorder="little")
            if stream.digital
            else np.asarray(data, np.float32)
        )
        first = stream.decimate == 0
        stream.decimate = decimate
        if not len(samples):
            return
        if not first:
            self._check_step(stream, start)
        end = start + len(samples) * decimate
        self._cut(stream, start)
        stream.parts.append((start, samples))
        stream.end = max(stream.end, end)

    def take(self) -> Chunk | None:
        """Return the samples of which every stream has told, as one chunk.

        Raises:
            MeterError: one stream is silent while the others go on.
        """
        self._check_silent()
        if any(not s.parts and s.end == 0 for s in self._all.values()):
            return None
        step = self._current.decimate
        if self._tick is None:
            first = max(s.parts[0][0] for s in self._all.values())
            phase = self._current.parts[0][0]
            self._tick = phase + -(-(first - phase) // step) * step
        tick = self._tick
        count = min(-(-(s.certain_end - tick) // step) for s in self._all.values())
        return self._deliver(tick, count, step) if count > 0 else None

    def _deliver(self, tick: int, count: int, step: int) -> Chunk:
        current, told = self._sampled(self._current, tick, count, step)
        voltage, has = self._sampled(self._voltage, tick, count, step)
        told &= has
        bits = []
        for stream in self._gpi:
            level, has = self._sampled(stream, tick, count, step)
            told &= has
            bits.append(level)
        valid = told & ~np.isnan(current) & ~np.isnan(voltage)
        logic = np.zeros(count, np.uint8)
        for bit, level in enumerate(bits):
            logic |= (level << bit).astype(np.uint8)
        logic = _held(logic, valid, self._logic)
        self._note(~told, "counter")
        self._note(told & ~valid, "meter")
        current[~valid] = np.nan
        chunk = Chunk(
            start=self.position,
            current_a=current.astype(np.float64),
            voltage_v=voltage.astype(np.float64),
            logic=logic,
            valid=valid,
            range=np.zeros(count, np.uint8),
        )
        self._logic = int(logic[-1])
        self.position += count
        self.lost += int(count - np.count_nonzero(valid))
        self._tick = tick + count * step
        for stream in self._all.values():
            stream.parts = [p for p in stream.parts if _end(stream, p) > self._tick]
        return chunk

    def _sampled(
        self, stream: _Stream, tick: int, count: int, step: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return a stream's samples on the grid, and where it has told any.

        Of a stream that is faster than the grid, the first sample of each period counts.
        """
        out = np.zeros(count, np.uint8) if stream.digital else np.full(count, np.nan, np.float32)
        told = np.zeros(count, np.bool_)
        for start, samples in stream.parts:
            low = max(0, -(-(start - tick) // step))
            high = min(count, -(-(start + len(samples) * stream.decimate - tick) // step))
            if low >= high:
                continue
            first = (tick + low * step - start) // stream.decimate
            if stream.decimate == step:
                out[low:high] = samples[first : first + high - low]
            else:
                ticks = tick - start + np.arange(low, high) * step
                out[low:high] = samples[ticks // stream.decimate]
            told[low:high] = True
        return out, told

    def _note(self, lost: NDArray[np.bool_], by: Literal["counter", "meter"]) -> None:
        steps = np.flatnonzero(np.diff(np.concatenate(([False], lost, [False])).astype(np.int8)))
        for low, high in steps.reshape(-1, 2).tolist():
            start, samples = self.position + low, high - low
            last = next((g for g in reversed(self.gaps) if g.by == by), None)
            if last is not None and last.start + last.samples == start:
                self.gaps.remove(last)
                start, samples = last.start, last.samples + samples
            self.gaps.append(Gap(start, samples, by))

    def _cut(self, stream: _Stream, start: int) -> None:
        """Leave out what a new message tells again: fill bits of the one before."""
        while stream.parts and _end(stream, stream.parts[-1]) > start:
            begin, samples = stream.parts.pop()
            kept = -(-(start - begin) // stream.decimate)
            if kept > 0:
                stream.parts.append((begin, samples[:kept]))
                return

    def _check_rate(self, stream: _Stream, decimate: int, rate_hz: int) -> None:
        if stream.decimate not in (0, decimate) or self._rate_hz not in (0, rate_hz):
            raise MeterError(
                f"the Joulescope {self._where} changes the rate of {stream.name} during the capture; "
                f"close the program that does this and capture again"
            )
        self._rate_hz = rate_hz
        if stream.digital or rate_hz / decimate == self._sample_hz:
            return
        raise MeterError(
            f"the Joulescope {self._where} delivers {stream.name} at {rate_hz / decimate:g} Hz where "
            f"{self._sample_hz:g} Hz is asked for; close the program that changes it, or ask for "
            f"another sample_hz"
        )

    def _check_step(self, stream: _Stream, start: int) -> None:
        jump_s = (start - stream.end) / self._rate_hz
        if jump_s < -1.0:
            raise MeterError(
                f"the Joulescope {self._where} goes back in time by {-jump_s:.1f} s in {stream.name}: "
                f"it has restarted; capture again"
            )
        if jump_s > _JUMP_LIMIT_S:
            raise MeterError(
                f"the Joulescope {self._where} leaves out {jump_s:.0f} s of {stream.name}, more than "
                f"{_JUMP_LIMIT_S:g} s; capture again"
            )

    def _check_silent(self) -> None:
        if not self._rate_hz:
            return
        begin = self._tick
        if begin is None:
            begin = min(s.parts[0][0] for s in self._all.values() if s.parts)
        ends = {s.name: max(s.end, begin) for s in self._all.values()}
        behind = min(ends, key=lambda name: ends[name])
        late_s = (max(ends.values()) - ends[behind]) / self._rate_hz
        if late_s > _SILENT_S:
            raise MeterError(
                f"the Joulescope {self._where} has sent nothing of {behind} for {late_s:.1f} s while "
                f"other streams go on; use fewer inputs (gpi), or another USB port"
            )


def _end(stream: _Stream, part: tuple[int, NDArray[Any]]) -> int:
    return part[0] + len(part[1]) * stream.decimate


def _held(logic: NDArray[np.uint8], valid: NDArray[np.bool_], before: int) -> NDArray[np.uint8]:
    """Give every lost sample the level of the last one that is not."""
    if valid.all():
        return logic
    last = np.maximum.accumulate(np.where(valid, np.arange(len(logic)), -1))
    held: NDArray[np.uint8] = np.where(last >= 0, logic[np.maximum(last, 0)], before)
    return held.astype(np.uint8)
