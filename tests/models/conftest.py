from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from builders.host_runtime import SET_FLAGS, HostRuntime, build  # noqa: E402
from hilbench.errors import ToolMissingError  # noqa: E402
from hilbench.models.oracle import HostReference, TflmOracle  # noqa: E402


class HostRuntimes(dict[str, HostRuntime]):
    """One per kernel set, built when it is asked for."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        super().__init__()
        self._folders = folders

    def __missing__(self, name: str) -> HostRuntime:
        self[name] = build(self._folders.mktemp(name), *SET_FLAGS[name])
        return self[name]


@pytest.fixture(scope="session")
def runtimes(tmp_path_factory: pytest.TempPathFactory) -> HostRuntimes:
    return HostRuntimes(tmp_path_factory)


@pytest.fixture(scope="session")
def runtime(runtimes: HostRuntimes) -> HostRuntime:
    return runtimes["portable"]


@pytest.fixture(scope="session")
def tflm() -> TflmOracle:
    try:
        return TflmOracle()
    except ToolMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def reference() -> HostReference:
    return HostReference()
