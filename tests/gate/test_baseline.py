"""Baselines: what is written is read back, byte by byte; what may not be accepted."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from hilbench.errors import BaselineError, ConfigError, UsageError
from hilbench.gate.baseline import (
    Change,
    accept,
    changes,
    load_baseline,
    save_baseline,
    to_toml,
)
from tests.gate.gate_examples import (
    CELL,
    KEY,
    METERED,
    TODAY,
    baseline_of,
    of_errors,
    of_scores,
    run_of,
)

OTHER = ("uno", "mlp.v2")


def test_written_and_read_back(tmp_path):
    path = tmp_path / "baselines" / "digits.toml"
    odd = replace(METERED, exact={"plan_bytes": 7, "agreement_tflm": 0.1 + 0.2}, varies=())
    first = accept(None, run_of((OTHER, odd), (KEY, CELL)), reason='it\'s "right"', today=TODAY)
    save_baseline(path, first)
    again = load_baseline(path)
    assert again.cells == first.cells
    assert again.suite == "digits"
    assert again.id.startswith("digits.toml@")
    assert to_toml(again) == path.read_text()
    assert [p.name for p in path.parent.iterdir()] == ["digits.toml"]


@pytest.mark.parametrize(
    ("side", "digits"),
    [(of_scores([0.5, 1.5, 2.5], [0, 1, 1]), "scores"), (of_errors([1.0, 2.0]), "squared_errors")],
)
def test_what_pairs_vectors_is_kept_and_checked(tmp_path, side, digits):
    path = tmp_path / "digits.toml"
    save_baseline(path, baseline_of((KEY, replace(CELL, accuracy=side))))
    assert load_baseline(path).cells[KEY].numbers.accuracy == side
    text = path.read_text()
    assert text.count('= ""') == 1  # correct, as in files of old; what does not apply is left out
    path.write_text(text.replace(f'{digits} = "3f', f'{digits} = "', 1))
    with pytest.raises(ConfigError) as caught:
        load_baseline(path)
    n = side.n
    assert str(caught.value).endswith(
        f"accuracy: {digits} has {8 * n - 2} hex digits, {n} vectors need {8 * n}; accept the run again"
    )


def test_cells_stand_in_one_order():
    a = accept(None, run_of((OTHER, METERED), (KEY, CELL)), reason="x", today=TODAY)
    b = accept(None, run_of((KEY, CELL), (OTHER, METERED)), reason="x", today=TODAY)
    assert to_toml(a) == to_toml(b)
    text = to_toml(a)
    assert text.index('[cell."m4"."int8"]') < text.index('[cell."uno"."mlp.v2"]')


def test_accepting_some_cells_leaves_the_others():
    before = baseline_of((KEY, CELL), (OTHER, METERED))
    run = run_of((KEY, METERED), (OTHER, CELL))
    after = accept(before, run, reason="new meter", today=date(2027, 1, 1), cells=["m4[*]"])
    assert after.cells[OTHER] == before.cells[OTHER]
    changed = after.cells[KEY]
    assert (changed.numbers, changed.run, changed.reason) == (METERED, "run-2", "new meter")


@pytest.mark.parametrize(
    ("run", "options", "kind", "sentence"),
    [
        (run_of(), {"reason": " "}, UsageError,
         "reason is blank; say why these numbers are right, for who reviews them"),
        (run_of(), {"cells": ["m7[*]"]}, UsageError,
         "--cells 'm7[*]' names no cell of run run-2; it has: m4[int8]"),
        (run_of(suite="faces"), {}, UsageError,
         "baseline digits.toml@0123456789ab is of suite 'digits', run run-2 of 'faces'; name another "
         "file with --baseline"),
        (run_of(failed={OTHER: "BoardError: died"}), {}, BaselineError,
         "uno[mlp.v2] of run run-2 cannot be a baseline: BoardError: died; measure it again, or leave "
         "it out with --cells"),
        (run_of(flawed={KEY: "OutputMismatchError: wrong"}), {}, BaselineError,
         "m4[int8] of run run-2 cannot be a baseline: OutputMismatchError: wrong; measure it again, "
         "or leave it out with --cells"),
        (run_of((KEY, replace(CELL, sessions=1))), {}, BaselineError,
         "m4[int8] of run run-2 cannot be a baseline: 1 session has no scatter, limit 2; measure it "
         "again, or leave it out with --cells"),
        (run_of((KEY, replace(CELL, varies=("plan_bytes",)))), {}, BaselineError,
         "m4[int8] of run run-2 cannot be a baseline: plan_bytes differ between sessions; measure it "
         "again, or leave it out with --cells"),
    ],
)  # fmt: skip
def test_what_is_not_accepted(run, options, kind, sentence):
    with pytest.raises(kind) as caught:
        accept(baseline_of(), run, **({"reason": "x", "today": TODAY} | options))
    assert str(caught.value) == sentence


def test_an_absent_baseline_says_how_to_make_one(tmp_path):
    path = tmp_path / "digits.toml"
    with pytest.raises(BaselineError) as caught:
        load_baseline(path)
    assert caught.value.exit_code == 4
    assert str(caught.value) == (
        f"{path}: no baseline there (No such file or directory); make one with: hilbench baseline "
        f"accept --run RUN --baseline {path} --reason TEXT"
    )


def test_an_edited_baseline_that_is_none(tmp_path):
    path = tmp_path / "digits.toml"
    text = to_toml(baseline_of((KEY, METERED)))
    for old, new, sentence in (
        ("plan_bytes = 1000", 'plan_bytes = "a"', "exact: plan_bytes must be a number"),
        ("plan_bytes = 1000", "plan_byte = 1", "exact: unknown key 'plan_byte'"),
        ('reason = "first"', 'reason = " "', "reason is blank"),
        ('metric = "top1"', "", "accuracy: metric is missing"),
        ("uj = [", "joule = [", "energy: unknown key 'joule'"),
        ('port = "port"', "port = 1", "fingerprint must be a table of strings"),
        (
            "sessions = 3",
            "sessions = 4",
            "latency_median has 3 values, sessions is 4; accept the run again",
        ),
        (
            "latency_median = [1000000.0",
            "latency_median = [0.0",
            "latency_median has the value 0, must be above 0; accept the run again",
        ),
        ("uj = [10.0", "uj = [-1", "uj has the value -1, must be above 0; accept the run again"),
        ("resolution = 1.0", "", "cycles: resolution is missing; accept the run again"),
        (
            'correct = "ff',
            'correct = "',
            "accuracy: correct has 98 hex digits, 400 vectors need 100; accept the run again",
        ),
    ):
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(ConfigError) as caught:
            load_baseline(path)
        assert str(caught.value).startswith(f'{path}: [cell."m4"."int8"]')
        assert sentence in str(caught.value)


def test_a_cell_that_is_no_table(tmp_path):
    path = tmp_path / "digits.toml"
    for text, sentence in (
        ("[cell]\nm4 = 1", "[cell] m4 must be a table, is 1"),
        ('[cell."m4"]\nint8 = 1', '[cell."m4"] int8 must be a table, is 1'),
    ):
        path.write_text(f'schema = 1\nsuite = "digits"\n{text}\n')
        with pytest.raises(ConfigError) as caught:
            load_baseline(path)
        assert str(caught.value) == f"{path}: {sentence}"


def test_changes_by_cell_and_metric():
    slower = replace(CELL, cycles={"latency_median": (2e6,) * 3}, exact={"plan_bytes": 1000})
    found = changes(baseline_of(), run_of((KEY, slower), (OTHER, CELL)))
    assert found[:2] == [
        Change("m4[int8]", "agreement_tflm", 1.0, None),
        Change("m4[int8]", "latency_median", 1e6, 2e6),
    ]
    assert {c.cell for c in found[2:]} == {"uno[mlp.v2]"}
    assert all(c.accepted is None for c in found[2:])
    assert changes(baseline_of(), run_of()) == []
