"""hilbench gate, baseline and aa on run folders: exit codes, sentences, fresh sessions."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from hilbench.bench import Outcome
from hilbench.bench.layouts import Layouts
from hilbench.cli import confirming, layouts, main
from hilbench.gate.config import Layout, load_gate
from hilbench.records import ClockInfo
from tests.gate.run_folders import write_run
from tests.runs import run_examples as ex

SLOW = (1020.0, 1020.0, 1020.0)
SUITE = Path(__file__).parents[2] / "hilbench/zoo/digits/suite.toml"


@pytest.fixture
def call(tmp_path, capsys, monkeypatch):
    """Run a command in an empty folder; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        code = main([str(a) for a in args])
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


@pytest.fixture
def accepted(call):
    """A baseline of one run; what it takes to name it."""
    code, out, _ = call("baseline", "accept", "--run", write_run(Path("a")), "--reason", "first")
    assert code == 0
    assert out == (
        "baselines/digits.toml: 1 cells, from run 20260102-030405-digits; review and commit it\n"
    )
    return Path("baselines/digits.toml")


def last(out):
    return out.rstrip("\n").split("\n")[-1]


def test_the_same_again_passes(call, accepted):
    code, out, err = call("gate", write_run(Path("b")))
    assert (code, err) == (0, "")
    assert last(out).startswith("PASS: 12 PASS; run 20260102-030405-digits against digits.toml@")
    assert "12 more cells are PASS or NEW; --all shows them" in out
    _, out, _ = call("gate", Path("b/20260102-030405-digits"), "--all")
    assert "latency_median" in out


def test_a_regression_is_first_and_exits_1(call, accepted):
    code, out, _ = call("gate", write_run(Path("b"), medians=SLOW, plan_bytes=37000))
    assert code == 1
    rows = [line.split()[0] for line in out.split("\n") if " m4 " in line]
    assert rows == ["FAIL", "IMPROVED"]
    assert last(out).startswith("FAIL: 1 FAIL, 1 IMPROVED, 10 PASS; run ")
    assert "; first: m4[int8]::latency_median: +2.00 %, surely worse" in last(out)


def test_vectors_lost_exit_1(call, accepted):
    code, out, _ = call("gate", write_run(Path("b"), wrong=range(30)))
    assert code == 1
    assert (
        "FAIL m4[int8]::accuracy: 30 of 450 vectors lost, 0 won: +6.67 points, surely worse" in out
    )


def test_points_are_no_percent(call, accepted):
    _, out, _ = call("gate", write_run(Path("b"), medians=SLOW, wrong=range(30)))
    rows = {line.split()[3]: line for line in out.split("\n") if line.startswith(" FAIL")}
    assert "1.0000  0.9333  +6.67 pt" in rows["accuracy"]
    assert "1 pt" in rows["accuracy"]
    assert "+2.00 %" in rows["latency_median"]


def test_no_baseline_exits_4(call):
    code, _, err = call("gate", write_run(Path("b")))
    assert code == 4
    assert err == (
        "hilbench: baselines/digits.toml: no baseline there (No such file or directory); make one "
        "with: hilbench baseline accept --run RUN --baseline baselines/digits.toml --reason TEXT\n"
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"board": replace(ex.BOARD, emulated=False)},
         "the baseline is emulated, the run is hardware: they never meet; give each a baseline"),
        ({"clock": ClockInfo("cycles", "instructions", 2.5, 25_000_000, "declared")},
         "the baseline counts instructions, the run cycles: time bases never meet; give each a baseline"),
        ({"board": replace(ex.BOARD, compiler="gcc 13.1")},
         "the baseline's fingerprint is stale: compiler was 'gcc 12.2', is 'gcc 13.1'; go back, or "
         "accept a new baseline"),
        ({"variants": ("int8", "mlp"), "medians": (1000.0,) * 2}, ""),
        ({"variants": ("int8v2",), "variant_record": {"model_sha256": "model of int8"}},
         "is gone, and m4[int8v2] has the same model: renamed? give it its old name, or rename it in "
         "the baseline"),
        ({"variant_record": {"vectors_sha256": "f2"}},
         "the data set changed: vectors_sha256 was 'f1', is 'f2'; numbers on other vectors are others, "
         "accept a new baseline"),
        ({"variants": ("mlp",)},
         "is in the baseline and not in the run; measure it, or accept a baseline without it"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_exits_4(call, accepted, changes, sentence):
    code, out, _ = call("gate", write_run(Path("b"), **changes))
    assert code == (4 if sentence else 0)
    assert sentence in out


def test_what_cells_have_in_common_is_said_once(call, accepted):
    code, out, _ = call("gate", write_run(Path("b"), board=replace(ex.BOARD, emulated=False)))
    assert code == 4
    rows = [line.split()[:5] for line in out.split("\n") if line.startswith(" INVALID")]
    assert rows == [["INVALID", "m4", "int8", "12", "metrics"]]
    lines = [line for line in out.split("\n") if line.startswith("INVALID m4")]
    assert lines == [
        "INVALID m4, 12 cells: the baseline is emulated, the run is hardware: they never meet; give "
        "each a baseline"
    ]


def test_one_session_is_refused(call, accepted):
    code, _, err = call("gate", write_run(Path("b"), medians=(1000.0,)))
    assert code == 2
    assert err.startswith(
        "hilbench: m4[int8]::latency_median can never fail: the smallest p of its"
    )


def test_gate_toml_of_the_folder(call, accepted):
    Path("gate.toml").write_text(
        'schema = 1\n[[waiver]]\nmetric = "latency_median"\nboard = "m4"\nmaximum = 2600\n'
        'reason = "new softmax"\nexpires = 2999-12-31\n'
    )
    slow = write_run(Path("b"), medians=SLOW)
    code, out, _ = call("gate", slow)
    assert code == 0
    assert "waiver: m4[*]::latency_median: new softmax (maximum 2600; until 2999-12-31)" in out
    text = Path("gate.toml").read_text()
    Path("gate.toml").write_text(text.replace("2999", "2001"))
    code, out, _ = call("gate", slow)
    assert code == 1
    assert "stale: waiver of m4[*]::latency_median expired on 2001-12-31 (new softmax)" in out
    code, out, _ = call("gate", Path("a/20260102-030405-digits"))
    assert code == 4
    Path("other.toml").write_text(text.replace('"m4"', '"m7"'))
    code, _, err = call("gate", slow, "--config", "other.toml")
    assert code == 2
    assert "other.toml: [[waiver]] m7[*]::latency_median is an orphan" in err


def test_baseline_diff_and_accept(call, accepted):
    before = accepted.read_text()
    slow = write_run(Path("b"), medians=SLOW)
    code, out, _ = call("baseline", "diff", "--run", slow)
    assert (code, out.splitlines()[0]) == (1, "m4[int8] latency_median: 2500 -> 2550")
    assert accepted.read_text() == before
    assert call("baseline", "accept", "--run", slow, "--reason", "slower, and right")[0] == 0
    assert call("gate", slow)[0] == 0
    code, out, _ = call("baseline", "diff", "--run", slow)
    assert (code, out) == (
        0, "baselines/digits.toml: run 20260102-030405-digits has the same numbers\n"
    )  # fmt: skip


# --confirm


@pytest.fixture
def fresh(monkeypatch):
    """Replace the bench: what it is asked, and what it measures."""
    asked = []

    def plan(**run):
        def run_suite(suite, boards, **options):
            asked.append((suite, boards, options))
            folder = write_run(options["results"] / f"fresh{len(asked)}", **run)
            return Outcome(folder, ())

        monkeypatch.setattr(confirming, "run_suite", run_suite)
        return asked

    return plan


def suite_files():
    return {str(SUITE): hashlib.sha256(SUITE.read_bytes()).hexdigest()}


@pytest.mark.parametrize(("medians", "code"), [((1000.0,) * 6, 0), ((1020.0,) * 6, 1)])
def test_confirm_judges_fresh_sessions(call, accepted, fresh, medians, code):
    asked = fresh(medians=medians)
    slow = write_run(Path("b"), medians=SLOW, files=suite_files())
    found, out, _ = call("gate", slow, "--confirm")
    assert found == code
    assert "; judged on fresh sessions" in out or code == 0
    ((suite, boards, options),) = asked
    assert [v.name for v in suite.variants] == ["int8"]
    assert (suite.sessions, suite.warm_up, suite.iterations) == (6, 1, 10)
    assert [b.id for b in boards] == ["m4"]
    assert (options["limit"], options["abba"]) == (450, None)


def test_confirm_measures_nothing_where_nothing_is_flagged(call, accepted, fresh):
    asked = fresh()
    assert call("gate", write_run(Path("b")), "--confirm")[0] == 0
    assert asked == []


def test_confirm_without_its_suite(call, accepted, fresh):
    fresh()
    slow = write_run(Path("b"), medians=SLOW)
    code, _, err = call("gate", slow, "--confirm")
    assert (code, err) == (
        2, "hilbench: --confirm: run 20260102-030405-digits names no suite.toml; add --suite FILE\n"
    )  # fmt: skip
    changed = write_run(Path("c"), medians=SLOW, files={"suite.toml": "00"})
    assert call("gate", changed, "--confirm")[2] == (
        "hilbench: --confirm: suite.toml is not there as run 20260102-030405-digits used it; add "
        "--suite FILE\n"
    )


def test_confirm_with_a_board_or_a_variant_that_is_gone(call, fresh):
    fresh()
    for key, options in (
        ("no board 'm99' in the boards file", {"board": replace(ex.BOARD, board="m99")}),
        (f"suite {SUITE} has no variant 'old' any more", {"variants": ("old",)}),
    ):
        root = Path(key[:8])
        before = write_run(root / "a", **options)
        file = root / "baseline.toml"
        call("baseline", "accept", "--run", before, "--baseline", file, "--reason", "x")
        slow = write_run(root / "b", medians=SLOW, **options)
        code, _, err = call("gate", slow, "--baseline", file, "--confirm", "--suite", SUITE)
        assert code == 2
        assert key in err


# aa


def test_aa_of_a_run(call):
    code, out, _ = call("aa", write_run(Path("a"), medians=(1000.0,) * 6), "--families", "20")
    assert code == 0
    assert "m4[int8]::latency_median  sd 0.000 %  n 6  margin 0.5 %  needs 2" in out
    assert out.endswith(
        "gate --confirm is not tried: run 20260102-030405-digits has cells of 6 sessions, limit 10 for "
        "two halves and 6 fresh sessions; measure with --sessions 10 or more\n\n"
        "20 gates, nothing changed, alpha 5 %:\n"
        "  gate, 3 against 3 sessions: 0.0 % have a FAIL (0.0 to 16.1 %); cells: 100.0 % PASS, 0.0 % "
        "FAIL, 0.0 % INCONCLUSIVE\n"
    )
    _, out, _ = call("aa", write_run(Path("b"), medians=(1000.0,) * 12), "--families", "5")
    assert "  gate --confirm, 6 fresh, 3 against 3 sessions: 0.0 % have a FAIL" in out
    Path("gate.toml").write_text('schema = 1\n[[pair]]\nbaseline = "x"\ncandidate = "int8"\n')
    _, out, _ = call("aa", Path("b/20260102-030405-digits"), "--families", "5")
    assert (
        "not tried: m4[int8]::energy_uj, whose sessions take turns with those of its pair\n" in out
    )


def test_aa_simulated(call):
    options = ("aa", "--simulate", "--cells", "10", "--families", "20", "--sd", "0.2%")
    assert call(*options)[0] == 0
    code, out, _ = call(*options, "--change", "1%")
    assert code == 0
    assert (
        "20 gates, a true change of 1 %, alpha 5 %, margin 0.5 %:\n  gate, 6 against 6 sessions: 100.0 %"
    ) in out
    code, _, err = call("aa", "--simulate", "--families", "0")
    assert (code, err) == (2, "hilbench: --families is 0, must be at least 1\n")


def test_a_gate_that_cries_wolf_exits_4(call):
    """A margin of next to nothing, and an alpha that a family of one cell exceeds by itself."""
    Path("gate.toml").write_text(
        'schema = 1\n[gate]\nalpha = 0.0001\n[[margin]]\nmetric = "latency_median"\npercent = 0.001\n'
    )
    medians = [1000.0 + 100 * (k % 2) + 0.01 * k for k in range(4)]
    code, out, _ = call("aa", write_run(Path("a"), medians=medians))
    assert code == 4
    assert "nothing changed, alpha 0.01 %:" in out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "--layout flashes a board many times: say which with --board ID"),
        (("--board", "uno", "--builds", "2"),
         "--builds is 2, limit 3: fewer say nothing of a scatter; take 8 or more"),
        (("--board", "uno", "--sessions", "0"), "--sessions is 0, must be at least 1"),
        (("--board", "uno", "--variant", "mpl"), "has no variant 'mpl'; it has: fp32, int8"),
        (("--board", "one"), "no board 'one' in "),
    ],
)  # fmt: skip
def test_layouts_that_cannot_be_measured(call, options, sentence):
    code, _, err = call("aa", "--layout", *options)
    assert code == 2
    assert sentence in err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("x", "--simulate"), "RUN and --simulate are two things; ask for one"),
        (("--layout", "--simulate"), "--simulate and --layout are two things; ask for one"),
        (("x", "--board", "m4"), "--board belongs to --layout; add that, or leave it out"),
    ],
)
def test_aa_does_one_thing(call, options, sentence):
    assert call("aa", *options) == (2, "", f"hilbench: {sentence}\n")


def test_layout_floors(call, monkeypatch):
    """What is printed is what a gate.toml takes."""
    medians = {"mlp_int8": [[1000.0], [1010.0], [990.0]], "int8": [[5.0], [5.0], [5.0]]}
    asked = []

    def measure(config, variants, **options):
        asked.append((config.id, [v.config.name for v in variants], options["builds"]))
        return Layouts("cycles", "simavr 1.6", "avr-gcc 5.4", medians)

    monkeypatch.setattr(layouts, "measure_layouts", measure)
    code, out, _ = call(
        "aa", "--layout", "--board", "uno", "--variant", "mlp_int8", "--builds", "3"
    )
    assert (code, asked) == (0, [("uno", ["mlp_int8"], 3)])
    assert "uno[mlp_int8]::latency_median  1,000 cycles  sd of links 1.000 %" in out
    assert "sd of sessions unknown" in out
    assert "true of simavr 1.6; a chip has caches and flash of its own" in out
    Path("gate.toml").write_text("schema = 1\n" + out[out.index("[[layout]]") :])
    assert load_gate(Path("gate.toml")).layouts == (
        Layout(pytest.approx(0.01), 3, "uno", "mlp_int8"),
        Layout(0.0, 3, "uno", "int8"),
    )


def test_layouts_that_are_noise(call, monkeypatch):
    medians = {"mlp_int8": [[1.0, 1.5], [1.5, 1.0], [1.2, 1.3]]}
    monkeypatch.setattr(
        layouts, "measure_layouts", lambda *_, **__: Layouts("us", None, "gcc", medians)
    )
    code, out, _ = call(
        "aa", "--layout", "--board", "uno", "--variant", "mlp_int8", "--builds", "3"
    )
    assert code == 4
    assert out.endswith(
        "uno[mlp_int8]: links scatter no more than their sessions do, so that layout is not told from "
        "noise; take more --sessions\n"
    )
