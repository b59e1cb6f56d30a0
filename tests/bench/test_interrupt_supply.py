"""Ctrl-C while a real board is measured: nobody can end it, but its supply goes at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from dataclasses import replace
from types import SimpleNamespace

from hilbench.bench import run_suite
from hilbench.bench import runner as runner_module
from tests.end_to_end.conftest import need_image
from tests.runs import run_examples


def test_ctrl_c_takes_the_supply_of_a_board_that_goes_on(boards, zoo, tmp_path, monkeypatch):
    need_image("posix")
    cut = threading.Event()
    seen = []

    @contextlib.contextmanager
    def open_board(*_):
        yield SimpleNamespace(cut=cut.set)

    def measure(*_):
        signal.raise_signal(signal.SIGINT)
        seen.append(cut.wait(10))

    monkeypatch.setattr(runner_module, "open_board", open_board)
    monkeypatch.setattr(runner_module, "board_record", lambda *_: run_examples.NATIVE_BOARD)
    monkeypatch.setattr(runner_module.Runner, "_measure_cells", measure)
    outcome = run_suite(
        replace(zoo, variants=zoo.variants[:1]), [boards["native"]], results=tmp_path, limit=1
    )
    assert outcome.interrupted
    assert seen == [True]
    assert outcome.errors == ()
