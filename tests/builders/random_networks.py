"""Random networks of every operator: branches, several inputs and outputs, ends that nobody reads.

Each operator has its weights and quantisation, so that kernels of every set meet, at random shapes,
what the planner does between operators: shared memory, scratch, views, joined and fused operators.
``random_graphs`` has the operators that move data alone, and more densely.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from builders.operator_models import out_size, weights
from builders.tflite_builder import ModelBuilder

ACTIVATIONS = ("NONE", "NONE", "RELU", "RELU6")
# Most tensors have one of these: operators that move data or join tensors want equal ones.
QUANTISATIONS = ((0.05, -7), (0.05, -128), (0.02, 3))
SOFTMAX = (1 / 256, -128)
MAX_ELEMENTS = 3000


@dataclass(frozen=True)
class Tensor:
    """A tensor of the model that has a value."""

    index: int
    shape: tuple[int, ...]
    quantised: tuple[float, int]


@dataclass
class RandomNetwork:
    """Grows a model; ``build`` ends it."""

    seed: int
    dtype: str = "int8"
    model: ModelBuilder = field(default_factory=ModelBuilder)
    tensors: list[Tensor] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of the operators

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.inputs = [self._first() for _ in range(self.choice((1, 1, 1, 2, 3)))]

    def build(self, operators: int) -> bytes:
        """Return the model, of at least that many operators."""
        while len(self.names) < operators:
            GROW[self.choice(tuple(GROW))](self, self.pick())
        read = {i for o in self.model.operators for i in o.inputs}
        ends = [t for t in self.tensors if t.index not in read]
        outputs = [t for t in ends if self.chance(0.8)] or self.tensors[-1:]
        if self.chance(0.3):  # a value in the middle, or an input
            outputs.append(self.choice(self.tensors))
        self.rng.shuffle(outputs)
        found = list(dict.fromkeys(t.index for t in outputs))[:4]
        if self.dtype == "int8" and self.chance(0.2):
            found.append(self._as_float(self.choice(self.tensors)))
        return self.model.build([t.index for t in self.inputs], found)

    # --- chance -----------------------------------------------------------------------------------

    def choice(self, items):
        return items[int(self.rng.integers(len(items)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, wanted: Callable[[Tensor], bool] = lambda t: True) -> Tensor | None:
        """Return a tensor, the latest ones more often."""
        found = [t for t in self.tensors if wanted(t)]
        if not found:
            return None
        back = int(self.rng.geometric(0.4)) - 1 if self.chance(0.8) else len(found)
        return found[-1 - back] if back < len(found) else self.choice(found)

    def _shape(self) -> tuple[int, ...]:
        height, width = (int(n) for n in self.rng.integers(1, 10, 2))
        if self.chance(0.1):
            return (1, int(self.rng.integers(2, 60)))
        return (1, height, width, self.channels())

    def channels(self) -> int:
        return self.choice((1, 2, 3, 4, 4, 5, 8, 8, 12, 16, 16, 20, 24, 32))

    def quantisation(self) -> tuple[float, int]:
        if self.chance(0.8):
            return self.choice(QUANTISATIONS)
        return float(2 ** self.rng.uniform(-8, -2)), int(self.rng.integers(-128, 128))

    # --- tensors ----------------------------------------------------------------------------------

    def new(self, shape: tuple[int, ...], quantised: tuple[float, int]) -> Tensor:
        values = dict(zip(("scale", "zero_point"), quantised, strict=True))
        if self.dtype == "float32":
            values = {}
        return Tensor(self.model.tensor(shape, self.dtype, **values), shape, quantised)

    def _first(self) -> Tensor:
        """Return an input of the model."""
        x = self.new(self._shape(), self.quantisation())
        if self.dtype == "float32" or self.chance(0.85):
            self.tensors.append(x)
            return x
        source = Tensor(self.model.tensor(x.shape, "float32"), x.shape, x.quantised)
        self.operator("QUANTIZE", [source], [x], "QuantizeOptions")
        return source

    def _as_float(self, x: Tensor) -> int:
        y = self.model.tensor(x.shape, "float32")
        self.model.operator("DEQUANTIZE", [x.index], [y], "DequantizeOptions")
        return y

    def integers(self, values, shape=None) -> int:
        data = np.array(values, np.int32)
        data = data if shape is None else data.reshape(shape)
        return self.model.tensor(data.shape, "int32", data=data)

    def weights(self, x: Tensor, shape: tuple[int, ...], y: Tensor, taps: int, axis: int):
        """Return weights and bias; outputs fill their range and saturate now and then."""
        channels = shape[axis]
        if self.dtype == "float32":
            data = weights(self.rng, "float32", shape) / np.float32(math.sqrt(taps))
            bias = self.rng.normal(size=channels).astype(np.float32)
            w = self.model.tensor(shape, "float32", data=data)
            return [w, self.model.tensor((channels,), "float32", data=bias)]
        typical = y.quantised[0] / (x.quantised[0] * 50 * math.sqrt(taps))
        scales = (typical * self.rng.uniform(0.3, 1.5, channels)).astype(np.float32)
        w = self.model.tensor(
            shape,
            "int8",
            scale=list(scales),
            data=weights(self.rng, "int8", shape),
            dimension=axis,
        )
        bias = self.rng.integers(-3000, 3000, channels).astype(np.int32)
        bias_scales = scales * np.float32(x.quantised[0])
        b = self.model.tensor((channels,), "int32", scale=list(bias_scales), data=bias)
        return [w, b] if self.chance(0.8) else [w, -1]

    def operator(self, name, inputs, outputs: list[Tensor], table=None, **options) -> None:
        """Add an operator; its outputs have values from now on."""
        numbers = [i.index if isinstance(i, Tensor) else i for i in inputs]
        while numbers[-1] == -1 and name != "FULLY_CONNECTED":
            numbers.pop()
        self.model.operator(name, numbers, [t.index for t in outputs], table, **options)
        self.names.append(name)
        self.tensors += outputs

    def like(self, x: Tensor, quantised: tuple[float, int]) -> Tensor:
        """Return x, or x requantised."""
        if x.quantised == quantised or self.dtype == "float32":
            return x
        y = self.new(x.shape, quantised)
        self.operator("QUANTIZE", [x], [y], "QuantizeOptions")
        return y


def convolution(net: RandomNetwork, x: Tensor) -> None:
    if len(x.shape) != 4:
        return
    depthwise = net.chance(0.5)
    size, in_c = x.shape[1:3], x.shape[3]
    kernel = net.choice(((3, 3), (3, 3), (1, 1), (1, 1), (2, 3), (5, 1)))
    stride = net.choice(((1, 1), (1, 1), (1, 1), (2, 2), (1, 2)))
    dilation = (1, 1) if stride != (1, 1) or net.chance(0.85) else (2, 1)
    valid = all((k - 1) * d < s for k, d, s in zip(kernel, dilation, size, strict=True))
    padding = "VALID" if valid and net.chance(0.4) else "SAME"
    if valid and padding == "VALID" and net.chance(0.3):
        amounts = [0, 0, *(int(n) for n in net.rng.integers(0, 2, 4)), 0, 0]
        x = padded(net, x, amounts)
        size = x.shape[1:3]
    out_c = in_c * net.choice((1, 1, 1, 2)) if depthwise else net.channels()
    height, width = (
        out_size(s, k, st, d, padding)
        for s, k, st, d in zip(size, kernel, stride, dilation, strict=True)
    )
    if height * width * out_c > MAX_ELEMENTS:
        return
    y = net.new((1, height, width, out_c), net.quantisation())
    options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
    options |= {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}
    options["FusedActivationFunction"] = net.choice(ACTIVATIONS)
    if depthwise:
        constants = net.weights(x, (1, *kernel, out_c), y, kernel[0] * kernel[1], 3)
        options["DepthMultiplier"] = out_c // in_c
        net.operator("DEPTHWISE_CONV_2D", [x, *constants], [y], "DepthwiseConv2DOptions", **options)
    else:
        constants = net.weights(x, (out_c, *kernel, in_c), y, kernel[0] * kernel[1] * in_c, 0)
        net.operator("CONV_2D", [x, *constants], [y], "Conv2DOptions", **options)


def fully_connected(net: RandomNetwork, x: Tensor) -> None:
    depth = x.shape[-1] if len(x.shape) == 2 and x.shape[0] != 1 else math.prod(x.shape)
    units = int(net.rng.integers(1, 40))
    y = net.new((math.prod(x.shape) // depth, units), net.quantisation())
    w, b = net.weights(x, (units, depth), y, depth, 0)
    net.operator(
        "FULLY_CONNECTED",
        [x, w, b],
        [y],
        "FullyConnectedOptions",
        FusedActivationFunction=net.choice(ACTIVATIONS),
    )


def binary(net: RandomNetwork, x: Tensor) -> None:
    name = net.choice(("ADD", "ADD", "ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"))
    y = net.pick(lambda t: t.shape == x.shape)
    kind = net.rng.random()
    if kind < 0.15:  # something that repeats
        y = net.pick(lambda t: len(t.shape) == 4 and t.shape[3] == x.shape[-1]) or y
    elif kind < 0.25:
        shape = net.choice((x.shape, x.shape[-1:], (1,)))
        data = weights(net.rng, net.dtype, shape)
        values = dict(zip(("scale", "zero_point"), x.quantised, strict=True))
        index = net.model.tensor(
            shape, net.dtype, data=data, **({} if net.dtype == "float32" else values)
        )
        y = Tensor(index, shape, x.quantised)
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return
    if math.prod(shape) > MAX_ELEMENTS:
        return
    if name in {"MAXIMUM", "MINIMUM"}:
        y = net.like(y, x.quantised) if y in net.tensors else y
        out = net.new(shape, x.quantised)
        net.operator(name, _turned(net, x, y), [out], "MaximumMinimumOptions")
        return
    out = net.new(shape, net.quantisation())
    activation = net.choice(ACTIVATIONS)
    table = f"{name.title()}Options"
    net.operator(name, _turned(net, x, y), [out], table, FusedActivationFunction=activation)


def _turned(net: RandomNetwork, x: Tensor, y: Tensor) -> list[Tensor]:
    return [x, y] if net.chance(0.5) else [y, x]


def pool(net: RandomNetwork, x: Tensor) -> None:
    if len(x.shape) != 4:
        return
    kernel = net.choice(((2, 2), (3, 3), (1, 2), x.shape[1:3]))
    stride = net.choice(((1, 1), (2, 2), kernel))
    fits = all(k <= s for k, s in zip(kernel, x.shape[1:3], strict=True))
    padding = "VALID" if fits and net.chance(0.5) else "SAME"
    size = (out_size(s, k, st, 1, padding) for s, k, st in zip(x.shape[1:3], kernel, stride, strict=True))  # fmt: skip
    y = net.new((1, *size, x.shape[3]), x.quantised)
    options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
    options |= {"FilterHeight": kernel[0], "FilterWidth": kernel[1]}
    options["FusedActivationFunction"] = net.choice(ACTIVATIONS)
    name = net.choice(("AVERAGE_POOL_2D", "MAX_POOL_2D"))
    net.operator(name, [x], [y], "Pool2DOptions", **options)


def mean(net: RandomNetwork, x: Tensor) -> None:
    if len(x.shape) != 4:
        return
    keep = net.chance(0.5)
    axes = net.choice(((1, 2), (1, 2), (2,), (3,)))
    shape = tuple(1 if i in axes else d for i, d in enumerate(x.shape) if keep or i not in axes)
    y = net.new(shape, net.quantisation())
    a = net.integers(axes)
    net.operator("MEAN", [x, a], [y], "ReducerOptions", KeepDims=keep)


def softmax(net: RandomNetwork, x: Tensor) -> None:
    y = net.new(x.shape, SOFTMAX)
    net.operator("SOFTMAX", [x], [y], "SoftmaxOptions", Beta=1.0)


def unary(net: RandomNetwork, x: Tensor) -> None:
    name = net.choice(("RELU", "RELU", "RELU6", "RELU6", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH", "QUANTIZE"))  # fmt: skip
    fixed = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "RELU": x.quantised, "RELU6": x.quantised}  # fmt: skip
    if name == "QUANTIZE" and net.dtype == "float32":
        return
    y = net.new(x.shape, fixed.get(name) or net.quantisation())
    tables = {"LEAKY_RELU": "LeakyReluOptions", "QUANTIZE": "QuantizeOptions"}
    options = {"Alpha": 0.2} if name == "LEAKY_RELU" else {}
    if name == "HARD_SWISH":
        tables |= {name: "HardSwishOptions"}
    net.operator(name, [x], [y], tables.get(name), **options)


def reshape(net: RandomNetwork, x: Tensor) -> None:
    count = math.prod(x.shape)
    divisors = [n for n in range(1, count + 1) if count % n == 0]
    a = net.choice(divisors)
    b = net.choice([n for n in divisors if count // a % n == 0])
    shape = net.choice(((1, a, count // a), (1, count), (1, a, b, count // a // b)))
    y = net.new(shape, x.quantised)
    net.operator("RESHAPE", [x, net.integers(shape)], [y])


def padded(net: RandomNetwork, x: Tensor, amounts: list[int]) -> Tensor:
    shape = tuple(d + b + a for d, b, a in zip(x.shape, amounts[::2], amounts[1::2], strict=True))
    y = net.new(shape, x.quantised)
    net.operator("PAD", [x, net.integers(amounts, (-1, 2))], [y], "PadOptions")
    return y


def pad(net: RandomNetwork, x: Tensor) -> None:
    if len(x.shape) == 4 and math.prod(x.shape) < MAX_ELEMENTS // 4:
        padded(
            net, x, [0, 0, *(int(n) for n in net.rng.integers(0, 3, 4)), 0, net.choice((0, 0, 3))]
        )


def concatenation(net: RandomNetwork, x: Tensor) -> None:
    axis = int(net.rng.integers(len(x.shape)))
    if net.chance(0.7):  # where parts may be written in place
        axis = next((i for i, d in enumerate(x.shape) if d > 1), axis)

    def fits(t: Tensor) -> bool:
        same = len(t.shape) == len(x.shape)
        return same and all(a == b for i, (a, b) in enumerate(zip(t.shape, x.shape, strict=True)) if i != axis)  # fmt: skip

    parts = [x]
    for _ in range(net.choice((1, 1, 2))):
        part = net.pick(fits)
        parts.append(net.like(part or x, x.quantised))
    net.rng.shuffle(parts)
    shape = list(x.shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    if shape[0] != 1 or math.prod(shape) > MAX_ELEMENTS:
        return
    y = net.new(tuple(shape), x.quantised)
    net.operator("CONCATENATION", parts, [y], "ConcatenationOptions", Axis=axis)


def split(net: RandomNetwork, x: Tensor) -> None:
    axes = [(i, n) for i, d in enumerate(x.shape) for n in (2, 3, 4) if d % n == 0]
    if not axes:
        return
    axis, parts = net.choice(axes)
    shape = list(x.shape)
    shape[axis] //= parts
    outputs = [net.new(tuple(shape), x.quantised) for _ in range(parts)]
    a = net.integers([axis])
    net.operator("SPLIT", [a, x], outputs, "SplitOptions", NumSplits=parts)


def strided_slice(net: RandomNetwork, x: Tensor) -> None:
    if len(x.shape) > 4:
        return
    begin = [int(net.rng.integers(d)) if net.chance(0.5) else 0 for d in x.shape]
    end = [int(net.rng.integers(b, d)) + 1 if net.chance(0.5) else d for b, d in zip(begin, x.shape, strict=True)]  # fmt: skip
    step = [net.choice((1, 1, 1, 2)) for _ in x.shape]
    cut = [range(b, e, s) for b, e, s in zip(begin, end, step, strict=True)]
    y = net.new(tuple(len(r) for r in cut), x.quantised)
    limits = [net.integers(v) for v in (begin, end, step)]
    net.operator("STRIDED_SLICE", [x, *limits], [y], "StridedSliceOptions")


def transpose(net: RandomNetwork, x: Tensor) -> None:
    order = [0, *(int(i) for i in 1 + net.rng.permutation(len(x.shape) - 1))]
    y = net.new(tuple(x.shape[i] for i in order), x.quantised)
    net.operator("TRANSPOSE", [x, net.integers(order)], [y], "TransposeOptions")


GROW: dict[str, Callable[[RandomNetwork, Tensor], None]] = {
    **{f"convolution {i}": convolution for i in range(6)},
    **{f"binary {i}": binary for i in range(3)},
    **{f"concatenation {i}": concatenation for i in range(2)},
    **{f"unary {i}": unary for i in range(2)},
    "fully_connected": fully_connected,
    "mean": mean,
    "pad": pad,
    "pool": pool,
    "reshape": reshape,
    "softmax": softmax,
    "split": split,
    "strided_slice": strided_slice,
    "transpose": transpose,
}
