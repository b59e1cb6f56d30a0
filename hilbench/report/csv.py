"""CSV: one row per board x variant x metric, for spreadsheets and other tools."""

from __future__ import annotations

import csv
import io

from hilbench.gate.verdicts import CellVerdict
from hilbench.metrics import METRICS
from hilbench.report.contents import Cell, Contents, interval, unit_of

COLUMNS = (
    "run_id", "board", "variant", "metric", "value", "unit", "low", "high", "sessions", "emulated",
    "time_base", "energy_source", "verdict", "baseline", "change", "change_low", "change_high",
    "margin", "mde", "p", "p_adjusted", "n_baseline", "n_now", "reason", "waiver", "error",
)  # fmt: skip


def csv_report(contents: Contents) -> str:
    """Return rows in the order of the run; what is not known is empty, never 0.

    ``low`` and ``high`` are the 95 % interval of value, ``change_*`` the gate's one-sided bounds;
    ``margin`` is a share as ``change`` is, of an exact metric in its own unit.
    A cell without any number has one row with its error; what only the baseline has comes last.
    """
    out = io.StringIO()
    rows = csv.DictWriter(out, COLUMNS, lineterminator="\n", restval="")
    rows.writeheader()
    told = set()
    cells = [cell for group in contents.groups for cell in group.cells]
    cells += [cell for cell in contents.failed if cell not in cells]
    for cell in cells:
        metrics = [
            m.name for m in METRICS
            if cell.number(m.name) is not None or contents.verdict(cell, m.name) is not None
        ]  # fmt: skip
        for name in metrics:
            told.add((cell.board, cell.variant, name))
            rows.writerow(_measured(contents, cell, name))
        if not metrics:
            rows.writerow(_about(contents, cell))
    for verdict in contents.gate.cells if contents.gate else ():
        if (verdict.board, verdict.variant, verdict.metric) not in told:
            row = {"run_id": contents.provenance.run_id, "board": verdict.board,
                   "variant": verdict.variant, "metric": verdict.metric}  # fmt: skip
            rows.writerow(row | _judged(verdict))
    return out.getvalue()


def _about(contents: Contents, cell: Cell) -> dict[str, object]:
    emulated = cell.text("emulated")
    return {
        "run_id": contents.provenance.run_id,
        "board": cell.board,
        "variant": cell.variant,
        "sessions": cell.row["sessions"],
        "emulated": emulated,
        "time_base": cell.text("time_base"),
        "error": cell.text("error"),
    }


def _measured(contents: Contents, cell: Cell, metric: str) -> dict[str, object]:
    verdict = contents.verdict(cell, metric)
    low, high = interval(cell, metric) or ("", "")
    value = cell.number(metric)
    row = _about(contents, cell) | {
        "metric": metric,
        "value": "" if value is None else repr(value),
        "unit": unit_of(metric, cell),
        "low": low,
        "high": high,
        "energy_source": cell.text("energy_source") if metric == "energy_uj" else "",
    }
    return row | (_judged(verdict) if verdict else {})


def _judged(verdict: CellVerdict) -> dict[str, object]:
    known = {
        "verdict": verdict.verdict, "baseline": verdict.baseline, "change": verdict.change,
        "change_low": verdict.low, "change_high": verdict.high, "margin": verdict.margin,
        "mde": verdict.mde, "p": verdict.p, "p_adjusted": verdict.p_adjusted,
        "n_baseline": verdict.n_baseline, "n_now": verdict.n_now, "reason": verdict.reason,
        "waiver": verdict.waiver,
    }  # fmt: skip
    return {name: value for name, value in known.items() if value is not None}
