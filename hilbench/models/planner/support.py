"""Refuses what the built-in runtime cannot run, before anything is flashed.

Here: operators, tensor types, counts, constness, quantisation of activations. Shapes that contradict
each other and options without a kernel are refused where the operator is lowered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hilbench.errors import ModelError, UnsupportedOperatorError
from hilbench.models.planner.graph import contradiction, operator_text
from hilbench.models.planner.quantise import INT8_MAX, INT8_MIN
from hilbench.models.tflite_file import TfliteModel, TfliteOperator, TfliteTensor

SAME_TYPES: Final = (("int8", "int8"), ("float32", "float32"))


@dataclass(frozen=True)
class Signature:
    """What an operator may look like: ``activations`` inputs come first, constants after them."""

    activations: int = 1
    constants: tuple[int, int] = (0, 0)  # at least, at most
    types: tuple[tuple[str, str], ...] = SAME_TYPES  # (input, output)


SUPPORTED: Final = {
    "ADD": Signature(activations=2),
    "AVERAGE_POOL_2D": Signature(),
    "CONV_2D": Signature(constants=(1, 2)),
    "DEPTHWISE_CONV_2D": Signature(constants=(1, 2)),
    "DEQUANTIZE": Signature(types=(("int8", "float32"),)),
    "FULLY_CONNECTED": Signature(constants=(1, 2)),
    "MAX_POOL_2D": Signature(),
    "MEAN": Signature(constants=(1, 1)),
    "QUANTIZE": Signature(types=(("float32", "int8"), ("int8", "int8"))),
    "RELU": Signature(),
    "RELU6": Signature(),
    "RESHAPE": Signature(constants=(0, 1)),
    "SOFTMAX": Signature(),
}
WEIGHTED: Final = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_BIAS: Final = {"int8": "int32", "float32": "float32"}


def unsupported(
    model: TfliteModel, operator: TfliteOperator, what: str
) -> UnsupportedOperatorError:
    """Return the error for something without a kernel: operator, index, types, what there is."""
    return UnsupportedOperatorError(
        f"{model.path}: {operator_text(model, operator)}: {what}; the built-in runtime has "
        f"{', '.join(SUPPORTED)} in int8 and float32: convert the model to full int8 or float32 "
        "with these operators, or use another runtime"
    )


def check_model(model: TfliteModel) -> None:
    """Check that every operator of a model has a kernel.

    Raises:
        UnsupportedOperatorError: an operator has none.
        ModelError: an operator's tensors contradict each other, or several inputs or outputs.
    """
    for what, indices in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(indices) != 1:
            raise ModelError(
                f"{model.path}: {len(indices)} {what}, the built-in runtime takes models with 1; "
                "export a model with one input and one output, or use another runtime"
            )
    for operator in model.operators:
        _check_operator(model, operator)
    _check_order(model)


def _check_operator(model: TfliteModel, operator: TfliteOperator) -> None:
    signature = SUPPORTED.get(operator.name)
    if signature is None:
        raise unsupported(model, operator, "no kernel")
    least = signature.activations + signature.constants[0]
    most = signature.activations + signature.constants[1]
    if not least <= len(operator.inputs) <= most or len(operator.outputs) != 1:
        raise contradiction(model, operator, "wrong number of inputs or outputs")
    if min(operator.inputs[:least] + operator.outputs) < 0:
        raise contradiction(model, operator, "a tensor is missing")
    output = model.tensors[operator.outputs[0]]
    for index in operator.inputs[: signature.activations]:
        tensor = model.tensors[index]
        if tensor.data is not None:
            raise unsupported(model, operator, "no kernel for a constant in this place")
        if (tensor.dtype, output.dtype) not in signature.types:
            raise unsupported(model, operator, "no kernel for these types")
        _check_quantisation(model, operator, tensor)
    _check_quantisation(model, operator, output)
    for index in operator.inputs[signature.activations :]:
        if index >= 0 and model.tensors[index].data is None:
            raise unsupported(
                model, operator, "no kernel for weights or shapes computed at run time"
            )
    if operator.name in WEIGHTED:
        _check_weights(model, operator)


def _check_quantisation(model: TfliteModel, operator: TfliteOperator, tensor: TfliteTensor) -> None:
    if tensor.dtype != "int8":
        return
    if tensor.scales.size != 1 or not INT8_MIN <= tensor.zero_points[0] <= INT8_MAX:
        raise contradiction(
            model, operator, f"tensor {tensor.index} is int8 without one scale and int8 zero point"
        )


def _check_weights(model: TfliteModel, operator: TfliteOperator) -> None:
    dtype = model.tensors[operator.inputs[0]].dtype
    weights = model.tensors[operator.inputs[1]]
    if weights.dtype != dtype:
        raise unsupported(model, operator, "no kernel for these types")
    if dtype == "int8":
        if weights.scales.size == 0:
            raise contradiction(model, operator, "int8 weights without a scale")
        if np.any(weights.zero_points != 0):
            raise unsupported(model, operator, "no kernel for weights with a zero point")
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:  # noqa: PLR2004
        bias = model.tensors[operator.inputs[2]]
        if bias.dtype != _BIAS[dtype]:
            raise unsupported(model, operator, "no kernel for these types")


def _check_order(model: TfliteModel) -> None:
    """Every tensor is written once, before it is read."""
    written = set(model.inputs)
    for operator in model.operators:
        activations = SUPPORTED[operator.name].activations
        if not written.issuperset(operator.inputs[:activations]):
            raise contradiction(model, operator, "it reads a tensor that nothing has written")
        if operator.outputs[0] in written or model.tensors[operator.outputs[0]].data is not None:
            raise contradiction(model, operator, "it writes a tensor that has a value already")
        written.add(operator.outputs[0])
    if not written.issuperset(model.outputs):
        raise ModelError(f"{model.path}: no operator writes the output; export the model again")
