"""The part of the pyOCD flasher that runs in a process of its own: ``_pyocd_worker JOB.json``.

Prints what it does; the last line is ``flashed`` or an Outcome and the reason.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

from pyocd.core import exceptions
from pyocd.core.helpers import ConnectHelper
from pyocd.core.session import Session
from pyocd.flash.loader import MemoryLoader
from pyocd.utility.sockets import ClientSocket

_PROGRESS_STEP = 0.1


class Outcome(Enum):
    """First words of the last line, which pyocd.py looks for."""

    NOT_FOUND = "not found"
    BUSY = "busy"
    UNKNOWN_TARGET = "unknown target"
    WRONG_CHIP = "wrong chip"
    NOT_WRITTEN = "not written"
    NOT_VERIFIED = "not verified"
    NOT_RESTARTED = "not restarted"


class _FailedError(Exception):
    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(f"{outcome.value}: {' '.join(reason.split())}")


def main(path: str) -> int:
    """Do the job; return 0 when it is done and proven."""
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    parts = [(at, bytes.fromhex(content)) for at, content in job["segments"]]
    _hear_a_hang_up()
    try:
        session = _open(job)
        try:
            _check_core(session, job["core"])
            _program(session, parts)
            if job["verify"]:
                _verify(session, parts)
            _restart(session)
        except BaseException:
            _close_whatever_happens(session)
            raise
        with _failing_as(Outcome.NOT_RESTARTED):
            session.close()
    except _FailedError as error:
        _say(error)
        return 1
    _say("flashed")
    return 0


def _open(job: dict[str, Any]) -> Session:
    """Open probe and target; the core is halted then."""
    with _failing_as(Outcome.NOT_FOUND):
        try:
            session = ConnectHelper.session_with_chosen_probe(
                unique_id=job["probe"],
                blocking=False,
                target_override=job["target"],
                options={"no_config": True} | job["options"],
            )
            if session is None:
                raise _FailedError(
                    Outcome.NOT_FOUND, f"there is no probe, or more than one, like {job['probe']}"
                )
            try:
                session.open()
            except BaseException:
                _close_whatever_happens(session)
                raise
        except exceptions.TargetSupportError as error:
            first_sentence = str(error).split(". ", maxsplit=1)[0]
            raise _FailedError(Outcome.UNKNOWN_TARGET, first_sentence) from error
        except exceptions.ProbeError as error:
            if re.search(r"busy|in use|claim", str(error), re.IGNORECASE):
                raise _FailedError(Outcome.BUSY, str(error)) from error
            raise
    return session


def _check_core(session: Session, expected: str) -> None:
    """Compare before anything is erased; pyOCD takes the target's name on trust."""
    found = session.target.cores[0].name.lower()
    _say(f"core {found}")
    if expected and found != expected:
        raise _FailedError(Outcome.WRONG_CHIP, f"the core is a {found}, the table says {expected}")


def _program(session: Session, parts: list[tuple[int, bytes]]) -> None:
    loader = MemoryLoader(session, progress=_Progress())
    try:
        for address, content in parts:
            loader.add_data(address, content)
    except ValueError as error:
        raise _FailedError(Outcome.WRONG_CHIP, str(error)) from error
    # Half an image is not to run: it stays halted unless all goes well.
    session.options.set("resume_on_disconnect", value=False)
    with _failing_as(Outcome.NOT_WRITTEN):
        loader.commit()


def _verify(session: Session, parts: list[tuple[int, bytes]]) -> None:
    for address, content in parts:
        _say(f"reading back {len(content)} bytes at 0x{address:08x}")
        with _failing_as(Outcome.NOT_VERIFIED):
            read = bytes(session.target.read_memory_block8(address, len(content)))
        if read != content:
            at = next(i for i, (a, b) in enumerate(zip(content, read, strict=True)) if a != b)
            raise _FailedError(
                Outcome.NOT_VERIFIED,
                f"0x{read[at]:02x} at 0x{address + at:08x}, 0x{content[at]:02x} was written",
            )


def _restart(session: Session) -> None:
    session.options.set("resume_on_disconnect", value=True)
    with _failing_as(Outcome.NOT_RESTARTED):
        session.target.reset()


def _close_whatever_happens(session: Session) -> None:
    """Let go of a probe after a failure, which is the one to be told."""
    with suppress(exceptions.Error, OSError):
        session.close()


@contextmanager
def _failing_as(outcome: Outcome) -> Iterator[None]:
    try:
        yield
    except (exceptions.Error, OSError) as error:
        raise _FailedError(outcome, str(error) or type(error).__name__) from error


class _Progress:
    """One line per tenth, so that a run that is killed has said how far it came."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, fraction: float) -> None:
        if fraction < self._next - _PROGRESS_STEP:  # erasing is over, programming begins
            self._next = 0.0
        if fraction >= self._next:
            _say(f"written or erased {fraction:.0%}")
            self._next = fraction + _PROGRESS_STEP


def _say(text: object) -> None:
    print(text, flush=True)


def _hear_a_hang_up() -> None:
    """Make pyOCD 0.46 fail when a remote probe's server ends; it would read nothing for ever."""
    read = ClientSocket.read

    def read_or_fail(self: ClientSocket, packet_size: int | None = None) -> bytes:
        if data := read(self, packet_size):
            return bytes(data)
        raise exceptions.ProbeDisconnected("the probe's server has closed the connection")

    ClientSocket.read = read_or_fail


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
