"""xdist's loadgroup with a group for each board, taken from test ids.

Marks do not reach the scheduler with every pair of pytest and xdist (of 9.2 and 3.8 none does), ids
do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


def board_group(boards: Iterable[str], suite: str | None) -> Callable[[str], str | None]:
    """Return what says to which group a test belongs: a board's, the suite's, or None.

    A suite is one run, in which boards have threads of their own.

    Args:
        boards: ids of the boards file.
        suite: name of the suite's file.
    """
    names = "|".join(re.escape(b) for b in sorted(boards, key=len, reverse=True))
    found = re.compile(rf"\[(?:.*-)?({names})(?:-.*)?\]$") if names else None

    def group(nodeid: str) -> str | None:
        file = nodeid.partition("::")[0]
        if suite is not None and file.rpartition("/")[2] == suite:
            return f"suite {suite}"
        match = found.search(nodeid) if found else None
        return f"board {match[1]}" if match else None

    return group


def make_scheduler(config: pytest.Config, log: Any, group: Callable[[str], str | None]) -> Any:
    """Return a scheduler of pytest-xdist that keeps a board's tests on one worker."""
    from xdist.scheduler import LoadGroupScheduling  # noqa: PLC0415 - there when it asks

    class BoardScheduling(LoadGroupScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            # A NodeId object in some versions, text in others.
            return group(str(nodeid)) or super()._split_scope(nodeid)

    return BoardScheduling(config, log)
