"""Runs and gates made by hand for the report: small ones with everything, and one that is large."""

from dataclasses import replace

import numpy as np

from hilbench.gate.verdicts import CellVerdict, GateResult
from hilbench.measurement.accuracy import Accuracy
from hilbench.records import ClockInfo, PlannedOperator
from hilbench.runs import Journal
from hilbench.runs.schema import BoardRecord, EndRecord, ErrorRecord, VariantRecord
from tests.runs.run_examples import BOARD, PROVENANCE, SESSION, VARIANT, session

LABELS = np.array([0, 0, 1, 1, 2, 2], np.uint8)
OUTPUTS = np.array([[9, 0, 0], [9, 0, 0], [0, 9, 0], [9, 0, 0], [0, 0, 9], [0, 9, 0]], np.int8)
CYCLES = ClockInfo("cycles", "cycles", 1.0, 64_000_000, "measured")


def write_run(root, cells, *, boards=(), variants=(), sessions=(), errors=()):
    """A journal from records, ended; returns its folder."""
    journal = Journal.create(root, replace(PROVENANCE, cells=tuple(cells)))
    for record in (*boards, *variants):
        journal.append(record)
    for record, arrays in sessions:
        if arrays:
            journal.append_session(record, **arrays)
        else:
            journal.append(record)
    for record in errors:
        journal.append(record)
    journal.append(EndRecord("complete", "2026-01-02T04:00:00+00:00"))
    return journal.folder


def small_run(root):
    """Emulated instructions on two boards, hardware cycles on a third; one failure, one hostile name."""
    boards = [
        BOARD,
        replace(BOARD, board="m3", port="mps2-an385"),
        replace(BOARD, board="lab", emulated=False, emulator=None, unique_id="E66038B7"),
    ]
    names = ["fp32", "int8", "a<b>&\"'"]
    variants = [
        replace(VARIANT, board=b.board, variant=v, plan_bytes=38_000 // (k + 1), vectors_n=6)
        for b in boards
        for k, v in enumerate(names)
        if (b.board, v) != ("lab", "fp32")
    ]
    sessions = []
    for v in variants:
        k = names.index(v.variant)
        for number in (1, 2, 3):
            hardware = v.board == "lab"
            median = 1000.0 * (3 - k) + (number - 2) * 3 * hardware
            record = replace(
                session(number, median),
                board=v.board,
                variant=v.variant,
                accuracy=Accuracy(
                    "top1", 0.97 - 0.01 * k, 0.95 - 0.01 * k, 0.98 - 0.01 * k, 450, 430
                ),
            )
            if hardware:
                record = replace(record, clock=CYCLES, energy_source="none", energy_uj=None)
            sessions.append((record, {"outputs": OUTPUTS, "labels": LABELS}))
    error = ErrorRecord("lab", "fp32", None, "ModelTooLargeError", "needs 9 bytes, has 8", 2)
    cells = [(b.board, v) for b in boards for v in names]
    return write_run(
        root, cells, boards=boards, variants=variants, sessions=sessions, errors=[error]
    )


def large_run(root, boards=10, variants=20, operators=12):
    """As many cells as the report has to bear, no two alike."""
    rng = np.random.default_rng(5)
    clocks = (CYCLES, SESSION.clock)
    board_records: list[BoardRecord] = [
        replace(BOARD, board=f"board-{b:02d}", emulated=b % 2 == 1) for b in range(boards)
    ]
    plan = tuple(
        PlannedOperator(k, f"CONV_2D_{k}+RELU", f"conv{k % 9}_s8", 1000 * k, (1, 8, 8, k + 1))
        for k in range(operators)
    )
    variant_records: list[VariantRecord] = []
    sessions = []
    for b, board in enumerate(board_records):
        for v in range(variants):
            name = f"variant_{v:02d}_int8"
            variant_records.append(
                replace(
                    VARIANT, board=board.board, variant=name, operators=plan,
                    plan_bytes=1000 * (v + 1) + b, arena_bytes=100 * (v + 1) + b,
                )
            )  # fmt: skip
            share = 0.8 + 0.1 * float(rng.random())
            for number in (1, 2, 3):
                median = float(rng.integers(10_000, 900_000))
                record = replace(
                    session(number, median), board=board.board, variant=name, clock=clocks[b % 2],
                    accuracy=Accuracy("top1", share, share - 0.02, share + 0.02, 450, 400),
                    operator_ticks=tuple(int(t) for t in rng.integers(100, 9999, operators)),
                )  # fmt: skip
                sessions.append((record, {}))
    cells = [(r.board, r.variant) for r in variant_records]
    return write_run(root, cells, boards=board_records, variants=variant_records, sessions=sessions)


def verdict(board, variant, metric, word, kind="cycles", **changes):
    """A cell of a gate with numbers."""
    numbers = {
        "baseline": 1000.0, "now": 1015.0, "change": 0.015, "low": 0.012, "high": 0.018,
        "margin": 0.01, "p": 0.0004, "p_adjusted": 0.0008, "mde": 0.004, "n_baseline": 6, "n_now": 6,
        "reason": f"made up to be {word}",
    }  # fmt: skip
    return CellVerdict(board, variant, metric, word, kind, **(numbers | changes))


def gate_of(run_id=PROVENANCE.run_id):
    """One cell of every verdict."""
    nothing = dict.fromkeys(
        ("baseline", "change", "low", "high", "margin", "p", "p_adjusted", "mde", "n_baseline")
    )
    return GateResult(
        run_id,
        "release-1.2",
        (
            verdict("m3", "int8", "latency_median", "PASS", change=0.001, low=-0.001, high=0.003),
            verdict("m4", "int8", "latency_median", "FAIL"),
            verdict("m4", "fp32", "latency_median", "INCONCLUSIVE", low=-0.02, high=0.05),
            verdict("m4", "int8", "energy_uj", "INVALID", "energy", change=None, low=None, high=None),
            verdict("m4", "int8", "accuracy", "WAIVED", "accuracy", baseline=0.98, now=0.95, change=0.03,
                    margin=0.01, low=0.01, high=0.05, waiver="known since 1.1, until 2027-01-01"),
            verdict("m3", "fp32", "latency_median", "IMPROVED", change=-0.2, low=-0.21, high=-0.19),
            verdict("m4", "int8", "plan_bytes", "NEW", "exact", **nothing),
            verdict("m9", "int8", "latency_median", "MISSING", now=None, change=None, low=None, high=None),
        ),
        waivers=("m4[int8]::accuracy up to 5 %: known since 1.1, until 2027-01-01",),
        warnings=("baseline is 100 days old",),
    )  # fmt: skip
