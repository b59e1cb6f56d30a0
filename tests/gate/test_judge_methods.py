"""What judge says of accuracy and energy: verdicts, sentences, what cannot be paired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilbench.gate.config import GateConfig, Pair
from hilbench.gate.energy import EnergySide
from hilbench.runs.schema import ComparisonRecord
from tests.gate.gate_examples import (
    CELL,
    KEY,
    METERED,
    accuracy,
    baseline_of,
    cell_of,
    gate,
    of_errors,
    of_scores,
    run_of,
)

# Accuracy


@pytest.mark.parametrize(
    ("wrong", "verdict"), [(range(20), "FAIL"), (range(3), "INCONCLUSIVE"), ((), "PASS")]
)
def test_accuracy(wrong, verdict):
    result = gate(run_of((KEY, replace(CELL, accuracy=accuracy(wrong, tag="other")))))
    cell = cell_of(result, "accuracy")
    assert cell.verdict == verdict
    assert cell.change == pytest.approx(len(wrong) / 400)
    assert cell.reason.startswith(f"{len(wrong)} of 400 vectors lost, 0 won: ")
    assert (cell.n_baseline, cell.n_now) == (400, 400)


def test_accuracy_that_rises_improves():
    before = baseline_of((KEY, replace(CELL, accuracy=accuracy(range(30)))))
    assert cell_of(gate(baseline=before), "accuracy").verdict == "IMPROVED"


@pytest.mark.parametrize(
    ("metric", "what"),
    [("top1", "which vectors are right"), ("auc", "the score of each vector"),
     ("mse", "the squared error of each vector")],
)  # fmt: skip
@pytest.mark.parametrize("side", ["run", "baseline"])
def test_outputs_that_cannot_be_paired(metric, what, side):
    known = {"top1": accuracy(), "auc": of_scores([0, 1, 2, 3], [0, 1, 0, 1]), "mse": of_errors([1.0, 2.0])}[metric]  # fmt: skip
    blank = replace(known, correct="", scores="", squared_errors="", outputs_sha256="other")
    sides = {"run": known, "baseline": known} | {side: blank}
    run, before = (run_of, baseline_of)
    result = gate(
        run((KEY, replace(CELL, accuracy=sides["run"]))),
        before((KEY, replace(CELL, accuracy=sides["baseline"]))),
    )
    cell = cell_of(result, "accuracy")
    assert (cell.verdict, cell.reason) == (
        "INCONCLUSIVE",
        f"outputs changed, and the {side} does not hold {what} ({metric}): they cannot be paired; "
        f"look at both, and accept the run if it is right",
    )


def test_outputs_that_differ_within_a_run():
    varying = replace(accuracy(), outputs_sha256="")
    cell = cell_of(gate(run_of((KEY, replace(CELL, accuracy=varying)))), "accuracy")
    assert (cell.verdict, cell.reason) == ("INVALID", "outputs differ between sessions of this run")


def judged(before, now):
    """The accuracy cell of two sides."""
    run, was = ((KEY, replace(CELL, accuracy=side)) for side in (now, before))
    return cell_of(gate(run_of(run), baseline_of(was)), "accuracy")


RNG = np.random.default_rng(31)
POSITIVE = np.arange(1000) % 2 == 0
SCORES = RNG.normal(size=1000) + 3 * POSITIVE
ERRORS = np.mean(RNG.normal(size=(2000, 8)) ** 2, axis=1)


@pytest.mark.parametrize(
    ("now", "verdict", "says"),
    [
        (SCORES * 2, "PASS", "AUC 0.9792 to 0.9792, 0 of 1000 vectors moved: +0.00 points, surely"),
        (SCORES + RNG.normal(0, 1.5, 1000), "FAIL", "AUC 0.9792 to 0.8"),
        (SCORES + RNG.normal(0, 0.25, 1000), "INCONCLUSIVE", "AUC 0.9792 to 0.97"),
        (SCORES + 2 * POSITIVE, "IMPROVED", "AUC 0.9792 to 0.99"),
    ],
)
def test_areas(now, verdict, says):
    cell = judged(of_scores(SCORES, POSITIVE), of_scores(now, POSITIVE))
    assert cell.verdict == verdict
    assert cell.reason.startswith(says)
    assert cell.change == pytest.approx(cell.baseline - cell.now, abs=1e-6)
    assert cell.low <= cell.change <= cell.high
    assert (cell.n_baseline, cell.n_now, cell.unit) == (1000, 1000, "points")


@pytest.mark.parametrize(
    ("now", "verdict", "says"),
    [
        (ERRORS * 1.0001, "PASS", "mse 1.005 to 1.005, errors of 2000 of 2000 vectors changed: +0.01 %, surely"),
        (ERRORS * 1.1, "FAIL", "mse 1.005 to 1.105, errors of 2000 of 2000 vectors changed: +10.00 %, surely worse"),
        (ERRORS * RNG.uniform(0.5, 1.51, 2000), "INCONCLUSIVE", "mse 1.005 to 1.0"),
        (ERRORS * 0.9, "IMPROVED", "mse 1.005 to 0.9"),
    ],
)  # fmt: skip
def test_squared_errors(now, verdict, says):
    cell = judged(of_errors(ERRORS), of_errors(now))
    assert cell.verdict == verdict
    assert cell.reason.startswith(says)
    assert cell.change == pytest.approx(cell.now / cell.baseline - 1, abs=1e-6)
    assert cell.unit == "%"
    assert cell.low <= cell.change <= cell.high


@pytest.mark.parametrize(
    ("before", "now", "sentence"),
    [
        (of_scores([1, 2, 3], [1, 0, 0]), of_scores([2, 1, 3], [1, 0, 0]),
         "outputs changed, and a class has 1 vector, limit 2: an area of that has no scatter; take "
         "more vectors"),
        (of_errors([1.0]), of_errors([2.0]),
         "outputs changed, and one vector's error has no scatter; take more vectors"),
        (of_errors([0.0, 0.0]), of_errors([1.0, 2.0]),
         "outputs changed, and the baseline's mse is 0, of which nothing is a share; give accuracy a "
         "[[budget]]"),
    ],
)  # fmt: skip
def test_what_no_pairing_can_say(before, now, sentence):
    cell = judged(before, now)
    assert (cell.verdict, cell.reason) == ("INCONCLUSIVE", sentence)


def test_a_ratio_without_a_bound():
    cell = judged(of_errors([0.0, 0.0, 1.0] * 2), of_errors([5.0, 0.0, 0.0] * 2))
    assert (cell.verdict, cell.high) == ("INCONCLUSIVE", None)
    assert "to unknown) is neither surely within the margin" in cell.reason
    assert cell.reason.endswith(": take more vectors")


# Energy


def test_stored_energy():
    more = replace(METERED, energy=EnergySide((10.5, 10.51, 10.49), 0.001, 0.01, (0.0, 1.0)))
    cell = cell_of(gate(run_of((KEY, more)), baseline_of((KEY, METERED))), "energy_uj")
    assert cell.verdict == "FAIL"
    assert cell.reason.endswith("; against a stored number, comparative uncertainty")


def test_energy_of_unknown_uncertainty():
    blind = replace(METERED, energy=EnergySide((10.5, 10.51, 10.49), None, None, ()))
    cell = cell_of(gate(run_of((KEY, blind)), baseline_of((KEY, METERED))), "energy_uj")
    assert (cell.verdict, cell.reason) == (
        "INCONCLUSIVE",
        "the meter's uncertainty is not known, so that a stored number says nothing; compare in one "
        "run with --abba and a [[pair]]",
    )


def in_turns(a, b, *, cancels=True):
    """A run in which dense and pruned took turns; energies of the sessions of each."""
    cells = [
        (("m4", name), replace(METERED, energy=EnergySide(uj, 1e-4, 0.01, (1.0,))))
        for name, uj in (("dense", a), ("pruned", b))
    ]
    record = ComparisonRecord("m4", "dense", "pruned", len(a), a[0] / b[0], 0.002, 2.0, cancels, "")
    return run_of(*cells, comparisons=(record,))


@pytest.mark.parametrize(
    ("sessions", "cancels", "words"),
    [(4, True, "A B B A, by blocks"), (2, True, "A B B A"), (4, False, "A B B A")],
)
def test_paired_energy(sessions, cancels, words):
    config = GateConfig(metrics=("energy_uj",), pairs=(Pair("dense", "pruned"),))
    run = in_turns(
        (10.0, 10.1, 10.0, 10.1)[:sessions], (10.5, 10.6, 10.5, 10.6)[:sessions], cancels=cancels
    )
    before = baseline_of((("m4", "dense"), METERED), (("m4", "pruned"), METERED))
    cell = cell_of(gate(run, before, config), "energy_uj", ("m4", "pruned"))
    assert cell.verdict == "FAIL"
    assert cell.change == pytest.approx(0.05, abs=1e-3)
    assert (cell.n_baseline, cell.n_now) == (sessions, sessions)
    assert cell.reason.endswith(f"; paired with dense in this run, {words}")


@pytest.mark.parametrize(
    ("board", "words"),
    [("m*", "; paired with dense in this run, A B B A, by blocks"), ("uno*", "against a stored")],
)
def test_a_pair_is_of_its_boards(board, words):
    config = GateConfig(metrics=("energy_uj",), pairs=(Pair("dense", "pruned", board),))
    run = in_turns((10.0, 10.1, 10.0, 10.1), (10.5, 10.6, 10.5, 10.6))
    accepted = [((b, v), METERED) for b in ("m4", "uno") for v in ("dense", "pruned")]
    cell = cell_of(gate(run, baseline_of(*accepted), config), "energy_uj", ("m4", "pruned"))
    assert words in cell.reason


@pytest.mark.parametrize("wrong", ["dense", "pruned"])
def test_a_pair_with_wrong_outputs_is_no_measurement(wrong):
    """What took less energy may have computed less."""
    config = GateConfig(metrics=("energy_uj",), pairs=(Pair("dense", "pruned"),))
    flaw = f"OutputMismatchError: board m4, {wrong}: 3 of 400 outputs differ"
    run = in_turns((10.0, 10.1, 10.0, 10.1), (9.0, 9.1, 9.0, 9.1))
    before = baseline_of((("m4", "dense"), METERED), (("m4", "pruned"), METERED))
    assert cell_of(gate(run, before, config), "energy_uj", ("m4", "pruned")).verdict == "IMPROVED"
    result = gate(replace(run, flawed={("m4", wrong): flaw}), before, config)
    cell = cell_of(result, "energy_uj", ("m4", "pruned"))
    assert (cell.verdict, cell.reason, result.exit_code) == ("INVALID", flaw, 4)
