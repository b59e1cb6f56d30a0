"""The page as a file: what is in it, what is not, and that it stays the same."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from hilbench.errors import StoreError
from hilbench.gate.verdicts import GateResult
from hilbench.report._detail import Detail
from hilbench.report._sessions import distributions
from hilbench.report.contents import Before, read_contents
from hilbench.report.html import DETAILS, MAX_BYTES, html_report
from tests.report import report_examples as ex

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Elements with their text, ids, and the stack checked while reading."""

    def __init__(self, markup):
        super().__init__()
        self.stack, self.all, self.ids, self.words = [], [], [], []
        self.feed(markup)
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.all.append((tag, values))
        if "id" in values:
            self.ids.append(values["id"])
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.all.append((tag, dict(attrs)))
        self.ids += [v for k, v in attrs if k == "id"]

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if not self.stack or self.stack[-1] != "style":
            self.words.append(data)

    def of(self, tag):
        return [values for name, values in self.all if name == tag]


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    return read_contents(ex.small_run(tmp_path_factory.mktemp("small")), ex.gate_of())


@pytest.fixture(scope="module")
def markup(contents):
    return html_report(contents)


@pytest.fixture(scope="module")
def page(markup):
    return Page(markup)


def svgs(markup):
    return [ET.fromstring(s) for s in re.findall(r"<svg[^>]*role=.*?</svg>", markup, re.DOTALL)]


def test_nothing_is_fetched_and_nothing_runs(page, markup):
    for _, values in page.all:
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert values.get(name, "#").startswith("#"), values
        assert "style" not in values
        assert not [name for name in values if name.startswith("on")]
    assert not page.of("script")
    assert not page.of("link")
    assert not page.of("img")
    assert "url(" not in markup
    assert "@import" not in markup


def test_its_own_policy_allows_its_own_style_only(page):
    policy = next(v["content"] for v in page.of("meta") if "http-equiv" in v)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_every_chart_has_title_description_and_a_table_twin(page, markup):
    charts = svgs(markup)
    assert len(charts) > 15
    tables = {values["id"] for values in page.of("table")}
    for chart in charts:
        assert chart.get("aria-details") in tables
        assert chart[0].tag == "title"
        assert chart[0].text
        assert chart[1].tag == "desc"
        assert chart[1].text


def test_ids_are_unique_and_links_lead_somewhere(page):
    assert len(page.ids) == len(set(page.ids))
    for values in page.of("a"):
        assert values["href"][1:] in page.ids
    assert {v["href"][1:] for v in page.of("use")} <= set(page.ids)


def test_tables_name_rows_and_columns(page):
    assert all(values.get("scope") in {"row", "col"} for values in page.of("th"))
    assert len(page.of("caption")) == len(page.of("table"))


def test_hostile_names_stay_text(page):
    assert any("a<b>&\"'" in words for words in page.words)
    assert not page.of("b")


def test_emulated_and_hardware_never_share_a_chart(contents, markup):
    for chart in svgs(markup):
        words = " ".join(chart.itertext())
        boards = {b for b in ("m4", "m3", "lab") if re.search(rf"\b{b}\b", words)}
        assert not ({"lab"} < boards), words
    assert [g.title for g in contents.groups] == [
        "Emulated boards, instructions",
        "Hardware boards, cycles",
    ]


def test_two_time_bases_of_emulated_boards_are_two_groups(tmp_path):
    contents = read_contents(ex.large_run(tmp_path, boards=2, variants=2, operators=1))
    assert [(g.emulated, g.unit, g.boards) for g in contents.groups] == [
        (False, "cycles", ("board-00",)),
        (True, "instructions", ("board-01",)),
    ]


def test_the_numbers_in_the_charts_are_those_of_the_run(markup):
    latency = next(
        c for c in svgs(markup) if c[0].text == "latency, cycles"
    )  # heat map of the hardware board: int8 has 3 - 1 = 2 thousand ticks
    assert [t.text for t in latency.iter("text")][-3:].count("2.000 k") == 1


def test_marks_of_the_frontier_lie_where_the_numbers_say(markup):
    panel = next(c for c in svgs(markup) if c[0].text == "top1 against latency (cycles) on lab")
    marks = {u[0].text.split(":")[0]: u for u in panel.iter("use") if len(u)}
    int8, other = marks["int8"], marks["a<b>&\"'"]
    assert float(int8.get("x")) > float(other.get("x"))  # 2000 cycles, 1000 cycles
    assert float(int8.get("y")) < float(other.get("y"))  # 0.96 above 0.95


def test_an_unknown_is_a_dash_and_never_zero(markup):
    row = re.search(r'results-hardware-cycles".*?</table>', markup, re.DOTALL).group()
    failed = re.search(r"<tr>(?:(?!</tr>).)*fp32.*?</tr>", row, re.DOTALL).group()
    cells = re.findall(r"<td[^>]*>(.*?)</td>", failed)
    assert cells[1] == "failed"
    assert set(cells) == {"-", "failed", "0"}
    assert cells[-1] == "0"  # sessions: none was measured, that is known
    energy = re.search(
        r"<h3>Board × variant</h3>(.*?)<h3>", markup.split("Hardware boards")[-1], re.DOTALL
    )
    assert "Not measured in this group: energy" in energy.group()


def test_verdicts_stand_as_words_worst_first(markup):
    table = re.search(r'<table id="gate-cells">.*?</table>', markup, re.DOTALL).group()
    words = re.findall(r"</svg> ([A-Z]+)<br>", table)
    assert words == ["FAIL", "INVALID", "MISSING", "INCONCLUSIVE", "WAIVED", "IMPROVED", "NEW"]
    assert re.search(r"<summary>1 PASS</summary>", markup)


def test_top_says_verdict_waivers_warnings_and_what_to_do(page):
    words = "".join(page.words)
    top = words[: words.index("Worst first")]
    assert "FAIL: 1 FAIL, 1 INVALID" in top.replace("\n", "")
    assert "hilbench gate 20260102-030405-digits --confirm" in top
    assert "m4[int8]::accuracy up to 5 %: known since 1.1, until 2027-01-01" in top
    assert "baseline is 100 days old" in top


def test_intervals_lie_by_their_margin(markup):
    fail = next(c for c in svgs(markup) if c[0].text == "change +1.5 %, margin 1 %")
    zero, margin = (float(p.get("d").split()[0][1:]) for p in list(fail.iter("path"))[:2])
    mark = float(next(fail.iter("use")).get("x"))
    assert (mark - zero) / (margin - zero) == pytest.approx(1.5, abs=0.02)


def test_accuracy_per_class_counts_labels(markup):
    table = re.search(r'<table id="classes-emulated-instructions">.*?</table>', markup, re.DOTALL)
    cells = re.findall(r"<td>(.*?)</td>", table.group())
    assert cells[:3] == ["2 of 2", "1 of 2", "1 of 2"]  # LABELS and OUTPUTS, by hand


def test_a_run_without_labels_says_so(tmp_path):
    page = html_report(read_contents(ex.large_run(tmp_path, boards=1, variants=1, operators=1)))
    assert "Left out: this run keeps outputs without labels." in page


def test_the_same_run_gives_the_same_bytes(contents, markup):
    again = read_contents(contents.folder, ex.gate_of())
    assert html_report(again) == markup


def test_without_a_gate_it_says_that_nothing_was_compared(contents):
    page = html_report(read_contents(contents.folder))
    assert "Not gated: these numbers were compared with nothing." in page
    assert 'id="gate"' not in page


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return ex.large_run(tmp_path_factory.mktemp("large"))


@pytest.mark.parametrize("gated", [False, True])
def test_ten_boards_of_twenty_variants_fit(large, gated):
    gate = None
    if gated:
        frame = read_contents(large)
        metrics = ("accuracy", "latency_median", "plan_bytes", "arena_bytes", "stack_used_bytes")
        gate = GateResult("run", "base", tuple(
            ex.verdict(c.board, c.variant, m, "FAIL" if k % 10 == 0 else "PASS", change=0.001 * k)
            for g in frame.groups for k, c in enumerate(g.cells) for m in metrics
        ))  # fmt: skip
    page = html_report(read_contents(large, gate))
    assert len(page.encode()) <= MAX_BYTES
    assert "left out" in page  # it says what it does not draw
    assert page.count("variant_19_int8") > 10


def gated(folder, *verdicts, **before):
    return read_contents(folder, GateResult("run", "base", verdicts), Before(**before))


def test_margins_and_changes_have_their_own_units(contents):
    page = html_report(gated(
        contents.folder,
        ex.verdict("m4", "int8", "plan_bytes", "FAIL", "exact", baseline=1000.0, change=0.3,
                   margin=256.0, low=None, high=None, mde=None),
        ex.verdict("m4", "int8", "accuracy", "FAIL", "accuracy", change=0.02, low=0.011, high=0.03),
        ex.verdict("m3", "int8", "accuracy", "FAIL", "accuracy", change=0.03,
                   points=False),
    ))  # fmt: skip
    assert "change +3 %, margin 1 %" in page  # of metric mse
    assert "change +30 %, margin 256 B" in page
    assert "change +2 points, margin 1 point" in page
    assert "interval +1.1 to +3 points" in page
    drawn = next(c for c in svgs(page) if c[0].text.endswith("256 B"))
    zero, margin = (float(p.get("d").split()[0][1:]) for p in list(drawn.iter("path"))[:2])
    mark = float(next(drawn.iter("use")).get("x"))
    assert (mark - zero) / (margin - zero) == pytest.approx(0.3 / 0.256, abs=0.02)


def test_what_lies_beyond_the_scale_ends_in_an_arrow(contents):
    far = ex.verdict("m4", "int8", "latency_median", "INCONCLUSIVE", change=0, low=-0.5, high=0.5)
    page = html_report(gated(contents.folder, far))
    drawn = next(c for c in svgs(page) if c[0].text == "change 0 %, margin 1 %")
    assert [p.get("d")[-8:] for p in drawn.iter("path")][-1].endswith("l7-6z")
    assert "l-7-6z" in list(drawn.iter("path"))[-1].get("d")


def test_what_was_not_compared_is_said_once_a_variant(contents):
    names = ("accuracy", "arena_bytes", "plan_bytes")
    page = html_report(gated(contents.folder, *(
        ex.verdict("m4", "int8", m, "INVALID", baseline=9.0, reason="they never meet") for m in names
    )))  # fmt: skip
    table = re.search(r'<table id="gate-cells">.*?</table>', page, re.DOTALL).group()
    assert table.count("<tr>") == 2
    assert "m4[int8]<br>3 metrics" in table
    assert "they never meet (accuracy, arena_bytes, plan_bytes)" in table


def test_what_to_do_names_the_files_that_were_used(contents):
    fail = ex.verdict("m4", "int8", "latency_median", "FAIL")
    bytes_ = ex.verdict("m3", "int8", "plan_bytes", "FAIL", "exact", margin=0.0)
    asked = {"run": "there/run", "baseline": "b.toml", "config": "g.toml"}
    words = "".join(Page(html_report(gated(contents.folder, fail, bytes_, **asked))).words)
    assert "hilbench gate there/run --baseline b.toml --config g.toml --confirm" in words
    assert "1 cell that no session changes (bytes, agreement) got worse" in words
    accept = 'hilbench baseline accept --run there/run --baseline b.toml --cells "m4[int8]" '
    assert accept + '--cells "m3[int8]" --reason TEXT' in words


def test_what_changed_is_a_map_and_a_table(contents):
    page = html_report(gated(
        contents.folder,
        ex.verdict("m4", "int8", "latency_median", "FAIL", change=0.5),
        ex.verdict("m3", "int8", "latency_median", "NEW", change=None, low=None, high=None),
        ex.verdict("m4", "int8", "energy_uj", "FAIL", "energy", change=0.04, margin=0.02),
    ))  # fmt: skip
    table = re.search(r'<table id="changes-emulated-.*?</table>', page, re.DOTALL).group()
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", r) for r in table.split("<tr>")[1:]]
    assert rows[0] == ["board", "variant", "latency, change", "SYNTHETIC energy, change"]
    assert ["m4", "int8", "+50 %", "+4 %"] in rows
    assert ["m3", "int8", "new", "-"] in rows
    maps = [c for c in svgs(page) if c[0].text == "SYNTHETIC energy, change"]
    assert [t.text for t in maps[0].iter("text")].count("m3") == 0  # not gated there


def test_which_vectors_were_lost_is_told_by_class(contents):
    """OUTPUTS are right in vectors 0, 1, 2 and 4, of classes 0, 0, 1 and 2."""
    before = {("m4", "int8"): [True, True, False, True, True, True]}
    same = ex.verdict("m4", "int8", "accuracy", "INCONCLUSIVE", "accuracy")
    page = html_report(gated(contents.folder, same, right=before))
    table = re.search(r'<table id="moved-emulated-.*?</table>', page, re.DOTALL).group()
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", r) for r in table.split("<tr>")[2:]]
    assert rows == [["m4", "int8", "1", "1", "1", "2"], ["m4", "int8", "2", "1", "0", "2"]]
    other = ex.verdict("m4", "int8", "accuracy", "INVALID", "accuracy")  # of other vectors
    assert 'id="moved-' not in html_report(gated(contents.folder, other, right=before))


def ghosts(page, board):
    panel = next(
        c for c in svgs(page) if c[0].text == f"top1 against latency (instructions) on {board}"
    )
    return [u for u in panel.iter("use") if u.get("fill") == "none"]


def test_a_ghost_is_only_drawn_of_what_was_compared(contents):
    def page(word):
        return html_report(gated(
            contents.folder,
            ex.verdict("m4", "int8", "latency_median", word, baseline=900.0),
            ex.verdict("m4", "int8", "accuracy", "PASS", "accuracy", baseline=0.99, change=0.0),
        ))  # fmt: skip

    assert len(ghosts(page("FAIL"), "m4")) == 1
    assert ghosts(page("INVALID"), "m4, m3") == []  # they may not meet


def test_panels_of_a_cost_have_the_same_axes(contents):
    fail = ex.verdict("m4", "int8", "latency_median", "FAIL", baseline=900.0)
    accuracy = ex.verdict("m4", "int8", "accuracy", "PASS", "accuracy", baseline=0.99, change=0.0)
    page = html_report(gated(contents.folder, fail, accuracy))
    places = []
    for board in ("m4", "m3"):  # alike but for the baseline
        panel = next(
            c for c in svgs(page) if c[0].text == f"top1 against latency (instructions) on {board}"
        )
        places.append([(u.get("x"), u.get("y")) for u in panel.iter("use") if len(u)][-3:])
    assert places[0] == places[1]


def test_the_baselines_sessions_stand_beside_the_runs(contents):
    before = {("lab", "int8", "latency_median"): (1900.0, 1950.0, 2000.0)}
    fail = ex.verdict("lab", "int8", "latency_median", "FAIL", baseline=1950.0)
    new = ex.verdict("lab", "a<b>&\"'", "latency_median", "NEW", baseline=None)
    page = html_report(gated(contents.folder, fail, new, sessions=before))
    table = re.search(r'<table id="sessions-hardware-cycles">.*?</table>', page, re.DOTALL).group()
    cells = re.findall(r"<td[^>]*>(.*?)</td>", table)
    assert "1,900; 1,950; 2,000" in cells
    drawn = next(c for c in svgs(page) if c[0].text == "median latency of sessions on lab")
    assert len([u for u in drawn.iter("use") if u.get("fill") == "none"]) == 3
    assert "from the baseline's median" in [t.text for t in drawn.iter("text")]
    words = "".join(Page(page).words)
    assert "No baseline's median latency stands beside lab[a<b>&\"'] (NEW)" in words


def test_sessions_of_a_baseline_that_may_not_meet_are_not_drawn(contents):
    before = {("lab", "int8", "latency_median"): (1900.0, 1950.0, 2000.0)}
    page = html_report(gated(
        contents.folder, ex.verdict("lab", "int8", "latency_median", "INVALID", baseline=1950.0),
        sessions=before,
    ))  # fmt: skip
    assert "1,900" not in page
    assert "lab[int8] (INVALID)" in page


def test_a_pairs_baseline_is_no_earlier_self(contents):
    """[[pair]]: the number is of another variant, and the stored sessions have another median."""
    cell = contents.groups[0].cells[0]
    pair = ex.verdict(cell.board, cell.variant, "energy_uj", "PASS", "energy", baseline=7.0)
    own = {(cell.board, cell.variant, "energy_uj"): (5.0, 6.0, 7.0)}
    assert gated(contents.folder, pair, sessions=own).baseline(cell, "energy_uj") is None
    stored = ex.verdict(cell.board, cell.variant, "energy_uj", "PASS", "energy", baseline=6.0)
    assert gated(contents.folder, stored, sessions=own).baseline(cell, "energy_uj") == 6.0


def test_the_level_of_the_gate_is_the_level_that_is_told(contents):
    fail = ex.verdict("m4", "int8", "latency_median", "FAIL")
    page = html_report(gated(contents.folder, fail, alpha=0.01))
    assert "98 % interval" in page
    assert "one-sided 99 %" in page
    assert "90 %" not in page


def test_a_large_run_shows_the_sessions_of_the_worst_boards(tmp_path):
    folder = ex.large_run(tmp_path, boards=12, variants=1, operators=1)
    group = read_contents(folder).groups[1]
    worst = ex.verdict(group.boards[-1], "variant_00_int8", "latency_median", "FAIL")
    words = distributions(gated(folder, worst), group, 2)
    assert f"Only {group.boards[0]}, {group.boards[-1]}, for size" in words
    assert len(re.findall("<svg ", words)) == 2
    assert "left out for size" in distributions(gated(folder, worst), group, 0)


def test_many_boards_that_share_a_number_are_counted(contents):
    group = contents.groups[0]
    assert group.named(["m4", "m3"]) == "m4, m3"
    many = replace(group, cells=tuple(replace(group.cells[0], board=f"b{k}") for k in range(6)))
    assert many.named(many.boards) == "all 6 boards"
    assert many.named(many.boards[1:]) == "b1 and 4 more"


def test_details_only_ever_take_away():
    assert DETAILS[0].hover
    assert DETAILS[0].operators == "all"
    for more, less in pairwise(DETAILS):
        assert less.waveforms <= more.waveforms
        assert less.gate_rows <= more.gate_rows
        assert less.sessions <= more.sessions
    assert all(isinstance(d, Detail) and d.gate_rows > 0 for d in DETAILS)


def test_changed_outputs_are_refused(tmp_path):
    folder = ex.small_run(tmp_path)
    contents = read_contents(folder)
    file = next(f for f in contents.records[0].files if f.startswith("outputs/"))
    with (folder / file).open("wb") as out:
        np.savez(out, outputs=ex.OUTPUTS[::-1], labels=ex.LABELS)
    with pytest.raises(StoreError, match="is not what the journal names; restore it"):
        html_report(read_contents(folder))


def test_nothing_measured_is_a_page_too(tmp_path):
    error = ex.ErrorRecord("m4", None, None, "BoardError", "board m4: died", 3)
    folder = ex.write_run(tmp_path, [("m4", "int8")], errors=[error])
    page = html_report(read_contents(folder))
    assert "BoardError: board m4: died" in page
    assert "0 of 3" in page
