"""Why two numbers may not meet: a sentence for each reason."""

from __future__ import annotations

from collections.abc import Mapping

from hilbench.gate.baseline import cell_name
from hilbench.gate.snapshot import CellKey, CellNumbers, Snapshot, fields_of

_DATA_SET = ("vectors_sha256", "vectors_n", "quantise")
_KIND = {"yes": "emulated", "no": "hardware"}
_SHOWN = 60


def mismatch(metric: str, baseline: CellNumbers, now: CellNumbers) -> str:
    """Return why a metric's two numbers may not meet, or nothing."""
    was, is_ = baseline.fingerprint, now.fingerprint
    different = [n for n in fields_of(metric) if was.get(n, "") != is_.get(n, "")]
    if not different:
        return ""
    if "emulated" in different:
        return (
            f"the baseline is {_KIND.get(was.get('emulated', ''), 'unknown')}, the run is "
            f"{_KIND.get(is_.get('emulated', ''), 'unknown')}: they never meet; give each a baseline"
        )
    if "time_base" in different:
        return (
            f"the baseline counts {was.get('time_base') or 'something unknown'}, the run "
            f"{is_.get('time_base') or 'something unknown'}: time bases never meet; give each a "
            f"baseline"
        )
    if data_set := [n for n in different if n in _DATA_SET]:
        return (
            f"the data set changed: {_changed(data_set[0], was, is_)}; numbers on other vectors are "
            f"others, accept a new baseline"
        )
    return (
        f"the baseline's fingerprint is stale: {_changed(different[0], was, is_)}; go back, or "
        f"accept a new baseline"
    )


def _changed(name: str, was: Mapping[str, str], now: Mapping[str, str]) -> str:
    old, new = was.get(name) or "unknown", now.get(name) or "unknown"
    if max(len(old), len(new)) > _SHOWN:  # hashes and flags: where they part
        at = next((k for k, (x, y) in enumerate(zip(old, new, strict=False)) if x != y), 0)
        at = max(0, min(at, len(old), len(new)) - 8)
        old, new = (f"{'…' if at else ''}{t[at : at + _SHOWN]}" for t in (old, new))
    return f"{name} was {old!r}, is {new!r}"


def missing(key: CellKey, run: Snapshot, baseline: Mapping[CellKey, CellNumbers]) -> str:
    """Say why a cell of the baseline has no number now."""
    if key in run.failed:
        return f"was not measured: {run.failed[key]}"
    model = baseline[key].model_sha256
    for other, numbers in run.cells.items():
        if other[0] == key[0] and other not in baseline and numbers.model_sha256 == model:
            return (
                f"is gone, and {cell_name(other)} has the same model: renamed? give it its old name, "
                f"or rename it in the baseline"
            )
    return "is in the baseline and not in the run; measure it, or accept a baseline without it"
