"""The page as people see it: light, dark, on paper, and where scripts and styles are forbidden."""

import re

import numpy as np
import pytest

from hilbench.report.contents import read_contents
from hilbench.report.html import html_report
from tests.report import report_examples as ex
from tests.report.chromium import Chromium, Server, find

JENKINS = "sandbox; default-src 'none'; img-src 'self'; style-src 'self'"  # its default header
BOXES = """[...document.querySelectorAll('svg[role=img]')].filter(s => s.checkVisibility()).map(s => {
  const r = e => { const b = e.getBoundingClientRect();
                   return [b.left, b.top + scrollY, b.right, b.bottom + scrollY]; };
  return {title: s.querySelector('title').textContent, frame: r(s),
          letters: [...s.querySelectorAll('text:not([transform])')].map(t => [t.textContent, r(t)])};
})"""

pytestmark = pytest.mark.skipif(find() is None, reason="no Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = ex.small_run(tmp_path_factory.mktemp("run"))
    return html_report(read_contents(folder, ex.gate_of())).encode()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium = Chromium(find(), tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


def luminance(picture):
    linear = np.where(
        picture[..., :3] <= 0.04045,
        picture[..., :3] / 12.92,
        ((picture[..., :3] + 0.055) / 1.055) ** 2.4,
    )
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast_of(light, box):
    left, top, right, bottom = (round(v) for v in box)
    part = light[max(0, top) : bottom, max(0, left) : right]
    return (part.max() + 0.05) / (part.min() + 0.05)


def overlap(a, b):
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return wide > 1 and high > 3  # boxes of letters have a line's height, letters have not


@pytest.mark.parametrize(
    ("scheme", "media", "policy"),
    [
        ("light", "", None),
        ("dark", "", None),
        ("dark", "print", None),
        ("light", "", JENKINS),
        ("dark", "", JENKINS),
    ],
    ids=["light", "dark", "print", "strict", "strict dark"],
)
def test_every_letter_in_every_chart_can_be_read(browser, page, tmp_path, *, scheme, media, policy):
    with Server(page, policy) as server:
        browser.open(server.url, scheme=scheme, media=media, script=policy is None)
        picture = browser.picture(tmp_path / "page.png")
        charts = browser.evaluate(BOXES)
        asked, said = browser.requests(), browser.complaints()
    assert asked == [server.url]
    refused = [line for line in said if "style" in line and "violates" in line]
    assert said == refused
    assert len(refused) == (policy is not None)
    light = luminance(picture)
    background = light[5, 5]
    bright = scheme == "light" or media == "print"
    assert background > 0.9 if bright else background < 0.05
    assert len(charts) > 15
    check_letters(charts, light)


def check_letters(charts, light):
    """Every word can be seen, stays in its chart, and covers no other."""
    for chart in charts:
        letters = chart["letters"]
        for k, (words, box) in enumerate(letters):
            assert contrast_of(light, box) > 4.5, (chart["title"], words)
            assert box[0] >= chart["frame"][0] - 1, words
            assert box[2] <= chart["frame"][2] + 1, words
            for other, place in letters[k + 1 :]:
                assert not overlap(box, place), (chart["title"], words, other)


def test_names_in_a_crowded_chart_cover_nothing(browser, tmp_path):
    folder = ex.large_run(tmp_path, boards=1, variants=24, operators=3)
    with Server(html_report(read_contents(folder)).encode(), None) as server:
        browser.open(server.url)
        picture, charts = browser.picture(), browser.evaluate(BOXES)
    check_letters(charts, luminance(picture))


def test_nothing_hangs_over_the_page(browser, page):
    with Server(page, None) as server:
        for width in (1180, 700):
            browser.open(server.url, width=width)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_no_table_is_wider_than_a_laptop(browser, page):
    cut = "[...document.querySelectorAll('.tables')].filter(t => t.scrollWidth > t.clientWidth)"
    with Server(page, None) as server:
        browser.open(server.url, width=1280)
        assert browser.evaluate(f"{cut}.map(t => t.firstChild.id)") == []


def test_charts_keep_their_letters_legible_on_a_phone(browser, page):
    with Server(page, None) as server:
        browser.open(server.url, width=400)
        assert browser.evaluate("document.documentElement.scrollWidth") <= 400
        charts = "[...document.querySelectorAll('.charts svg')].filter(s => s.checkVisibility())"
        shrunk = "s => s.getBoundingClientRect().width < s.width.baseVal.value - 1"
        assert browser.evaluate(f"{charts}.filter({shrunk}).length") == 0
        right = "[...document.querySelectorAll('#gate-cells td.w')].map(t => t.getBoundingClientRect().right)"
        assert max(browser.evaluate(right)) <= 400  # why is read without scrolling


def test_print_opens_what_is_folded(browser, page):
    visible = "[...document.querySelectorAll('details table')].map(t => t.checkVisibility())"
    with Server(page, None) as server:
        browser.open(server.url)
        assert not any(browser.evaluate(visible))
        browser.open(server.url, media="print")
        assert all(browser.evaluate(visible))
        pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type /Page\b", pdf)) <= 30


def test_verdicts_are_told_to_who_cannot_see(browser, page):
    with Server(page, JENKINS) as server:
        browser.open(server.url, script=False)
        nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    names = {
        (n["role"]["value"], n.get("name", {}).get("value", "").strip())
        for n in nodes
        if not n["ignored"]
    }
    assert ("image", "change +1.5 %, margin 1 %") in names
    assert any(role == "rowheader" and name.startswith("FAIL") for role, name in names)
    assert any(role == "heading" and name == "Gate" for role, name in names)
