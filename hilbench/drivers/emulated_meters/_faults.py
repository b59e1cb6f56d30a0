"""Faults of an emulated meter, as words of its command line, and what they cost, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import UsageError

KNOWN: Mapping[str, tuple[Mapping[str, str], str]] = {
    "gap": ({"at": "0", "samples": "64"}, "samples lost from sample AT on; the counter runs"),
    "gaps": (
        {"count": "10", "within": "100000", "longest": "200", "seed": "1"},
        "so many gaps of 1 to LONGEST samples at random places among the first WITHIN samples",
    ),
    "lost-byte": ({"at": "0", "byte": "1"}, "one byte of sample AT is lost"),
    "stopped-stream": ({"at": "0"}, "nothing comes from sample AT on"),
    "unplug": ({"at": "0"}, "the PTY closes at sample AT"),
    "stale-stream": ({}, "it streams already when the first client comes"),
    "split-metadata": ({"bytes": "7"}, "the metadata come in pieces"),
    "slow-metadata": ({"ms": "300"}, "the metadata come late"),
    "endless-metadata": ({}, "END never comes"),
    "nan-calibration": ({"key": "R2"}, "the metadata say -nan for KEY"),
    "corrupt-calibration": ({"key": "R2", "value": "0.0"}, "the metadata say VALUE for KEY"),
    "range-chatter": (
        {"at": "0", "samples": "1000", "period": "10"},
        "from sample AT on the range goes up and down every PERIOD samples",
    ),
    "marker-bounce": ({"times": "3", "us": "15", "seed": "1"}, "each edge of the pin bounces"),
    "spurious-pulse": (
        {"at": "0", "samples": "5"},
        "the pin inverts for SAMPLES from sample AT on",
    ),
    "unpowered": ({}, "the board gets no power, whatever the meter says"),
    "old-firmware": ({}, "firmware 1.0.3, which refuses to switch the supply off"),
    "refuses": ({"command": "freq"}, "it answers COMMAND with an error"),
    "stale-pwrend": ({}, 'somebody left "pwrend off": in "pwr auto" the board gets no power'),
    "one-event-kind": ({}, "a second eventsrc takes the place of the first"),
    "calibration": ({"ms": "1500"}, "so long a calibration lasts after volt"),
    "overcurrent": ({"at": "0"}, "it trips at sample AT and takes the board's power away"),
}
"""Name: keys with their defaults, and what happens. A driver says which of them it knows."""


@dataclass(frozen=True)
class Fault:
    """One fault, e.g. ``gap:at=5000,samples=64``."""

    name: str
    values: Mapping[str, str]

    def integer(self, key: str) -> int:
        """Return a value as a number."""
        return int(self.values[key])


@dataclass(frozen=True)
class Loss:
    """Samples of a capture that never reach the client."""

    capture: int  # 1: the first since the meter's start
    start: int
    samples: int
    why: str


def parse(text: str, of: Sequence[str]) -> list[Fault]:
    """Read a fault from the command line; random gaps become single ones.

    Raises:
        UsageError: an unknown fault or key, or a value that is no number.
    """
    name, _, rest = text.partition(":")
    if name not in of:
        raise UsageError(f"no fault {name!r}; known: {', '.join(of)}")
    known, _ = KNOWN[name]
    values = dict(known)
    for word in filter(None, rest.split(",")):
        key, _, value = word.partition("=")
        if key not in known:
            raise UsageError(
                f"fault {name} has no key {key!r}; known: {', '.join(known) or 'none'}"
            )
        if known[key].isdecimal() and not value.isdecimal():
            raise UsageError(f"fault {name}: {key} = {value!r} is not a whole number")
        values[key] = value
    if name != "gaps":
        return [Fault(name, values)]
    random = np.random.default_rng(int(values["seed"]))
    count, longest = int(values["count"]), int(values["longest"])
    # Slots keep gaps apart, so that each can be told from its neighbours.
    slot = int(values["within"]) // count
    if slot < 2 * longest:
        raise UsageError(
            f"{count} gaps of up to {longest} samples need within >= {2 * longest * count} samples"
        )
    return [
        Fault("gap", {"at": str(i * slot + int(start)), "samples": str(int(length))})
        for i, (start, length) in enumerate(
            zip(
                random.integers(1, slot - longest, count),
                random.integers(1, longest + 1, count),
                strict=True,
            )
        )
    ]


def describe(of: Sequence[str]) -> str:
    """Return the help text of --fault."""
    lines = []
    for name in of:
        known, meaning = KNOWN[name]
        keys = ",".join(f"{key}={value}" for key, value in known.items())
        lines.append(f"  {name}{':' if keys else ''}{keys}\n      {meaning}")
    return "faults, with their defaults:\n" + "\n".join(lines)


class LossLog:
    """Every sample that was made and not sent; touching losses of one cause are one."""

    def __init__(self) -> None:
        self.losses: list[Loss] = []

    def add(self, capture: int, start: int, samples: int, why: str) -> None:
        """Note samples that are lost."""
        if samples == 0:
            return
        if self.losses:
            last = self.losses[-1]
            if (last.capture, last.why, last.start + last.samples) == (capture, why, start):
                self.losses[-1] = Loss(capture, last.start, last.samples + samples, why)
                return
        self.losses.append(Loss(capture, start, samples, why))

    def as_dicts(self) -> list[dict[str, int | str]]:
        """Return all losses for JSON."""
        return [asdict(loss) for loss in self.losses]


def runs(index: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Return (start, length) of every run of consecutive numbers in a rising sequence."""
    if len(index) == 0:  # most often
        return []
    pieces = np.split(index, np.flatnonzero(np.diff(index) != 1) + 1)
    return [(int(piece[0]), len(piece)) for piece in pieces]
