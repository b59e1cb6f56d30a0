"""Two variants take turns, A B B A: a drift hits both alike."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import hilbench
from hilbench.bench import check_abba, run_suite
from hilbench.bench import runner as runner_module
from hilbench.errors import ModelError, UsageError
from hilbench.runs import comparisons_frame, read_journal
from hilbench.runs.schema import SessionRecord, VariantRecord
from tests.end_to_end.conftest import ZOO, need_image

A, B, OTHER = "student_int8", "mlp_int8", "int8"


@pytest.fixture
def three(zoo):
    """In the suite's own order B comes last."""
    chosen = tuple(replace(v, parent=None) for v in zoo.variants if v.name in {A, B, OTHER})
    return replace(zoo, variants=chosen, sessions=3, iterations=2)


def sessions(folder):
    records = read_journal(folder).records
    return [(r.variant, r.session) for r in records if isinstance(r, SessionRecord)]


@pytest.mark.firmware
def test_sessions_of_the_pair_take_turns_and_others_follow(boards, three, tmp_path):
    need_image("posix")
    outcome = run_suite(three, [boards["native"]], results=tmp_path, limit=3, abba=(B, A))
    assert outcome.errors == ()
    turns = [(B, 1), (A, 1), (A, 2), (B, 2), (B, 3), (A, 3)]
    assert sessions(outcome.folder) == [*turns, *((OTHER, number) for number in (1, 2, 3))]
    records = read_journal(outcome.folder).records
    variants = [r.variant for r in records if isinstance(r, VariantRecord)]
    assert variants == [B, A, OTHER]  # each told once, before its first session
    frame = hilbench.load(outcome.folder).set_index("variant")
    assert (frame["sessions"] == 3).all()
    assert len(comparisons_frame(outcome.folder)) == 0  # nothing was measured: no meter


@pytest.mark.firmware
def test_where_one_of_the_pair_fails_the_other_goes_on(boards, three, tmp_path, monkeypatch):
    need_image("posix")
    real, seen = runner_module.measure_session, []

    def measure_session(board, variant, plan, *rest):
        seen.append((variant.config.name, plan.number))
        if seen[-1] == (A, 1):
            raise ModelError("A cannot be")
        return real(board, variant, plan, *rest)

    monkeypatch.setattr(runner_module, "measure_session", measure_session)
    outcome = run_suite(three, [boards["native"]], results=tmp_path, limit=3, abba=(A, B))
    assert [str(e) for e in outcome.errors] == ["A cannot be"]
    assert seen[:4] == [(A, 1), (B, 1), (B, 2), (B, 3)]
    assert len(comparisons_frame(outcome.folder)) == 0


@pytest.mark.qemu
def test_two_variants_at_one_meter_are_compared(boards, three, tmp_path):
    board = boards["m4-energy"]
    need_image(board.firmware)
    pair = tuple(v for v in three.variants if v.name in {A, B})
    suite = replace(three, variants=pair, sessions=2)
    outcome = run_suite(suite, [board], results=tmp_path, limit=3, abba=(A, B))
    assert outcome.errors == ()
    assert sessions(outcome.folder) == [(A, 1), (B, 1), (B, 2), (A, 2)]
    (row,) = [r for _, r in comparisons_frame(outcome.folder).iterrows()]
    frame = hilbench.load(outcome.folder).set_index("variant")
    # The model's current is constant: energies are as durations are.
    true_ratio = frame.loc[A, "latency_median"] / frame.loc[B, "latency_median"]
    assert (row["board"], row["a"], row["b"], row["sessions"]) == (board.id, A, B, 2)
    assert abs(row["ratio"] - true_ratio) < row["expanded"] * true_ratio
    assert row["ratio"] == pytest.approx(true_ratio, rel=2e-3)
    assert np.isfinite(row["coverage_k"])


# -- refused before any board is touched --------------------------------------------------------------


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        ((A, "nope"), f"abba: no variant 'nope' in the suite; it has: {OTHER}, {A}, {B}"),
        ((A, A), f"abba: '{A}' cannot take turns with itself; name two variants"),
    ],
)
def test_a_pair_that_is_none(pair, sentence, three, tmp_path):
    check_abba(three, None)
    check_abba(three, (A, B))
    names = [v.name for v in three.variants]
    sentence = sentence.replace(f"{OTHER}, {A}, {B}", ", ".join(names))
    with pytest.raises(UsageError, match=re.escape(sentence)):
        run_suite(three, ["nobody is asked"], results=tmp_path, abba=pair)
    assert list(tmp_path.iterdir()) == []


def test_half_a_pair_is_no_comparison(boards, three, tmp_path):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"nothing")
    variants = tuple(replace(v, model=broken) if v.name == A else v for v in three.variants)
    with pytest.raises(ModelError, match=re.escape("broken.tflite")):
        run_suite(
            replace(three, variants=variants),
            [boards["native"]],
            results=tmp_path / "results",
            abba=(B, A),
        )
    assert not (tmp_path / "results").exists()


def test_a_board_whose_image_holds_the_variant_cannot_change_it(
    boards,
    three,
    tmp_path,
    monkeypatch,
):
    need_image("atmega328p")

    def never(*_):
        pytest.fail("the board was touched")

    monkeypatch.setattr(runner_module, "open_board", never)
    outcome = run_suite(three, [boards["uno"]], results=tmp_path, limit=2, abba=(A, B))
    assert [str(e) for e in outcome.errors] == [
        f"board uno: has one variant in an image at a time, so {A} and {B} cannot take turns; leave "
        "out --abba, or this board"
    ]
    assert outcome.exit_code == 2


@pytest.mark.firmware
def test_the_command_line(cli, boards_file):
    need_image("posix")
    common = ("run", ZOO / "suite.toml", "--board", "native", "--boards", boards_file)
    refused = cli(*common, "--abba", A, "nope")
    assert refused.returncode == 2
    assert refused.stderr.startswith("hilbench: abba: no variant 'nope' in the suite; it has: ")
    alone = cli(*common, "--abba", A)
    assert alone.returncode == 2
    assert "--abba: expected 2 arguments" in alone.stderr
