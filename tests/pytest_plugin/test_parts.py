"""Parts of the plugin by themselves; nothing here needs a board."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hilbench._pytest.bench import Bench, Settings
from hilbench._pytest.byte_log import ByteLog, section
from hilbench._pytest.ids import repair
from hilbench._pytest.items import GateItem, SuiteFile, check_oracle
from hilbench._pytest.measuring import HilBench, HilGate, check_compared
from hilbench._pytest.outcomes import Inconclusive, record_row, settle
from hilbench._pytest.presence import absence
from hilbench._pytest.runs import Runs
from hilbench._pytest.scheduler import board_group
from hilbench._pytest.shared import Shared, revive
from hilbench._pytest.summary import groups, lines
from hilbench.board.tap import tap, tapped
from hilbench.errors import BaselineError, BoardError, DeviceError, UsageError
from hilbench.gate.verdicts import CellVerdict
from hilbench.metrics import METRICS
from tests.pytest_plugin.project import make_project


@pytest.fixture
def bench(tmp_path):
    make_project(tmp_path)
    return Bench(
        Settings(
            boards_file=tmp_path / "boards.toml",
            boards=(),
            tags=(),
            suite=None,
            require=False,
            results=tmp_path / "results",
            baseline=None,
            gate=None,
            sessions=None,
            limit=None,
            root=tmp_path,
            scratch=tmp_path / "scratch",
        )
    )


def with_settings(bench, **changes):
    return Bench(replace(bench.settings, **changes))


# -- boards ----------------------------------------------------------------------------------------


def test_boards_are_those_without_extra_those_asked_for_or_those_a_test_names(bench):
    def chosen(marked=(), **changes):
        return [b.id for b in with_settings(bench, **changes).chosen(marked)]

    everyday = [b.id for b in bench.known.values() if "extra" not in b.tags]
    assert chosen() == everyday
    assert "uno" not in everyday
    assert chosen(boards=("uno", "m4")) == ["m4", "uno"]  # in the order of the file
    assert chosen(tags=("host",)) == ["native"]
    assert chosen(tags=("host",), boards=("m3",)) == ["native", "m3"]
    assert chosen(["uno"]) == ["uno"]  # a test that names it
    assert chosen(["uno", "m4"], boards=("m4", "native")) == ["m4"]
    assert chosen(["uno"], boards=("m4",)) == []


def test_an_unknown_board_is_refused_whoever_names_it(bench):
    told = rf"no board 'mars' in {bench.settings.boards_file}; it has: native, m3, "
    with pytest.raises(UsageError, match=told):
        bench.chosen(["mars"])
    with pytest.raises(UsageError, match=told):
        with_settings(bench, boards=("mars",)).chosen()


def test_an_unknown_tag_is_refused(bench):
    told = r"^no board in .*boards.toml has the tag 'mars'; tags are: avr, cortex-m, emulated, "
    with pytest.raises(UsageError, match=told):
        with_settings(bench, tags=("host", "mars")).chosen()


def test_variants_need_a_suite(bench):
    with pytest.raises(
        UsageError, match=r"^variants are those of a suite; name it with --hil-suite"
    ):
        _ = bench.suite


def test_sessions_of_the_option_override_the_suite(bench, tmp_path):
    found = with_settings(bench, suite=tmp_path / "suite.toml", sessions=7).suite
    assert found.sessions == 7
    assert [v.name for v in found.variants] == ["mlp_int8", "student_int8"]


def test_absence_tells_a_port_that_is_not_there_from_a_quarantine(bench, monkeypatch):
    monkeypatch.setattr("hilbench._pytest.presence.find_image", lambda port: port)
    assert absence(bench.known["unplugged"]) == (
        "board unplugged: no port /dev/no-such-port; plug it in, or correct its table"
    )
    assert "in quarantine until its table is removed: broken connector" in absence(
        bench.known["shelf"]
    )
    assert absence(replace(bench.known["unplugged"], serial="/dev/null")) == ""
    assert absence(replace(bench.known["unplugged"], serial="socket://there:1")) == ""


def test_an_image_that_is_not_built_is_an_absence(bench):
    told = absence(replace(bench.known["native"], firmware="no-such-port"))
    assert told.startswith("board native: ")
    assert "no-such-port" in told


# -- what tests ask for ----------------------------------------------------------------------------


def test_requests_that_make_no_sense_are_refused(bench, tmp_path):
    item = SimpleNamespace(user_properties=[], stash=pytest.Stash())
    suite = with_settings(bench, suite=tmp_path / "suite.toml")
    measure = HilBench(suite, suite.known["native"], item)
    with pytest.raises(
        UsageError, match=r"^m.tflite needs test vectors; give hil_bench\(model, vect"
    ):
        measure("m.tflite")
    with pytest.raises(
        UsageError, match=r"^variant mlp_int8 has its vectors from its suite; leave"
    ):
        measure(suite.suite.variants[0], vectors="vectors.npz")
    gate = HilGate(bench, item)
    with pytest.raises(
        UsageError, match=r"^'speed' is no metric; known: accuracy, agreement_tflm, "
    ):
        gate({"run_id": "r", "board": "b", "variant": "v"}, metrics=["speed"])


def test_a_gate_that_is_selected_alone_is_of_the_whole_suite(bench, tmp_path, monkeypatch):
    """As --lf does where only a waiver has expired."""
    bench = with_settings(bench, suite=tmp_path / "suite.toml", boards=("native", "twin", "m4"))
    monkeypatch.setattr(bench, "absence", lambda board: "away" if board.id == "m4" else "")
    suite = SimpleNamespace(bench=bench, session=SimpleNamespace(items=[]))
    boards, variants = SuiteFile.asked(suite)
    assert [b.id for b in boards] == ["native", "twin"]
    assert variants == ["mlp_int8", "student_int8"]


def test_an_expired_waiver_is_no_regression_and_no_pass():
    gate = SimpleNamespace(
        session=SimpleNamespace(items=[]),
        result=SimpleNamespace(cells=[verdict("PASS")], stale=("waiver of m4 expired",)),
    )
    with pytest.raises(BaselineError, match=r"^waiver of m4 expired$"):
        GateItem.runtest(gate)


def test_a_gate_without_any_board_is_no_pass():
    suite = SimpleNamespace(asked=lambda: ([], []))
    with pytest.raises(
        BaselineError, match=r"^gate: no board was here, so nothing was compared: that"
    ):
        GateItem.check_boards(suite)


# -- outcomes --------------------------------------------------------------------------------------


def verdict(word, metric="latency_median", kind="cycles", **more):
    return CellVerdict("m4", "int8", metric, word, kind, reason="because", **more)


def test_the_worst_verdict_decides_how_a_test_ends():
    good = [verdict(w) for w in ("PASS", "IMPROVED", "NEW", "WAIVED")]
    settle(good)
    undecided, invalid = verdict("INCONCLUSIVE"), verdict("INVALID")
    bad = verdict("FAIL", baseline=100.0, now=103.0, change=0.03, margin=0.01)
    with pytest.raises(Inconclusive, match=r"^m4\[int8\]::latency_median: INCONCLUSIVE: because$"):
        settle([*good, undecided])
    with pytest.raises(
        BaselineError, match=r"^m4\[int8\]::latency_median: INVALID: because\nm4.*INC"
    ):
        settle([undecided, invalid])
    with pytest.raises(pytest.fail.Exception) as failure:
        settle([undecided, invalid, bad])
    assert str(failure.value).splitlines()[0] == (
        "m4[int8]::latency_median: FAIL: 100 -> 103: because"
    )
    with pytest.raises(pytest.fail.Exception, match=r"^FAIL: 100 -> 103: because$"):
        settle([bad], named=False)  # where the test's id names the cell


def test_a_baseline_of_another_suite_is_refused(bench, monkeypatch):
    runs = Runs(bench)
    runs.baseline = SimpleNamespace(id="base.toml@1", suite="small")
    monkeypatch.setattr(
        "hilbench._pytest.runs.snapshot", lambda folder: SimpleNamespace(suite="keyword")
    )
    told = (
        r"^--hil-baseline base.toml@1 is of suite 'small', this was measured as 'keyword'; name "
        r"another file, or make both variants of one --hil-suite$"
    )
    with pytest.raises(UsageError, match=told):
        runs.judge_cell(SimpleNamespace(folder=None), "m4", "int8", ())


def test_only_new_cells_are_nothing_compared():
    run = Path("results/r")
    check_compared([verdict("NEW"), verdict("PASS")], "m4[int8]", run)
    with pytest.raises(
        BaselineError,
        match=r"^m4\[int8\]: compared nothing, and that is no pass; accept its numbers with: hilbench "
        r"baseline accept --run results/r --baseline FILE --reason TEXT$",
    ):
        check_compared([verdict("NEW")], "m4[int8]", run)


def test_outputs_without_an_oracle_are_no_pass():
    row = {"board": "m4", "variant": "int8", "tflm": "", "agreement_tflm": float("nan")}
    check_oracle(row)  # float32: the host interpreter is the oracle
    check_oracle(row | {"tflm": "tflite-micro 1", "agreement_tflm": 0.5})  # judged elsewhere
    told = (
        r"^m4\[int8\]: outputs were not compared with TensorFlow Lite Micro's: "
        r"tflite-micro is not installed$"
    )
    with pytest.raises(BaselineError, match=told):
        check_oracle(row | {"tflm": "tflite-micro is not installed"})


def test_errors_come_back_with_their_type_and_sentence():
    error = revive("DeviceError", "board m4: refused")
    assert type(error) is DeviceError
    assert str(error) == "board m4: refused"
    assert type(revive("Popen", "x")).__name__ == "HilbenchError"


# -- workers ---------------------------------------------------------------------------------------


def test_once_makes_one_run_for_all_who_ask(tmp_path):
    made = []
    start = threading.Barrier(4)
    found = []

    def ask():
        start.wait(10)
        found.append(Shared(tmp_path).once("key", ["m4"], make))

    def make():
        made.append(threading.current_thread().name)
        return tmp_path / "run"

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [tmp_path / "run"] * 4
    assert len(made) == 1
    assert Shared(tmp_path).once("other key", ["m4"], lambda: tmp_path / "b") == tmp_path / "b"


def test_once_keeps_boards_apart(tmp_path):
    """Requests with a board in common wait for each other, others do not."""
    entered, release = threading.Event(), threading.Event()
    order = []

    def slow():
        entered.set()
        assert release.wait(10)
        order.append("first")
        return tmp_path / "first"

    def quick(name):
        order.append(name)
        return tmp_path / name

    first = threading.Thread(target=lambda: Shared(tmp_path).once("a", ["m3", "m4"], slow))
    second = threading.Thread(
        target=lambda: Shared(tmp_path).once("b", ["m4", "m3"], lambda: quick("second"))
    )
    first.start()
    assert entered.wait(10)
    second.start()
    Shared(tmp_path).once("c", ["uno"], lambda: quick("other board"))
    release.set()
    first.join(10)
    second.join(10)
    assert order == ["other board", "first", "second"]


def test_once_gives_a_failure_to_all_who_ask(tmp_path):
    def fail():
        raise BoardError("board m4: silent")

    for produce in (fail, lambda: pytest.fail("asked the board again")):
        with pytest.raises(BoardError, match=r"^board m4: silent$"):
            Shared(tmp_path).once("key", ["m4"], produce)


def test_groups_are_boards_as_test_ids_name_them():
    group = board_group(["m4", "m4-energy", "uno"], "suite.toml")
    assert group("tests/test_a.py::test_fast[m4]") == "board m4"
    assert group("tests/test_a.py::test_fast[m4-energy-int8]") == "board m4-energy"
    assert group("tests/test_a.py::test_fast[3-uno-int8]") == "board uno"
    assert group("tests/test_a.py::test_fast[m44]") is None
    assert group("tests/test_a.py::test_m4") is None
    assert group("models/suite.toml::m4[int8]::accuracy") == "suite suite.toml"
    assert board_group([], None)("a.py::test[m4]") is None


# -- byte log and table ----------------------------------------------------------------------------


class Echo:
    def __init__(self):
        self.sent = b""

    def write(self, data, timeout_s):
        self.sent += data

    def read(self, timeout_s):
        return self.sent

    def close(self):
        pass


def test_a_tap_hears_both_ways_and_changes_nothing():
    heard = []
    with tap(lambda *told: heard.append(told)):
        link = tapped(Echo(), "m4")
    assert link.read(0.0) == b""
    link.write(b"ab", 1.0)
    assert link.read(1.0) == b"ab"
    assert heard == [("m4", ">", b"ab"), ("m4", "<", b"ab")]
    echo = Echo()
    assert tapped(echo, "m4") is echo  # nobody listens


def test_a_byte_log_is_bounded_and_says_so():
    log = ByteLog(most_bytes=8)
    for number in range(6):
        log("m4", "<" if number % 2 else ">", bytes([number] * 3))
    told = log.lines("m4")
    assert told[0] == "# 12 older bytes were not kept"
    assert [line[12:] for line in told[1:]] == ["> 04 04 04", "< 05 05 05"]
    assert log.boards() == ["m4"]
    assert log.lines("m3") == []


def test_properties_are_groups_of_cells():
    told = [["other", 1], ["hil_board", "m4"], ["hil_x", 2.0], ("hil_board", "m3")]
    assert groups(told) == [{"board": "m4", "x": 2.0}, {"board": "m3"}]
    assert groups([("hil_outcome", "absent")]) == []


def report(properties, outcome="passed", longrepr=None):
    return SimpleNamespace(
        user_properties=properties,
        skipped=outcome == "skipped",
        failed=outcome == "failed",
        longrepr=longrepr,
    )


def test_counts_of_bytes_are_recorded_as_such():
    values = dict.fromkeys((m.name for m in METRICS), math.nan)
    row = values | {
        "board": "m4", "variant": "int8", "unit": "instr", "plan_bytes": 1626.0, "accuracy": 1.0,
    }  # fmt: skip
    told = []
    record_row(told, SimpleNamespace(folder="r/1"), row)
    assert [(n, type(v)) for n, v in told[4:]] == [("hil_accuracy", float), ("hil_plan_bytes", int)]


def test_energy_that_nobody_measured_says_so():
    """In the properties of JUnit and below the table."""
    values = dict.fromkeys((m.name for m in METRICS), math.nan)
    names = {"board": "m4", "variant": "int8", "unit": "instr", "energy_source": "synthetic"}
    told, without = [], []
    record_row(told, SimpleNamespace(folder="r/1"), values | names | {"energy_uj": 2.0})
    record_row(without, SimpleNamespace(folder="r/1"), values | names)
    assert told[4:] == [("hil_energy_uj", 2.0), ("hil_energy_source", "synthetic")]
    note = "energy of m4: SYNTHETIC, nothing was measured on a chip"
    measured = [(n, {"hil_energy_source": "PPK2"}.get(n, v)) for n, v in told]
    assert note in lines([report(told)])
    assert [note in lines([report(p)]) for p in (without, measured)] == [False, False]


def test_the_table_tells_each_absent_board_once_and_a_baseline_that_nobody_used():
    absent = report([["hil_outcome", "absent"]], "skipped", ("a.py", 1, "Skipped: board m4: away"))
    teardown = report([["hil_outcome", "absent"]])
    row = report([("hil_board", "m3"), ("hil_variant", "int8"), ("hil_run", "r/1")])
    unused = "no test compared anything with b.toml: add --hil-suite, or use hil_gate"
    assert lines([absent, absent, teardown]) == ["skipped: board m4: away"]
    assert unused in lines([row], "b.toml")
    assert unused not in lines([row, report([], "failed")], "b.toml")
    assert unused not in lines([row, report([("hil_headline", "PASS: 1 PASS")])], "b.toml")


def test_ids_of_a_suite_are_shown_as_they_are():
    for nodeid in ("models/suite.toml::m4[int8]::accuracy", "test_a.py::test_fast[m4]"):
        found = pytest.TestReport(nodeid, ("a", 0, "b"), {}, "failed", None, "call")
        repair({"failed": [found, SimpleNamespace(nodeid=nodeid)]}, "suite.toml")
        assert found.nodeid == nodeid
        if hasattr(found, "id"):  # since pytest 9.2
            assert f"{found.id.path}::{found.id.rest}" == nodeid


def test_a_failure_shows_the_end_of_a_byte_log_or_only_where_it_is(bench, tmp_path):
    file = tmp_path / "run.m4.link.txt"
    file.write_text("".join(f"{n}\n" for n in range(100)))
    title, text = section(file, "m4", tail=True)
    assert title == f"link of board m4: last 40 of 100 lines of {file}"
    assert text.splitlines() == [str(n) for n in range(60, 100)]
    assert section(file, "m4", tail=False) == ("link of board m4", f"100 lines in {file}")
    assert [bench.first_time(file), bench.first_time(file)] == [True, False]


def test_the_table_shows_a_cell_once_and_what_did_not_pass():
    row = [
        ("hil_board", "m4"), ("hil_variant", "int8"), ("hil_run", "r/1"), ("hil_unit", "instr"),
        ("hil_latency_median", 12345.0), ("hil_accuracy", 0.5), ("hil_plan_bytes", 1626),
    ]  # fmt: skip
    bad = [
        ("hil_board", "m4"), ("hil_variant", "int8"), ("hil_run", "r/1"),
        ("hil_metric", "latency_median"), ("hil_verdict", "FAIL"), ("hil_reason", "slower"),
        ("hil_change", 0.03), ("hil_low", 0.02), ("hil_high", 0.04),
    ]  # fmt: skip
    good = [(n, {"hil_verdict": "PASS", "hil_metric": "plan_bytes"}.get(n, v)) for n, v in bad]
    reports = [report(p) for p in (row, row, bad, good)]
    assert lines(reports) == [
        "board  variant  latency       accuracy  plan/B",
        "m4     int8     12,345 instr  0.5000    1,626",
        "FAIL  m4[int8]::latency_median  slower",
        "verdicts of tests: 1 FAIL, 1 PASS",
        "run: r/1",
    ]
