"""The frame: one hand-made run, every number by hand."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import hilbench
from hilbench import metrics
from hilbench.errors import StoreError
from hilbench.runs import load, operators_frame, read_run, seal, sessions_frame
from hilbench.runs.columns import COLUMNS, OPERATOR_COLUMNS, SESSION_COLUMNS, markdown
from hilbench.runs.energy_columns import ENERGY_COLUMNS
from hilbench.runs.frame import _frame
from hilbench.runs.journal import Journal
from hilbench.runs.schema import EnergyRecord
from hilbench.runs.store import TABLES
from tests.runs import run_examples as ex

ROOT = Path(__file__).resolve().parents[2]


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
    journal.append(replace(ex.VARIANT, board="native"))
    journal.append(ex.session(1, 2000.0, board="native", clock=ex.NATIVE_CLOCK, energy_uj=None))
    journal.append(ex.BOARD_ERROR)
    journal.end("complete")
    return journal.folder


def row(folder, board="m4", variant="int8"):
    frame = load(folder)
    return frame[(frame.board == board) & (frame.variant == variant)].iloc[0]


def test_one_row_per_cell_in_the_order_asked_for(run):
    frame = load(run)
    assert list(zip(frame.board, frame.variant, strict=True)) == list(ex.PROVENANCE.cells)
    assert hilbench.load(run).equals(frame)
    assert hilbench.load(str(run)).equals(frame)


def test_whole_cell_by_hand(run):
    r = row(run)
    assert r.error == ""
    assert (r.state, r.sessions, r.sessions_planned, r.iterations) == ("complete", 3, 3, 10)
    assert (r.time_base, r.unit) == ("instructions", "instructions")
    # per_tick 2.5; session medians 2500, 2600, 2525
    assert r.latency_median == 2525.0
    assert r.latency_min == 990 * 2.5
    assert r.latency_max == 1050 * 2.5
    assert r.latency_mean == 2525.0
    assert r.latency_cold == 3750.0
    assert r.latency_spread == pytest.approx(100 / 2525)
    assert r.latency_resolution == 2.5
    assert r.restore_mean == 12.5
    assert pd.isna(r.latency_us)
    assert (r.inferences, r.ticks_stored) == (30, 30)
    assert (r.energy_uj, r.energy_source) == (6.0, "synthetic")
    assert (r.accuracy, r.accuracy_low, r.accuracy_high) == (0.97, 0.95, 0.98)
    assert (r.accuracy_metric, r.reference_accuracy) == ("top1", 0.98)
    assert (r.agreement_tflm, r.lsb_max_reference) == (1.0, 1)
    assert r.agreement_reference == pytest.approx(440 / 450)
    assert json.loads(r.lsb_histogram) == {"-1": 10, "0": 4490}
    assert (r.tflite_bytes, r.zlib_bytes, r.plan_bytes, r.arena_bytes) == (
        40000,
        30000,
        38000,
        4096,
    )
    assert (r.flash_text_bytes, r.flash_bytes, r.ram_bytes) == (1000, 1230, 70030)
    assert json.loads(r.image_sections)[".bss"] == 70000
    assert (r.stack_bytes, r.stack_used_bytes) == (2048, 600)
    assert (r.link_retransmitted_packets, r.link_bad_packets_board) == (3, 9)
    assert (r.link_bytes_sent, r.wall_s) == (50_000, 1.5)
    assert r.outputs_equal
    assert r.emulated


def test_refused_cell_has_its_sentence_and_no_number(run):
    r = row(run, "m4", "fp32")
    assert r.error == "ModelTooLargeError: needs 9 bytes, has 8"
    assert r.sessions == 0
    assert r.chip == "cortex-m4"  # the board is known
    numbers = [c.name for c in COLUMNS if c.dtype == "float64" and c.over != "cell"]
    assert [n for n in numbers if not pd.isna(r[n])] == []
    assert pd.isna(r.outputs_equal)
    assert pd.isna(r.tflite_bytes)


def test_cells_of_a_board_that_died(run):
    r = row(run, "native", "int8")
    assert r.error == "BoardError: board native: died"
    assert (r.sessions, r.latency_median, r.latency_us) == (1, 2.0, 2.0)
    assert pd.isna(r.energy_uj)
    assert pd.isna(r.latency_spread)  # one session has no spread
    assert row(run, "native", "fp32").error == "BoardError: board native: died"


def test_error_of_a_board_does_not_touch_its_whole_cells(tmp_path):
    journal = Journal.create(tmp_path, replace(ex.PROVENANCE, cells=(("m4", "int8"), ("m4", "x"))))
    for number in (1, 2, 3):
        journal.append(ex.session(number))
    journal.append(replace(ex.BOARD_ERROR, board="m4"))
    journal.end("complete")
    assert load(journal.folder).error.tolist() == ["", "BoardError: board native: died"]


@pytest.mark.parametrize(
    ("end", "state"), [("interrupted", "interrupted"), (None, "interrupted"), ("failed", "failed")]
)
def test_run_that_did_not_finish(tmp_path, end, state):
    journal = Journal.create(tmp_path, replace(ex.PROVENANCE, cells=(("m4", "int8"),)))
    journal.append(ex.session(1))
    if end:
        journal.end(end)
    journal.close()
    r = row(journal.folder)
    assert r.state == state
    assert r.error == f"NotMeasured: run {state} after 1 of 3 sessions"
    assert r.latency_median == 2500.0
    assert pd.isna(r.emulated)  # no board record


def test_figure_that_one_session_lacks_is_unknown(tmp_path):
    journal = Journal.create(tmp_path, replace(ex.PROVENANCE, cells=(("m4", "int8"),)))
    journal.append(ex.session(1))
    part = ex.session(2)
    journal.append(replace(part, ticks=replace(part.ticks, median=None, stored=4), tflm=None))
    journal.append(ex.session(3))
    journal.end("complete")
    r = row(journal.folder)
    assert pd.isna(r.latency_median)
    assert pd.isna(r.latency_spread)
    assert pd.isna(r.agreement_tflm)
    assert r.latency_mean == 2500.0
    assert (r.inferences, r.ticks_stored) == (30, 24)


def test_arena_of_a_board_that_plans_itself_is_what_it_reports(tmp_path):
    journal = Journal.create(tmp_path, replace(ex.PROVENANCE, cells=(("m4", "int8"),)))
    journal.append(replace(ex.VARIANT, arena_bytes=None))
    journal.append(ex.session(1, memory=replace(ex.SESSION.memory, arena_bytes=22_820)))
    journal.end("complete")
    assert row(journal.folder).arena_bytes == 22_820


def test_worst_session_counts(tmp_path):
    journal = Journal.create(tmp_path, replace(ex.PROVENANCE, cells=(("m4", "int8"),)))
    worse = replace(ex.SESSION.tflm, identical=9)
    journal.append(ex.session(1))
    journal.append(
        ex.session(2, tflm=worse, memory=replace(ex.SESSION.memory, stack_used_bytes=700))
    )
    unequal = replace(ex.SESSION.ticks, outputs_equal=False)
    journal.append(replace(ex.SESSION, session=3, ticks=unequal))
    journal.end("complete")
    r = row(journal.folder)
    assert r.agreement_tflm == 9 / 450
    assert r.stack_used_bytes == 700
    assert not r.outputs_equal


def test_sessions_frame(run):
    frame = sessions_frame(run)
    assert list(frame.columns) == [c.name for c in SESSION_COLUMNS]
    m4 = frame[frame.board == "m4"]
    assert m4.session.tolist() == [1, 2, 3]
    assert m4.latency_median.tolist() == [2500.0, 2600.0, 2525.0]
    assert len(frame) == 4


def test_operators_frame(run):
    frame = operators_frame(run)
    m4 = frame[frame.board == "m4"]
    assert m4["name"].tolist() == ["CONV_2D+RELU", "SOFTMAX"]
    assert m4.latency.tolist() == [3000 / 4 * 2.5, 1000 / 4 * 2.5]
    assert m4.share_percent.tolist() == [75.0, 25.0]
    assert m4.output_shape.tolist() == ["1x8x8x16", "1x10"]
    assert list(frame.columns) == [c.name for c in OPERATOR_COLUMNS]


def test_profile_without_ticks_has_no_share(tmp_path):
    journal = Journal.create(tmp_path, ex.PROVENANCE)
    journal.append(ex.VARIANT)
    journal.append(replace(ex.SESSION, operator_ticks=(0, 0)))
    journal.end("complete")
    assert operators_frame(journal.folder).share_percent.isna().all()


@pytest.mark.parametrize(("ticks", "inferences"), [((1, 2, 3), 4), ((1, 2), 0)])
def test_profile_that_does_not_fit_the_plan(tmp_path, ticks, inferences):
    journal = Journal.create(tmp_path, ex.PROVENANCE)
    journal.append(ex.VARIANT)
    journal.append(replace(ex.SESSION, operator_ticks=ticks, profiled_inferences=inferences))
    journal.end("complete")
    with pytest.raises(StoreError) as caught:
        operators_frame(journal.folder)
    assert str(caught.value) == (
        f"run 20260102-030405-digits, m4 int8, session 1: profile of {len(ticks)} operators over "
        f"{inferences} inferences, the plan has 2 operators"
    )


@pytest.mark.parametrize(
    ("produce", "columns"),
    [(load, COLUMNS), (sessions_frame, SESSION_COLUMNS), (operators_frame, OPERATOR_COLUMNS)],
)
def test_dtypes_are_as_documented_with_and_without_rows(run, tmp_path, produce, columns):
    expected = {c.name: c.dtype for c in columns}
    empty = Journal.create(tmp_path, replace(ex.PROVENANCE, cells=()))
    empty.close()
    for folder in (run, empty.folder):
        assert {n: str(t) for n, t in produce(folder).dtypes.items()} == expected


def test_frame_refuses_what_is_not_declared():
    with pytest.raises(
        StoreError, match=r"^frame has no column 'colour'; declare it in runs/columns.py$"
    ):
        _frame([{"colour": 1}], COLUMNS)
    with pytest.raises(StoreError, match=r"^frame column 'sessions' must be int64: "):
        _frame([{"sessions": None}], COLUMNS)


def test_every_column_is_filled_somewhere(run, tmp_path):
    """A column that no code fills would look like a measurement that always fails."""
    journal = Journal.create(tmp_path, replace(ex.PROVENANCE, cells=(("native", "int8"),)))
    journal.append(ex.NATIVE_BOARD)
    journal.append(replace(ex.VARIANT, board="native"))
    reference = replace(ex.SESSION.reference, relative_max=1e-6)
    energy = EnergyRecord(  # tests/bench/test_energy.py: what a meter says fills each of these
        {c.name: 1.0 for c in ENERGY_COLUMNS if c.dtype == "float64"},
        {c.name: "x" for c in ENERGY_COLUMNS if c.dtype == "string"},
        (),
        (),
    )
    own = {"clock": ex.NATIVE_CLOCK, "reference": reference, "energy": energy}
    journal.append(ex.session(1, board="native", **own))
    journal.end("complete")
    frame = pd.concat([load(run), load(journal.folder)])
    empty = [
        n for n in frame.columns if frame[n].isna().all() or (frame[n].astype(str) == "").all()
    ]
    assert empty == []


def test_what_any_session_warns_of_is_in_the_row(tmp_path):
    """A later session's warning, its worse tier, or why it has no net energy."""
    journal = Journal.create(tmp_path, replace(ex.PROVENANCE, cells=(("native", "int8"),)))
    journal.append(ex.NATIVE_BOARD)
    journal.append(replace(ex.VARIANT, board="native"))
    said = (("gpio", "", ""), ("edge", "idle is 90 % of gross", "b"), ("gpio", "", "b"))
    for number, (tier, reason, warning) in enumerate(said, 1):
        texts = {"energy_marker": tier, "energy_net_reason": reason, "energy_warnings": warning}
        energy = EnergyRecord({}, texts, (), ())
        journal.append(ex.session(number, board="native", clock=ex.NATIVE_CLOCK, energy=energy))
    journal.end("complete")
    row = load(journal.folder).iloc[0]
    assert row.energy_marker == "gpio; edge"
    assert row.energy_net_reason == "idle is 90 % of gross"
    assert row.energy_warnings == "b"


def test_document_is_current():
    assert (ROOT / "docs" / "frame.md").read_text(encoding="utf-8") == markdown(), (
        "write it again: python -c 'from hilbench.runs.columns import markdown; "
        'print(markdown(), end="")\' > docs/frame.md'
    )


def test_metrics_are_columns():
    names = [c.name for c in COLUMNS]
    assert [m.name for m in metrics.METRICS if m.name not in names] == []
    assert len({m.name for m in metrics.METRICS}) == len(metrics.METRICS)
    assert metrics.show("latency_median", 1234567.4) == "1,234,567"
    assert metrics.show("accuracy", 0.97) == "0.9700"
    assert metrics.show("energy_uj", float("nan")) == "-"
    assert metrics.show("energy_uj", None) == "-"


def test_seal(run):
    assert seal(run) == "complete"
    sums = dict(
        reversed(line.split("  ")) for line in (run / "SHA256SUMS").read_text().splitlines()
    )
    assert {"journal.jsonl", "frame.csv", "sessions.csv", "operators.csv"} <= set(sums)
    for name, digest in sums.items():
        assert hashlib.sha256((run / name).read_bytes()).hexdigest() == digest
    csv = pd.read_csv(run / "frame.csv", keep_default_na=False, na_values={"energy_uj": [""]})
    assert csv.columns.tolist() == [c.name for c in COLUMNS]
    assert csv.energy_uj.tolist()[0] == 6.0
    assert pd.isna(csv.energy_uj.tolist()[2])
    before = {p.name: p.read_bytes() for p in run.iterdir() if p.is_file()}
    seal(run)
    assert {p.name: p.read_bytes() for p in run.iterdir() if p.is_file()} == before


def test_seal_of_a_killed_run(tmp_path):
    journal = Journal.create(tmp_path, ex.PROVENANCE)
    journal.append(ex.session(1))
    journal.close()
    with (journal.folder / "journal.jsonl").open("a") as file:
        file.write('{"kind": "sess')
    assert seal(journal.folder) == "interrupted"
    assert len(load(journal.folder)) == 4


def test_journal_changed_after_sealing(run):
    seal(run)
    path = run / "journal.jsonl"
    path.write_text(path.read_text().replace('"median": 1000.0', '"median": 900.0'))
    with pytest.raises(StoreError) as caught:
        load(run)
    assert str(caught.value) == (
        f"{path}: was changed after the run was sealed; restore it, or remove "
        f"{run / 'SHA256SUMS'} to read it all the same"
    )
    (run / "SHA256SUMS").unlink()
    assert row(run).latency_median == 2525.0


def test_pyarrow_that_cannot_be_imported_costs_no_run(run, tmp_path, monkeypatch):
    """As on Python 3.11, where numpy < 2 meets a pyarrow that wants numpy 2."""
    (tmp_path / "pyarrow.py").write_text("raise ImportError('pyarrow requires NumPy 2.0')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [n for n in sys.modules if n.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.warns(UserWarning, match="^pyarrow") as caught:
        assert seal(run) == "complete"
    assert str(caught[0].message) == (
        "pyarrow is installed but cannot be imported (pyarrow requires NumPy 2.0); results are "
        "written as CSV only, install a pyarrow that fits this numpy for Parquet"
    )
    assert (run / "SHA256SUMS").exists()
    assert not list(run.glob("*.parquet"))


def test_parquet_keeps_every_dtype(run):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    seal(run)
    for table in TABLES.values():
        read = pd.read_parquet(run / f"{table.name}.parquet")
        pd.testing.assert_frame_equal(read, table.produce(read_run(run)))


def test_parquet_says_run_schema_and_units(run):
    parquet = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    seal(run)
    for name in ("frame", "sessions", "operators", "comparisons"):
        schema = parquet.read_schema(run / f"{name}.parquet")
        about = {k.decode(): v.decode() for k, v in schema.metadata.items() if b"hilbench" in k}
        assert about == {
            "hilbench.run_id": "20260102-030405-digits", "hilbench.rows": name,
            "hilbench.schema_version": "2", "hilbench.version": hilbench.__version__,
        }  # fmt: skip
    schema = parquet.read_schema(run / "frame.parquet")
    units = {n: schema.field(n).metadata[b"unit"] for n in schema.names}
    assert units["energy_uj"] == b"uJ"
    assert units["latency_us"] == b"us"
    assert units["latency_median"] == b"that of column unit"
    assert units["sessions"] == b""
    assert schema.field("latency_min").metadata[b"over_sessions"] == b"min"
    assert schema.field("board").metadata == {b"unit": b"", b"meaning": b"id in boards.toml"}
