"""Kill runs with SIGKILL at seeded system calls, then resume them; ``python kill_points.py POINTS SEED``.

A child dies before, within or after a write, a sync or a rename of the store. What it had told to
be kept must be there; every third run is killed a second time, while it is resumed. Frames, which take
most of the time, are sealed in every tenth run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import threading
from pathlib import Path

from hilbench import bench
from hilbench.bench import run_suite
from hilbench.errors import StoreError
from hilbench.runs import Journal, read_journal, seal
from hilbench.runs.journal import SUMS
from hilbench.runs.schema import SessionRecord
from hilbench.runs.sums import _sha256, write_sums
from tests.bench.synthetic_bench import BOARDS, CELLS, SUITE, SyntheticBench

CALLS = 82  # of a whole run, about; frames are 20 more
WRITE, FSYNC, REPLACE = os.write, os.fsync, Path.replace


def start(root: Path, resume: Path | None, fatal: int, torn: float) -> list[tuple[str, str, int]]:
    """Run in a child that dies at its call number ``fatal``; returns the sessions it told."""
    told_in, told_out = os.pipe()
    child = os.fork()
    if child == 0:
        arm(told_out, fatal, torn)
        run_suite(SUITE, BOARDS, results=root, resume=resume)
        os._exit(0)
    os.close(told_out)
    with os.fdopen(told_in) as told:
        lines = [json.loads(line) for line in told if line.endswith("\n")]
    os.waitpid(child, 0)
    return [tuple(line) for line in lines]


def arm(told_out: int, fatal: int, torn: float) -> None:
    """Count calls; the fatal one kills, a write after a share of its bytes."""
    lock, calls = threading.Lock(), 0

    def dies() -> bool:
        nonlocal calls
        with lock:
            calls += 1
            return calls == fatal

    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def write(file: int, data: bytes) -> int:
        if dies():
            WRITE(file, data[: int(torn * (len(data) + 1))])
            kill()
        return WRITE(file, data)

    def fsync(file: int) -> None:
        if dies():
            kill()
        FSYNC(file)

    def rename(path: Path, target: Path) -> Path:
        if dies():
            kill()
        return REPLACE(path, target)

    keep = Journal.append_session

    def append_session(self: Journal, record: SessionRecord, **arrays: object) -> SessionRecord:
        kept = keep(self, record, **arrays)
        line = json.dumps([kept.board, kept.variant, kept.session]) + "\n"
        WRITE(told_out, line.encode())
        return kept

    os.write, os.fsync, Path.replace = write, fsync, rename
    Journal.append_session = append_session


def sessions(folder: Path) -> dict[tuple[str, str, int], SessionRecord]:
    """Return a run's sessions; each once, its files as they were."""
    records = [r for r in read_journal(folder).records if isinstance(r, SessionRecord)]
    found = {(r.board, r.variant, r.session): r for r in records}
    assert len(found) == len(records), "a session is there twice"
    for record in records:
        for name, digest in record.files.items():
            assert _sha256(folder / name) == digest, f"{name} is another"
    return found


def one_point(root: Path, random_: random.Random, *, twice: bool) -> str:
    """Kill, look, resume, look; returns what kind of point it was."""
    told = start(root, None, random_.randrange(1, CALLS), random_.random())
    folders = list(root.iterdir())
    try:
        (folder,) = folders
        kept = sessions(folder)
    except (ValueError, StoreError):
        assert not told, f"{told} lost"
        return "before the first record"
    assert set(told) <= set(kept), f"{set(told) - set(kept)} lost"
    if twice and read_journal(folder).records[-1].KIND != "end":
        told += start(root, folder, random_.randrange(1, CALLS), random_.random())
        again = sessions(folder)
        assert set(told) <= set(again)
        assert all(again[key] == record for key, record in kept.items())
        kept = again
    ended = read_journal(folder).records[-1].KIND == "end"
    if not (ended and (folder / SUMS).exists()):
        outcome = run_suite(SUITE, BOARDS, results=root, resume=folder)
        assert outcome.exit_code == 0, outcome
    for line in (folder / SUMS).read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert _sha256(folder / name) == digest
    final = sessions(folder)
    assert all(final[key] == record for key, record in kept.items()), "a kept session changed"
    assert set(final) == {(b, v, n) for b, v in CELLS for n in (1, 2, 3)}
    assert list(root.iterdir()) == [folder]
    assert not list(folder.rglob(".*.tmp"))
    return "after the last" if ended else "within"


def main() -> None:
    """Print how many points of each kind there were."""
    points, seed = int(sys.argv[1]), int(sys.argv[2])
    SyntheticBench(setattr)
    kinds: dict[str, int] = {}
    for number in range(points):
        point = random.Random(f"{seed} {number}")
        bench.seal = seal if number % 10 == 0 else write_sums
        with tempfile.TemporaryDirectory() as folder:
            try:
                kind = one_point(Path(folder) / "results", point, twice=number % 3 == 0)
            except AssertionError as error:
                raise SystemExit(f"seed {seed}, point {number}: {error}") from error
        kinds[kind] = kinds.get(kind, 0) + 1
    print(json.dumps(kinds))


if __name__ == "__main__":
    main()
