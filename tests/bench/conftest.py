"""The tracked boards and the zoo, as for the tests from end to end."""

from __future__ import annotations

from tests.end_to_end.conftest import boards, boards_file, cli, zoo

__all__ = ["boards", "boards_file", "cli", "zoo"]
