"""A whole run as a person sees it, against a page that a person has read."""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from hilbench.report.terminal import print_run
from hilbench.runs.journal import Journal
from tests.runs import run_examples as ex

GOLDEN = Path(__file__).with_name("print_run.txt")


@pytest.fixture
def run(tmp_path):
    """m4 int8 whole; m4 fp32 refused; native int8 measured once, then the board died."""
    journal = Journal.create(tmp_path, ex.PROVENANCE)
    journal.append(ex.BOARD)
    journal.append(ex.VARIANT)
    for number, median in ((1, 1000.0), (2, 1040.0), (3, 1010.0)):
        journal.append(ex.session(number, median))
    journal.append(ex.CELL_ERROR)
    journal.append(ex.NATIVE_BOARD)
    journal.append(
        replace(ex.VARIANT, board="native", quantise="host: scale 0.1, 3 of 9 values clipped")
    )
    journal.append(ex.session(1, 2000.0, board="native", clock=ex.NATIVE_CLOCK, energy_uj=None))
    journal.append(ex.BOARD_ERROR)
    journal.end("complete")
    return journal.folder


def printed(run, **options):
    text = io.StringIO()
    print_run(run, Console(file=text), **options)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def test_the_page_is_the_one_that_was_read(run):
    """HILBENCH_WRITE_GOLDEN=1 writes it again; read it before you commit it."""
    text = printed(run, operators=True).replace(str(run), "RUN")
    if "HILBENCH_WRITE_GOLDEN" in os.environ:
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_what_an_interrupted_run_did_not_come_to_has_not_failed(tmp_path):
    journal = Journal.create(tmp_path, replace(ex.PROVENANCE, cells=(("m4", "int8"), ("m4", "x"))))
    journal.append(ex.BOARD)
    journal.append(ex.VARIANT)
    for number in (1, 2, 3):
        journal.append(ex.session(number))
    journal.end("interrupted")
    text = printed(journal.folder)
    assert "failed" not in text
    assert re.search(r"^ x +.* not run$", text, re.MULTILINE)
    assert "m4 x: NotMeasured: run interrupted after 0 of 3 sessions" in text


def test_variants_of_different_metrics_name_theirs(run, tmp_path):
    journal = Journal.create(tmp_path / "two", ex.PROVENANCE)
    journal.append(ex.BOARD)
    for variant, metric in (("int8", "top1"), ("fp32", "mse")):
        journal.append(replace(ex.VARIANT, variant=variant))
        session = ex.session(1)
        accuracy = replace(session.accuracy, metric=metric)
        journal.append(replace(session, variant=variant, accuracy=accuracy))
    journal.end("complete")
    text = printed(journal.folder)
    assert "accuracy [95 % CI]" in text
    assert re.search(r"^ int8 .* top1 0\.", text, re.MULTILINE)
    assert re.search(r"^ fp32 .* mse 0\.", text, re.MULTILINE)
