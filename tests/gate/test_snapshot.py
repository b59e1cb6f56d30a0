"""What a gate reads of a run folder."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hilbench.errors import StoreError
from hilbench.gate.snapshot import snapshot
from hilbench.measurement.accuracy import Accuracy
from hilbench.runs import Journal
from hilbench.runs.schema import EnergyRecord
from tests.gate.run_folders import VECTORS, write_run
from tests.runs import run_examples as ex

KEY = ("m4", "int8")


def test_figures(tmp_path):
    run = snapshot(write_run(tmp_path, medians=(1000.0, 1010.0, 990.0), wrong=[0, 9]))
    cell = run.cells[KEY]
    assert cell.cycles["latency_median"] == (2500.0, 2525.0, 2475.0)  # 2.5 instructions a tick
    assert cell.resolution == 2.5
    assert "latency_us" not in cell.cycles  # instructions are no time
    assert cell.exact["plan_bytes"] == 38000
    assert cell.exact["stack_used_bytes"] == 600
    assert cell.fingerprint["vectors_sha256"] == "f1"
    assert cell.fingerprint["emulated"] == "yes"
    assert cell.accuracy.value == pytest.approx(448 / 450)
    assert np.flatnonzero(~cell.accuracy.bits("correct")).tolist() == [0, 9]
    assert cell.energy is None  # 6 uJ are an estimate from its latency
    assert run.warnings == (
        "board m4: its energy is estimated from its latency, not measured: not compared",
    )


def test_metered_energy(tmp_path):
    """Of 10 uJ: 0.03 and 0.04 alike in each session, edges of 0.06 in three, a gain of 0.12."""
    parts = {
        f"{name}_uj": 0.0 for name in ("loss", "switches", "tail", "offset", "supply", "clock")
    }
    parts |= {"quantisation_uj": 0.03, "restore_uj": 0.04, "edges_uj": 0.06, "gain_uj": 0.12}
    record = EnergyRecord(
        {f"energy_u_{name}": uj for name, uj in parts.items()},
        {"energy_meter": "PPK2 1"}, (2.0, 8.0), (1.0, 1.0),
    )  # fmt: skip
    folder = write_run(tmp_path, session={"energy": record, "energy_uj": 10.0})
    energy = snapshot(folder).cells[KEY].energy
    assert energy.uj == (10.0, 10.0, 10.0)
    assert energy.comparative_u == pytest.approx(math.sqrt(0.005**2 + 0.006**2 / 3))
    assert energy.absolute_u == pytest.approx(math.sqrt(0.013**2 + 0.006**2 / 3))
    assert energy.range_shares == pytest.approx((0.2, 0.8))


def test_an_unknown_uncertainty_stays_unknown(tmp_path):
    record = EnergyRecord({}, {"energy_meter": "x"}, (), ())
    energy = snapshot(write_run(tmp_path, session={"energy": record})).cells[KEY].energy
    assert (energy.comparative_u, energy.absolute_u, energy.range_shares) == (None, None, ())


def test_cells_that_are_not_whole(tmp_path):
    journal = Journal.create(tmp_path, replace(ex.PROVENANCE, cells=(KEY, ("m4", "fp32"))))
    journal.append(ex.BOARD)
    journal.append(ex.VARIANT)
    journal.append_session(ex.session(1), outputs=np.zeros((2, 1), np.int8))
    journal.append(ex.CELL_ERROR)
    journal.end("failed")
    run = snapshot(journal.folder)
    assert run.cells == {}
    assert run.failed == {
        KEY: "NotMeasured: run failed after 1 of 3 sessions",
        ("m4", "fp32"): "ModelTooLargeError: needs 9 bytes, has 8",
    }


def test_an_exact_metric_that_differs_between_sessions(tmp_path):
    journal = Journal.create(tmp_path, replace(ex.PROVENANCE, cells=(KEY,), sessions=2))
    journal.append(ex.BOARD)
    journal.append(ex.VARIANT)
    for number, lsb, stack in ((1, 1, 600), (2, 3, 700)):
        session = ex.session(
            number,
            reference=replace(ex.SESSION.reference, lsb_max=lsb),
            memory=replace(ex.SESSION.memory, stack_used_bytes=stack),
        )
        journal.append_session(session, outputs=np.full((2, 1), number, np.int8))
    journal.end("complete")
    cell = snapshot(journal.folder).cells[KEY]
    assert cell.varies == ("lsb_max_reference",)
    assert cell.exact["stack_used_bytes"] == 700  # a high-water mark: the largest counts
    assert cell.accuracy.outputs_sha256 == ""
    assert cell.accuracy.correct == ""


def test_outputs_that_were_changed_or_are_gone(tmp_path):
    folder = write_run(tmp_path)
    file = folder / "outputs/m4/int8-2.npz"
    file.write_bytes(b"x")
    with pytest.raises(StoreError) as caught:
        snapshot(folder)
    assert str(caught.value) == f"{file}: is not what the journal names; restore it"
    file.unlink()
    with pytest.raises(StoreError) as caught:
        snapshot(folder)
    assert str(caught.value) == f"{file}: cannot be read (No such file or directory)"


def test_a_session_without_outputs(tmp_path):
    journal = Journal.create(tmp_path, replace(ex.PROVENANCE, cells=(KEY,), sessions=1))
    journal.append(ex.BOARD)
    journal.append(ex.VARIANT)
    journal.append(ex.session(1))
    journal.end("complete")
    with pytest.raises(StoreError) as caught:
        snapshot(journal.folder)
    assert str(caught.value) == (
        f"{journal.folder}: session 1 of m4 int8 names no outputs; measure it again"
    )


def test_bits_of_any_number_of_vectors(tmp_path):
    right = np.arange(VECTORS) % 3 == 0
    arrays = {"outputs": right.astype(np.int8)[:, None], "correct": right}
    side = snapshot(write_run(tmp_path, arrays=arrays)).cells[KEY].accuracy
    assert (side.bits("correct") == right).all()


def test_what_pairs_vectors_of_other_metrics(tmp_path):
    """Scores and errors as the bench keeps them: float32, bit by bit."""
    scores = np.linspace(-1, 1, VECTORS).astype(np.float32)
    for metric, arrays in (
        ("auc", {"scores": scores, "positive": scores > 0.5}),
        ("mse", {"squared_errors": scores**2}),
    ):
        record = {"accuracy": Accuracy(metric, 0.5, None, None, VECTORS, None)}
        folder = write_run(
            tmp_path / metric, session=record, arrays={"outputs": scores[:, None], **arrays}
        )
        side = snapshot(folder).cells[KEY].accuracy
        assert side.paired
        assert (side.correct, side.metric) == ("", metric)
        if metric == "auc":
            assert (side.floats("scores") == scores).all()
            assert (side.bits("positive") == (scores > 0.5)).all()
        else:
            assert (side.floats("squared_errors") == scores**2).all()
    old = write_run(tmp_path / "old", session=record, arrays={"outputs": scores[:, None]})
    assert not snapshot(old).cells[KEY].accuracy.paired
