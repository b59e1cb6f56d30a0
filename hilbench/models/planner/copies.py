"""Operators that only move data: PAD, CONCATENATION, SPLIT, SLICE, STRIDED_SLICE, TRANSPOSE.

Each is a copy between two grids. Where a copy is one block of bytes, the planner lets both tensors
share memory instead (``fuse.drop_copies``); else the kernel ``copy`` runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from hilbench.models.planner.fuse import same_quantisation
from hilbench.models.planner.graph import Graph, Node, contradiction, option
from hilbench.models.planner.support import unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    from hilbench.errors import ModelError
    from hilbench.models.tflite_file import TfliteTensor

Axis = tuple[int, int, int]  # size, stride in the input, stride in the output


@dataclass(frozen=True)
class Copy:
    """Blocks of ``block`` bytes on ``axes``; offsets and strides are in bytes."""

    block: int
    axes: tuple[Axis, ...] = ()
    in_offset: int = 0
    out_offset: int = 0
    fill: bytes = b""  # one element for all of the output that is not copied; empty: none

    @property
    def is_block(self) -> bool:
        """Whether the copy is one block of bytes."""
        return not self.axes and not self.fill


def copy_of(graph: Graph, node: Node) -> Copy:
    """Return what a node copies.

    Raises:
        UnsupportedOperatorError: options without a kernel.
        ModelError: options or shapes contradict each other.
    """
    source, target = graph.tensor(node.reads[0]), graph.tensor(node.output)
    if not same_quantisation(source, target):
        raise unsupported(graph.model, node.operator, "no kernel for a copy that changes the scale")
    return _COPIES[node.operator.name](graph, node)


def strides_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many elements lie between neighbours along each axis of a dense tensor."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _merged(item: int, axes: list[Axis]) -> tuple[int, tuple[Axis, ...]]:
    """Return (block bytes, axes): as few axes as can be; strides come in elements of ``item`` bytes."""
    found: list[Axis] = []
    block = item
    for size, in_step, out_step in reversed(axes):
        step = in_step * item, out_step * item
        if size == 1:
            continue
        if not found and step == (block, block):
            block *= size
        elif found and step == (found[0][0] * found[0][1], found[0][0] * found[0][2]):
            found[0] = (found[0][0] * size, *found[0][1:])
        else:
            found.insert(0, (size, *step))
    return block, tuple(found)


def _grid(
    tensor: TfliteTensor,
    axes: list[Axis],
    in_first: int = 0,
    out_first: int = 0,
    fill: bytes = b"",
) -> Copy:
    item = int(np.dtype(tensor.dtype).itemsize)
    block, merged = _merged(item, axes)
    return Copy(block, merged, in_first * item, out_first * item, fill)


def _refused(graph: Graph, node: Node, what: str) -> ModelError:
    return contradiction(graph.model, node.operator, what)


def _numbers(graph: Graph, node: Node, position: int) -> list[int]:
    """Return a constant input of int32 or int64."""
    data = graph.tensor(node.inputs[position]).data
    if data is None or data.dtype.kind != "i":
        raise _refused(graph, node, f"input {position} is not a constant of integers")
    return [int(x) for x in data.flat]


def _axis(graph: Graph, node: Node, value: int, rank: int) -> int:
    axis = value + rank if value < 0 else value
    if not 0 <= axis < rank:
        raise _refused(graph, node, f"axis {value} of {rank} dimensions")
    return axis


def _same_but(a: tuple[int, ...], b: tuple[int, ...], axis: int) -> bool:
    return len(a) == len(b) and a[:axis] == b[:axis] and a[axis + 1 :] == b[axis + 1 :]


def _concatenation(graph: Graph, node: Node) -> Copy:
    if option(graph.model, node.operator, "FusedActivationFunction") != "NONE":
        raise unsupported(graph.model, node.operator, "no kernel for its fused activation")
    target = graph.tensor(node.output)
    axis = _axis(graph, node, option(graph.model, node.operator, "Axis"), len(target.shape))
    parts = [graph.tensor(i).shape for i in node.operator.inputs]
    if not all(_same_but(p, target.shape, axis) for p in parts) or target.shape[axis] != sum(
        p[axis] for p in parts
    ):
        raise _refused(graph, node, "the output's shape does not follow from the inputs")
    shape = parts[node.part]
    to = strides_of(target.shape)
    before = sum(p[axis] for p in parts[: node.part])
    axes = list(zip(shape, strides_of(shape), to, strict=True))
    return _grid(target, axes, out_first=before * to[axis])


def _split(graph: Graph, node: Node) -> Copy:
    source = graph.tensor(node.reads[0])
    position = 0 if node.operator.name == "SPLIT" else 2
    axes = _numbers(graph, node, position)
    if len(axes) != 1:
        raise _refused(graph, node, f"{len(axes)} axes, must be one")
    axis = _axis(graph, node, axes[0], len(source.shape))
    parts = [graph.tensor(i).shape for i in node.operator.outputs]
    if not all(_same_but(p, source.shape, axis) for p in parts) or source.shape[axis] != sum(
        p[axis] for p in parts
    ):
        raise _refused(graph, node, "the outputs' shapes do not follow from the input")
    shape = parts[node.part]
    steps = strides_of(source.shape)
    before = sum(p[axis] for p in parts[: node.part])
    grid = list(zip(shape, steps, strides_of(shape), strict=True))
    return _grid(source, grid, in_first=before * steps[axis])


def _transpose(graph: Graph, node: Node) -> Copy:
    source, target = graph.tensor(node.reads[0]), graph.tensor(node.output)
    order = _numbers(graph, node, 1)
    rank = len(source.shape)
    order = [a + rank if a < 0 else a for a in order]
    if sorted(order) != list(range(rank)) or target.shape != tuple(source.shape[a] for a in order):
        raise _refused(graph, node, "the output's shape does not follow from the permutation")
    steps = strides_of(source.shape)
    axes = list(zip(target.shape, [steps[a] for a in order], strides_of(target.shape), strict=True))
    return _grid(source, axes)


def _slice(graph: Graph, node: Node) -> Copy:
    source = graph.tensor(node.reads[0])
    begin, size = _numbers(graph, node, 1), _numbers(graph, node, 2)
    if not len(begin) == len(size) == len(source.shape):
        raise _refused(graph, node, "begin and size do not fit the input")
    size = [d - b if s == -1 else s for d, b, s in zip(source.shape, begin, size, strict=True)]
    return _cut(graph, node, begin, size, [1] * len(size))


def _strided_slice(graph: Graph, node: Node) -> Copy:
    source = graph.tensor(node.reads[0])
    masks = {
        name: option(graph.model, node.operator, f"{name}Mask")
        for name in ("Begin", "End", "Ellipsis", "NewAxis", "ShrinkAxis")
    }
    if masks["Ellipsis"] or masks["NewAxis"] or option(graph.model, node.operator, "Offset"):
        raise unsupported(
            graph.model, node.operator, "no kernel for an ellipsis, a new axis or an offset"
        )
    limits = [_numbers(graph, node, i) for i in (1, 2, 3)]
    if len({len(x) for x in limits}) != 1 or len(limits[0]) > len(source.shape):
        raise _refused(graph, node, "begin, end and strides do not fit the input")
    if 0 in limits[2]:
        raise _refused(graph, node, "a stride of 0")
    begin, size, step = [], [], []
    for axis, extent in enumerate(source.shape):
        if axis >= len(limits[0]):
            cut = range(extent)
        else:
            first, last, by = (x[axis] for x in limits)
            bit = 1 << axis
            if masks["ShrinkAxis"] & bit:
                at = first + extent if first < 0 else first
                cut = range(at, at + 1)
            else:
                start = None if masks["Begin"] & bit else first
                stop = None if masks["End"] & bit else last
                cut = range(extent)[slice(start, stop, by)]
        if not cut:
            raise _refused(graph, node, "a slice without elements")
        begin.append(cut.start)
        size.append(len(cut))
        step.append(cut.step)
    return _cut(graph, node, begin, size, step)


def _cut(graph: Graph, node: Node, begin: list[int], size: list[int], step: list[int]) -> Copy:
    source, target = graph.tensor(node.reads[0]), graph.tensor(node.output)
    ends = [b + (n - 1) * s for b, n, s in zip(begin, size, step, strict=True)]
    inside = all(
        0 <= b < d and 0 <= e < d and n > 0
        for b, e, n, d in zip(begin, ends, size, source.shape, strict=True)
    )
    if not inside or math.prod(size) != target.elements:
        raise _refused(graph, node, "the output's shape does not follow from the options")
    steps = strides_of(source.shape)
    first = sum(b * s for b, s in zip(begin, steps, strict=True))
    to = strides_of(tuple(size))
    axes = [(n, s * by, t) for n, s, by, t in zip(size, steps, step, to, strict=True)]
    return _grid(source, axes, in_first=first)


def _pad(graph: Graph, node: Node) -> Copy:
    source, target = graph.tensor(node.reads[0]), graph.tensor(node.output)
    amounts = _numbers(graph, node, 1)
    if len(amounts) != 2 * len(source.shape) or min(amounts, default=0) < 0:
        raise _refused(graph, node, "paddings do not fit the input")
    before, after = amounts[::2], amounts[1::2]
    expected = tuple(b + d + a for b, d, a in zip(before, source.shape, after, strict=True))
    if target.shape != expected:
        raise _refused(graph, node, "the output's shape does not follow from the paddings")
    to = strides_of(target.shape)
    first = sum(b * s for b, s in zip(before, to, strict=True))
    axes = list(zip(source.shape, strides_of(source.shape), to, strict=True))
    fill = _pad_value(graph, node, target) if any(amounts) else b""
    return _grid(source, axes, out_first=first, fill=fill)


def _pad_value(graph: Graph, node: Node, target: TfliteTensor) -> bytes:
    if node.operator.name == "PADV2":
        value = graph.tensor(node.inputs[2])
        if value.data is None or value.elements != 1 or not same_quantisation(value, target):
            raise unsupported(
                graph.model, node.operator, "no kernel for a padding value of another quantisation"
            )
        return value.data.tobytes()
    if target.dtype == "int8":
        return np.int8(target.zero_points[0]).tobytes()
    return np.float32(0).tobytes()


def _whole(graph: Graph, node: Node) -> Copy:
    """An output that must not share memory with another tensor."""
    return Copy(graph.tensor(node.output).bytes)


_COPIES: Final[dict[str, Callable[[Graph, Node], Copy]]] = {
    "CONCATENATION": _concatenation,
    "COPY": _whole,
    "PAD": _pad,
    "PADV2": _pad,
    "SLICE": _slice,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE": _transpose,
}
COPYING: Final = frozenset(_COPIES)
