"""Workflow commands: their place in the baseline, their escapes, GitHub's limit."""

from datetime import date

import pytest

from hilbench.gate.baseline import Accepted, Baseline, to_toml
from hilbench.gate.lines import line_of
from hilbench.gate.verdicts import GateResult
from hilbench.report.annotations import LIMIT, github_annotations
from tests.gate.gate_examples import METERED
from tests.report.report_examples import verdict

NAMES = (("m3", "int8"), ("m4", "int8"), ("m4", 'a "b", ü'))
TEXT = to_toml(
    Baseline("digits", {n: Accepted(METERED, "run-1", date(2026, 1, 2), "x") for n in NAMES}, "")
)


def annotations(*cells, root, **changes):
    return github_annotations(
        GateResult("run", "base", cells, **changes),
        root / "baselines/digits.toml",
        TEXT,
        {"GITHUB_WORKSPACE": str(root)},
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("metric", "begins"),
    [
        ("plan_bytes", "plan_bytes = 1000"),
        ("latency_median", "latency_median = [1000000.0, "),
        ("accuracy", "value = 1.0"),
        ("energy_uj", "uj = [10.0, "),
    ],
)
def test_the_line_is_the_metrics_and_the_cells(name, metric, begins):
    lines = TEXT.split("\n")
    number = line_of(TEXT, *name, metric)
    assert lines[number - 1].startswith(begins)
    headings = [line for line in lines[:number] if line.startswith("[")]
    assert headings[-1].startswith('[cell."')
    assert sum(".fingerprint]" in line for line in headings) == sorted(NAMES).index(name) + 1


def test_what_the_baseline_has_not_has_no_line():
    assert line_of(TEXT, "m9", "int8", "plan_bytes") is None
    assert line_of(TEXT, "m4", "int8", "flash_bytes") is None


def test_a_regression_is_an_error_at_the_accepted_number(tmp_path):
    (line,) = annotations(verdict("m4", "int8", "latency_median", "FAIL"), root=tmp_path)
    number = line_of(TEXT, "m4", "int8", "latency_median")
    assert line == (
        f"::error file=baselines/digits.toml,line={number},title=FAIL m4[int8]%3A%3Alatency_median::"
        "FAIL: made up to be FAIL; 1,000 -> 1,015, change +1.5 %25 (bounds +1.2 to "
        "+1.8 %25), margin 1 %25, n 6 / 6, mde 0.4 %25, adj. p 0.0008"
    )


def test_a_path_outside_the_checkout_stays_as_it_is(tmp_path):
    cell = verdict("m4", "int8", "latency_median", "FAIL")
    result = GateResult("run", "base", (cell,))
    (line,) = github_annotations(
        result, tmp_path / "b.toml", TEXT, {"GITHUB_WORKSPACE": str(tmp_path / "checkout")}
    )
    assert line.startswith(f"::error file={tmp_path}/b.toml,line=")


def test_undecided_is_a_warning_and_what_is_good_is_nothing(tmp_path):
    words = ("PASS", "IMPROVED", "NEW", "WAIVED", "INCONCLUSIVE", "INVALID", "MISSING")
    cells = [verdict("m4", "int8", "latency_median", word) for word in words]
    lines = annotations(*cells, root=tmp_path)
    assert [line.partition(" ")[0] for line in lines] == ["::warning"] * 3


def test_metrics_that_are_missing_alike_are_one(tmp_path):
    cells = [
        verdict("m4", "int8", metric, "MISSING", reason="gone: line 1\nline 2")
        for metric in ("latency_median", "plan_bytes")
    ]
    number = line_of(TEXT, "m4", "int8", "latency_median")
    lines = annotations(*cells, verdict("m3", "int8", "plan_bytes", "PASS"), root=tmp_path)
    assert lines == [
        f"::warning file=baselines/digits.toml,line={number},title=MISSING m4[int8]%2C 2 metrics::"
        "MISSING: gone: line 1%0Aline 2"
    ]


def test_a_budget_of_a_new_cell_stands_beside_no_file(tmp_path):
    (line,) = annotations(verdict("new", "int8", "arena_bytes", "FAIL"), root=tmp_path)
    assert line.startswith("::error title=FAIL new[int8]%3A%3Aarena_bytes::FAIL: ")


def test_no_more_than_github_shows_and_the_last_says_so(tmp_path):
    cells = [
        verdict("m4", f"v{k:02d}", "latency_median", word)
        for word in ("FAIL", "INCONCLUSIVE")
        for k in range(LIMIT + 3)
    ]
    lines = annotations(*cells, root=tmp_path)
    for level in ("error", "warning"):
        own = [line for line in lines if line.startswith(f"::{level} ")]
        assert len(own) == LIMIT < 10
        assert own[-1] == (
            f"::{level} title=4 more::4 more are not shown here; the step summary and the log have "
            "them all"
        )
    nine = annotations(*cells[:LIMIT], root=tmp_path)
    assert len(nine) == LIMIT
    assert "more" not in nine[-1]


def test_a_stale_gate_and_one_that_compared_nothing_say_so(tmp_path):
    passed = verdict("m4", "int8", "latency_median", "PASS")
    assert annotations(passed, root=tmp_path, stale=("waiver expired",)) == [
        "::warning title=stale gate::waiver expired"
    ]
    assert annotations(root=tmp_path) == [
        "::error title=nothing compared::UNDECIDED: no cell; run run against base; compared nothing, "
        "and that is no pass"
    ]
