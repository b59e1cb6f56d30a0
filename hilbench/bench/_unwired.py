"""Windows of a board whose marker pin is wired to nothing: found in the current alone.

Talking to the host draws about what an inference draws, so every window is between two guards, in
which the board sleeps; the first RUN of a capture shows a pulse pattern before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from hilbench.errors import WindowError
from hilbench.measurement.power import pattern
from hilbench.measurement.power.windows import BOARD_CLOCK_LIMIT
from hilbench.power import Marked, MeterSpec, Recording, Window
from hilbench.protocol.messages import GUARD_US, PATTERN, RunFlag

GUARD_S = GUARD_US * 1e-6


def run_flags(*, first: bool) -> RunFlag:
    """Return the flags of a guarded window, with the pattern in the first RUN of a capture."""
    flags = RunFlag.MARKER_WINDOW | RunFlag.GUARD
    return flags | RunFlag.PATTERN if first else flags


def pattern_stretches() -> list[Marked]:
    """Return what the board does before the first window: the pattern, and the guard behind it."""
    chips = [(busy == "1", len(list(run))) for busy, run in groupby(PATTERN + "0")]
    return [
        Marked("run" if busy else "idle", int(busy), count * GUARD_S, 0.0) for busy, count in chips
    ]


def find_windows(
    recording: Recording, marked: Sequence[Marked], board_id: str
) -> tuple[list[Window], str]:
    """Find what the board told in the current, and idle windows in the guards around.

    Args:
        recording: of guarded RUNs, the pattern before the first.
        marked: runs, in order.
        board_id: for the sentences.

    Returns:
        Idle, run and idle of each, in order; and why the pattern was not used, "" where it was.

    Raises:
        WindowError: neither way finds them; says what to do.
    """
    why = ""
    try:
        runs = pattern.find(recording, pattern_stretches(), marked, gap_s=0.0)
    except WindowError as error:
        why = f"windows by steps of the current, not by the pulse pattern: {error}"
        try:
            runs = pattern.steps(recording, marked)
        except WindowError as second:
            raise WindowError(
                f"board {board_id}: windows are found in the current neither by a pulse pattern nor "
                f"by steps ({second}); wire the board's marker pin to a logic input of the meter, "
                f"and name that as marker in [board.{board_id}.meter]"
            ) from error
    return [w for run in runs for w in _with_guards(run, recording.spec)], why


def _with_guards(run: Window, spec: MeterSpec) -> tuple[Window, Window, Window]:
    """Put idle windows into the guards, clear of what both clocks may be off and of the rise.

    What is left of the fall is cut off as in any idle window, once its tail is known.
    """
    length = GUARD_S * (1 - BOARD_CLOCK_LIMIT - spec.clock_limit) * spec.sample_hz
    clear = max(1.0, 2 * run.u_edge)
    told = Marked("idle", 0, GUARD_S, run.marked.tick_s)
    before = replace(run, marked=told, start=run.start - length, end=run.start - clear)
    after = replace(run, marked=told, start=run.end, end=run.end + length)
    return before, run, after
