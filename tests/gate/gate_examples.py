"""A board, a variant and their numbers by hand, and what becomes of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date

import numpy as np

from hilbench.gate.baseline import Accepted, Baseline
from hilbench.gate.config import GateConfig
from hilbench.gate.energy import EnergySide
from hilbench.gate.judge import judge
from hilbench.gate.snapshot import FIELDS, AccuracySide, CellNumbers, Snapshot
from hilbench.measurement.accuracy import auc

TODAY = date(2026, 11, 22)
KEY = ("m4", "int8")

FINGERPRINT = {
    **{name: name for names in FIELDS.values() for name in names},
    "emulated": "yes",
    "time_base": "cycles",
    "vectors_sha256": "aa11",
    "vectors_n": "400",
}


def accuracy(wrong=(), n=400, tag=""):
    """Outputs in which some vectors are wrong."""
    right = np.ones(n, bool)
    right[list(wrong)] = False
    digest = hashlib.sha256(right.tobytes() + tag.encode()).hexdigest()
    return AccuracySide("top1", float(right.mean()), n, digest, np.packbits(right).tobytes().hex())


def hex_of(values):
    """Float32, big endian."""
    return np.asarray(values, ">f4").tobytes().hex()


def of_scores(scores, positive):
    """Outputs of a suite with metric auc."""
    scores, positive = np.asarray(scores), np.asarray(positive, bool)
    digest = hashlib.sha256(scores.tobytes()).hexdigest()
    area = auc(scores, positive).value
    bits = np.packbits(positive).tobytes().hex()
    return AccuracySide("auc", area, len(scores), digest, "", bits, hex_of(scores))


def of_errors(errors):
    """Outputs of a suite with metric mse."""
    digest = hashlib.sha256(np.asarray(errors).tobytes()).hexdigest()
    mse, n = float(np.mean(errors)), len(errors)
    return AccuracySide("mse", mse, n, digest, "", squared_errors=hex_of(errors))


CELL = CellNumbers(
    fingerprint=FINGERPRINT,
    model_sha256="d1",
    image_sha256="c1",
    exact={"plan_bytes": 1000, "agreement_tflm": 1.0},
    cycles={"latency_median": (1e6, 1.0001e6, 0.9999e6)},
    resolution=1.0,
    accuracy=accuracy(),
    sessions=3,
)
METERED = replace(CELL, energy=EnergySide((10.0, 10.01, 9.99), 0.001, 0.01, (0.0, 1.0)))


def run_of(*cells, **changes):
    """A run of cells: the default one, else (key, numbers) pairs."""
    held = dict(cells or [(KEY, CELL)])
    return replace(Snapshot("run-2", "digits", held, {}), **changes)


def baseline_of(*cells):
    """A baseline of cells, likewise."""
    held = {k: Accepted(v, "run-1", TODAY, "first") for k, v in cells or [(KEY, CELL)]}
    return Baseline("digits", held, "digits.toml@0123456789ab")


def fingerprinted(cell=CELL, **changes):
    """The cell with another fingerprint."""
    return replace(cell, fingerprint={**cell.fingerprint, **changes})


def gate(run=None, baseline=None, config=None, **options):
    """Judge, on a fixed day."""
    return judge(
        run or run_of(), baseline or baseline_of(), config or GateConfig(), today=TODAY, **options
    )


def cell_of(result, metric, key=KEY):
    """The verdict of a metric."""
    return next(c for c in result.cells if (c.board, c.variant, c.metric) == (*key, metric))
