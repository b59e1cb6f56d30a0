"""The built-in runtime stays small: executor and int8 kernels of MLPerf Tiny's eight operators."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import bench_runtime


@pytest.mark.firmware
@pytest.mark.parametrize(
    ("port", "kernel_set", "limit"),
    # The second only guards: there is no goal for Helium.
    [("mps2-an386", "dsp", bench_runtime.FLASH_GOAL), ("mps3-an547", "mve", 22 * 1024)],
)
def test_flash_of_executor_and_int8_kernels(port, kernel_set, limit):
    sizes = bench_runtime.flash_by_object(port, kernel_set)
    assert {"plan", "kernels/kernels", f"kernels/{kernel_set}/conv_s8"} <= sizes.keys()
    assert sum(sizes.values()) <= limit, sizes
