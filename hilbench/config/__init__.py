"""boards.toml and suite.toml to records; whatever is not declared is an error with the next step."""

from __future__ import annotations

from hilbench.config.boards import load_boards
from hilbench.config.suite import load_suite
from hilbench.config.templates import boards_template, suite_template

__all__ = ["boards_template", "load_boards", "load_suite", "suite_template"]
