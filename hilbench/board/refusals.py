"""Why a board refused a model, in the words of its runtime."""

from __future__ import annotations

from hilbench.errors import DeviceError
from hilbench.protocol.messages import HelloReply

PLAN_RUNTIME = "plan "  # how the built-in runtime's name begins
_NO_KERNEL = "kind"


def explain_refusal(board_id: str, error: DeviceError, hello: HelloReply) -> DeviceError:
    """Return the same error with a sentence for the reason that the built-in runtime gave.

    Other errors, and those of other runtimes, come back as they are.
    """
    if error.code != "BAD_MODEL" or not hello.runtime.startswith(PLAN_RUNTIME):
        return error
    # Only now: the planner brings the .tflite reader with it.
    from hilbench.models.planner.layout import FAULTS, describe_fault  # noqa: PLC0415

    reason, position = error.detail
    if reason == FAULTS[_NO_KERNEL][0]:
        next_step = f"it has {hello.kernels}; choose another variant or another board"
    else:
        next_step = "plan it again with the hilbench that built the firmware"
    return DeviceError(
        f"board {board_id} refused LOAD: {describe_fault(reason, position)}; {next_step}",
        code=error.code,
        detail=error.detail,
    )
