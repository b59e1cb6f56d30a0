"""What the planner refuses of operators with weights, windows and axes, and of broken graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import operator_models as models
from builders.tflite_builder import ModelBuilder
from hilbench.errors import ModelError, UnsupportedOperatorError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model

NAME = Path("some.tflite")
Q = {"scale": 0.1, "zero_point": 1}
WINDOW = {"Padding": "SAME", "StrideH": 1, "StrideW": 1}
POOL = {**WINDOW, "FilterHeight": 2, "FilterWidth": 2}


def refused(data: bytes, error: type[ModelError] = ModelError) -> str:
    with pytest.raises(error) as caught:
        plan_model(parse_model(data, NAME))
    assert type(caught.value) is error
    return str(caught.value).split(": ", 2)[2].split("; ")[0]


def convolution(
    weights: tuple[int, ...] = (3, 3, 3, 2),
    *,
    x: tuple[int, ...] = (1, 4, 4, 2),
    y: tuple[int, ...] = (1, 4, 4, 3),
    bias: int = 3,
    quantised: dict[str, Any] | None = None,
    name: str = "CONV_2D",
) -> bytes:
    model = ModelBuilder()
    data = np.ones(weights, np.int8)
    quantised = {"scale": [0.1] * 3} if quantised is None else quantised
    inputs = [model.tensor(x, "int8", **Q), model.tensor(weights, "int8", data=data, **quantised)]
    inputs.append(model.tensor((bias,), "int32", data=np.ones(bias, np.int32)))
    out = model.tensor(y, "int8", **Q)
    table = "Conv2DOptions" if name == "CONV_2D" else "DepthwiseConv2DOptions"
    model.operator(name, inputs, [out], table, **WINDOW)
    return model.build(inputs[:1], [out])


def dense(shape: tuple[int, ...] = (3, 4), dtype: str = "int8", **options: str) -> bytes:
    model = ModelBuilder()
    x, y = model.tensor((1, 5), "int8", **Q), model.tensor((1, 3), "int8", **Q)
    w = model.tensor(shape, dtype, data=np.ones(shape, dtype), scale=0.1)
    model.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", **options)
    return model.build([x], [y])


def operator(
    name: str,
    shapes: list[tuple[int, ...]],
    *,
    scales: tuple[float, ...] = (0.1, 0.1),
    dtype: str = "int8",
    constants: tuple[np.ndarray, ...] = (),
    table: str | None = None,
    **options: Any,
) -> bytes:
    """One input, one output."""
    model = ModelBuilder()
    x, y = (
        model.tensor(s, dtype, **({"scale": k} if dtype == "int8" else {}))
        for s, k in zip(shapes, scales, strict=True)
    )
    inputs = [x, *(model.tensor(c.shape, str(c.dtype), data=c) for c in constants)]
    model.operator(name, inputs, [y], table, **options)
    return model.build([x], [y])


def pool(shapes: list[tuple[int, ...]], **kwargs: Any) -> bytes:
    return operator("MAX_POOL_2D", shapes, table="Pool2DOptions", **POOL, **kwargs)


def mean(axes: np.ndarray, shapes: list[tuple[int, ...]]) -> bytes:
    return operator("MEAN", shapes, constants=(axes,), table="ReducerOptions")


SQUARE = (1, 4, 4, 2)
CASES = [
    (convolution((3, 3, 3, 1)), UnsupportedOperatorError, "no kernel for grouped convolution"),
    (convolution((3, 3, 3)), ModelError, "weights need rank 4"),
    (convolution(y=(1, 4, 4, 5)), ModelError, "output channels differ"),
    (convolution(bias=2), ModelError, "bias does not fit"),
    (convolution(quantised={}), ModelError, "int8 weights without a scale"),
    (
        convolution(quantised={"scale": [0.1] * 2}),
        ModelError,
        "2 weight scales for 3 channels",
    ),
    (
        convolution(quantised={"scale": [0.1] * 3, "zero_point": 1}),
        UnsupportedOperatorError,
        "no kernel for weights with a zero point",
    ),
    (
        convolution((1, 3, 3, 3), name="DEPTHWISE_CONV_2D"),
        ModelError,
        "weights do not fit",
    ),
    (dense(), ModelError, "weights do not fit"),
    (
        dense(WeightsFormat="SHUFFLED4x16INT8"),
        UnsupportedOperatorError,
        "no kernel for shuffled weights",
    ),
    (dense((3, 5), "int16"), UnsupportedOperatorError, "no kernel for these types"),
    (pool([SQUARE, (4, 4, 2)]), ModelError, "tensors need rank 4"),
    (pool([SQUARE, (1, 4, 4, 3)]), ModelError, "channels differ"),
    (
        pool([SQUARE, SQUARE], scales=(0.1, 0.2)),
        UnsupportedOperatorError,
        "no kernel for a pool that changes the scale",
    ),
    (
        pool([(1, 1, 65536, 1), (1, 1, 65536, 1)]),
        UnsupportedOperatorError,
        "no kernel for a dimension above 65535",
    ),
    (mean(np.array([1.0], np.float32), [(1, 4), (1,)]), ModelError, "axes are not int32"),
    (mean(np.array([2], np.int32), [(1, 4), (1,)]), ModelError, "axes [2] of 2 dimensions"),
    (
        mean(np.array([1], np.int32), [(1, 4), (1, 4)]),
        ModelError,
        "the output's shape does not follow from the axes",
    ),
    (
        mean(np.array([0], np.int32), [(9_000_000,), (1,)]),
        UnsupportedOperatorError,
        "no kernel for a mean of more than 8388608",
    ),
    (
        operator("SOFTMAX", [(1, 4), (4,)], table="SoftmaxOptions", Beta=1.0),
        ModelError,
        "shapes differ",
    ),
    (
        models.softmax(shape=(1, 4096)),
        UnsupportedOperatorError,
        "no kernel for a depth above 4095",
    ),
    (
        operator("SOFTMAX", [(1, 4), (1, 4)], table="SoftmaxOptions", Beta=1.0),
        UnsupportedOperatorError,
        "no kernel for an output other than 1/256 * (q + 128)",
    ),
    (operator("TANH", [(4,), (5,)], dtype="float32"), ModelError, "sizes differ"),
    (
        operator("TRANSPOSE", [(4,), (4,)], constants=(np.array([0.0], np.float32),)),
        ModelError,
        "input 1 is not a constant of integers",
    ),
    (operator("TRANSPOSE", [(4,), (4,)]), ModelError, "wrong number of inputs or outputs"),
    (
        models.unary("TANH", zero_points=(128, 0)),
        ModelError,
        "tensor 0 is int8 without one scale and int8 zero point",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("data", "error", "expected"), CASES, ids=[s for *_, s in CASES])
def test_refused(data, error, expected):
    assert refused(data, error) == expected


def chain(*operators: tuple[list[int], int], outputs: list[int] | None = None) -> bytes:
    """RELU or ADD between four tensors; the model's input is tensor 0."""
    model = ModelBuilder()
    for _ in range(4):
        model.tensor((1, 2), "float32")
    for inputs, output in operators:
        if len(inputs) == 1:
            model.operator("RELU", inputs, [output])
        else:
            model.operator("ADD", inputs, [output], "AddOptions")
    return model.build([0], outputs or [operators[-1][1]])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (chain(([1], 2)), "it reads a tensor that nothing has written"),
        (chain(([0], 1), ([0], 1)), "it writes a tensor that has a value already"),
        (chain(([0], 0)), "it writes a tensor that has a value already"),
        (chain(([0, -1], 1)), "a tensor is missing"),
    ],
)
def test_order(data, expected):
    assert refused(data) == expected


def test_an_output_that_nothing_writes():
    with pytest.raises(ModelError) as caught:
        plan_model(parse_model(chain(([0], 1), outputs=[2]), NAME))
    assert str(caught.value) == (
        "some.tflite: no operator writes the output; export the model again"
    )


def test_too_large_an_arena():
    data = operator("RELU", [(600_000_000,)] * 2, dtype="float32")
    with pytest.raises(ModelError) as caught:
        plan_model(parse_model(data, NAME))
    assert str(caught.value) == (
        "some.tflite: plan of 80 bytes and arena of 2400000000 bytes, the limit is 2147483647 bytes "
        "each; use a smaller model"
    )
