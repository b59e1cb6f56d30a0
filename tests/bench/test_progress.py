"""Rates and what a listener hears."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hilbench.bench.progress import BoardProgress, Progress


def test_rate_and_eta_follow_from_what_is_done():
    line = BoardProgress("b", vectors_total=300, vectors_done=100, started_s=10.0)
    assert line.rate_per_s(60.0) == pytest.approx(2.0)
    assert line.eta_s(60.0) == pytest.approx(100.0)


@pytest.mark.parametrize("changes", [{"started_s": None}, {"vectors_done": 0}])
def test_there_is_no_rate_before_the_first_vector(changes):
    line = replace(BoardProgress("b", vectors_total=9, vectors_done=1, started_s=1.0), **changes)
    assert line.rate_per_s(5.0) is None
    assert line.eta_s(5.0) is None


def test_a_listener_hears_changes_and_not_vectors():
    heard = []
    progress = Progress(lambda before, after: heard.append((before.state, after.state)))
    progress.add("b", 10)
    progress.set("b", state="running", variant="v")
    progress.advance("b", 4)
    progress.set("b", state="done", variant="")
    assert heard == [("queued", "running"), ("running", "done")]


def test_a_listener_whose_pipe_closed_does_not_end_the_measurement():
    calls = []

    def closed(_before, _after):
        calls.append(1)
        raise BrokenPipeError

    progress = Progress(closed)
    progress.add("b", 10)
    progress.set("b", state="running")
    progress.set("b", state="done")
    assert calls == [1]
    assert progress.lines()[0].state == "done"


def test_vectors_that_will_not_run_leave_the_total():
    progress = Progress()
    progress.add("b", 10)
    progress.advance("b", 4)
    progress.shorten("b", 6)
    assert (progress.lines()[0].vectors_done, progress.lines()[0].vectors_total) == (4, 4)
