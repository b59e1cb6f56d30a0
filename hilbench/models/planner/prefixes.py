"""A model cut behind each of its operators, to look at what they give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hilbench.models.planner import graph_of
from hilbench.models.planner.layout import HEAD, HEADER, Number, packer, unpack
from hilbench.models.planner.sets import records
from hilbench.models.planner.support import check_model
from hilbench.models.tflite_file import TfliteModel
from hilbench.records import Plan

_VISIBLE = ("int8", "float32")  # what a model's output may be
_PLACES = ("kind", "bytes", "input", "output", "input_2", "scratch")
_CONSTANTS = "constant"  # how the comment of an offset of constants begins


def prefixes(model: TfliteModel) -> list[tuple[int, TfliteModel]]:
    """Return (tensor, the model up to it) for what every operator of the plan gives, in order.

    Each is planned by itself, so memory is laid out otherwise than in the whole model. The last one is
    the whole model.

    Raises:
        UnsupportedOperatorError, ModelError: as ``plan_model``.
    """
    check_model(model)
    graph = graph_of(model)
    written = {t: k for k, operator in enumerate(model.operators) for t in operator.outputs}
    outputs = dict.fromkeys(
        node.output
        for node in graph.nodes
        if node.output in written and graph.tensor(node.output).dtype in _VISIBLE
    )
    return [
        (t, replace(model, operators=model.operators[: written[t] + 1], outputs=(t,)))
        for t in outputs
    ]


def parameters(plan: Plan, index: int) -> dict[str, Number]:
    """Return the numbers of an operator's record by name, without those that say where things lie."""
    header = unpack(HEADER.fields, plan.data, 0)
    at = int(header["operators_offset"])
    for _ in range(index):
        at += int(unpack(HEAD.fields, plan.data, at)["bytes"])
    record = records()[plan.operators[index].kernel]
    values: Mapping[str, Number] = unpack(record.flat, plan.data, at)
    constants = {f.name for f in record.flat if f.comment.startswith(_CONSTANTS)}
    assert packer(record.flat).size == unpack(HEAD.fields, plan.data, at)["bytes"]
    return {
        name: value
        for name, value in values.items()
        if name not in constants and name not in _PLACES and not name.startswith("reserved")
    }
