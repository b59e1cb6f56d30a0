"""A recording in memory, and the account of lost samples that every recording carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import MeterError
from hilbench.power import CaptureEnd, Chunk, Gap, MeterIdentity, MeterSetup, MeterSpec


class InMemory:
    """A short recording, held as its chunks.

    Raises:
        MeterError: a chunk does not begin where the one before it ended.
    """

    def __init__(
        self,
        identity: MeterIdentity,
        spec: MeterSpec,
        setup: MeterSetup,
        chunks: Sequence[Chunk],
        end: CaptureEnd | None = None,  # None: counted from the chunks
    ) -> None:
        at = 0
        for chunk in chunks:
            check_follows(chunk, at)
            at += len(chunk)
        self.identity = identity
        self.spec = spec
        self.setup = setup
        self.end = account(chunks) if end is None else end
        self._chunks = tuple(chunks)

    def chunks(self) -> Iterator[Chunk]:
        """Yield all chunks from index 0 on, without holes between them."""
        return iter(self._chunks)


def check_follows(chunk: Chunk, at: int) -> None:
    """Refuse a chunk that leaves a hole behind the one before it, or overlaps it.

    Raises:
        MeterError: it does not begin at sample ``at``.
    """
    if chunk.start != at:
        raise MeterError(
            f"a chunk begins at sample {chunk.start}, the one before it ended at {at}; the driver "
            f"must deliver lost samples, too (valid False, NaN)"
        )


def lost_chunk(
    start: int, samples: int, before: Chunk | None, spec: MeterSpec, setup: MeterSetup
) -> Chunk:
    """Return a chunk of lost samples; logic and range are the last ones of ``before``."""
    last = before if before is not None and len(before) else None
    measured = spec.voltage == "measured"
    return Chunk(
        start,
        np.full(samples, np.nan),
        np.full(samples, np.nan) if measured else setup.supply_v,
        np.full(samples, last.logic[-1] if last else 0, np.uint8),
        np.zeros(samples, np.bool_),
        np.full(samples, last.range[-1] if last else 0, np.uint8),
    )


def account(
    chunks: Iterable[Chunk],
    by: Literal["counter", "clock", "meter"] = "meter",
    notes: tuple[str, ...] = (),
) -> CaptureEnd:
    """Count delivered and lost samples of a recording that has no other account of them."""
    gaps: list[Gap] = []
    total = lost = 0
    for chunk in chunks:
        for start, end in false_runs(chunk.valid):
            lost += end - start
            if gaps and gaps[-1].start + gaps[-1].samples == chunk.start + start:
                gaps[-1] = Gap(gaps[-1].start, gaps[-1].samples + end - start, by)
            else:
                gaps.append(Gap(chunk.start + start, end - start, by))
        total += len(chunk)
    return CaptureEnd(total - lost, lost, tuple(gaps), None, None, notes)


def false_runs(valid: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return begin and end of each run of False."""
    if valid.all():
        return []
    edges = np.flatnonzero(np.diff(valid.astype(np.int8), prepend=1, append=1))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
