from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from builders.host_runtime import HostRuntime, build  # noqa: E402
from hilbench.errors import ToolMissingError  # noqa: E402
from hilbench.models.oracle import HostReference, TflmOracle  # noqa: E402


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> HostRuntime:
    return build(tmp_path_factory.mktemp("plan_runtime"))


@pytest.fixture(scope="session")
def tflm() -> TflmOracle:
    try:
        return TflmOracle()
    except ToolMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def reference() -> HostReference:
    return HostReference()
