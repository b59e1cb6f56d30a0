"""The reset ladder: what is tried, in order of force, when a board does not start a session.

Only starting is retried, never measuring: a number that the board gave is not asked for again. What
was tried and what worked is a sentence that goes with the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hilbench.board.access import Access
from hilbench.board.client import BoardClient
from hilbench.errors import (
    BoardBusyError,
    BoardError,
    BoardSilentError,
    FlashBusyError,
    FlashError,
    FlashNotFoundError,
    FlashTimeoutError,
    HilbenchError,
    LinkError,
    ToolMissingError,
)
from hilbench.protocol.messages import HelloReply

FAULTS = (BoardError, LinkError, FlashError, ToolMissingError)


@dataclass(frozen=True)
class Rung:
    """One way to bring a board back; ``act`` ends within its own deadline."""

    name: str
    act: Callable[[], BoardClient]


@dataclass(frozen=True)
class Recovery:
    """The board answers again."""

    client: BoardClient
    hello: HelloReply
    story: str  # one line: what worked, what did not, how it began


def rungs(access: Access, *, after_flash: bool) -> list[Rung]:
    """Return what this board's table allows, weakest first.

    Deadlines: each rung waits at most ``start_s`` for the port and ``hello_s`` for HELLO after its
    own act: 0.3 s (lines), ``start_s`` for each switching (power), ``flash_s`` (reflash), both of them
    (restart of an emulator).

    Args:
        access: the board.
        after_flash: the board was flashed just now; an emulated one is then reset as well.
    """
    wait_s = access.config.timeouts.start_s
    emulated = access.emulated

    def then_connect(act: Callable[[], object]) -> Callable[[], BoardClient]:
        def run() -> BoardClient:
            act()
            return access.connect(wait_s)

        return run

    found = []
    if emulated is None:
        found.append(Rung("line reset", then_connect(access.pulse)))
    elif after_flash:  # at every other session start a reset is what has just failed
        found.append(Rung("probe reset", then_connect(emulated.reset)))
    if access.switch is not None:
        found.append(Rung("power cycle", then_connect(access.power_cycle)))
    if access.config.flasher is None:
        return found
    if emulated is None:
        found.append(Rung("reflash", then_connect(lambda: access.flash(wait_s=wait_s))))
    else:  # whether it is the firmware or the emulator that hangs
        found.append(Rung("restart", then_connect(access.restart)))
    return found


def climb(board_id: str, ladder: Sequence[Rung], first: HilbenchError) -> Recovery:
    """Try each rung until the board answers HELLO.

    Args:
        board_id: for the sentence.
        ladder: from :func:`rungs`.
        first: the fault that it began with.

    Raises:
        BoardError: nothing helped; says what each rung said.
        BoardSilentError: so it is, and where a rung got through to the port, nobody answered there.
        BoardBusyError: the port is in another process's hands; nothing is forced then.
    """
    failed: list[str] = []
    silent = isinstance(first, BoardSilentError)
    for rung in ladder:
        try:
            client = rung.act()
            hello = client.hello()
        except BoardBusyError:
            raise
        except FAULTS as error:
            failed.append(f"{rung.name} ({_fact(error, board_id)})")
            silent = silent or isinstance(error, BoardSilentError)
            continue
        vain = f", {', '.join(failed)} did not" if failed else ""
        return Recovery(
            client, hello, f"{rung.name} worked{vain}; began with: {_fact(first, board_id)}"
        )
    tried = f"tried in vain: {', '.join(failed)}" if failed else "nothing else can be tried"
    raise (BoardSilentError if silent else BoardError)(f"{first}; {tried}") from first


def flash(access: Access, wait_s: float, on_retry: Callable[[], None]) -> tuple[bool, str | None]:
    """Flash a board; where nothing answered the tool, switch its power once and flash again.

    Only what a power cycle can change is tried again: no probe or bootloader that answers, and a tool
    that never ended. A write that failed is not.

    Args:
        access: the board, its power on.
        wait_s: how long the port may take to appear at first.
        on_retry: told before the power cycle.

    Returns:
        Whether the board has a flasher; the story if it took a power cycle.

    Raises:
        ToolMissingError, FlashError, BoardError, LinkError: the first error; it says what was tried.
        FlashBusyError, BoardBusyError: probe or port are in other hands; nothing is forced then.
    """
    try:
        return access.flash(wait_s=wait_s), None
    except (FlashNotFoundError, FlashTimeoutError) as error:
        if access.switch is None or access.emulated is not None:
            raise
        first = error
    board_id = access.config.id
    on_retry()
    try:
        access.power_cycle()
        access.flash(wait_s=access.config.timeouts.start_s)
    except (BoardBusyError, FlashBusyError):
        raise
    except FAULTS as second:
        both = type(first)(
            f"{first}; tried in vain: power cycle and flash ({_fact(second, board_id)})",
            command=first.command,
            exit_code_of_tool=first.exit_code_of_tool,
            duration_s=first.duration_s,
            last_line=first.last_line,
        )
        for note in getattr(first, "__notes__", ()):  # what the tool printed
            both.add_note(note)
        raise both from second
    return True, f"power cycle and flash worked; began with: {_fact(first, board_id)}"


def _fact(error: HilbenchError, board_id: str) -> str:
    """The part of a sentence that says what happened, without the next step."""
    return str(error).split(";", maxsplit=1)[0].removeprefix(f"board {board_id}: ")
