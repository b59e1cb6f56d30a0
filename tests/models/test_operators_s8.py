"""int8 operators beyond convolutions against TensorFlow Lite Micro, bit by bit, over grids."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from builders.host_runtime import HostRuntime
from hilbench.models.oracle import HostReference, TflmOracle
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model
from hilbench.records import Plan

pytestmark = pytest.mark.firmware

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
EVERY_INT8 = np.arange(-128, 128).astype(np.int8)[None]
BINARY = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")


def plan(data: bytes) -> Plan:
    return plan_model(parse_model(data, Path("generated.tflite")))


def vectors(shape: tuple[int, ...], seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).integers(-128, 128, (6, *shape)).astype(np.int8)
    x[2], x[3] = (-128, 127) if seed % 2 else (127, -128)
    x[4] = np.where(x[4] < 0, -128, 127)
    return x


def assert_bit_exact(data: bytes, runtime: HostRuntime, oracle: TflmOracle | HostReference) -> Plan:
    planned = plan(data)
    inputs = [vectors(tensor.shape, seed) for seed, tensor in enumerate(planned.inputs)]
    outputs = runtime.run_many(planned, inputs)
    for y, expected in zip(outputs, oracle.run_many(data, inputs), strict=True):
        np.testing.assert_array_equal(y, expected.reshape(y.shape))
    return planned


# --- tables -------------------------------------------------------------------------------------


def scales_and_zero_points(n: int, *, ratio: tuple[float, float]) -> list[tuple]:
    """Scales over 2^-20..2^3, their ratios over the given powers, zero points at the extremes."""
    rng = np.random.default_rng(n)
    found = []
    for _ in range(n):
        scale = np.float32(2 ** rng.uniform(-20, 3))
        target = np.float32(scale * 2 ** rng.uniform(*ratio))
        zero_points = [int(rng.choice([-128, 127, 0, rng.integers(-128, 128)])) for _ in range(2)]
        found.append(((float(scale), float(target)), tuple(zero_points)))
    return found


def assert_table(data: bytes, runtime, oracle) -> None:
    y = runtime.run(plan(data), EVERY_INT8)
    np.testing.assert_array_equal(y, oracle.run(data, EVERY_INT8).reshape(y.shape))


@pytest.mark.parametrize(
    ("name", "target"), [("LOGISTIC", (1 / 256, -128)), ("TANH", (1 / 128, 0))]
)
def test_logistic_and_tanh_of_every_input(name, target, runtime, tflm):
    for (scale, _), (zero_point, _) in scales_and_zero_points(120, ratio=(0, 0)):
        scales, zero_points = (scale, target[0]), (zero_point, target[1])
        data = models.unary(name, scales=scales, zero_points=zero_points)
        assert_table(data, runtime, tflm)


def test_hard_swish_of_every_input(runtime, tflm):
    for scales, zero_points in scales_and_zero_points(120, ratio=(-6.9, 8.9)):
        data = models.unary("HARD_SWISH", scales=scales, zero_points=zero_points)
        assert_table(data, runtime, tflm)


@pytest.mark.parametrize("alpha", [0.1, 0.0, 1.7, -0.3])
def test_leaky_relu_of_every_input(alpha, runtime, tflm):
    for scales, zero_points in scales_and_zero_points(40, ratio=(-4, 6)):
        data = models.unary("LEAKY_RELU", scales=scales, zero_points=zero_points, alpha=alpha)
        assert_table(data, runtime, tflm)


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.5])
def test_leaky_relu_where_float32_would_round_factors_to_ties(alpha, runtime, tflm):
    for target, p in itertools.product((0.05, 0.1, 0.02, 0.7), (1, 3, 20, 85)):
        data = models.unary("LEAKY_RELU", scales=(p / 256, target), zero_points=(0, 0), alpha=alpha)
        assert_table(data, runtime, tflm)


@pytest.mark.parametrize("name", ["QUANTIZE", "RELU"])
def test_rescaled_of_every_input(name, runtime, tflm):
    for scales, zero_points in scales_and_zero_points(60, ratio=(-6, 12)):
        data = models.unary(name, scales=scales, zero_points=zero_points)
        assert_table(data, runtime, tflm)


@pytest.mark.parametrize("zero_point", [-128, -7, 0, 127])
def test_relu_n1_to_1_alone(zero_point, runtime, reference):
    """TensorFlow Lite Micro does not have it."""
    for scale in (0.003, 0.01, 0.5):
        scales, zero_points = (scale, scale), (zero_point, zero_point)
        data = models.unary("RELU_N1_TO_1", scales=scales, zero_points=zero_points)
        assert_table(data, runtime, reference)


# --- two operands -------------------------------------------------------------------------------

SHAPES = [
    ((1, 4, 5, 3), (1, 4, 5, 3)),
    ((1, 4, 5, 3), (3,)),
    ((1, 4, 5, 3), (1, 1, 1, 1)),
    ((1, 1, 5, 1), (1, 4, 1, 3)),
    ((2, 1, 3), (2, 4, 1)),
    ((7,), (1, 3, 7)),
]


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("constant", [None, 0, 1])
def test_broadcasting_and_constants(name, shapes, constant, runtime, tflm):
    scales, zero_points = (0.05, 0.02, 0.06), (3, -7, 11)
    if name in {"MAXIMUM", "MINIMUM"}:
        scales, zero_points = (0.05,) * 3, (3,) * 3
    data = models.binary(
        name, shapes=shapes, constant=constant, scales=scales, zero_points=zero_points
    )
    assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "zero_points", [(-128, -128, -128), (127, 127, 127), (-128, 127, 0), (0, -128, 127)]
)
def test_two_operands_at_the_extremes(name, activation, zero_points, runtime, tflm):
    for scales in ((0.05, 0.02, 0.06), (2**-20, 1.0, 0.9), (1.0, 2**-20, 0.01), (0.5, 0.25, 1.0)):
        data = models.binary(
            name, scales=scales, zero_points=zero_points, activation=activation,
            shapes=((1, 4, 5, 3), (1, 1, 5, 3)),
        )  # fmt: skip
        assert_bit_exact(data, runtime, tflm)


def test_two_operands_over_random_scales(runtime, tflm):
    rng = np.random.default_rng(3)
    for name in ("ADD", "SUB", "MUL"):
        for _ in range(40):
            a, b = (float(np.float32(2 ** rng.uniform(-20, 0))) for _ in range(2))
            target = (a * b if name == "MUL" else max(a, b)) * 2 ** rng.uniform(-3, 9)
            zero_points = tuple(int(z) for z in rng.integers(-128, 128, 3))
            scales = (a, b, target)
            data = models.binary(name, scales=scales, zero_points=zero_points)
            assert_bit_exact(data, runtime, tflm)
            data = models.binary(
                name, scales=scales, zero_points=zero_points, shapes=((256,), (1,)), constant=1
            )
            assert_table(data, runtime, tflm)


def test_equal_operands_and_constants_choose_their_kernels():
    def kernels(**kwargs) -> list[str]:
        return [o.kernel for o in plan(models.binary("ADD", **kwargs)).operators]

    assert kernels() == ["add_s8"]
    assert kernels(constant=1) == kernels(shapes=SHAPES[1]) == ["binary_s8"]
    assert kernels(shapes=SHAPES[2], constant=1) == ["lut_s8"]


# --- moving data --------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, 0, 1, 2, 3])
def test_concatenation(axis, runtime, tflm):
    shapes = [[1, 4, 5, 3] for _ in range(3)]
    for i, shape in enumerate(shapes):
        shape[axis] += i
    assert_bit_exact(models.concatenation(tuple(map(tuple, shapes)), axis), runtime, tflm)


@pytest.mark.parametrize(("axis", "parts"), [(1, 2), (2, 3), (3, 4), (-2, 6), (0, 1)])
def test_split(axis, parts, runtime, tflm):
    assert_bit_exact(models.split((1, 4, 6, 8), axis, parts), runtime, tflm)


def test_split_into_sizes(runtime, tflm):
    assert_bit_exact(models.split_v((1, 7, 5), 1, [2, 4, 1]), runtime, tflm)
    assert_bit_exact(models.split_v((1, 7, 5), 2, [1, 4]), runtime, tflm)


@pytest.mark.parametrize(
    "order", [p for n in (2, 3, 4) for p in itertools.permutations(range(n))], ids=str
)
def test_transpose(order, runtime, tflm):
    shape = (2, 3, 5, 4)[: len(order)]
    assert_bit_exact(models.transpose(shape, list(order)), runtime, tflm)


@pytest.mark.parametrize(
    ("cut", "out_shape", "masks"),
    [
        (([0, 1, 2, 0], [1, 5, 6, 3], [1, 1, 1, 1]), (1, 4, 4, 3), {}),
        (([0, 0, 1, 0], [1, 6, 6, 3], [1, 2, 3, 2]), (1, 3, 2, 2), {}),
        (([0, 5, 0, 2], [1, 0, 6, 0], [1, -2, 1, -1]), (1, 3, 6, 2), {}),
        (
            ([0, -1, 0, -1], [0, -7, 0, -4], [1, -1, 1, -1]),
            (1, 6, 6, 3),
            {"BeginMask": 5, "EndMask": 5},
        ),
        (([0, 2, 3, 0], [1, 3, 4, 3], [1, 1, 1, 1]), (1, 3), {"ShrinkAxisMask": 6}),
        (([0, -2, 0, 0], [1, -1, 6, 3], [1, 1, 1, 1]), (1, 6, 3), {"ShrinkAxisMask": 2}),
        (([9, -9, 0, 0], [99, 99, 99, 99], [1, 1, 1, 1]), (1, 6, 6, 3), {"BeginMask": 1}),
    ],
)
def test_strided_slice(cut, out_shape, masks, runtime, tflm):
    data = models.strided_slice((1, 6, 6, 3), cut, out_shape, **masks)
    assert_bit_exact(data, runtime, tflm)


def test_slice(runtime, tflm):
    constants = ((1, [0, 1, 2]), (2, [1, -1, 3]))
    data = models.moving("SLICE", "int8", ((1, 4, 6),), ((1, 3, 3),), constants=constants)
    assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("zero_point", [-128, -9, 0, 127])
@pytest.mark.parametrize(
    "amounts",
    [[0] * 8, [0, 0, 1, 1, 1, 1, 0, 0], [0, 0, 0, 2, 3, 0, 1, 0], [1, 0, 0, 0, 0, 0, 2, 2]],
)
def test_pad(amounts, zero_point, runtime, tflm):
    for value in (None, 77):
        data = models.pad((1, 4, 5, 3), amounts, value=value, zero_point=zero_point)
        assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize(
    "axes", [a for n in (1, 2, 3, 4) for a in itertools.combinations(range(4), n)]
)
@pytest.mark.parametrize("keep", [False, True])
def test_mean_over_any_axes(axes, keep, runtime, tflm):
    for shape in ((2, 5, 3, 4), (1, 5, 1, 7)):
        assert_bit_exact(models.mean(shape=shape, axes=axes, keep=keep), runtime, tflm)


@pytest.mark.parametrize("zero_point", [-128, -9, 127])
@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize(
    "amounts",
    [[0, 0, 1, 1, 1, 1, 0, 0], [0, 0, 0, 1, 0, 1, 0, 0], [0, 0, 2, 0, 1, 2, 0, 0]],
)
def test_padding_joins_the_convolution(amounts, depthwise, zero_point, runtime, tflm):
    for stride in (1, 2):
        data = models.padded_convolution(
            amounts, depthwise=depthwise, stride=stride, zero_point=zero_point
        )
        planned = assert_bit_exact(data, runtime, tflm)
        assert [o.name for o in planned.operators] == [
            "PAD+DEPTHWISE_CONV_2D" if depthwise else "PAD+CONV_2D"
        ]


@pytest.mark.parametrize(
    "data",
    [
        models.pad((1, 7, 6, 3), [0, 0, 1, 1, 1, 1, 0, 1]),  # channels, too
        models.padded_convolution([0, 0, 3, 3, 0, 0, 0, 0]),  # a window in the padding alone
    ],
    ids=["channels", "window"],
)
def test_padding_that_stays(data, runtime, tflm):
    planned = assert_bit_exact(data, runtime, tflm)
    assert planned.operators[0].name == "PAD"
