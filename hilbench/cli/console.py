"""A console whose closed pipe is an exception that callers can tell from an exit."""

from __future__ import annotations

from typing import NoReturn

from rich.console import Console


class PipeConsole(Console):
    """Raises BrokenPipeError; rich's own console ends the program, also from a board's thread."""

    def on_broken_pipe(self) -> NoReturn:
        """See rich.console.Console."""
        raise BrokenPipeError
