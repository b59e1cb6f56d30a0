"""Packets that wait for their answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from hilbench.protocol.jobs import Job
from hilbench.protocol.schema import Message

_SHORTEST_BYTES = 64


def short_bytes(size: int) -> int:
    """Return a quarter of a packet's data bytes, or all of a short one."""
    return min(size, max(_SHORTEST_BYTES, -(-size // 4)))


@dataclass
class Stream:
    """Pieces of a region that come in ascending order."""

    region: int
    at: int
    end: int
    tries: int = 1
    moved: bool = False


@dataclass(eq=False)
class Item:
    """One packet that waits for its answer."""

    message: Message
    job: Job
    tries: int = 0
    sequence: int = -1
    wire: bytes = b""
    first_index: int = -1
    last_index: int = -1
    sent_s: float = 0.0
    answered: bool = False
    started_s: float | None = None  # RUN_STARTED came
    asked_again: bool = False  # for a RUN_DONE that was lost
    streams: list[Stream] = field(default_factory=list)
