"""From facts and verdicts to what pytest knows: numbers of a test, failures, errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pytest

from hilbench.errors import BaselineError
from hilbench.gate.verdicts import WORST_FIRST, CellVerdict
from hilbench.metrics import METRICS, show

if TYPE_CHECKING:
    import pandas as pd

    from hilbench._pytest.runs import Run

Properties = list[tuple[str, object]]
_FAILURE = {"FAIL"}
_ERROR = {"INVALID", "MISSING"}


class Absent(pytest.skip.Exception):  # type: ignore[misc, name-defined]
    """A board is not here: the test is skipped."""

    hil_outcome = "absent"


class Regression(pytest.fail.Exception):  # type: ignore[misc, name-defined]
    """Worse than the baseline."""

    hil_outcome = "regression"


class Inconclusive(pytest.fail.Exception):  # type: ignore[misc, name-defined]
    """The data do not decide; counted as a failure, and said in its own words."""

    hil_outcome = "inconclusive"


def record_row(properties: Properties, run: Run, row: pd.Series) -> None:
    """Add the numbers of a cell that are known; ``hil_board`` begins each group."""
    properties += [
        ("hil_board", row["board"]),
        ("hil_variant", row["variant"]),
        ("hil_run", str(run.folder)),
        ("hil_unit", row["unit"]),
    ]
    for metric in METRICS:
        value = float(row[metric.name])
        if not math.isnan(value):
            count = metric.unit == "B" and value.is_integer()
            properties.append((f"hil_{metric.name}", int(value) if count else value))
    if not math.isnan(row["energy_uj"]):
        properties.append(("hil_energy_source", row["energy_source"]))


def record_verdict(properties: Properties, run: Run, cell: CellVerdict) -> None:
    """Add a verdict and its figures, those that are known; a group as of :func:`record_row`."""
    properties += [
        ("hil_board", cell.board),
        ("hil_variant", cell.variant),
        ("hil_run", str(run.folder)),
        ("hil_metric", cell.metric),
        ("hil_verdict", cell.verdict),
        ("hil_reason", cell.waiver or cell.reason),
    ]
    for name in ("baseline", "now", "change", "low", "high", "margin", "p_adjusted", "mde"):
        value = getattr(cell, name)
        if value is not None:
            properties.append((f"hil_{name}", float(value)))


def sentence(cell: CellVerdict, *, named: bool) -> str:
    """Return ``m4[int8]::latency_median: FAIL: 100 -> 103: reason``; the cell only where named."""
    parts = [f"{cell.cell}:"] if named else []
    parts.append(f"{cell.verdict}:")
    if cell.baseline is not None and cell.now is not None:
        parts.append(f"{show(cell.metric, cell.baseline)} -> {show(cell.metric, cell.now)}:")
    return " ".join([*parts, cell.reason])


def settle(cells: Sequence[CellVerdict], *, named: bool = True) -> None:
    """Let the test end as its verdicts say.

    Args:
        cells: what the gate said.
        named: name the cells, where the test's id does not.

    Raises:
        Regression: there is one.
        BaselineError: something could not be compared.
        Inconclusive: undecided.
    """
    bad = _failing(cells)
    if not bad:
        return
    text = "\n".join(sentence(cell, named=named) for cell in bad)
    verdicts = {cell.verdict for cell in bad}
    if verdicts & _FAILURE:
        raise Regression(text, pytrace=False)
    if verdicts & _ERROR:
        raise BaselineError(text)
    raise Inconclusive(text, pytrace=False)


def _failing(cells: Iterable[CellVerdict]) -> list[CellVerdict]:
    order = {verdict: number for number, verdict in enumerate(WORST_FIRST)}
    found = [c for c in cells if c.verdict in _FAILURE | _ERROR | {"INCONCLUSIVE"}]
    return sorted(found, key=lambda c: order[c.verdict])
