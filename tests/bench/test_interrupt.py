"""After Ctrl-C a board's life goes no step further, wherever it was."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest

from hilbench.bench import runner as runner_module
from hilbench.bench.progress import Progress
from hilbench.bench.runner import Runner
from hilbench.errors import BoardError
from hilbench.records import BoardConfig

BOARD = BoardConfig(id="desk", firmware="x")


def test_a_board_is_not_flashed_after_an_interrupt(monkeypatch):
    """It may be opening its meter just then, which nothing takes away from it."""
    steps = []
    runner = Runner(
        variants=[SimpleNamespace(config=SimpleNamespace(name="int8"))],
        failed_variants={},
        boards=[BOARD],
        sessions=1,
        warm_up=0,
        iterations=1,
        journal=None,
        progress=Progress(),
    )
    runner.progress.add("desk", 1)

    @contextlib.contextmanager
    def open_board(config, image, on_state, on_emulator):
        try:
            for step in ("meter", "flashing", "hello"):
                on_state(step)
                steps.append(step)
                runner._stopping.set()
            yield
        finally:
            steps.append("off")

    monkeypatch.setattr(runner_module, "find_image", lambda port: SimpleNamespace())
    monkeypatch.setattr(runner_module, "needs_resident", lambda image: None)
    monkeypatch.setattr(runner_module, "open_board", open_board)
    runner._board_thread(BOARD)
    assert steps == ["meter", "off"]
    assert runner.errors == []  # an interrupt is no fault of the board
    with pytest.raises(BoardError, match="board desk: interrupted before hello; run it again"):
        runner._enter("desk", "hello")
