"""Move a transfer's bytes over a link, with a deadline on every wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hilbench.errors import BoardError
from hilbench.interfaces import Link
from hilbench.protocol.jobs import Job
from hilbench.protocol.transfer import Transfer
from hilbench.records import Timeouts

JobT = TypeVar("JobT", bound=Job)
_SHORTEST_WRITE_S = 0.001


class Conversation:
    """One session's transfer on one link.

    Attributes:
        transfer: decides what is sent.
        bytes_sent, bytes_received: over the whole session.
    """

    def __init__(
        self, link: Link, transfer: Transfer, timeouts: Timeouts, clock: Callable[[], float]
    ) -> None:
        self.transfer = transfer
        self.bytes_sent = 0
        self.bytes_received = 0
        self._link = link
        self._timeouts = timeouts
        self._clock = clock

    def do(self, job: JobT) -> JobT:
        """Carry a job out.

        Raises:
            BoardError: ``reply_s`` without progress, or ``run_s`` without RUN_DONE.
        """
        self.transfer.submit(job)
        self.drive(job, lambda: job.done)
        return job

    def drive(self, job: Job, finished: Callable[[], bool]) -> None:
        """Move bytes until ``finished``; ``job`` is what is waited for."""
        begun_s = self._clock()
        try:
            while not finished():
                running = self.transfer.running
                limit_s = self._timeouts.run_s if running else self._timeouts.reply_s + job.work_s
                deadline_s = max(begun_s, self.transfer.progress_s) + limit_s
                if self._clock() >= deadline_s:
                    self._give_up(job, limit_s, running=running)
                self._step(deadline_s)
        except BaseException:
            self.transfer.abandon()
            raise

    def step_until(self, finished: Callable[[], bool], timeout_s: float) -> bool:
        """Move bytes until ``finished`` (True) or ``timeout_s`` is over (False)."""
        deadline_s = self._clock() + timeout_s
        while not finished():
            if self._clock() >= deadline_s:
                return False
            self._step(deadline_s)
        return True

    def _give_up(self, job: Job, limit_s: float, *, running: bool) -> None:
        lead = f"board {self.transfer.board_id}: no reply to {job.what} within {limit_s:g} s; "
        if running:
            raise BoardError(
                lead + "is the firmware hung? reset or power-cycle it (`hilbench boards`), "
                "or raise run_s in boards.toml"
            )
        raise BoardError(
            lead + "is it still plugged in and powered? reset or power-cycle it "
            "and see `hilbench boards`"
        )

    def _step(self, deadline_s: float) -> None:
        now = self._clock()
        if data := self.transfer.send(now):
            self.bytes_sent += len(data)
            self._link.write(data, max(deadline_s - now, _SHORTEST_WRITE_S))
        wake_s = self.transfer.wake_s()
        until_s = deadline_s if wake_s is None else min(deadline_s, wake_s)
        if received := self._link.read(max(0.0, until_s - self._clock())):
            self.bytes_received += len(received)
            self.transfer.receive(received, self._clock())
