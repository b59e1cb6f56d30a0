"""The page around charts and tables: no script, one <style> that may be blocked, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from hilbench.gate.verdicts import Verdict
from hilbench.report.svg import Mark, definitions, element, legend_mark, text

STYLE = """\
:root{color-scheme:light dark;--line:#d5d9de;--soft:#f4f6f8;--dim:#59626c;--bad:#a33b00;--good:#005a8c}
@media(prefers-color-scheme:dark){:root{--line:#3a4048;--soft:#20252b;--dim:#a4adb8;--bad:#ff9a5c;--good:#7cc4f2}
body{background:#15181c;color:#e8eaed}}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;max-width:1120px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:1.7em;margin:0 0 2px}h2{font-size:1.3em;margin:2.2em 0 .4em;padding-top:.6em;border-top:1px solid var(--line)}
h3{font-size:1.06em;margin:1.6em 0 .3em}p{margin:.35em 0;max-width:76ch}.dim,figcaption,caption{color:var(--dim)}
.verdict{border:1px solid var(--line);border-left:8px solid var(--dim);padding:12px 16px;margin:18px 0;background:var(--soft)}
.verdict.bad{border-left-color:var(--bad)}.verdict.good{border-left-color:var(--good)}
.verdict strong{font-size:1.25em}.tables{overflow-x:auto}
table{border-collapse:collapse;font-size:.87em;margin:.6em 0;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:2px 0 4px}th,td{padding:3px 8px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap;vertical-align:top}
.t{text-align:left}td.t{white-space:normal}
thead th{border-bottom:2px solid var(--line);white-space:normal;vertical-align:bottom}tbody th{font-weight:600;text-align:left}
td.w{min-width:17em}
figure{margin:.8em 0}.charts svg{max-width:100%;height:auto;vertical-align:top;margin:0 8px 14px 0}
ul.legend{list-style:none;padding:0;margin:.5em 0;display:flex;flex-wrap:wrap;gap:2px 18px}
ul.legend svg,td svg,th svg{vertical-align:-3px}summary{cursor:pointer;color:var(--dim)}details{margin:.4em 0}
code{font:.92em ui-monospace,Menlo,Consolas,monospace;background:var(--soft);padding:1px 4px;overflow-wrap:anywhere}
nav ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:4px 16px}a{color:var(--good)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;font-size:.9em}dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
@media screen and (max-width:640px){.charts{overflow-x:auto}.charts svg{max-width:none}
table:has(td.w) tr{display:flex;flex-wrap:wrap;border-bottom:1px solid var(--line)}table:has(td.w) :is(th,td){border:0}
table:has(td.w) caption{white-space:normal}table:has(td.w) td.w{min-width:0;flex-basis:100%}td:empty{display:none}}
@media print{:root{color-scheme:light;--line:#bbb;--soft:#fff;--dim:#444;--bad:#a33b00;--good:#005a8c}
body{background:#fff;color:#000;max-width:none;padding:0;font-size:11px}nav{display:none}
details::details-content{content-visibility:visible;block-size:auto;display:block}summary{list-style:none}
h2,h3{break-after:avoid}svg,tr,figcaption{break-inside:avoid}thead{display:table-header-group}.tables{overflow:visible}
.charts svg.half{max-width:48%}table{font-size:.78em}th,td{padding:1px 5px}}
"""

VERDICT_MARKS: dict[Verdict, Mark] = {
    "PASS": Mark("#009E73", 0),
    "FAIL": Mark("#D55E00", 6),
    "INCONCLUSIVE": Mark("#E69F00", 3),
    "IMPROVED": Mark("#56B4E9", 4),
    "NEW": Mark("#56B4E9", 5),
    "MISSING": Mark("#CC79A7", 1),
    "INVALID": Mark("#D55E00", 2),
    "WAIVED": Mark("#F0E442", 7),
}


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """A table with a heading for every row and column."""

    id: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: int = 1  # columns that name a row
    numbers: frozenset[int] = field(default_factory=frozenset)  # columns set to the right
    wide: frozenset[int] = field(default_factory=frozenset)  # columns of sentences

    def render(self) -> str:
        """Return the <table>."""
        head = "".join(
            element("th", text(name), scope="col", class_=None if k in self.numbers else "t")
            for k, name in enumerate(self.heads)
        )
        body = "".join(f"<tr>{self._row(row)}</tr>\n" for row in self.rows)
        return (
            f'<div class="tables"><table id="{text(self.id)}"><caption>{text(self.caption)}'
            f"</caption><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
        )

    def _row(self, row: Sequence[str]) -> str:
        cells = []
        for k, value in enumerate(row):
            inside = value if isinstance(value, Markup) else text(value)
            kind = "t w" if k in self.wide else None if k in self.numbers else "t"
            if k < self.keys:
                cells.append(element("th", inside, scope="row"))
            else:
                cells.append(element("td", inside, class_=kind))
        return "".join(cells)


def lines(*words: str) -> Markup:
    """Return words below each other; blank ones are left out."""
    return Markup("<br>".join(text(line) for line in words if line))


def verdict_words(verdict: Verdict) -> Markup:
    """Return a verdict as shape and word."""
    return Markup(f"{legend_mark(VERDICT_MARKS[verdict])} {verdict}")


def figure(charts: Sequence[str], caption: str) -> str:
    """Return charts with what they show said below."""
    inside = "\n".join(charts)
    return (
        f'<figure><div class="charts">{inside}</div><figcaption>{text(caption)}</figcaption>'
        "</figure>\n"
    )


def folded(summary: str, content: str, *, opened: bool = False) -> str:
    """Return what only some readers want; it prints open."""
    return (
        f"<details{' open' if opened else ''}><summary>{text(summary)}</summary>\n{content}"
        "</details>\n"
    )


def paragraph(words: str, kind: str | None = None) -> str:
    """Return one paragraph of plain text; ``backquotes`` become code."""
    parts = text(words).split("`")
    inside = "".join(f"<code>{p}</code>" if k % 2 else p for k, p in enumerate(parts))
    return element("p", inside, class_=kind) + "\n"


def page(title: str, sections: Sequence[tuple[str, str, str]], top: str) -> str:
    """Return the document.

    Args:
        title: of the page.
        sections: id, heading and content of each.
        top: what stands above them.
    """
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    links = "".join(f'<li><a href="#{i}">{text(h)}</a></li>' for i, h, _ in sections)
    body = "".join(
        f'<section id="{i}">\n<h2>{text(h)}</h2>\n{content}</section>\n'
        for i, h, content in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; style-src 'sha256-{digest}'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'{definitions()}\n{top}\n<nav aria-label="contents"><ul>{links}</ul></nav>\n'
        f"<main>\n{body}</main>\n</body>\n</html>\n"
    )
