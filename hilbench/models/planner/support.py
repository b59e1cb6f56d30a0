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
    """What an operator may look like: ``activations`` inputs, and constants around them."""

    activations: int | None = 1  # None: any number, and nothing else
    constants: tuple[int, int] = (0, 0)  # at least, at most
    types: tuple[tuple[str, str], ...] = SAME_TYPES  # (input, output)
    first: int = 0  # position of the first activation
    operands: bool = False  # all activations but one may be constants
    outputs: int | None = 1  # None: any number

    def positions(self, operator: TfliteOperator) -> range:
        """Return which inputs are activations."""
        count = len(operator.inputs) if self.activations is None else self.activations
        return range(self.first, self.first + count)


_ACTIVATION: Final = Signature()
_BINARY: Final = Signature(activations=2, operands=True)
_WEIGHTED: Final = Signature(constants=(1, 2))

SUPPORTED: Final = {
    "ADD": _BINARY,
    "AVERAGE_POOL_2D": _ACTIVATION,
    "CONCATENATION": Signature(activations=None),
    "CONV_2D": _WEIGHTED,
    "DEPTHWISE_CONV_2D": _WEIGHTED,
    "DEQUANTIZE": Signature(types=(("int8", "float32"),)),
    "EXPAND_DIMS": Signature(constants=(1, 1)),
    "FULLY_CONNECTED": _WEIGHTED,
    "HARD_SWISH": _ACTIVATION,
    "LEAKY_RELU": _ACTIVATION,
    "LOGISTIC": _ACTIVATION,
    "MAXIMUM": _BINARY,
    "MAX_POOL_2D": _ACTIVATION,
    "MEAN": Signature(constants=(1, 1)),
    "MINIMUM": _BINARY,
    "MUL": _BINARY,
    "PAD": Signature(constants=(1, 1)),
    "PADV2": Signature(constants=(2, 2)),
    "QUANTIZE": Signature(types=(("float32", "int8"), ("int8", "int8"))),
    "RELU": _ACTIVATION,
    "RELU6": _ACTIVATION,
    "RELU_N1_TO_1": _ACTIVATION,
    "RESHAPE": Signature(constants=(0, 1)),
    "SLICE": Signature(constants=(2, 2)),
    "SOFTMAX": _ACTIVATION,
    "SPLIT": Signature(constants=(1, 1), first=1, outputs=None),
    "SPLIT_V": Signature(constants=(2, 2), outputs=None),
    "SQUEEZE": _ACTIVATION,
    "STRIDED_SLICE": Signature(constants=(3, 3)),
    "SUB": _BINARY,
    "TANH": _ACTIVATION,
    "TRANSPOSE": Signature(constants=(1, 1)),
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
        ModelError: an operator's tensors contradict each other.
    """
    for operator in model.operators:
        _check_operator(model, operator)
    _check_order(model)


def computed_inputs(model: TfliteModel, operator: TfliteOperator) -> tuple[int, ...]:
    """Return the inputs of a supported operator that are no constants."""
    signature = SUPPORTED[operator.name]
    inputs = [operator.inputs[i] for i in signature.positions(operator)]
    if signature.operands:
        inputs = [i for i in inputs if model.tensors[i].data is None]
    return tuple(inputs)


def _check_operator(model: TfliteModel, operator: TfliteOperator) -> None:
    signature = SUPPORTED.get(operator.name)
    if signature is None:
        raise unsupported(model, operator, "no kernel")
    positions = signature.positions(operator)
    least, most = (len(positions) + n for n in signature.constants)
    outputs = len(operator.outputs) if signature.outputs is None else signature.outputs
    if not max(least, 1) <= len(operator.inputs) <= most or len(operator.outputs) != max(
        outputs, 1
    ):
        raise contradiction(model, operator, "wrong number of inputs or outputs")
    if min(operator.inputs[:least] + operator.outputs) < 0:
        raise contradiction(model, operator, "a tensor is missing")
    computed = computed_inputs(model, operator)
    if not computed or any(model.tensors[i].data is not None for i in computed):
        raise unsupported(model, operator, "no kernel for a constant in this place")
    for output in operator.outputs:
        _check_types(model, operator, signature, positions, model.tensors[output])
    for position, index in enumerate(operator.inputs):
        if position not in positions and index >= 0 and model.tensors[index].data is None:
            raise unsupported(
                model, operator, "no kernel for weights or shapes computed at run time"
            )
    if operator.name in WEIGHTED:
        _check_weights(model, operator)


def _check_types(
    model: TfliteModel,
    operator: TfliteOperator,
    signature: Signature,
    positions: range,
    output: TfliteTensor,
) -> None:
    for position in positions:
        tensor = model.tensors[operator.inputs[position]]
        if (tensor.dtype, output.dtype) not in signature.types:
            raise unsupported(model, operator, "no kernel for these types")
        _check_quantisation(model, operator, tensor)
    _check_quantisation(model, operator, output)


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
    if weights.dtype not in {dtype, "int8"}:
        raise unsupported(model, operator, "no kernel for these types")
    if weights.dtype == "int8":
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
    if len(written) != len(model.inputs):
        raise ModelError(f"{model.path}: one tensor is two inputs; export the model again")
    for operator in model.operators:
        if not written.issuperset(computed_inputs(model, operator)):
            raise contradiction(model, operator, "it reads a tensor that nothing has written")
        for output in operator.outputs:
            if output in written or model.tensors[output].data is not None:
                raise contradiction(model, operator, "it writes a tensor that has a value already")
            written.add(output)
    if not written.issuperset(model.outputs):
        raise ModelError(f"{model.path}: no operator writes the output; export the model again")
