"""From a journal to rows of plain values: what cells, sessions and operators have, by column name.

A figure that is not known is absent or None. frame.py makes DataFrames of the rows; the gate and the
report work on them directly, for pandas alone takes longer to import than both take to run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

from hilbench.codec import encode
from hilbench.errors import StoreError
from hilbench.measurement.accuracy import Accuracy
from hilbench.measurement.agreement import Agreement
from hilbench.measurement.latency import latency, latency_us, operator_shares, session_spread
from hilbench.runs.column import Column
from hilbench.runs.columns import COLUMNS
from hilbench.runs.journal import JournalContents
from hilbench.runs.schema import (
    BoardRecord,
    ComparisonRecord,
    EndRecord,
    EnergyRecord,
    ErrorRecord,
    ResumedRecord,
    SessionRecord,
    VariantRecord,
)

Row = dict[str, Any]
T = TypeVar("T", BoardRecord, VariantRecord, SessionRecord, ErrorRecord, ComparisonRecord)
NAN = float("nan")
NOT_MEASURED = (
    "NotMeasured"  # begins the error of a cell that nothing but the end of the run failed
)


@dataclass(frozen=True)
class Cell:
    """Everything a journal holds about one board x variant."""

    board_id: str
    variant_id: str
    board: BoardRecord | None
    variant: VariantRecord | None
    sessions: tuple[SessionRecord, ...]
    error: str  # "" when nothing failed

    @property
    def arena_bytes(self) -> int | None:
        """RAM for tensors: as planned, else as a board that planned it reported it."""
        if self.variant is not None and self.variant.arena_bytes is not None:
            return self.variant.arena_bytes
        return max((s.memory.arena_bytes for s in self.sessions), default=None)


def run_state(contents: JournalContents) -> str:
    """Return complete, interrupted or failed; a journal without an end was interrupted."""
    for record in reversed(contents.records):
        if isinstance(record, EndRecord):
            return record.state
        if isinstance(record, ResumedRecord):  # and killed again: an older end is not its end
            break
    return "interrupted"


def cells(contents: JournalContents) -> list[Cell]:
    """Group a journal's records by board x variant, in the order of the provenance."""
    boards = {r.board: r for r in _of(contents, BoardRecord)}
    variants = {(r.board, r.variant): r for r in _of(contents, VariantRecord)}
    errors = list(_of(contents, ErrorRecord))
    sessions: dict[tuple[str, str], list[SessionRecord]] = {}
    for record in _of(contents, SessionRecord):
        sessions.setdefault((record.board, record.variant), []).append(record)
    result = []
    for key in contents.provenance.cells:
        board, variant = key
        measured = tuple(sessions.get(key, ()))
        result.append(
            Cell(
                board_id=board,
                variant_id=variant,
                board=boards.get(board),
                variant=variants.get(key),
                sessions=measured,
                error=_error(board, variant, len(measured), errors, contents),
            )
        )
    return result


def _of(contents: JournalContents, kind: type[T]) -> Iterable[T]:
    return (r for r in contents.records if isinstance(r, kind))


def _error(
    board: str,
    variant: str,
    measured: int,
    errors: Sequence[ErrorRecord],
    contents: JournalContents,
) -> str:
    """Say why a cell is not whole: its own error, its board's, or the end of the run."""
    planned = contents.provenance.sessions
    own = [e for e in errors if (e.board, e.variant) == (board, variant)]
    if not own and measured < planned:
        own = [e for e in errors if (e.board, e.variant) == (board, None)]
    if own:
        return f"{own[0].type}: {own[0].sentence}"
    if measured < planned:
        return f"{NOT_MEASURED}: run {run_state(contents)} after {measured} of {planned} sessions"
    return ""


def cell_rows(contents: JournalContents) -> list[Row]:
    """Return one row per board x variant, in the order they were asked for (columns.COLUMNS)."""
    return [_cell_row(cell, contents) for cell in cells(contents)]


def session_rows(contents: JournalContents) -> list[Row]:
    """Return one row per session that was measured (columns.SESSION_COLUMNS)."""
    return [
        {
            "run_id": contents.provenance.run_id,
            "board": session.board,
            "variant": session.variant,
            "session": session.session,
            **session_values(session),
        }
        for cell in cells(contents)
        for session in cell.sessions
    ]


def operator_rows(contents: JournalContents) -> list[Row]:
    """Return one row per operator of cells that were profiled (columns.OPERATOR_COLUMNS).

    Raises:
        StoreError: a profile has another number of operators than its plan.
    """
    return [row for cell in cells(contents) for row in _operator_rows(cell, contents)]


def comparison_rows(contents: JournalContents) -> list[Row]:
    """Return one row per pair of variants that took turns (columns.COMPARISON_COLUMNS)."""
    return [
        {"run_id": contents.provenance.run_id, **encode(record)}
        for record in _of(contents, ComparisonRecord)
    ]


def session_values(session: SessionRecord) -> Row:
    """Return the figures of one session, by column name."""
    ticks, clock, link, memory = session.ticks, session.clock, session.link, session.memory
    spent = latency(ticks, clock)
    return {
        "time_base": clock.time_base,
        "unit": clock.unit,
        "counter_hz": clock.counter_hz,
        "clock_source": clock.source,
        "inferences": ticks.inferences,
        "ticks_stored": ticks.stored,
        "latency_median": spent.median,
        "latency_mean": spent.mean,
        "latency_min": spent.minimum,
        "latency_max": spent.maximum,
        "latency_cold": spent.cold,
        "latency_resolution": spent.resolution,
        "latency_us": latency_us(ticks, clock),
        "restore_mean": ticks.restore_sum / ticks.inferences * clock.per_tick,
        "restore": session.restore,
        "energy_uj": session.energy_uj,
        "energy_source": session.energy_source,
        **_energy_values(session.energy),
        **_accuracy_values(session.accuracy),
        **_agreement_values(session.tflm, session.reference),
        "outputs_equal": ticks.outputs_equal,
        "model_bytes": memory.model_bytes,
        "vector_bytes": memory.vector_bytes,
        "stack_bytes": memory.stack_bytes,
        "stack_used_bytes": memory.stack_used_bytes,
        "model_from": session.model_from,
        "slots": session.slots,
        "link_bytes_sent": link.bytes_sent,
        "link_bytes_received": link.bytes_received,
        "link_retransmitted_packets": link.retransmitted_packets,
        "link_bad_packets_host": link.bad_packets_host,
        "link_bad_packets_board": link.bad_packets_board,
        "link_runs_repeated": link.runs_repeated,
        "recoveries": len(session.recoveries),
        "wall_s": session.wall_s,
    }


def _energy_values(energy: EnergyRecord | None) -> Row:
    return {} if energy is None else {**energy.numbers, **energy.texts}


def _accuracy_values(accuracy: Accuracy | None) -> Row:
    if accuracy is None:
        return {}
    return {
        "accuracy_metric": accuracy.metric,
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
    }


def _agreement_values(tflm: Agreement | None, reference: Agreement | None) -> Row:
    values: Row = {"agreement_tflm": None if tflm is None else tflm.fraction}
    if reference is None:
        return values
    values |= {
        "agreement_reference": reference.fraction,
        "lsb_max_reference": reference.lsb_max,
        "relative_max_reference": reference.relative_max,
    }
    if reference.lsb_histogram is not None:
        values["lsb_histogram"] = json.dumps({str(k): n for k, n in reference.lsb_histogram})
    return values


def _cell_row(cell: Cell, contents: JournalContents) -> Row:
    provenance = contents.provenance
    row: Row = {
        "run_id": provenance.run_id,
        "state": run_state(contents),
        "board": cell.board_id,
        "variant": cell.variant_id,
        "error": cell.error,
        "sessions": len(cell.sessions),
        "sessions_planned": provenance.sessions,
        "warm_up": provenance.warm_up,
        "iterations": provenance.iterations,
    }
    row |= _board_values(cell.board) | _variant_values(cell)
    if not cell.sessions:
        return row
    figures = [session_values(s) for s in cell.sessions]
    for column in COLUMNS:
        if column.over != "cell":
            known = [f[column.name] for f in figures if f.get(column.name) is not None]
            row[column.name] = _over_sessions(column, known, len(figures))
    medians = [f["latency_median"] for f in figures]
    row["latency_spread"] = None if None in medians else session_spread(medians)
    return row


_RULES: dict[str, Callable[[list[Any]], Any]] = {
    "first": lambda values: values[0],
    "each": lambda values: "; ".join(dict.fromkeys(filter(None, values))),
    "median": lambda values: float(median(values)),
    "min": min,
    "max": max,
    "sum": sum,
    "all": all,
}


def _over_sessions(column: Column, known: list[Any], sessions: int) -> Any:
    """Combine; a figure that one of the sessions lacks is unknown for the cell."""
    return _RULES[column.over](known) if len(known) == sessions else None


def _board_values(board: BoardRecord | None) -> Row:
    if board is None:
        return {}
    image = board.image
    return {
        "port": board.port,
        "chip": board.chip,
        "emulated": board.emulated,
        "emulator": board.emulator,
        "port_untested": board.port_untested,
        "runtime": board.runtime,
        "kernels": board.kernels,
        "image_build_id": board.image_build_id,
        "image_sha256": board.image_sha256,
        "supply_v": board.supply_v,
        "pool_bytes": board.pool_bytes,
        "flash_text_bytes": image.text_bytes,
        "flash_rodata_bytes": image.rodata_bytes,
        "flash_data_bytes": image.data_bytes,
        "flash_bytes": image.flash_bytes,
        "ram_bss_bytes": image.bss_bytes,
        "ram_bytes": image.ram_bytes,
        "image_sections": json.dumps(dict(image.sections)),
    }


def _variant_values(cell: Cell) -> Row:
    variant = cell.variant
    if variant is None:
        return {}
    accuracy = variant.reference_accuracy
    return {
        "technique": variant.technique,
        "parent": variant.parent,
        "model": variant.model,
        "model_sha256": variant.model_sha256,
        "plan_sha256": variant.plan_sha256,
        "vectors_name": variant.vectors_name,
        "vectors_sha256": variant.vectors_sha256,
        "vectors_n": variant.vectors_n,
        "quantise": variant.quantise,
        "tflm": variant.tflm,
        "reference": variant.reference,
        "reference_accuracy": None if accuracy is None else accuracy.value,
        "tflite_bytes": variant.tflite_bytes,
        "zlib_bytes": variant.zlib_bytes,
        "plan_bytes": variant.plan_bytes,
        "arena_bytes": cell.arena_bytes,
    }


def _operator_rows(cell: Cell, contents: JournalContents) -> list[Row]:
    profiled = [s for s in cell.sessions if s.operator_ticks]
    if cell.variant is None or not profiled:
        return []
    operators = cell.variant.operators
    for session in profiled:
        if len(session.operator_ticks) != len(operators) or session.profiled_inferences < 1:
            raise StoreError(
                f"run {contents.provenance.run_id}, {cell.board_id} {cell.variant_id}, session "
                f"{session.session}: profile of {len(session.operator_ticks)} operators over "
                f"{session.profiled_inferences} inferences, the plan has {len(operators)} operators"
            )
    spent = [
        median(s.operator_ticks[i] / s.profiled_inferences * s.clock.per_tick for s in profiled)
        for i in range(len(operators))
    ]
    shares: Sequence[float] = operator_shares(spent) if sum(spent) > 0 else [NAN] * len(spent)
    return [
        {
            "run_id": contents.provenance.run_id,
            "board": cell.board_id,
            "variant": cell.variant_id,
            "operator": operator.index,
            "name": operator.name,
            "kernel": operator.kernel,
            "macs": operator.macs,
            "output_shape": "x".join(str(d) for d in operator.output_shape),
            "unit": profiled[0].clock.unit,
            "latency": latency_value,
            "energy_uj": _of_operator(profiled, index, "operators_uj"),
            "energy_absolute_uj": _of_operator(profiled, index, "operators_absolute_uj"),
            "share_percent": share,
        }
        for index, (operator, latency_value, share) in enumerate(
            zip(operators, spent, shares, strict=True)
        )
    ]


def _of_operator(sessions: Sequence[SessionRecord], operator: int, field: str) -> float | None:
    """Return the median over sessions; unknown when one of them did not mark operators."""
    told = [getattr(s.energy, field) for s in sessions if s.energy and s.energy.operators_uj]
    known = [uj for energies in told if (uj := energies[operator]) is not None]
    return median(known) if len(known) == len(sessions) else None
