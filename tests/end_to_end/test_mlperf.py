"""MLPerf Tiny's int8 models, 8 vectors each, on the firmware: bit by bit TensorFlow Lite Micro's.

QEMU's boards get the plan through the gdbstub; m4-flash has it in its image, because two of the models
are larger than the M4's RAM. ``make soak`` does it with 200 vectors on every board.
"""

from __future__ import annotations

import pytest

import hilbench
from hilbench.bench import run_suite
from tests.end_to_end.conftest import need_image
from tests.end_to_end.mlperf import DATA, MODELS, random_inputs, suite

HOLDS = {
    "native": tuple(MODELS),
    "m4": ("kws", "ic"),
    "m4-flash": ("vww", "ad"),
    "m55": tuple(MODELS),
}


@pytest.mark.qemu
@pytest.mark.parametrize("board", HOLDS)
def test_outputs_are_tflms(board, boards, tmp_path):
    if not DATA.is_dir():
        pytest.skip(f"MLPerf Tiny's models are not beside the checkout (looked in {DATA})")
    need_image(boards[board].firmware)
    inputs = {name: (name, random_inputs(name, 8, 1)) for name in HOLDS[board]}
    outcome = run_suite(suite(tmp_path, inputs), [boards[board]], results=tmp_path / "results")
    assert outcome.errors == ()
    frame = hilbench.load(outcome.folder).set_index("variant")
    assert list(frame.index) == list(HOLDS[board])
    assert (frame["agreement_tflm"] == 1.0).all()
    assert (frame["vectors_n"] == 8).all()
