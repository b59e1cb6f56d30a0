"""For all tests: where nothing may be left out, a skip for want of a tool or an image is a failure."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("hilbench", deadline=None)  # how long an example takes is no property
settings.load_profile("hilbench")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """``make test`` sets HILBENCH_NO_SKIPS after it has installed and built everything."""
    report = yield
    needs_tools = any(item.get_closest_marker(name) for name in ("qemu", "firmware", "bench"))
    if report.skipped and needs_tools and "HILBENCH_NO_SKIPS" in os.environ:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"may not be left out here: {reason}"
    return report
