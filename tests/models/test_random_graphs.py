"""Whole graphs, so that aliases, blocks and outputs over inputs meet: every byte as TFLM has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builders.random_graphs import random_graph
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model

pytestmark = pytest.mark.firmware


@pytest.mark.parametrize("kernel_set", ["portable", "dsp", "mve"])
@pytest.mark.parametrize("first", range(0, 120, 20))
def test_random_graphs_equal_tflm(first, kernel_set, runtimes, tflm):
    runtime = runtimes[kernel_set]
    for seed in range(first, first + 20):
        data = random_graph(seed)
        planned = plan_model(parse_model(data, Path(f"seed{seed}.tflite")), runtime.kernels)
        rng = np.random.default_rng(seed)
        inputs = [rng.integers(-128, 128, (3, *t.shape)).astype(np.int8) for t in planned.inputs]
        outputs = runtime.run_many(planned, inputs)
        for i, (y, expected) in enumerate(zip(outputs, tflm.run_many(data, inputs), strict=True)):
            np.testing.assert_array_equal(
                y, expected.reshape(y.shape), err_msg=f"{runtime.kernels}, seed {seed}, output {i}"
            )
