"""A journal of schema 1, as the first hilbench wrote it: it must load for ever."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import hilbench
from hilbench.runs import Journal, read_journal, sessions_frame
from hilbench.runs.schema import OLDEST_SCHEMA, SCHEMA
from hilbench.runs.upgrade import UPGRADES, upgrade
from tests.runs import run_examples as ex

GOLDEN = Path(__file__).parents[1] / "golden" / "journals"


@pytest.fixture
def folder(tmp_path):
    shutil.copy(GOLDEN / "schema_1.jsonl", tmp_path / "journal.jsonl")
    return tmp_path


def test_golden_journal_loads(folder):
    assert b'"schema": 1' in (folder / "journal.jsonl").read_bytes()
    frame = hilbench.load(folder).set_index(["board", "variant"])
    row = frame.loc[("m4", "int8")]
    assert row["latency_median"] == 2505.0  # 1002 ticks of 2.5 instructions
    assert (row["sessions"], row["state"], row["error"]) == (3, "complete", "")
    assert row["energy_uj"] == 6.0
    assert frame.loc[("m4", "fp32"), "error"] == "ModelTooLargeError: needs 9 bytes, has 8"
    assert list(sessions_frame(folder)["session"]) == [1, 2, 3]


def test_what_it_did_not_say_is_unknown(folder):
    provenance = read_journal(folder).provenance
    assert (provenance.schema, provenance.inputs) == (SCHEMA, {})


def test_every_schema_has_a_golden_journal_and_a_way_up():
    assert list(UPGRADES) == list(range(OLDEST_SCHEMA, SCHEMA))
    for schema in UPGRADES:
        assert (GOLDEN / f"schema_{schema}.jsonl").exists()


def test_today_needs_no_upgrade(tmp_path):
    journal = Journal.create(tmp_path, ex.PROVENANCE)
    journal.close()
    lines = [json.loads((journal.folder / "journal.jsonl").read_text())]
    assert upgrade(lines) is lines
    assert upgrade([]) == []
