"""What the firmware's ERROR packets mean, as sentences with a next step."""

from __future__ import annotations

import re

from hilbench.errors import BoardError, DeviceError, HilbenchError, ModelTooLargeError
from hilbench.protocol.messages import BY_TYPE, Error, ErrorCode, Region

_REBUILD = "rebuild and flash the firmware (make firmware)"
_RELOAD = "reset the board and load the model again"

# {0} and {1} are the details of the ERROR packet.
_SENTENCES: dict[ErrorCode, str] = {
    ErrorCode.BAD_REQUEST: "packet type 0x{0:02x} with {1} payload bytes is not a request it knows; "
    + _REBUILD,
    ErrorCode.BAD_REGION: "region {region} does not exist or cannot be written; " + _REBUILD,
    ErrorCode.OUT_OF_RANGE: "the range ends at byte {0} of a region of {1} bytes; " + _RELOAD,
    ErrorCode.NO_MODEL: "no model is loaded; load one first",
    ErrorCode.HASH_MISMATCH: "model memory has hash {0:08x}…, LOAD says {1:08x}…; " + _RELOAD,
    ErrorCode.BAD_MODEL: "the runtime refuses the model (reason {0} at byte {1}); "
    "plan it again with the hilbench that built the firmware",
    ErrorCode.INPUT_MISMATCH: "input memory has CRC-32 {0:08x}, RUN says {1:08x}, although every "
    "packet was acknowledged; reset the board",
    ErrorCode.NO_RESTORE: "{0} inferences asked in one RUN, but there is no room for a pristine "
    "input, so at most {1}; use a smaller model or one inference per RUN",
    ErrorCode.INVOKE_FAILED: "the runtime failed (reason {0}) in inference {1}; "
    "plan the model again or report it",
    ErrorCode.TICKS_OVERFLOW: "inference {0} took longer than its counter of {1} bits can count; "
    "give the port a slower counter",
    ErrorCode.PROFILE_TOO_LONG: "the model has {0} operators, its profile holds {1}; "
    "run without --profile",
    ErrorCode.STALE_RUN: "RUN has sequence {0}, which is older than the last one, {1}; "
    "reset the board",
}


def wire_name(message: type) -> str:
    """Return a message's name as PROTOCOL.md writes it, e.g. DATA_ACK."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", message.__name__).upper()


def refusal(board_id: str, error: Error) -> HilbenchError:
    """Return the typed error for an ERROR packet; the caller raises it."""
    kind = BY_TYPE.get(error.request)
    request = wire_name(kind) if kind else f"packet type 0x{error.request:02x}"
    try:
        code = ErrorCode(error.code)
    except ValueError:
        return DeviceError(
            f"board {board_id} refused {request} with error code {error.code}, which this host "
            f"does not know (details {error.detail0}, {error.detail1}); is the firmware newer?",
            code=f"UNKNOWN_{error.code}",
            detail=(error.detail0, error.detail1),
        )
    if code is ErrorCode.TOO_LARGE:
        return ModelTooLargeError(
            f"board {board_id}: the model with its arena and one vector needs {error.detail0} "
            f"bytes, {error.detail1} bytes are available; choose a smaller variant or another board"
        )
    if code is ErrorCode.WRONG_SESSION:
        return BoardError(
            f"board {board_id} no longer knows this session (got 0x{error.detail0:04x}, holds "
            f"0x{error.detail1:04x}): it reset itself or another program talks to it; "
            f"close the other program and run again"
        )
    region = error.detail0
    name = Region(region).name if region in Region.__members__.values() else str(region)
    sentence = _SENTENCES[code].format(error.detail0, error.detail1, region=name)
    return DeviceError(
        f"board {board_id} refused {request}: {sentence}",
        code=code.name,
        detail=(error.detail0, error.detail1),
    )
