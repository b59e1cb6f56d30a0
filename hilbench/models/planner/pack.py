"""Puts lowered nodes, arena offsets and constants together into the bytes of a plan."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hilbench.errors import ModelError
from hilbench.models.planner import layout
from hilbench.models.planner.fuse import activation_inputs
from hilbench.models.planner.graph import Graph
from hilbench.models.planner.lower import Constants, Lowered, scale_of
from hilbench.models.planner.memory import (
    Buffer,
    Problem,
    Strategy,
    align,
    arena_bytes,
    lower_bound,
)
from hilbench.models.planner.sets import records
from hilbench.models.tflite_file import TfliteModel, TfliteTensor
from hilbench.records import Placement, Plan, PlannedOperator, TensorInfo, block_bytes

_MAX_BYTES = (1 << 31) - 1


@dataclass(frozen=True)
class Arena:
    """Where everything lies, and what no placement could do without."""

    tensors: dict[int, int]  # tensor that owns memory -> offset
    scratch: dict[int, int]  # step -> offset
    size: int
    bound: int
    placements: tuple[Placement, ...]

    def address(self, graph: Graph, tensor: int) -> int:
        """Return a tensor's offset in the arena."""
        owner, offset = graph.place(tensor)
        return self.tensors[owner] + offset


def plan_arena(graph: Graph, lowered: Sequence[Lowered], strategy: Strategy) -> Arena:
    """Place every tensor. Step i is node i; the input exists from step -1, the output to the end."""
    model, last_step = graph.model, len(graph.nodes)
    spans: dict[int, tuple[int, int]] = {graph.root(i): (-1, -1) for i in model.inputs}
    for step, node in enumerate(graph.nodes):
        for index in activation_inputs(node):
            root = graph.root(index)
            spans[root] = (spans[root][0], step)
        output = graph.root(node.output)
        spans[output] = (spans.get(output, (step, step))[0], step)  # several may write it
    for output in map(graph.root, model.outputs):
        spans[output] = (spans[output][0], last_step)
    numbers = {root: i for i, root in enumerate(spans)}
    buffers = [Buffer(graph.owner_bytes(i), *span) for i, span in spans.items()]
    writers = {graph.root(node.output): i for i, node in reversed(list(enumerate(graph.nodes)))}
    names = [
        f"output of {writers[i]} {graph.nodes[writers[i]].label}" if i in writers else "input"
        for i in spans
    ]
    scratch = {}
    for step, low in enumerate(lowered):
        if low.scratch_bytes:
            scratch[step] = len(buffers)
            buffers.append(Buffer(low.scratch_bytes, step, step))
            names.append(f"scratch of {step} {graph.nodes[step].label}")
    distances = _distances(graph, lowered, spans, numbers)
    problem = Problem(buffers, distances, _in_place(graph, lowered, distances, numbers))
    offsets = strategy(problem)
    return Arena(
        tensors={root: offsets[i] for root, i in numbers.items()},
        scratch={step: offsets[i] for step, i in scratch.items()},
        size=arena_bytes(problem, offsets),
        bound=lower_bound(problem),
        placements=tuple(
            Placement(name, offset, buffer.size, buffer.first, buffer.last)
            for name, offset, buffer in zip(names, offsets, buffers, strict=True)
        ),
    )


def _distances(
    graph: Graph,
    lowered: Sequence[Lowered],
    spans: dict[int, tuple[int, int]],
    numbers: dict[int, int],
) -> dict[tuple[int, int], int]:
    """Return which outputs may overlap which inputs, that nobody reads later, and how far."""
    found: dict[tuple[int, int], int] = {}
    never: set[tuple[int, int]] = set()
    for step, (node, low) in enumerate(zip(graph.nodes, lowered, strict=True)):
        output = graph.root(node.output)
        for index, distance in zip(activation_inputs(node), low.distances, strict=False):
            root = graph.root(index)
            pair = numbers[root], numbers[output]
            if distance is None or not (graph.is_whole(index) and graph.is_whole(node.output)):
                never.add(pair)
            elif spans[root][1] == step and spans[output][0] == step and root != output:
                found[pair] = max(distance, found.get(pair, distance))
    return {pair: distance for pair, distance in found.items() if pair not in never}


def _in_place(
    graph: Graph,
    lowered: Sequence[Lowered],
    distances: Iterable[tuple[int, int]],
    numbers: dict[int, int],
) -> frozenset[tuple[int, int]]:
    """Return the pairs of which the output lies on the input or apart from it."""
    outputs = {
        numbers[graph.root(node.output)]
        for node, low in zip(graph.nodes, lowered, strict=True)
        if low.only_in_place
    }
    return frozenset(pair for pair in distances if pair[1] in outputs)


def pack_plan(graph: Graph, lowered: list[Lowered], constants: Constants, arena: Arena) -> Plan:
    """Return the finished plan.

    Raises:
        ModelError: plan or arena reach 2 GiB.
    """
    model = graph.model
    table = b"".join(_record(graph, step, lowered[step], arena) for step in range(len(graph.nodes)))
    operators_offset = layout.packer(layout.HEADER.fields).size
    constants_offset = align(operators_offset + len(table))
    section = constants.data
    length = constants_offset + len(section)
    if max(length, arena.size) > _MAX_BYTES:
        raise ModelError(
            f"{model.path}: plan of {length} bytes and arena of {arena.size} bytes, "
            f"the limit is {_MAX_BYTES} bytes each; use a smaller model"
        )
    inputs = tuple(_tensor_info(model, model.tensors[i]) for i in model.inputs)
    outputs = tuple(_tensor_info(model, model.tensors[i]) for i in model.outputs)
    header = layout.pack(
        layout.HEADER.fields,
        {
            "magic": layout.MAGIC,
            "version": layout.VERSION,
            "operators": len(lowered),
            "length": length,
            "arena_bytes": arena.size,
            "operators_offset": operators_offset,
            "constants_offset": constants_offset,
            "input": arena.address(graph, model.inputs[0]),
            "input_bytes": block_bytes(inputs),
            "output": arena.address(graph, model.outputs[0]),
            "output_bytes": block_bytes(outputs),
            "reserved_0": 0,
            "reserved_1": 0,
        },
    )
    data = (header + table).ljust(constants_offset, b"\0") + section
    return Plan(
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        arena_bytes=arena.size,
        inputs=inputs,
        outputs=outputs,
        operators=tuple(
            PlannedOperator(i, node.label, low.record, low.macs, graph.tensor(node.output).shape)
            for i, (node, low) in enumerate(zip(graph.nodes, lowered, strict=True))
        ),
        constant_bytes=tuple(low.constant_bytes for low in lowered),
        placements=arena.placements,
        bound_bytes=arena.bound,
    )


def _record(graph: Graph, step: int, lowered: Lowered, arena: Arena) -> bytes:
    record = records()[lowered.record]
    node = graph.nodes[step]
    inputs = [arena.address(graph, i) for i in activation_inputs(node)]
    head: dict[str, layout.Number] = {
        "kind": record.kind,
        "bytes": record.bytes,
        "input": inputs[0],
        "output": arena.address(graph, node.output),
    }
    if len(inputs) > 1:
        head["input_2"] = inputs[1]
    if lowered.scratch_bytes:
        head["scratch"] = arena.scratch[step]
    return layout.pack(record.flat, head | lowered.values)


def _tensor_info(model: TfliteModel, tensor: TfliteTensor) -> TensorInfo:
    if tensor.dtype not in {"int8", "float32"}:
        raise ModelError(
            f"{model.path}: input or output {tensor.name!r} is {tensor.dtype}, the built-in runtime "
            "has int8 and float32; convert the model with int8 or float32 inputs and outputs"
        )
    quantised = tensor.dtype == "int8"
    if quantised and tensor.scales.size != 1:
        raise ModelError(
            f"{model.path}: input or output {tensor.name!r} is int8 with {tensor.scales.size} "
            "scales, must have 1; quantise the model again"
        )
    return TensorInfo(
        name=tensor.name,
        shape=tensor.shape,
        dtype=tensor.dtype,
        scale=scale_of(tensor) if quantised else 0.0,
        zero_point=int(tensor.zero_points[0]) if quantised else 0,
    )
