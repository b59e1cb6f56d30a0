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


def test_a_listener_hears_states_and_not_vectors():
    heard = []
    progress = Progress(heard.append)
    progress.add("b", 10)
    progress.set("b", state="running", variant="v")
    progress.advance("b", 4)
    progress.set("b", session=2)
    progress.set("b", state="done", variant="")
    assert [(line.state, line.vectors_done) for line in heard] == [("running", 0), ("done", 4)]
