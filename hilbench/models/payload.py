"""What a board with TensorFlow Lite Micro is sent as its model: the .tflite file itself.

The built-in runtime executes plans. TensorFlow Lite Micro reads .tflite files, plans their memory on
the board, and runs the operators one by one as they stand in the file.
"""

from __future__ import annotations

from typing import Final

from hilbench.models.tflite_file import TfliteModel, TfliteOperator
from hilbench.records import Payload, PlannedOperator

TFLM_RUNTIME: Final = "tflm "  # how the name of such a runtime begins in HELLO
_WEIGHTS: Final = 1  # among an operator's inputs
_WEIGHTED: Final = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})


def takes_tflite(runtime: str) -> bool:
    """Return whether a runtime, as HELLO states it, reads .tflite files instead of plans."""
    return runtime.startswith(TFLM_RUNTIME)


def tflite_payload(model: TfliteModel, plan: Payload) -> Payload:
    """Return a .tflite file as what a board executes.

    Args:
        model: from ``hilbench.models.tflite_file.read_model``.
        plan: of the same model: its inputs and outputs are the same.
    """
    return Payload(
        data=model.data,
        sha256=model.sha256,
        arena_bytes=None,
        inputs=plan.inputs,
        outputs=plan.outputs,
        operators=tuple(
            PlannedOperator(
                operator.index,
                operator.name,
                operator.name.lower(),
                _macs(model, operator),
                model.tensors[operator.outputs[0]].shape,
            )
            for operator in model.operators
        ),
    )


def _macs(model: TfliteModel, operator: TfliteOperator) -> int:
    """Every weight is used once per place of the output: a pixel, or a row of a matrix."""
    if operator.name not in _WEIGHTED:
        return 0
    output = model.tensors[operator.outputs[0]]
    return model.tensors[operator.inputs[_WEIGHTS]].elements * output.elements // output.shape[-1]
