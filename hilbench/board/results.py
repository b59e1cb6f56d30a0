"""Add up the RUNs of one ``BoardClient.run`` into one result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilbench.protocol.jobs import RunJob
from hilbench.protocol.messages import RunDone
from hilbench.records import RunResult


class Batches:
    """Sums over RUNs; outputs by vector."""

    def __init__(self, vectors: int, output_bytes: int) -> None:
        self.vectors = 0
        self._outputs = np.zeros((vectors, output_bytes), np.uint8)
        self._ticks: list[NDArray[np.uint32]] = []
        self._ticks_complete = True
        self._done: list[RunDone] = []
        self._cold_ticks: int | None = None
        self._equal = True

    def add(self, job: RunJob) -> None:
        """Take a finished RUN of whole vectors."""
        self._take(job)
        if job.outputs:
            rows = np.frombuffer(job.outputs, np.uint8).reshape(job.run.slots, -1)
            self._outputs[self.vectors : self.vectors + job.run.slots] = rows
        self.vectors += job.run.slots

    def add_vector(self, jobs: list[RunJob], warm_up: int) -> None:
        """Take the RUNs of one vector, an inference each (a board without slots)."""
        timed = []
        for job in jobs:
            if job.inferences_done:
                timed.append(job)
            elif job.result is not None and not job.repeats:
                self._cold_ticks = job.result.cold_ticks
        timed = timed[warm_up:]
        for job in timed:
            self._take(job)
            self._equal = self._equal and job.outputs == timed[0].outputs
        if timed[-1].outputs:
            self._outputs[self.vectors] = np.frombuffer(timed[-1].outputs, np.uint8)
        self.vectors += 1

    def _take(self, job: RunJob) -> None:
        done = job.result
        assert done is not None
        self._done.append(done)
        if done.cold_valid and not job.repeats:
            self._cold_ticks = done.cold_ticks
        self._equal = self._equal and bool(done.outputs_equal)
        if done.ticks_stored == done.inferences:
            self._ticks.append(np.frombuffer(job.ticks, "<u4").astype(np.uint32))
        else:
            self._ticks_complete = False

    def total(self, *, want_outputs: bool) -> RunResult:
        """Return the sum of all RUNs."""
        ticks = np.concatenate(self._ticks) if self._ticks_complete else np.zeros(0, np.uint32)
        return RunResult(
            ticks=ticks,
            inferences=sum(d.inferences for d in self._done),
            ticks_sum=sum(d.ticks_sum for d in self._done),
            ticks_min=min(d.ticks_min for d in self._done),
            ticks_max=max(d.ticks_max for d in self._done),
            cold_ticks=self._cold_ticks,
            restore_ticks_sum=sum(d.restore_ticks_sum for d in self._done),
            outputs_equal=self._equal,
            outputs=self._outputs if want_outputs else None,
            window_ticks=sum(d.window_ticks for d in self._done),
        )
