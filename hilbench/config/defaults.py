"""Files that are used when nobody names one."""

from __future__ import annotations

from pathlib import Path

from hilbench.errors import UsageError

_PACKAGE = Path(__file__).resolve().parents[1]
ZOO_SUITE = _PACKAGE / "zoo" / "digits" / "suite.toml"


def default_boards_path() -> Path:
    """Return ./boards.toml, else the emulated boards that hilbench carries.

    Raises:
        UsageError: neither exists.
    """
    carried = (_PACKAGE / "boards.toml", _PACKAGE.parent / "boards.toml")  # wheel, checkout
    for path in (Path("boards.toml"), *carried):
        if path.exists():
            return path
    raise UsageError("no boards.toml here; make one with: hilbench init")
