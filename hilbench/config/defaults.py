"""Files that are used when nobody names one."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
ZOO_SUITE = _PACKAGE / "zoo" / "digits" / "suite.toml"


def carried_boards_path() -> Path:
    """Return the emulated boards that hilbench carries."""
    in_wheel = _PACKAGE / "boards.toml"
    return in_wheel if in_wheel.exists() else _PACKAGE.parent / "boards.toml"


def default_boards_path() -> Path:
    """Return ./boards.toml, else the emulated boards that hilbench carries."""
    here = Path("boards.toml")
    return here if here.exists() else carried_boards_path()
