"""What the planner refuses of the operators that move data, join two operands or are tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from builders.tflite_builder import ModelBuilder
from hilbench.errors import ModelError, UnsupportedOperatorError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model


def refused(data: bytes, error: type[ModelError]) -> str:
    """The sentence between the operator and what the runtime has, or what to do."""
    with pytest.raises(error) as caught:
        plan_model(parse_model(data, Path("some.tflite")))
    assert type(caught.value) is error
    message = str(caught.value)
    assert message.startswith("some.tflite: operator 0 ")
    assert message.endswith(
        "or use another runtime"
        if error is UnsupportedOperatorError
        else ("; export the model again", "; quantise the model again")
    )
    return message.split(": ")[2].split("; ", maxsplit=1)[0]


def moving(name: str, shape: tuple[int, ...], out: tuple[int, ...], *constants, **options) -> bytes:
    return models.moving(name, "int8", (shape,), (out,), constants=constants, **options)


STRIDED = {"table": "StridedSliceOptions"}
SAME = {"scales": (0.05,) * 3, "zero_points": (0,) * 3}

UNSUPPORTED = [
    (
        models.binary("MAXIMUM"),
        "no kernel for a maximum or minimum of different scales",
    ),
    (
        models.binary("ADD", shapes=((2, 1, 2, 1, 2), (1, 2, 1, 2, 1))),
        "no kernel for broadcasting over more than 4 axes",
    ),
    (models.binary("MUL", activation="TANH"), "no kernel for its fused activation TANH"),
    (
        models.unary("RELU6", scales=(0.05, 0.04)),
        "no kernel for a RELU6 that changes the scale",
    ),
    (models.unary("LOGISTIC"), "no kernel for an output other than 1/256 * (q + 128)"),
    (models.unary("TANH"), "no kernel for an output other than 1/128 * q"),
    (
        moving("CONCATENATION", (1, 2), (1, 2), table="ConcatenationOptions", Axis=1,
               FusedActivationFunction="RELU"),
        "no kernel for its fused activation",
    ),
    (
        moving("STRIDED_SLICE", (4,), (1, 4), (1, [0, 0]), (2, [0, 4]), (3, [1, 1]), **STRIDED,
               NewAxisMask=1),
        "no kernel for an ellipsis, a new axis or an offset",
    ),
    (
        models.transpose((2, 3, 2, 3, 2, 3), [5, 4, 3, 2, 1, 0]),
        "no kernel for a copy over more than 5 axes",
    ),
    (
        models.mean(shape=(2, 2, 2, 2, 2, 2), axes=(1, 3, 5)),
        "no kernel for a mean over axes [1, 3, 5]",
    ),
    (
        models.fully_connected(1, "float32", hybrid=True, per_channel=True),
        "no kernel for float activations and int8 weights of several scales",
    ),
]  # fmt: skip
CONTRADICTIONS = [
    (
        models.concatenation(((1, 2), (2, 2)), 1),
        "the output's shape does not follow from the inputs",
    ),
    (
        moving("CONCATENATION", (1, 2), (1, 2), table="ConcatenationOptions", Axis=2),
        "axis 2 of 2 dimensions",
    ),
    (models.split_v((1, 7), 1, [2, 4]), "the outputs' shapes do not follow from the input"),
    (
        moving("SPLIT_V", (4,), (4,), (1, [4]), (2, [0, 0]), table="SplitVOptions", NumSplits=1),
        "2 axes, must be one",
    ),
    (
        moving("TRANSPOSE", (2, 3), (2, 3), (1, [1, 0])),
        "the output's shape does not follow from the permutation",
    ),
    (
        moving("SLICE", (4,), (2,), (1, [0, 0]), (2, [2])),
        "begin and size do not fit the input",
    ),
    (
        moving("SLICE", (4,), (2,), (1, [3]), (2, [2])),
        "the output's shape does not follow from the options",
    ),
    (
        moving("STRIDED_SLICE", (4,), (2,), (1, [0, 0]), (2, [2]), (3, [1]), **STRIDED),
        "begin, end and strides do not fit the input",
    ),
    (
        moving("STRIDED_SLICE", (4,), (2,), (1, [0]), (2, [2]), (3, [0]), **STRIDED),
        "a stride of 0",
    ),
    (
        moving("STRIDED_SLICE", (4,), (2,), (1, [3]), (2, [2]), (3, [1]), **STRIDED),
        "a slice without elements",
    ),
    (
        moving("STRIDED_SLICE", (4,), (3,), (1, [0]), (2, [2]), (3, [1]), **STRIDED),
        "the output's shape does not follow from the options",
    ),
    (moving("PAD", (4, 1), (4, 1), (1, [0, 0])), "paddings do not fit the input"),
    (
        moving("PAD", (4,), (4,), (1, [0, 1])),
        "the output's shape does not follow from the paddings",
    ),
    (moving("SQUEEZE", (1, 4), (5,)), "it changes size or quantisation"),
    (
        models.unary("HARD_SWISH", scales=(1.0, 0.001)),
        "the output scale is not between 1/128 and 512 times the input scale",
    ),
    (
        models.unary("HARD_SWISH", scales=(1e-8, 1e-8)),
        "the input scale is 1e-08, the limit is 3 * 2^-24",
    ),
    (
        models.unary("TANH", scales=(2.0**-30, 1 / 128), zero_points=(0, 0)),
        "the input scale is 9.31323e-10, the limit is 2^-28",
    ),
]


@pytest.mark.parametrize(("data", "expected"), UNSUPPORTED, ids=[s for _, s in UNSUPPORTED])
def test_no_kernel(data, expected):
    assert refused(data, UnsupportedOperatorError) == expected


@pytest.mark.parametrize(("data", "expected"), CONTRADICTIONS, ids=[s for _, s in CONTRADICTIONS])
def test_contradiction(data, expected):
    assert refused(data, ModelError) == expected


def test_a_copy_between_scales():
    model = ModelBuilder()
    x = model.tensor((2, 3), "int8", scale=0.1)
    y = model.tensor((3, 2), "int8", scale=0.2)
    order = model.tensor((2,), "int32", data=np.array([1, 0], np.int32))
    model.operator("TRANSPOSE", [x, order], [y])
    data = model.build([x], [y])
    assert refused(data, UnsupportedOperatorError) == "no kernel for a copy that changes the scale"


def test_a_padding_value_of_another_scale():
    model = ModelBuilder()
    x, y = (model.tensor((n,), "int8", scale=0.1) for n in (2, 3))
    amounts = model.tensor((1, 2), "int32", data=np.array([[0, 1]], np.int32))
    value = model.tensor((1,), "int8", scale=0.2, data=np.array([1], np.int8))
    model.operator("PADV2", [x, amounts, value], [y])
    expected = "no kernel for a padding value of another quantisation"
    assert refused(model.build([x], [y]), UnsupportedOperatorError) == expected


def test_a_constant_among_the_parts():
    model = ModelBuilder()
    x, y = (model.tensor((n,), "int8", scale=0.1) for n in (2, 4))
    c = model.tensor((2,), "int8", scale=0.1, data=np.array([1, 2], np.int8))
    model.operator("CONCATENATION", [x, c], [y], "ConcatenationOptions", Axis=0)
    expected = "no kernel for a constant in this place"
    assert refused(model.build([x], [y]), UnsupportedOperatorError) == expected


def test_two_constants():
    model = ModelBuilder()
    x, y = (model.tensor((2,), "int8", scale=0.1) for _ in range(2))
    a, b = (model.tensor((2,), "int8", scale=0.1, data=np.ones(2, np.int8)) for _ in range(2))
    model.operator("ADD", [a, b], [y], "AddOptions")
    expected = "no kernel for a constant in this place"
    assert refused(model.build([x], [y]), UnsupportedOperatorError) == expected


def test_a_permutation_that_is_computed():
    model = ModelBuilder()
    x, y = model.tensor((2, 3), "int8", scale=0.1), model.tensor((3, 2), "int8", scale=0.1)
    order = model.tensor((2,), "int32")
    model.operator("TRANSPOSE", [x, order], [y])
    expected = "no kernel for weights or shapes computed at run time"
    assert refused(model.build([x, order], [y]), UnsupportedOperatorError) == expected


def test_one_tensor_as_two_inputs():
    model = ModelBuilder()
    x, y = (model.tensor((2,), "float32") for _ in range(2))
    model.operator("ADD", [x, x], [y], "AddOptions")
    with pytest.raises(ModelError) as caught:
        plan_model(parse_model(model.build([x, x], [y]), Path("some.tflite")))
    assert str(caught.value) == "some.tflite: one tensor is two inputs; export the model again"


def test_mutated_models_are_planned_or_refused():
    """Any byte of a model may be wrong: it is planned all the same, or refused by type."""
    originals = [data for data, _ in UNSUPPORTED + CONTRADICTIONS]
    originals += [
        models.binary("SUB", shapes=((2, 3, 4), (3, 1)), constant=1),
        models.concatenation(((1, 4, 3), (1, 4, 5)), 2),
        models.split((1, 4, 6), 2, 3),
        models.pad((1, 4, 5), [0, 0, 1, 1, 2, 0], value=7),
        models.padded_convolution([0, 0, 1, 1, 1, 1, 0, 0]),
        models.mean(shape=(2, 5, 3, 4), axes=(1, 3)),
        models.convolution(1, "float32", hybrid=True),
    ]
    rng = np.random.default_rng(4)
    planned = 0
    for _ in range(1500):
        data = bytearray(originals[rng.integers(len(originals))])
        for at in rng.integers(8, len(data), rng.integers(1, 4)):
            data[at] = rng.choice([data[at] ^ (1 << rng.integers(8)), rng.integers(256), 0, 255])
        try:
            plan_model(parse_model(bytes(data), Path("some.tflite")))
        except ModelError:
            continue
        planned += 1
    assert 50 < planned < 1000
