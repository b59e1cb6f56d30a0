"""Markdown, JUnit and CSV of a run, and the command that writes them."""

import csv
import io
import re
import xml.etree.ElementTree as ET
from html import unescape

import pytest

from hilbench.cli import main
from hilbench.gate.verdicts import GateResult
from hilbench.report.contents import read_contents
from hilbench.report.csv import csv_report
from hilbench.report.junit import junit_report
from hilbench.report.markdown import MAX_BYTES, escaped, markdown_report
from tests.report import report_examples as ex


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return ex.small_run(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def gated(folder):
    return read_contents(folder, ex.gate_of())


@pytest.fixture(scope="module")
def plain(folder):
    return read_contents(folder)


def test_markdown_tells_the_worst_first_and_folds_what_passed(gated):
    page = markdown_report(gated)
    words = re.findall(r"^\| \S+ ([A-Z]+) \|", page, re.MULTILINE)
    assert words == [
        "FAIL", "INVALID", "MISSING", "INCONCLUSIVE", "WAIVED", "IMPROVED", "NEW", "PASS",
    ]  # fmt: skip
    assert page.index("**FAIL: 1 FAIL, 1 INVALID") < page.index("| verdict |")
    assert page.index("<details><summary>1 PASS</summary>") > page.index("NEW | m4")
    assert "- 1 cell got worse by more than the margin." in page


def test_markdown_says_once_what_a_variant_was_not_compared_for(folder):
    names = ("accuracy", "arena_bytes", "plan_bytes")
    cells = tuple(ex.verdict("m4", "int8", m, "MISSING", reason="gone") for m in names)
    page = markdown_report(read_contents(folder, GateResult("run", "base", cells)))
    assert "m4\\[int8\\], 3 metrics | gone (accuracy, arena\\_bytes, plan\\_bytes) |" in page
    assert page.count("MISSING |") == 1


def test_markdown_gives_every_number_its_unit(folder):
    page = markdown_report(read_contents(folder, GateResult("run", "base", (
        ex.verdict("m4", "int8", "plan_bytes", "FAIL", "exact", margin=256.0, low=None, high=None),
        ex.verdict("m4", "int8", "accuracy", "FAIL", "accuracy", change=0.02, mde=0.000001),
    ))))  # fmt: skip
    assert "| 256 B |" in page
    assert "| +2 points | +1.2 to +1.8 points | 1 point |" in page
    assert "| \\< 0.001 points |" in page


def test_markdown_rows_have_as_many_cells_as_their_heads(gated):
    heads = None
    for line in markdown_report(gated).splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        assert None in {heads, cells} or cells == heads, line
        heads = cells


def test_markdown_escapes_names():
    assert escaped("a|b<c>_d*\n[e]") == "a\\|b\\<c\\>\\_d\\* \\[e\\]"


def test_markdown_stays_below_githubs_limit_and_keeps_what_failed(folder):
    cells = (
        *(
            ex.verdict("m4", f"v{k}", "latency_median", "PASS", reason="x" * 500)
            for k in range(3000)
        ),
        ex.verdict("m4", "int8", "latency_median", "FAIL"),
    )
    page = markdown_report(read_contents(folder, GateResult("run", "base", cells)))
    assert MAX_BYTES - 2000 < len(page.encode()) < 1024 * 1024
    assert "FAIL | m4\\[int8\\]::latency\\_median | made up to be FAIL" in page
    assert page.rstrip().endswith(
        "`hilbench report 20260102-030405-digits --format csv` has every row."
    )


def test_markdown_says_synthetic_and_never_zero_for_unknown(plain):
    page = markdown_report(plain)
    assert "| m4 | int8 | top1 0.9600 | 5,000 | SYNTHETIC 6 | 19,000 | 4,096 | 3 |" in page
    assert "| lab | fp32 | - | - | - | - | - | 0 |" in page
    assert "Not gated: these numbers were compared with nothing." in page


def cases(contents):
    suite = ET.fromstring(junit_report(contents).partition("\n")[2])[0]
    return suite, {case.get("name"): case for case in suite.iter("testcase")}


def test_junit_cells_are_test_cases(gated):
    suite, found = cases(gated)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("9", "2", "3")
    failure = found["m4[int8]::latency_median"].find("failure")
    assert failure.get("type") == "FAIL"
    assert failure.get("message") == (
        "FAIL: made up to be FAIL; 1,000 -> 1,015, change +1.5 % (90 % interval +1.2 to +1.8 %), "
        "margin 1 %, n 6 / 6, mde 0.4 %, adj. p 0.0008"
    )
    assert found["m4[fp32]::latency_median"].find("failure").get("type") == "INCONCLUSIVE"
    assert found["m4[int8]::energy_uj"].find("error").get("type") == "INVALID"
    assert found["m9[int8]::latency_median"].find("error").get("type") == "MISSING"
    for name in ("m4[int8]::accuracy", "m4[int8]::plan_bytes", "m3[fp32]::latency_median"):
        assert len(found[name]) == 1  # its words only


RESULT = ({"type", "message"}, {})
# What CI servers agree on: element to its attributes, required ones with "!", and its children.
DIALECT = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name!", "tests!", "failures!", "errors!", "skipped", "time", "timestamp", "hostname"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name!", "classname", "time"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": RESULT, "error": RESULT, "skipped": RESULT, "system-out": (set(), {}),
}  # fmt: skip


def test_junit_is_what_ci_servers_read(gated, plain):
    for contents in (gated, plain):
        root = ET.fromstring(junit_report(contents).partition("\n")[2])
        assert root.tag == "testsuites"
        for element in root.iter():
            attributes, children = DIALECT[element.tag]
            required = {name[:-1] for name in attributes if name.endswith("!")}
            assert required <= set(element.keys()) <= {name.rstrip("!") for name in attributes}
            assert {child.tag for child in element} <= set(children)
        for suite in root:
            assert all(suite.get(n).isdecimal() for n in ("tests", "failures", "errors"))
            names = [(c.get("classname"), c.get("name")) for c in suite.iter("testcase")]
            assert len(names) == len(set(names))  # a server overwrites one of two alike


def test_junit_of_a_cell_that_was_not_measured_is_an_error(plain):
    suite, found = cases(plain)
    error = found["lab[fp32]::run"].find("error")
    assert (error.get("type"), error.get("message")) == (
        "ModelTooLargeError",
        "needs 9 bytes, has 8",
    )
    assert suite.get("failures") == "0"
    assert found["lab[int8]::latency_median"].find("system-out").text == "2,000 cycles, not gated"


def test_junit_has_no_times_that_nobody_measured(gated, plain):
    for contents in (gated, plain):
        assert "time=" not in junit_report(contents)


def test_junit_bears_every_character(tmp_path):
    error = ex.ErrorRecord("m4", "int8", None, "BoardError", 'died: \x1b[31m<&"\x00', 3)
    folder = ex.write_run(tmp_path, [("m4", "int8")], errors=[error])
    _, found = cases(read_contents(folder))
    assert found["m4[int8]::run"].find("error").get("message") == 'died: �[31m<&"�'


def rows_of(contents):
    return list(csv.DictReader(io.StringIO(csv_report(contents))))


def test_csv_has_the_runs_numbers_and_the_gates(gated):
    rows = {(r["board"], r["variant"], r["metric"]): r for r in rows_of(gated)}
    fail = rows["m4", "int8", "latency_median"]
    assert (fail["value"], fail["unit"], fail["time_base"]) == (
        "5000.0",
        "instructions",
        "instructions",
    )
    assert (fail["verdict"], fail["change"], fail["change_high"]) == ("FAIL", "0.015", "0.018")
    accuracy = rows["lab", "int8", "accuracy"]
    assert (accuracy["low"], accuracy["high"], accuracy["emulated"]) == ("0.94", "0.97", "False")
    assert rows["m9", "int8", "latency_median"]["verdict"] == "MISSING"
    assert rows["m9", "int8", "latency_median"]["value"] == ""


def test_csv_leaves_out_what_is_not_known(plain):
    rows = rows_of(plain)
    assert not [r for r in rows if r["board"] == "lab" and r["metric"] == "energy_uj"]
    failed = [r for r in rows if r["error"]]
    assert {(r["board"], r["variant"], r["metric"]) for r in failed} == {
        ("lab", "fp32", "flash_bytes"),  # the image is on the board, whatever did not fit
        ("lab", "fp32", "ram_bytes"),
    }


@pytest.mark.parametrize(
    ("form", "name", "begins"),
    [
        ("html", "report.html", "<!DOCTYPE html>"),
        ("md", "report.md", "## hilbench: digits"),
        ("junit", "report.xml", "<?xml"),
        ("csv", "report.csv", "run_id,"),
    ],
)
def test_the_command_writes_a_file(folder, tmp_path, monkeypatch, capsys, *, form, name, begins):
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(folder), "--format", form]) == 0
    assert (tmp_path / name).read_text().startswith(begins)
    assert capsys.readouterr().out.startswith(f"{name}: ")


def test_the_command_prints_with_a_dash(folder, capsys):
    assert main(["report", str(folder), "--format", "csv", "-o", "-"]) == 0
    assert capsys.readouterr().out.startswith("run_id,board,")


def test_the_command_gates_as_the_gate_does(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    base = tmp_path / "base.toml"
    accept = [
        "baseline",
        "accept",
        "--run",
        str(folder),
        "--baseline",
        str(base),
        "--reason",
        "first",
    ]
    assert main([*accept, "--cells", "m4[int8]"]) == 0
    assert main(["report", str(folder), "--gate", str(base), "--format", "md", "-o", "-"]) == 0
    page = capsys.readouterr().out
    assert "PASS | m4\\[int8\\]::latency\\_median" in page


def test_the_command_draws_the_baseline_beside_the_run(folder, tmp_path, monkeypatch):
    """Of a baseline whose sessions were all 10 % slower: hollow, and in the table."""
    monkeypatch.chdir(tmp_path)
    accept = ["baseline", "accept", "--run", str(folder), "--baseline", "base.toml"]
    assert main([*accept, "--reason", "first", "--cells", "lab[int8]"]) == 0
    base = tmp_path / "base.toml"
    told = "latency_median = [1997.0, 2000.0, 2003.0]"
    assert told in base.read_text()
    slower = told.replace("1997.0, 2000.0, 2003.0", "2197.0, 2200.0, 2203.0")
    base.write_text(base.read_text().replace(told, slower))
    assert main(["report", str(folder), "--gate", "base.toml"]) == 0
    page = (tmp_path / "report.html").read_text()
    assert '<td class="t">2,197; 2,200; 2,203</td>' in page
    assert "No baseline's median latency stands beside lab[a<b>&\"'] (NEW)" in unescape(page)


def test_a_baseline_that_is_not_there_is_said(folder, tmp_path, capsys):
    assert main(["report", str(folder), "--gate", str(tmp_path / "no.toml"), "-o", "-"]) != 0
    assert "no.toml: no baseline there" in capsys.readouterr().err
