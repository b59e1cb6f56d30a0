"""Copies that need not run.

Padding joins the convolution that reads it, and a copy of one block becomes an alias.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hilbench.models.planner.copies import COPYING, Copy, copy_of
from hilbench.models.planner.fuse import same_quantisation
from hilbench.models.planner.graph import Graph, Node
from hilbench.models.planner.layout import ALIGNMENT

_WINDOWED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
_RANK = 4


def fuse_padding(graph: Graph) -> Graph:
    """Let CONV_2D and DEPTHWISE_CONV_2D pad their input themselves, where a PAD did it.

    That is: height and width alone, nobody else reads the padded tensor, and the operator pads
    nothing itself.
    """
    readers = Counter(i for node in graph.nodes for i in node.reads)
    readers.update(graph.model.outputs)
    pads: dict[int, Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.operator.name == "PAD" and readers[node.output] == 1:
            pads[node.output] = node
        pad = pads.get(node.reads[0])
        padding = None if pad is None else _padding(graph, pad, node)
        if pad is not None and padding is not None:
            nodes.remove(pad)
            source = pad.reads[0]
            inputs = (source, *node.inputs[1:])
            node = replace(node, inputs=inputs, reads=(source,), padding=padding)  # noqa: PLW2901
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _padding(graph: Graph, pad: Node, node: Node) -> tuple[int, int, int, int] | None:
    """Return (top, bottom, left, right), or None where the PAD must run."""
    source, padded = graph.tensor(pad.reads[0]), graph.tensor(pad.output)
    amounts = graph.tensor(pad.inputs[1]).data
    if (
        node.operator.name not in _WINDOWED
        or node.operator.options.get("Padding") != "VALID"
        or not same_quantisation(source, padded)
        or len(source.shape) != _RANK
        or amounts is None
        or amounts.size != 2 * _RANK
    ):
        return None
    copy_of(graph, pad)  # checks it
    flat = [int(x) for x in amounts.flat]
    kernel = graph.tensor(node.inputs[1]).shape[1:3]
    fits = all(
        _fits(source.shape[1 + i], (flat[2 + 2 * i], flat[3 + 2 * i]), kernel[i], node, axis)
        for i, axis in enumerate("HW")
    )
    return (flat[2], flat[3], flat[4], flat[5]) if fits and not any(flat[:2] + flat[6:]) else None


def _fits(size: int, padding: tuple[int, int], kernel: int, node: Node, axis: str) -> bool:
    """Say whether every window touches the input: the kernels count on it."""
    options = node.operator.options
    reach: int = (kernel - 1) * options.get(f"Dilation{axis}Factor", 1)
    stride: int = options.get(f"Stride{axis}", 0)
    room = size + sum(padding) - reach - 1
    if stride < 1 or room < 0:
        return False
    return padding[0] <= reach and room // stride * stride < size + padding[0]


def drop_copies(graph: Graph) -> Graph:
    """Let the tensors of every copy that is one aligned block share their memory."""
    nodes, aliases = [], dict(graph.aliases)
    for node in graph.nodes:
        current = replace(graph, aliases=aliases)
        copy = copy_of(graph, node) if node.operator.name in COPYING else None
        if copy is None or not copy.is_block:
            nodes.append(node)
        elif node.operator.name != "CONCATENATION" and copy.in_offset % ALIGNMENT == 0:
            aliases[node.output] = (node.reads[0], copy.in_offset)
        elif node.operator.name == "CONCATENATION" and _may_join(current, node, copy):
            aliases[node.reads[0]] = (node.output, copy.out_offset)
        else:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes), aliases=aliases)


def _may_join(graph: Graph, node: Node, copy: Copy) -> bool:
    """Say whether a tensor can be written where CONCATENATION wants it: its memory is its own."""
    source = node.reads[0]
    return (
        copy.out_offset % ALIGNMENT == 0
        and source not in graph.aliases
        and source not in graph.model.inputs
        and source not in graph.model.outputs
        and graph.root(node.output) != source
    )
