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
            properties.append((f"hil_{metric.name}", value))


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


def sentence(cell: CellVerdict) -> str:
    """Return ``m4[int8]::latency_median: FAIL: 100 -> 103, +3.00 % (margin 1 %): reason``."""
    parts = [f"{cell.cell}: {cell.verdict}:"]
    if cell.baseline is not None and cell.now is not None:
        moved = f"{show(cell.metric, cell.baseline)} -> {show(cell.metric, cell.now)}"
        if cell.change is not None and cell.kind != "exact":
            moved += f", {cell.change:+.2%} for the worse"
            moved += "" if cell.margin is None else f" (margin {cell.margin:.3g})"
        parts.append(f"{moved}:")
    return " ".join([*parts, cell.reason])


def settle(cells: Sequence[CellVerdict]) -> None:
    """Let the test end as its verdicts say.

    Raises:
        pytest.fail.Exception: a regression.
        BaselineError: something could not be compared.
        Inconclusive: undecided.
    """
    bad = _failing(cells)
    if not bad:
        return
    text = "\n".join(map(sentence, bad))
    verdicts = {cell.verdict for cell in bad}
    if verdicts & _FAILURE:
        pytest.fail(text, pytrace=False)
    if verdicts & _ERROR:
        raise BaselineError(text)
    raise Inconclusive(text, pytrace=False)


def _failing(cells: Iterable[CellVerdict]) -> list[CellVerdict]:
    order = {verdict: number for number, verdict in enumerate(WORST_FIRST)}
    found = [c for c in cells if c.verdict in _FAILURE | _ERROR | {"INCONCLUSIVE"}]
    return sorted(found, key=lambda c: order[c.verdict])
