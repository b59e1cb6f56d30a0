"""Operators that need not run: activations join their producer, other shapes become aliases.

And where the tensors of the model's boundary lie: several inputs or outputs are one block.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

import numpy as np

from hilbench.models.planner.graph import Graph, Node, contradiction
from hilbench.models.planner.layout import ALIGNMENT
from hilbench.models.planner.quantise import ACTIVATIONS
from hilbench.models.planner.support import computed_inputs, unsupported
from hilbench.models.tflite_file import TfliteModel, TfliteOperator, TfliteTensor

# Their kernels clamp the result.
_CLAMPING: Final = frozenset(
    {"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D"}
    | {"MEAN", "MUL", "RELU", "RELU6", "RELU_N1_TO_1", "SUB"}
)
_FUSED: Final = frozenset({"RELU", "RELU6", "RELU_N1_TO_1"})
_RESHAPING: Final = frozenset({"EXPAND_DIMS", "RESHAPE", "SQUEEZE"})


def build_graph(model: TfliteModel) -> Graph:
    """Return the nodes of a checked model, nothing fused yet.

    Raises:
        UnsupportedOperatorError: a fused activation without a kernel.
    """
    nodes = []
    for operator in model.operators:
        activation = operator.options.get("FusedActivationFunction", "NONE")
        if activation not in ACTIVATIONS:
            raise unsupported(model, operator, f"no kernel for its fused activation {activation}")
        activations = () if activation == "NONE" else (activation,)
        reads = computed_inputs(model, operator)
        if operator.name == "CONCATENATION":
            nodes += [
                Node(operator, operator.inputs, operator.outputs[0], activations, (index,), part)
                for part, index in enumerate(operator.inputs)
            ]
            continue
        nodes += [
            Node(operator, operator.inputs, output, activations, reads, part)
            for part, output in enumerate(operator.outputs)
        ]
    return Graph(model, tuple(nodes))


def same_quantisation(a: TfliteTensor, b: TfliteTensor) -> bool:
    """Say whether two tensors give their integers the same meaning (float tensors: always)."""
    if a.dtype != b.dtype:
        return False
    return a.dtype == "float32" or (
        np.array_equal(a.scales, b.scales) and np.array_equal(a.zero_points, b.zero_points)
    )


def _readers(graph: Graph) -> Counter[int]:
    readers = Counter(i for node in graph.nodes for i in set(node.reads))
    readers.update(graph.model.outputs)
    return readers


def fuse_activations(graph: Graph) -> Graph:
    """Join RELU and its kin to the operator before them, where the result stays the same bit by bit.

    That is: nobody else reads the value in between, and both tensors have one quantisation.
    """
    readers = _readers(graph)
    nodes: list[Node] = []
    writer: dict[int, int] = {}  # tensor -> position in nodes
    for node in graph.nodes:
        source = node.reads[0]
        position = writer.get(source)
        if (
            node.operator.name in _FUSED
            and position is not None
            and readers[source] == 1
            and nodes[position].operator.name in _CLAMPING
            and same_quantisation(graph.tensor(source), graph.tensor(node.output))
        ):
            before = nodes[position]
            activations = (*before.activations, node.operator.name)
            nodes[position] = replace(before, output=node.output, activations=activations)
            writer[node.output] = position
            continue
        writer[node.output] = len(nodes)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def drop_reshapes(graph: Graph) -> Graph:
    """Make the output of every RESHAPE, SQUEEZE, EXPAND_DIMS share its input's memory.

    Raises:
        ModelError: the two differ in size or quantisation.
    """
    nodes, aliases = [], dict(graph.aliases)
    for node in graph.nodes:
        if node.operator.name not in _RESHAPING:
            nodes.append(node)
            continue
        before, after = graph.tensor(node.reads[0]), graph.tensor(node.output)
        if before.elements != after.elements or not same_quantisation(before, after):
            raise contradiction(graph.model, node.operator, "it changes size or quantisation")
        aliases[node.output] = (node.reads[0], 0)
    return replace(graph, nodes=tuple(nodes), aliases=aliases)


def lay_out_blocks(graph: Graph) -> Graph:
    """Put several inputs into one block of memory, one after the other, and several outputs too.

    An output that shares memory with another tensor gets memory of its own, and a copy.
    """
    if len(graph.model.outputs) > 1:
        graph = _separate_outputs(graph)
    model, aliases, blocks = graph.model, dict(graph.aliases), dict(graph.blocks)
    for members in (model.inputs, model.outputs):
        if len(members) == 1:
            continue
        block, end = len(model.tensors) + len(blocks), 0
        for index in members:
            begin = -(-end // ALIGNMENT) * ALIGNMENT
            aliases[graph.root(index)] = (block, begin)
            end = begin + graph.tensor(index).bytes
        blocks[block] = end
    return replace(graph, aliases=aliases, blocks=blocks)


def _separate_outputs(graph: Graph) -> Graph:
    model, nodes = graph.model, list(graph.nodes)
    tensors, operators, outputs = list(model.tensors), list(model.operators), []
    taken = {graph.root(i) for i in model.inputs}
    for index in model.outputs:
        if graph.root(index) in taken or not graph.is_whole(index):
            own = replace(model.tensors[index], index=len(tensors))
            tensors.append(own)
            copy = TfliteOperator(len(operators), "COPY", (index,), (own.index,), {})
            operators.append(copy)
            nodes.append(Node(copy, (index,), own.index, (), (index,)))
            outputs.append(own.index)
        else:
            taken.add(graph.root(index))
            outputs.append(index)
    model = replace(
        model, tensors=tuple(tensors), operators=tuple(operators), outputs=tuple(outputs)
    )
    return replace(graph, model=model, nodes=tuple(nodes))


def activation_inputs(node: Node) -> tuple[int, ...]:
    """Return the inputs of a node that are computed, without its constants."""
    return node.reads
