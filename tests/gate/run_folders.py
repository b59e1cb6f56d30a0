"""Run folders as a bench writes them, with what a gate reads: ticks, outputs, which are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hilbench.runs import Journal, seal
from tests.runs import run_examples as ex

VECTORS = 450


def write_run(root, *, medians=(1000.0, 1000.0, 1000.0), wrong=(), board=ex.BOARD, variants=("int8",),
              plan_bytes=38000, session=None, clock=None, files=None, arrays=None,
              variant_record=None):  # fmt: skip
    """One board; returns the sealed folder.

    Args:
        root: results folder.
        medians: of the sessions of every variant, in ticks.
        wrong: vectors that are wrong.
        board: its record.
        variants: names.
        plan_bytes: of every variant.
        session: changes of every SessionRecord.
        clock: of the board's counter.
        files: configuration files of the provenance.
        arrays: instead of outputs and correct.
        variant_record: changes of every VariantRecord.
    """
    cells = tuple((board.board, v) for v in variants)
    provenance = replace(ex.PROVENANCE, cells=cells, sessions=len(medians), files=files or {})
    journal = Journal.create(root, provenance)
    journal.append(board)
    right = np.ones(VECTORS, bool)
    right[list(wrong)] = False
    for variant in variants:
        known = {"plan_bytes": plan_bytes, "model_sha256": f"model of {variant}"}
        known |= variant_record or {}
        journal.append(replace(ex.VARIANT, variant=variant, board=board.board, **known))
        for number, median in enumerate(medians, start=1):
            accuracy = replace(ex.SESSION.accuracy, value=float(right.mean()))
            record = ex.session(
                number, median, variant=variant, board=board.board, accuracy=accuracy
            )
            record = replace(
                record, **({} if clock is None else {"clock": clock}), **(session or {})
            )
            kept = arrays or {"outputs": right.astype(np.int8)[:, None], "correct": right}
            journal.append_session(record, **kept)
    journal.end("complete")
    seal(journal.folder)
    return journal.folder
