"""What tests share in one pytest process: boards and the suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hilbench._pytest.outcomes import Absent
from hilbench._pytest.presence import absence
from hilbench.config import load_boards, load_suite
from hilbench.errors import BoardError, UsageError
from hilbench.records import BoardConfig, SuiteConfig

if TYPE_CHECKING:
    from hilbench._pytest.runs import Runs


@dataclass(frozen=True)
class Settings:
    """The options; paths are absolute."""

    boards_file: Path
    boards: tuple[str, ...]
    tags: tuple[str, ...]
    suite: Path | None
    require: bool
    results: Path
    baseline: Path | None
    gate: Path | None
    sessions: int | None
    limit: int | None
    root: Path  # what paths in tests are relative to
    scratch: Path  # shared by the workers of this session


class Bench:
    """What tests share; opens nothing until it is asked."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._absences: dict[str, str] = {}
        self._shown: set[Path] = set()

    @cached_property
    def known(self) -> dict[str, BoardConfig]:
        """Every board of the boards file.

        Raises:
            ConfigError: the file is wrong.
        """
        return load_boards(self.settings.boards_file)

    def chosen(self, marked: Sequence[str] = ()) -> list[BoardConfig]:
        """Return the boards to test on, in the order of the boards file.

        Args:
            marked: the boards that a test names; it runs on no other.

        Raises:
            ConfigError, UsageError: a board or tag that the boards file does not have.
        """
        settings = self.settings
        for name in (*settings.boards, *marked):
            if name not in self.known:
                raise UsageError(
                    f"no board {name!r} in {settings.boards_file}; it has: {', '.join(self.known)}"
                )
        tags = sorted({tag for board in self.known.values() for tag in board.tags})
        for tag in settings.tags:
            if tag not in tags:
                raise UsageError(
                    f"no board in {settings.boards_file} has the tag {tag!r}; tags are: "
                    f"{', '.join(tags) or 'none'}"
                )
        told = bool(settings.boards or settings.tags)
        return [
            board
            for board in self.known.values()
            if (not marked or board.id in marked)
            and (not told or board.id in settings.boards or set(board.tags) & set(settings.tags))
            and (told or marked or "extra" not in board.tags)
        ]

    @cached_property
    def suite(self) -> SuiteConfig:
        """The suite of --hil-suite.

        Raises:
            ConfigError: the file is wrong.
            UsageError: the option was not given.
        """
        if self.settings.suite is None:
            raise UsageError("variants are those of a suite; name it with --hil-suite FILE")
        suite = load_suite(self.settings.suite)
        return self.repeated(suite)

    def repeated(self, suite: SuiteConfig) -> SuiteConfig:
        """Return the suite with the sessions of --hil-sessions, if any."""
        sessions = self.settings.sessions
        return suite if sessions is None else replace(suite, sessions=sessions)

    def absence(self, board: BoardConfig) -> str:
        """Return why a board is not here, "" when it is; asked once."""
        if board.id not in self._absences:
            self._absences[board.id] = absence(board)
        return self._absences[board.id]

    def need(self, board: BoardConfig | None) -> BoardConfig:
        """Return a board when it is here.

        Args:
            board: None where a test is for none of the chosen boards.

        Raises:
            Absent: skips the test, with the reason.
            BoardError: with --hil-require.
        """
        if board is None:
            raise Absent("none of the chosen boards is one that this test is for")
        reason = self.absence(board)
        if reason and self.settings.require:
            raise BoardError(f"{reason}; --hil-require lets no board be absent")
        if reason:
            raise Absent(reason)
        return board

    def first_time(self, link: Path) -> bool:
        """Say whether a failure may show the end of this byte log: once is enough."""
        seen = link in self._shown
        self._shown.add(link)
        return not seen

    @cached_property
    def runs(self) -> Runs:
        """Measuring and gating; slow to import."""
        from hilbench._pytest.runs import Runs  # noqa: PLC0415

        return Runs(self)
