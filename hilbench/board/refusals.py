"""Why a board refused a model, in the words of its runtime."""

from __future__ import annotations

from typing import Final

from hilbench.errors import DeviceError
from hilbench.protocol.messages import HelloReply

PLAN_RUNTIME = "plan "  # how the built-in runtime's name begins
_NO_KERNEL = "kind"
_MISSING: Final = 7
_EXPORT = "export the model again"
_FULL_INT8 = "convert the model to full int8, or choose another runtime"
_REPORT = "compare with the tflite-micro package on this computer"
# device_firmware/runtimes/tflm/hb_tflm.h: reason -> what it means, with its position; the next step.
TFLM_FAULTS: Final[dict[int, tuple[str, str]]] = {
    1: ("these bytes are no sound .tflite file", _EXPORT),
    2: ("the .tflite file has schema version {0}, the library reads 3", _EXPORT),
    3: ("the model has {0} subgraphs, this runtime takes 1", "export a model without control flow"),
    4: (
        "the model has {1} inputs and {2} outputs, this runtime takes 1 of each",
        "export a model with one input and one output",
    ),
    5: ("shape, type, data or use of tensor {0} contradict each other", _EXPORT),
    6: ("operator {0} names tensors or an operator code that it cannot have", _EXPORT),
    _MISSING: (
        "no kernel is registered for {3}",
        "add it to device_firmware/runtimes/tflm/tflm.cc, or choose another variant",
    ),
    8: ("operator {0} does not compute in int8, all registered kernels do", _FULL_INT8),
    9: ("the kernel refuses the parameters of operator {0}", _REPORT),
    10: ("the library could not allocate the model", _REPORT),
    11: ("the kernel of operator {0} failed", _REPORT),
    12: ("an assertion of the library failed at operator {0}", _REPORT),
    13: ("no model is loaded", "load one first"),
}


def explain_refusal(board_id: str, error: DeviceError, hello: HelloReply) -> DeviceError:
    """Return the same error with a sentence for the reason that a runtime of ours gave.

    Other errors, and those of other runtimes, come back as they are.
    """
    # Only now: the planner brings the .tflite reader with it.
    from hilbench.models.payload import takes_tflite  # noqa: PLC0415

    if error.code != "BAD_MODEL":
        return error
    if takes_tflite(hello.runtime):
        told = describe_tflm_fault(*error.detail)
    elif hello.runtime.startswith(PLAN_RUNTIME):
        told = _describe_plan_fault(*error.detail, hello.kernels)
    else:
        return error
    return DeviceError(
        f"board {board_id} refused LOAD: {told}", code=error.code, detail=error.detail
    )


def _describe_plan_fault(reason: int, position: int, kernels: str) -> str:
    from hilbench.models.planner.layout import FAULTS, describe_fault  # noqa: PLC0415

    if reason == FAULTS[_NO_KERNEL][0]:
        next_step = f"it has {kernels}; choose another variant or another board"
    else:
        next_step = "plan it again with the hilbench that built the firmware"
    return f"{describe_fault(reason, position)}; {next_step}"


def describe_tflm_fault(reason: int, position: int) -> str:
    """Return what the TensorFlow Lite Micro runtime means by a reason, and the next step."""
    from hilbench.models.tflite_file import operator_name  # noqa: PLC0415

    if reason not in TFLM_FAULTS:
        return (
            f"unknown reason {reason} (position {position}); "
            "build the firmware from this version of hilbench"
        )
    what, next_step = TFLM_FAULTS[reason]
    name = operator_name(position) if reason == _MISSING else ""
    return f"{what.format(position, position >> 16, position & 0xFFFF, name)}; {next_step}"
