"""Every verdict, every refusal, its sentence and its exit code."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from hilbench.errors import ConfigError, UsageError
from hilbench.gate.config import Budget, GateConfig, Layout, Limits, Margin, Pair, Waiver, Where
from hilbench.gate.confirm import Job, confirm, flagged, jobs, merged
from hilbench.gate.snapshot import Snapshot
from tests.gate.gate_examples import (
    CELL,
    KEY,
    METERED,
    TODAY,
    accuracy,
    baseline_of,
    cell_of,
    fingerprinted,
    gate,
    run_of,
)

SLOWER = replace(CELL, cycles={"latency_median": (1.02e6, 1.0201e6, 1.0199e6)})
LARGER = replace(CELL, exact={**CELL.exact, "plan_bytes": 1001})


def test_the_same_run_passes():
    result = gate()
    assert {c.verdict for c in result.cells} == {"PASS"}
    assert result.exit_code == 0
    assert result.headline() == "PASS: 4 PASS; run run-2 against digits.toml@0123456789ab"
    assert cell_of(result, "latency_median").reason == (
        "+0.00 %, surely below +0.02 %, margin +0.50 %; timing is bit-identical"
    )
    assert cell_of(result, "accuracy").reason == "outputs are equal, byte by byte"


def test_a_slower_cell_fails_with_its_numbers():
    result = gate(run_of((KEY, SLOWER)))
    cell = cell_of(result, "latency_median")
    assert (cell.verdict, cell.baseline, cell.now) == ("FAIL", 1e6, 1.02e6)
    assert cell.change == pytest.approx(0.02, abs=1e-4)
    assert cell.low < cell.change < cell.high
    assert (cell.n_baseline, cell.n_now) == (3, 3)
    assert 0 < cell.mde < 0.005
    assert result.exit_code == 1
    assert result.cells[0] is cell
    assert result.headline() == (
        "FAIL: 1 FAIL, 3 PASS; run run-2 against digits.toml@0123456789ab; first: "
        f"m4[int8]::latency_median: {cell.reason}"
    )
    assert cell.reason.startswith(
        "+2.00 %, surely worse (at least +1.98 %), and beyond the margin of +0.50 %"
    )


def test_a_faster_cell_improves():
    assert (
        cell_of(gate(run_of(), baseline_of((KEY, SLOWER))), "latency_median").verdict == "IMPROVED"
    )


def test_noise_is_inconclusive():
    noisy = replace(CELL, cycles={"latency_median": (1e6, 1.1e6, 0.9e6)})
    result = gate(run_of((KEY, noisy)))
    cell = cell_of(result, "latency_median")
    assert (cell.verdict, result.exit_code) == ("INCONCLUSIVE", 4)
    assert (
        "is neither surely within the margin of +0.50 % nor surely worse and beyond it"
        in cell.reason
    )
    assert f"this run sees changes from {100 * cell.mde:+.2f} %: measure more" in cell.reason
    assert result.headline().startswith("UNDECIDED: 1 INCONCLUSIVE, 3 PASS")


def test_one_byte_more_fails_and_an_allowance_lets_it_pass():
    cell = cell_of(gate(run_of((KEY, LARGER))), "plan_bytes")
    assert (cell.verdict, cell.reason) == ("FAIL", "+1 B, allowance 0 B")
    config = GateConfig(margins=(Margin(Where("plan_bytes", "m*"), 16.0),))
    assert gate(run_of((KEY, LARGER)), config=config).exit_code == 0


def test_the_last_margin_that_matches_counts():
    config = GateConfig(
        margins=(Margin(Where("latency_median"), 0.5), Margin(Where("latency_median", "m4"), 0.01))
    )
    assert cell_of(gate(run_of((KEY, SLOWER)), config=config), "latency_median").margin == 0.01


def test_an_exact_metric_that_varies_is_invalid():
    result = gate(run_of((KEY, replace(CELL, varies=("plan_bytes",)))))
    cell = cell_of(result, "plan_bytes")
    assert cell.reason == "is declared exact and differs between sessions of this run; find out why"
    assert (cell.verdict, result.exit_code) == ("INVALID", 4)


def test_a_flawed_cell_has_no_numbers_but_its_agreement():
    flaw = "OutputMismatchError: board m4, int8: 3 of 400 outputs differ"
    result = gate(run_of(flawed={KEY: flaw}))
    assert cell_of(result, "latency_median").reason == flaw
    assert cell_of(result, "latency_median").verdict == "INVALID"
    assert cell_of(result, "agreement_tflm").verdict == "PASS"


# What may not meet


@pytest.mark.parametrize(
    ("changes", "metric", "sentence"),
    [
        ({"emulated": "no"}, "plan_bytes",
         "the baseline is emulated, the run is hardware: they never meet; give each a baseline"),
        ({"time_base": "instructions"}, "latency_median",
         "the baseline counts cycles, the run instructions: time bases never meet; give each a baseline"),
        ({"vectors_sha256": "bb22"}, "accuracy",
         "the data set changed: vectors_sha256 was 'aa11', is 'bb22'; numbers on other vectors are "
         "others, accept a new baseline"),
        ({"vectors_n": "20"}, "latency_median",
         "the data set changed: vectors_n was '400', is '20'; numbers on other vectors are others, "
         "accept a new baseline"),
        ({"compiler": "gcc 13"}, "plan_bytes",
         "the baseline's fingerprint is stale: compiler was 'compiler', is 'gcc 13'; go back, or "
         "accept a new baseline"),
        ({"counter_hz": "64000000"}, "latency_median",
         "the baseline's fingerprint is stale: counter_hz was 'counter_hz', is '64000000'; go back, "
         "or accept a new baseline"),
        ({"energy_meter": "PPK2 9"}, "energy_uj",
         "the baseline's fingerprint is stale: energy_meter was 'energy_meter', is 'PPK2 9'; go "
         "back, or accept a new baseline"),
        ({"unique_id": ""}, "energy_uj",
         "the baseline's fingerprint is stale: unique_id was 'unique_id', is 'unknown'; go back, or "
         "accept a new baseline"),
    ],
)  # fmt: skip
def test_what_may_not_meet_says_so(changes, metric, sentence):
    result = gate(run_of((KEY, fingerprinted(METERED, **changes))), baseline_of((KEY, METERED)))
    cell = cell_of(result, metric)
    assert (cell.verdict, cell.reason) == ("INVALID", sentence)
    assert result.exit_code == 4


def test_a_long_difference_is_cut_to_where_it_is():
    was, now = "-O2 " * 30 + "-flto", "-O2 " * 30 + "-fno-lto"
    result = gate(
        run_of((KEY, fingerprinted(flags=now))), baseline_of((KEY, fingerprinted(flags=was)))
    )
    assert "flags was '…2 -O2 -flto', is '…2 -O2 -fno-lto'" in cell_of(result, "plan_bytes").reason


def test_another_board_of_a_type_has_the_same_cycles_and_another_energy():
    other = fingerprinted(METERED, unique_id="b2", energy_meter="PPK2 9")
    result = gate(run_of((KEY, other)), baseline_of((KEY, METERED)))
    assert cell_of(result, "latency_median").verdict == "PASS"
    assert cell_of(result, "energy_uj").verdict == "INVALID"


# What is not there


def test_a_missing_cell():
    result = gate(
        run_of(), baseline_of((KEY, CELL), (("m4", "old"), replace(CELL, model_sha256="x")))
    )
    cell = cell_of(result, "latency_median", ("m4", "old"))
    assert (cell.verdict, result.exit_code) == ("MISSING", 4)
    assert cell.reason == (
        "is in the baseline and not in the run; measure it, or accept a baseline without it"
    )


def test_a_cell_that_failed_is_missing_and_says_why():
    run = run_of((("m4", "mlp"), CELL), failed={KEY: "BoardError: board m4: died"})
    cell = cell_of(gate(run), "latency_median")
    assert cell.reason == "was not measured: BoardError: board m4: died"
    new = gate(run_of(failed={("m7", "int8"): "BoardError: dead"}))
    assert [c.metric for c in new.cells if c.board == "m7"] == ["accuracy"]
    assert new.exit_code == 4


def test_a_renamed_variant():
    result = gate(run_of((("m4", "int8v2"), CELL)))
    cell = cell_of(result, "latency_median")
    assert (cell.verdict, result.exit_code) == ("MISSING", 4)
    assert cell.reason == (
        "is gone, and m4[int8v2] has the same model: renamed? give it its old name, or rename it in "
        "the baseline"
    )
    assert cell_of(result, "latency_median", ("m4", "int8v2")).verdict == "NEW"


def test_a_metric_that_is_gone():
    cell = cell_of(gate(run_of(), baseline_of((KEY, METERED))), "energy_uj")
    assert (cell.verdict, cell.reason) == (
        "MISSING",
        "was measured for the baseline and not in this run; measure it, or accept a baseline without it",
    )


def test_compared_nothing_is_no_pass():
    result = gate(run_of((("m7", "int8"), CELL)), baseline_of((KEY, CELL)), boards=["m7"])
    assert {c.verdict for c in result.cells} == {"NEW"}
    assert result.exit_code == 4
    assert result.headline().endswith("; compared nothing, and that is no pass")


def test_boards_that_nobody_has_and_other_suites():
    with pytest.raises(UsageError) as caught:
        gate(boards=["m9"])
    assert str(caught.value) == "board 'm9' is neither in the run nor in the baseline"
    with pytest.raises(UsageError) as caught:
        gate(run_of(suite="faces"))
    assert str(caught.value) == (
        "baseline digits.toml@0123456789ab is of suite 'digits', run run-2 of 'faces'; name another "
        "file with --baseline"
    )


def test_a_run_that_meets_itself_says_so():
    assert gate().warnings == ()
    told = "of the baseline came from this very run and meet themselves; measure again"
    assert gate(run_of(run_id="run-1")).warnings == (f"m4[int8] {told}",)
    two = ((KEY, CELL), (("m7", "int8"), CELL))
    assert gate(run_of(*two, run_id="run-1"), baseline_of(*two)).warnings == (f"2 cells {told}",)


# Budgets, waivers, orphans, plans


def test_a_budget_is_absolute():
    config = GateConfig(budgets=(Budget(Where("plan_bytes"), Limits(999, None)),))
    cell = cell_of(gate(config=config), "plan_bytes")
    assert (cell.verdict, cell.reason) == ("FAIL", "1000 is above 999, the budget")
    config = GateConfig(budgets=(Budget(Where("accuracy"), Limits(None, 1.1)),))
    assert cell_of(gate(config=config), "accuracy").reason == "1 is below 1.1, the budget"


def waiver(maximum, expires, metric="plan_bytes"):
    return GateConfig(
        waivers=(Waiver(Where(metric, "m4"), Limits(maximum, None), "new kernel", expires),)
    )


def test_a_waiver_holds_up_to_its_value_and_on_its_last_day():
    result = gate(run_of((KEY, LARGER)), config=waiver(1001, TODAY))
    cell = cell_of(result, "plan_bytes")
    says = "m4[*]::plan_bytes: new kernel (maximum 1001; until 2026-11-22)"
    assert (cell.verdict, cell.waiver, result.waivers) == ("WAIVED", says, (says,))
    assert result.exit_code == 0
    beyond = gate(
        run_of((KEY, replace(CELL, exact={"plan_bytes": 1002}))), config=waiver(1001, TODAY)
    )
    assert cell_of(beyond, "plan_bytes").reason == (
        "+2 B, allowance 0 B; above 1001, the waiver's limit"
    )
    assert beyond.exit_code == 1


def test_an_expired_waiver_waives_nothing_and_is_stale():
    sentence = (
        "waiver of m4[*]::plan_bytes expired on 2026-11-21 (new kernel); fix what it waived, renew "
        "or remove it"
    )
    result = gate(run_of((KEY, LARGER)), config=waiver(1001, date(2026, 11, 21)))
    assert (result.stale, result.exit_code) == ((sentence,), 1)
    healed = gate(config=waiver(1001, date(2026, 11, 21)))
    assert healed.exit_code == 4
    assert healed.headline() == (
        f"UNDECIDED: 4 PASS; run run-2 against digits.toml@0123456789ab; {sentence}"
    )


def test_a_waiver_that_nobody_needs_is_told():
    result = gate(config=waiver(1001, TODAY))
    assert result.warnings == ("waiver of m4[*]::plan_bytes is not needed any more; remove it",)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (GateConfig(margins=(Margin(Where("latency_median", "m7"), 0.1),)),
         "gate.toml: [[margin]] m7[*]::latency_median is an orphan: no such cell in the run or the "
         "baseline; there is m4[int8]; correct or remove it"),
        (waiver(1, TODAY, "latency_cold"),
         "gate.toml: [[waiver]] m4[*]::latency_cold guards nothing: latency_cold is not in [gate] "
         "metrics; add it there, or remove the waiver"),
        (GateConfig(layouts=(Layout(0.01, 8, "uno*"),)),
         "gate.toml: [[layout]] uno*[*] is an orphan: no such cell in the run or the baseline; there is "
         "m4[int8]; correct or remove it"),
        (GateConfig(pairs=(Pair("int8", "new"),)),
         "gate.toml: [[pair]] *[new]::energy_uj is an orphan: no such cell in the run or the "
         "baseline; there is m4[int8]; correct or remove it"),
    ],
)  # fmt: skip
def test_orphans_are_refused(config, sentence):
    with pytest.raises(ConfigError) as caught:
        gate(config=config)
    assert str(caught.value) == sentence
    assert caught.value.exit_code == 2


def test_one_session_can_never_fail_and_is_refused():
    once = replace(CELL, cycles={"latency_median": (1e6,)}, sessions=1)
    with pytest.raises(UsageError) as caught:
        gate(run_of((KEY, once)))
    assert str(caught.value) == (
        "m4[int8]::latency_median can never fail: the smallest p of its test is 1, limit 0.05 in a "
        "family of 1; measure more of it, or gate fewer metrics"
    )


def test_too_few_vectors_can_never_fail_and_are_refused():
    few, other = accuracy(n=4), accuracy([0], n=4)
    with pytest.raises(
        UsageError,
        match=r"m4\[int8\]::accuracy can never fail: the smallest p of its test is 0.0625",
    ):
        gate(
            run_of((KEY, replace(CELL, accuracy=other))),
            baseline_of((KEY, replace(CELL, accuracy=few))),
        )
    config = GateConfig(margins=(Margin(Where("accuracy"), 1.0),))
    with pytest.raises(UsageError, match="accuracy can never fail"):
        gate(run_of((KEY, replace(CELL, accuracy=accuracy([1])))), config=config)


def test_a_new_image_without_a_layout_floor_is_told():
    result = gate(run_of((KEY, replace(CELL, image_sha256="c2"))))
    assert result.warnings == (
        "board m4: the image differs from the baseline's and gate.toml has no [[layout]] for it: a "
        "small change of latency may be code layout; measure that with hilbench aa --layout --board m4",
    )
    known = GateConfig(layouts=(Layout(0.01, 8),))
    assert not gate(run_of((KEY, replace(CELL, image_sha256="c2"))), config=known).warnings


def test_the_layout_floor_of_a_board_counts_where_images_differ():
    """2 % slower: a FAIL, but not where links alone scatter by 1.5 %."""
    config = GateConfig(layouts=(Layout(0.0, 8), Layout(0.015, 8, "m4")))
    moved = replace(SLOWER, image_sha256="c2")
    assert cell_of(gate(run_of((KEY, moved)), config=config), "latency_median").verdict == "INCONCLUSIVE"  # fmt: skip
    assert cell_of(gate(run_of((KEY, SLOWER)), config=config), "latency_median").verdict == "FAIL"
    no_matter = GateConfig(layouts=(Layout(0.015, 8, "m*"), Layout(0.0, 8, "m4")))
    assert cell_of(gate(run_of((KEY, moved)), config=no_matter), "latency_median").verdict == "FAIL"


def test_a_latency_that_nobody_has_is_told():
    blind = replace(CELL, cycles={})
    result = gate(run_of((KEY, blind)), baseline_of((KEY, blind)))
    assert result.warnings == (
        "m4[int8]: latency_median is not compared: a session has none (ticks that did not reach the "
        "host), or it is 0; measure with fewer iterations",
    )


# Screen and confirm


def test_only_what_a_fresh_run_can_decide_is_flagged():
    config = GateConfig()
    screen = gate(run_of((KEY, replace(SLOWER, exact={"plan_bytes": 2000}))), adjust="none")
    assert flagged(screen, config) == (("m4", "int8", "latency_median"),)


def test_jobs_are_boards_with_their_variants_and_pairs_in_turns():
    config = GateConfig(pairs=(Pair("dense", "pruned"),))
    names = [("m4", "a", "latency_median"), ("m4", "a", "accuracy"), ("m4", "b", "latency_median"),
             ("m7", "a", "latency_median"), ("m4", "pruned", "energy_uj")]  # fmt: skip
    assert jobs(names, config) == (
        Job("m4", ("a", "b")),
        Job("m7", ("a",)),
        Job("m4", ("dense", "pruned"), ("dense", "pruned")),
    )
    elsewhere = GateConfig(pairs=(Pair("dense", "pruned", "m7"),))
    assert jobs(names[-1:], elsewhere) == (Job("m4", ("pruned",)),)


def test_a_false_alarm_goes_away_on_fresh_sessions():
    screen = gate(run_of((KEY, SLOWER)), adjust="none")
    fresh = merged([Snapshot("run-3", "digits", {KEY: CELL}, {})])
    result = confirm(screen, fresh, baseline_of(), GateConfig(), TODAY)
    assert result.exit_code == 0
    assert result.run_id == "run-2, again run-3"
    assert cell_of(result, "latency_median").reason.endswith("; judged on fresh sessions")
    assert len(result.cells) == len(screen.cells)


def test_fresh_sessions_are_judged_in_the_family_of_the_screen():
    """The baseline is the same in both looks, so that the second does not choose its cells freely."""
    keys = [("m4", f"v{k}") for k in range(10)]
    screen = gate(
        run_of((keys[0], SLOWER), *((k, CELL) for k in keys[1:])),
        baseline_of(*((k, CELL) for k in keys)),
        adjust="none",
    )
    fresh = Snapshot("run-3", "digits", {keys[0]: SLOWER}, {})
    before = baseline_of(*((k, CELL) for k in keys))
    cell = cell_of(confirm(screen, fresh, before, GateConfig(), TODAY), "latency_median", keys[0])
    assert cell.p_adjusted == pytest.approx(10 * cell.p)
