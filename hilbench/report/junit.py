"""JUnit XML: a test case ``board[variant]::metric``, as CI servers show tests."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from hilbench.gate.verdicts import CellVerdict
from hilbench.metrics import METRICS
from hilbench.report._words import (
    change_words,
    counted,
    headline,
    interval_name,
    interval_words,
    margin_words,
    mde_words,
    probability,
    shown,
    sorted_cells,
)
from hilbench.report.contents import Contents, exact, unit_of
from hilbench.report.svg import clean

_INFRASTRUCTURE = frozenset({"INVALID", "MISSING"})


def junit_report(contents: Contents) -> str:
    """Return the XML: FAIL and INCONCLUSIVE are failures, INVALID, MISSING and lost cells errors.

    Without a gate every known number is a test that passes. There are no times: how long a cell
    took is not what was measured.
    """
    run = contents.provenance
    suite = ET.Element("testsuite", name=f"hilbench.{clean(run.name)}")
    cases = [*_lost(contents), *(_gated(contents) if contents.gate else _measured(contents))]
    suite.extend(cases)
    for kind, tag in (("tests", ""), ("failures", "failure"), ("errors", "error")):
        n = sum(not tag or case.find(tag) is not None for case in cases)
        suite.set(kind, str(n))
    ET.SubElement(suite, "system-out").text = clean(f"{run.run_id}: {headline(contents)}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(contents: Contents, name: str) -> ET.Element:
    return ET.Element(
        "testcase", name=clean(name), classname=f"hilbench.{clean(contents.provenance.name)}"
    )


def _lost(contents: Contents) -> Iterator[ET.Element]:
    """Yield what the bench could not measure: an error, not a failure."""
    for cell in contents.failed:
        case = _case(contents, f"{cell.board}[{cell.variant}]::run")
        kind, _, sentence = cell.text("error").partition(": ")
        ET.SubElement(case, "error", type=clean(kind), message=clean(sentence))
        yield case


def _gated(contents: Contents) -> Iterator[ET.Element]:
    assert contents.gate is not None
    for cell in sorted_cells(contents.gate):
        case = _case(contents, cell.cell)
        line = verdict_line(cell, interval_name(contents))
        if cell.verdict in {"FAIL", "INCONCLUSIVE"}:
            ET.SubElement(case, "failure", type=cell.verdict, message=clean(line))
        elif cell.verdict in _INFRASTRUCTURE:
            ET.SubElement(case, "error", type=cell.verdict, message=clean(line))
        ET.SubElement(case, "system-out").text = clean(line)
        yield case


def verdict_line(cell: CellVerdict, interval: str = "bounds") -> str:
    """Return a verdict with its numbers in one line; ``interval`` names what low and high are."""
    numbers = (
        f"{shown(cell, cell.baseline)} -> {shown(cell, cell.now)}, change {change_words(cell)} "
        f"({interval} {interval_words(cell)}), margin {margin_words(cell)}, "
        f"n {counted(cell)}, mde {mde_words(cell)}, adj. p {probability(cell.p_adjusted)}"
    )
    words = f"{cell.verdict}: {cell.reason}" if cell.reason else cell.verdict
    return f"{words}; {numbers}{f'; waiver: {cell.waiver}' if cell.waiver else ''}"


def _measured(contents: Contents) -> Iterator[ET.Element]:
    for group in contents.groups:
        for cell in group.cells:
            for metric in METRICS:
                value = cell.number(metric.name)
                if value is None:
                    continue
                case = _case(contents, f"{cell.board}[{cell.variant}]::{metric.name}")
                words = f"{exact(metric.name, value)} {unit_of(metric.name, cell)}".strip()
                ET.SubElement(case, "system-out").text = f"{words}, not gated"
                yield case
