"""Names of a suite's tests in JUnit files."""

from __future__ import annotations

from pathlib import Path

import pytest


class JunitNames:
    """Keeps ``m4[int8]::accuracy`` as it is.

    pytest 9.2 takes what follows the first bracket of an id for parameters, and closes it again.

    Args:
        suite: the file of --hil-suite.
    """

    def __init__(self, config: pytest.Config, suite: Path) -> None:
        self._config = config
        self._suite = suite.name

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Do what record_xml_attribute does; that is a fixture, which these tests cannot have."""
        from _pytest.junitxml import xml_key  # noqa: PLC0415

        xml = self._config.stash.get(xml_key, None)
        file, _, name = report.nodeid.partition("::")
        if xml is not None and file.rpartition("/")[2] == self._suite:
            xml.node_reporter(report).add_attribute("name", name)
