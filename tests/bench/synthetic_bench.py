"""run_suite without boards: everything but what a board does is real, and sessions take no time."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from hilbench import bench
from hilbench.bench import resume as resume_module
from hilbench.bench import runner as runner_module
from hilbench.bench.session import SessionData
from hilbench.records import BoardConfig, SuiteConfig, VariantConfig, VectorsConfig
from hilbench.runs import provenance
from tests.runs import run_examples as ex

SUITE = SuiteConfig(
    name="synthetic",
    variants=tuple(VariantConfig(n, Path(f"{n}.tflite"), "v") for n in ("int8", "fp32")),
    vectors=(VectorsConfig("v", Path("v.npz")),),
    sessions=3,
)
BOARDS = (BoardConfig(id="m4", firmware="x"), BoardConfig(id="m7", firmware="x"))
CELLS = [(b.id, v.name) for b in BOARDS for v in SUITE.variants]


class SyntheticBench:
    """What a test may change between a run and its resumption, and what was measured."""

    def __init__(self, patch):
        self.measured = []
        self.model_sha256 = "d1"
        self.image_sha256 = "c1"
        self.labels = np.arange(2)
        self.chip = "cortex-m4"
        self.on_session = lambda board, variant, number: None
        patch(bench, "_prepare", self._prepare)
        for module in (runner_module, resume_module):
            patch(module, "find_image", lambda _port: SimpleNamespace(sha256=self.image_sha256))
        patch(runner_module, "needs_resident", lambda _image: None)
        patch(runner_module, "open_board", self._open_board)
        patch(runner_module, "board_record", self._board_record)
        for module in (runner_module, bench):
            patch(module, "variant_record", self._variant_record)
        patch(runner_module, "measure_session", self._measure_session)
        patch(provenance, "git_state", lambda _folder: (None, None))

    def _prepare(self, suite, limit):
        x = np.arange(8, dtype=np.int8).reshape(2, 4)[:limit]
        vectors = SimpleNamespace(x=x, inputs=(x,), y=self.labels[:limit])
        variants = [
            SimpleNamespace(
                config=v,
                vectors=vectors,
                model=SimpleNamespace(sha256=self.model_sha256),
                plan=SimpleNamespace(sha256="e1"),
                quantised=True,
            )
            for v in suite.variants
        ]
        for variant in variants:
            variant.for_board = lambda _runtime, _kernels, itself=variant: itself
        return variants, {}

    @contextlib.contextmanager
    def _open_board(self, config, image, on_state, on_emulator):
        board = SimpleNamespace(
            config=config, metering=None, explain=lambda error: error,
            hello=SimpleNamespace(runtime="plan", kernels="portable"),
            start_session=lambda: None, cut=lambda: None,
        )  # fmt: skip
        yield board

    def _board_record(self, board, image):
        return replace(ex.BOARD, board=board.config.id, chip=self.chip)

    def _variant_record(self, board, variant):
        return replace(
            ex.VARIANT, board=board, variant=variant.config.name, model_sha256=self.model_sha256
        )

    def _measure_session(self, board, variant, plan, estimate, advance):
        board_id, name = board.config.id, variant.config.name
        self.on_session(board_id, name, plan.number)
        self.measured.append((board_id, name, plan.number))
        record = ex.session(plan.number, 1000.0 + plan.number, board=board_id, variant=name)
        ticks = np.full(10, 1000 + plan.number, np.uint32)
        return SessionData(record, np.zeros((2, 10), np.int8), ticks, ticks[:2], None)
