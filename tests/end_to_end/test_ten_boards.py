"""Ten boards in parallel, one of them hanging: nine are measured, and the tenth costs only itself."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from dataclasses import replace

import psutil
import pytest

import hilbench
from hilbench.bench import run_suite
from hilbench.bench.progress import Progress
from hilbench.errors import BoardError
from hilbench.records import Timeouts
from tests.end_to_end.conftest import need_image

pytestmark = pytest.mark.firmware
VICTIM = "b3"
TIMEOUTS = Timeouts(start_s=5.0, hello_s=5.0, reply_s=5.0, run_s=2.0, flash_s=5.0)


class Freezer(Progress):
    """Stops the victim's firmware (SIGSTOP) whenever it is about to run vectors."""

    def __init__(self):
        super().__init__()
        self.frozen = []

    def advance(self, board, vectors):
        super().advance(board, vectors)
        if board != VICTIM:
            return
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if process.environ().get("HILBENCH_BOARD") == board:
                    os.kill(process.pid, signal.SIGSTOP)
                    self.frozen.append(process.pid)


def test_one_board_that_hangs_costs_its_own_cells_only(boards, zoo, tmp_path):
    need_image("posix")
    ten = [replace(boards["native"], id=f"b{n}", timeouts=TIMEOUTS) for n in range(10)]
    suite = replace(zoo, sessions=1, iterations=1, variants=zoo.variants[:2])
    freezer = Freezer()
    outcome = run_suite(suite, ten, results=tmp_path, progress=freezer, limit=3)
    assert freezer.frozen
    assert outcome.exit_code == 3
    assert outcome.errors
    for error in outcome.errors:
        assert isinstance(error, BoardError)
        assert re.match(
            rf"board {VICTIM}: no reply to RUN .*within 2 s; is the firmware", str(error)
        )
    frame = hilbench.load(outcome.folder)
    others = frame[frame["board"] != VICTIM]
    assert set(others["board"]) == {b.id for b in ten} - {VICTIM}
    assert len(others) == 9 * len(suite.variants)
    assert others["accuracy"].notna().all()
    assert (others["error"] == "").all()
    victim = frame[frame["board"] == VICTIM]
    assert len(victim) == len(suite.variants)
    assert (victim["error"] != "").all()
