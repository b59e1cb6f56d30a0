"""Random int8 models of operators that move, split, join and combine tensors."""

from __future__ import annotations

import numpy as np

from builders.operator_models import out_size
from builders.tflite_builder import ModelBuilder

SCALE, ZERO_POINT = 0.05, 3  # of every tensor but the results of LOGISTIC and TANH
_MAX_ELEMENTS = 400
_RANK = 4


class _Graph:
    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.model = ModelBuilder()
        self.tensors: list[int] = []
        self.read: set[int] = set()

    def add(self, shape: tuple[int, ...]) -> int:
        index = self.model.tensor(shape, "int8", scale=SCALE, zero_point=ZERO_POINT)
        self.tensors.append(index)
        return index

    def shape(self, index: int) -> tuple[int, ...]:
        return self.model.tensors[index].shape

    def constant(self, values: list[int], shape: tuple[int, ...] | None = None) -> int:
        data = np.array(values, np.int32).reshape(shape or (len(values),))
        return self.model.tensor(data.shape, "int32", data=data)

    def pick(self) -> int:
        """Some tensor, rather a young one, as if a path went on."""
        place = max(len(self.tensors) - 1 - int(self.rng.geometric(0.45)), 0)
        self.read.add(self.tensors[place])
        return self.tensors[place]

    def like(self, index: int) -> list[int]:
        return [i for i in self.tensors if self.shape(i) == self.shape(index)]

    def axis(self, index: int) -> int:
        return int(self.rng.integers(len(self.shape(index))))

    # --- operators

    def unary(self) -> None:
        x = self.pick()
        name = str(self.rng.choice(["RELU", "RELU6", "HARD_SWISH", "QUANTIZE"]))
        self.model.operator(name, [x], [self.add(self.shape(x))])

    def binary(self) -> None:
        x = self.pick()
        y = int(self.rng.choice(self.like(x)))
        self.read.add(y)
        name = str(self.rng.choice(["ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"]))
        table = "MaximumMinimumOptions" if name[0:2] in {"MA", "MI"} else f"{name.title()}Options"
        self.model.operator(name, [x, y], [self.add(self.shape(x))], table)

    def broadcast(self) -> None:
        x = self.pick()
        shape = tuple(d if self.rng.random() < 0.5 else 1 for d in self.shape(x))
        data = self.rng.integers(-128, 128, shape).astype(np.int8)
        c = self.model.tensor(shape, "int8", scale=SCALE, zero_point=ZERO_POINT, data=data)
        operands = [x, c] if self.rng.random() < 0.5 else [c, x]
        self.model.operator("SUB", operands, [self.add(self.shape(x))], "SubOptions")

    def concatenation(self) -> None:
        x = self.pick()
        axis, others = self.axis(x), int(self.rng.integers(1, 3))
        parts = [x, *(int(i) for i in self.rng.choice(self.like(x), others))]
        self.read.update(parts)
        shape = list(self.shape(x))
        shape[axis] *= len(parts)
        if np.prod(shape) <= _MAX_ELEMENTS:
            table = "ConcatenationOptions"
            self.model.operator("CONCATENATION", parts, [self.add(tuple(shape))], table, Axis=axis)

    def split(self) -> None:
        x = self.pick()
        axis = self.axis(x)
        shape = list(self.shape(x))
        for count in (2, 3):
            if shape[axis] % count == 0:
                shape[axis] //= count
                outputs = [self.add(tuple(shape)) for _ in range(count)]
                self.model.operator(
                    "SPLIT", [self.constant([axis]), x], outputs, "SplitOptions", NumSplits=count
                )
                return

    def transpose(self) -> None:
        x = self.pick()
        order = [int(i) for i in self.rng.permutation(len(self.shape(x)))]
        y = self.add(tuple(self.shape(x)[i] for i in order))
        self.model.operator("TRANSPOSE", [x, self.constant(order)], [y])

    def strided_slice(self) -> None:
        x = self.pick()
        shape = self.shape(x)
        begin = [int(self.rng.integers(d)) for d in shape]
        step = [int(self.rng.integers(1, 3)) for _ in shape]
        out = tuple(-(-(d - b) // s) for d, b, s in zip(shape, begin, step, strict=True))
        constants = [self.constant(begin), self.constant(list(shape)), self.constant(step)]
        self.model.operator(
            "STRIDED_SLICE", [x, *constants], [self.add(out)], "StridedSliceOptions"
        )

    def pad(self) -> None:
        x = self.pick()
        amounts = self.rng.integers(0, 2, (len(self.shape(x)), 2))
        shape = tuple(int(d) for d in self.shape(x) + amounts.sum(axis=1))
        if np.prod(shape) <= _MAX_ELEMENTS:
            constant = self.constant(amounts.ravel().tolist(), amounts.shape)
            self.model.operator("PAD", [x, constant], [self.add(shape)])

    def reshape(self) -> None:
        x = self.pick()
        shape = self.shape(x)
        new = (int(np.prod(shape[:2])), *shape[2:], 1)
        self.model.operator("RESHAPE", [x, self.constant(list(new))], [self.add(new)])

    def mean(self) -> None:
        x = self.pick()
        axis = self.axis(x)
        shape = tuple(1 if i == axis else d for i, d in enumerate(self.shape(x)))
        self.model.operator(
            "MEAN", [x, self.constant([axis])], [self.add(shape)], "ReducerOptions", KeepDims=True
        )

    # --- windows: their output may lie over their input

    def image(self) -> int | None:
        """Some tensor with a height and a width, or None."""
        x = self.pick()
        shape = self.shape(x)
        return x if len(shape) == _RANK and shape[0] == 1 else None

    def convolution(self) -> None:
        x = self.image()
        if x is None:
            return
        _, height, width, depth = self.shape(x)
        depthwise = bool(self.rng.random() < 0.5)
        channels = depth if depthwise else int(self.rng.integers(1, 10))
        kernel = int(self.rng.choice([1, 3]))
        stride = int(self.rng.integers(1, 3))
        valid = bool(self.rng.random() < 0.5) and min(height, width) >= kernel
        padding = "VALID" if valid else "SAME"
        size = [out_size(d, kernel, stride, 1, padding) for d in (height, width)]
        shape = (1, kernel, kernel, channels) if depthwise else (channels, kernel, kernel, depth)
        data = self.rng.integers(-127, 128, shape).astype(np.int8)
        scale = [0.02] * channels
        w = self.model.tensor(shape, "int8", data=data, scale=scale, dimension=3 * depthwise)
        bias = self.rng.integers(-999, 999, channels).astype(np.int32)
        b = self.model.tensor((channels,), "int32", data=bias, scale=[SCALE * 0.02] * channels)
        y = self.add((1, size[0], size[1], channels))
        options = {"Padding": padding, "StrideH": stride, "StrideW": stride}
        if depthwise:
            table = "DepthwiseConv2DOptions"
            self.model.operator(
                "DEPTHWISE_CONV_2D", [x, w, b], [y], table, DepthMultiplier=1, **options
            )
        else:
            self.model.operator("CONV_2D", [x, w, b], [y], "Conv2DOptions", **options)

    def pool(self) -> None:
        x = self.image()
        if x is None:
            return
        _, height, width, depth = self.shape(x)
        stride = int(self.rng.integers(1, 3))
        size = [out_size(d, 2, stride, 1, "SAME") for d in (height, width)]
        name = str(self.rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
        options = {"Padding": "SAME", "StrideH": stride, "StrideW": stride}
        options |= {"FilterHeight": 2, "FilterWidth": 2}
        y = self.add((1, size[0], size[1], depth))
        self.model.operator(name, [x], [y], "Pool2DOptions", **options)


_OPERATORS = (
    _Graph.unary,
    _Graph.binary,
    _Graph.broadcast,
    _Graph.concatenation,
    _Graph.split,
    _Graph.transpose,
    _Graph.strided_slice,
    _Graph.pad,
    _Graph.reshape,
    _Graph.mean,
    _Graph.convolution,
    _Graph.convolution,
    _Graph.pool,
)


def random_graph(seed: int, operators: int = 14) -> bytes:
    """Return a model with one or two inputs, whose outputs are what nobody reads and some others."""
    graph = _Graph(seed)
    rng = graph.rng
    sizes = ((1, 4, 4, 4), (2, 3, 2, 8), (1, 5, 6, 8), (4, 2, 3, 5), (1, 9, 7, 3))
    inputs = [graph.add(sizes[rng.integers(len(sizes))]) for _ in range(int(rng.integers(1, 3)))]
    for _ in range(operators):
        _OPERATORS[rng.integers(len(_OPERATORS))](graph)
    outputs = [i for i in graph.tensors if i not in graph.read and i not in inputs]
    outputs += [int(i) for i in rng.choice(graph.tensors, 1) if i not in outputs]
    return graph.model.build(inputs, outputs)
