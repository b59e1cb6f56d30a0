"""Gate and report of a synthetic run of 1,000,000 inferences: time and memory of the two commands.

    PYTHONPATH=. python benchmarks/bench_store.py

50 boards x variants, 10 sessions of 2000 inferences each. Both commands count whole, from the start of
their interpreters. Result: results/bench/store.json.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from hilbench.errors import EXIT_PASS, EXIT_REGRESSION
from hilbench.runs import Journal, seal
from tests.runs import run_examples as ex

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "results" / "bench" / "store.json"
BOARDS, VARIANTS, SESSIONS, INFERENCES = 10, 5, 10, 2000
GOAL_S, GOAL_MB = 3.0, 1000.0


def write_run(root: Path, seed: int) -> Path:
    """Write and seal a run whose ticks scatter by 0.1 %."""
    random = np.random.default_rng(seed)
    boards = [f"board-{n}" for n in range(BOARDS)]
    variants = [f"variant-{n}" for n in range(VARIANTS)]
    cells = tuple((b, v) for b in boards for v in variants)
    journal = Journal.create(root, replace(ex.PROVENANCE, cells=cells, sessions=SESSIONS, files={}))
    right = np.ones(450, bool)
    for board in boards:
        journal.append(replace(ex.BOARD, board=board))
        for variant in variants:
            journal.append(
                replace(ex.VARIANT, board=board, variant=variant, model_sha256=f"of {variant}")
            )
            for number in range(1, SESSIONS + 1):
                ticks = random.normal(100_000, 100, INFERENCES).astype(np.uint32)
                summary = replace(
                    ex.SESSION.ticks, inferences=INFERENCES, stored=INFERENCES,
                    median=float(np.median(ticks)), minimum=int(ticks.min()),
                    maximum=int(ticks.max()), sum=int(ticks.sum(dtype=np.int64)),
                )  # fmt: skip
                accuracy = replace(ex.SESSION.accuracy, value=1.0, correct=450)
                record = ex.session(
                    number, board=board, variant=variant, ticks=summary, accuracy=accuracy
                )
                outputs = right.astype(np.int8)[:, None]
                journal.append_session(record, outputs=outputs, correct=right, ticks=ticks)
    journal.end("complete")
    seal(journal.folder)
    return journal.folder


def timed(folder: Path, *arguments: str) -> float:
    """Run a command as one that is installed, its byte code kept; return its time in s."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder / "py")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "hilbench", *arguments], cwd=folder, check=False,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    if done.returncode != EXIT_PASS:
        raise SystemExit(f"bench-store: {' '.join(arguments)}: {done.returncode} {done.stderr}")
    return time.monotonic() - start_s


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        before, after = write_run(root / "a", 1), write_run(root / "b", 2)
        timed(root, "baseline", "accept", "--run", str(before), "--reason", "benchmark")
        (baseline,) = (root / "baselines").iterdir()
        timed(root, "report", str(before))  # keeps its byte code
        gate_s = timed(root, "gate", str(after), "--baseline", str(baseline))
        report_s = timed(root, "report", str(after), "--gate", str(baseline))
    most_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    met = gate_s + report_s < GOAL_S and most_mb < GOAL_MB
    figures = {
        "inferences": BOARDS * VARIANTS * SESSIONS * INFERENCES,
        "gate_s": gate_s,
        "report_s": report_s,
        "goal_s": GOAL_S,
        "most_memory_mb": most_mb,
        "goal_mb": GOAL_MB,
        "met": met,
        "cpus": os.cpu_count(),
        "load_1min": os.getloadavg()[0],
        "python": platform.python_version(),
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(figures, indent=2) + "\n")
    print(
        f"gate {gate_s:.2f} s + report {report_s:.2f} s, goal < {GOAL_S:g} s; "
        f"{most_mb:.0f} MB, goal < {GOAL_MB:g} MB: {'met' if met else 'NOT met'}; {RESULT}"
    )
    return EXIT_PASS if met else EXIT_REGRESSION


if __name__ == "__main__":
    sys.exit(main())
