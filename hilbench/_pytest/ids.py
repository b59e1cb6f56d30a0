"""Ids of a suite's tests, ``suite.toml::m4[int8]::accuracy``, as they are.

pytest 9.2 takes what follows the first bracket of an id for parameters, and closes it again where it
shows the id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest


def _name(nodeid: str, suite: str) -> str:
    """Return the name of a suite's test, "" of any other."""
    file, _, name = nodeid.partition("::")
    return name if file.rpartition("/")[2] == suite else ""


class JunitNames:
    """Keeps names in JUnit files.

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
        if xml is not None and (name := _name(report.nodeid, self._suite)):
            xml.node_reporter(report).add_attribute("name", name)


def repair(stats: Mapping[str, Sequence[Any]], suite: str) -> None:
    """Let the short summary show ids as they are; its reports are used for nothing else any more.

    Args:
        stats: the terminal reporter's.
        suite: name of the suite's file.
    """
    for report in (r for found in stats.values() for r in found):
        known = getattr(report, "_id", None)  # since pytest 9.2
        if known is not None and (name := _name(report.nodeid, suite)):
            report._id = type(known)(path=known.path, names=(name,))  # noqa: SLF001
