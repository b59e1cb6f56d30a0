"""Operators that need not run: activations join their producer, RESHAPE becomes an alias."""

from __future__ import annotations

from collections import Counter
from typing import Final

from hilbench.models.planner.graph import Graph, Node, contradiction
from hilbench.models.planner.quantise import ACTIVATIONS
from hilbench.models.planner.support import SUPPORTED, unsupported
from hilbench.models.tflite_file import TfliteModel, TfliteTensor

# Their kernels clamp the result.
_CLAMPING: Final = frozenset(
    {"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D"}
    | {"MEAN", "RELU", "RELU6"}
)


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
        nodes.append(Node(operator, operator.inputs, operator.outputs[0], activations))
    return Graph(model, tuple(nodes), {})


def same_quantisation(a: TfliteTensor, b: TfliteTensor) -> bool:
    """Say whether two tensors give their integers the same meaning (float tensors: always)."""
    if a.dtype != b.dtype:
        return False
    return a.dtype == "float32" or (
        a.scales[0] == b.scales[0] and a.zero_points[0] == b.zero_points[0]
    )


def fuse_activations(graph: Graph) -> Graph:
    """Join RELU and RELU6 to the operator before them, where the result stays the same bit by bit.

    That is: nobody else reads the value in between, and both tensors have one quantisation.
    """
    readers = Counter(i for node in graph.nodes for i in set(node.inputs))
    readers.update(graph.model.outputs)
    nodes: list[Node] = []
    writer: dict[int, int] = {}  # tensor -> position in nodes
    for node in graph.nodes:
        source = node.inputs[0]
        position = writer.get(source)
        if (
            node.operator.name in {"RELU", "RELU6"}
            and position is not None
            and readers[source] == 1
            and nodes[position].operator.name in _CLAMPING
            and same_quantisation(graph.tensor(source), graph.tensor(node.output))
        ):
            before = nodes[position]
            activations = (*before.activations, node.operator.name)
            nodes[position] = Node(before.operator, before.inputs, node.output, activations)
            writer[node.output] = position
            continue
        writer[node.output] = len(nodes)
        nodes.append(node)
    return Graph(graph.model, tuple(nodes), graph.aliases)


def drop_reshapes(graph: Graph) -> Graph:
    """Make the output of every RESHAPE share its input's memory.

    Raises:
        ModelError: the two differ in size or quantisation.
    """
    nodes, aliases = [], dict(graph.aliases)
    for node in graph.nodes:
        if node.operator.name != "RESHAPE":
            nodes.append(node)
            continue
        before, after = graph.tensor(node.inputs[0]), graph.tensor(node.output)
        if before.elements != after.elements or not same_quantisation(before, after):
            raise contradiction(graph.model, node.operator, "it changes size or quantisation")
        aliases[node.output] = node.inputs[0]
    return Graph(graph.model, tuple(nodes), aliases)


def activation_inputs(node: Node) -> tuple[int, ...]:
    """Return the inputs of a node that are computed, without its constants."""
    return node.inputs[: SUPPORTED[node.operator.name].activations]
