"""The built-in runtime stays small: executor and int8 kernels of MLPerf Tiny's eight operators."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import bench_runtime


@pytest.mark.firmware
@pytest.mark.parametrize(("port", "kernel_set"), [("mps2-an386", "dsp"), ("mps3-an547", "mve")])
def test_flash_of_executor_and_int8_kernels(port, kernel_set):
    sizes = bench_runtime.flash_by_object(port, kernel_set)
    assert {"plan", "kernels/kernels", f"kernels/{kernel_set}/conv_s8"} <= sizes.keys()
    assert sum(sizes.values()) <= bench_runtime.FLASH_GOAL, sizes
