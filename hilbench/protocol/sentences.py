"""What goes wrong on the link, as typed errors with sentences that name the next step."""

from __future__ import annotations

import re

from hilbench.errors import (
    BoardError,
    DeviceError,
    HilbenchError,
    LinkError,
    ModelTooLargeError,
    ProtocolError,
)
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


def _region_name(region: int) -> str:
    return Region(region).name if region in Region.__members__.values() else str(region)


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
            f"board {board_id}: the model with its arena and one vector needs at least "
            f"{error.detail0} bytes, {error.detail1} bytes are available; choose a smaller variant or another board"
        )
    if code is ErrorCode.WRONG_SESSION:
        return BoardError(
            f"board {board_id} no longer knows this session (got 0x{error.detail0:04x}, holds "
            f"0x{error.detail1:04x}): it reset itself or another program talks to it; "
            f"close the other program and run again"
        )
    region = _region_name(error.detail0)
    sentence = _SENTENCES[code].format(error.detail0, error.detail1, region=region)
    return DeviceError(
        f"board {board_id} refused {request}: {sentence}",
        code=code.name,
        detail=(error.detail0, error.detail1),
    )


def lost_packet(
    board_id: str, message: type, wire_bytes: int, what: str, *, tries: int, damaged: int
) -> LinkError:
    """Return the error for a packet that was sent too often."""
    return LinkError(
        f"board {board_id}: a {wire_name(message)} packet of {wire_bytes} bytes (for {what}) was "
        f"sent {tries} times without an answer, {damaged} damaged packets were heard; "
        f"check cable, ground and baud rate"
    )


def disturbed(board_id: str, what: str, times: int, rx_bytes: int) -> LinkError:
    """Return the error for a run that bytes on the line disturbed too often."""
    return LinkError(
        f"board {board_id}: {what} was disturbed {times} times, last by {rx_bytes} bytes while the "
        f"line had to be silent; find what else writes to the line"
    )


def reset_itself(board_id: str, during: str) -> BoardError:
    """Return the error for a HELLO of a boot that nobody asked for."""
    return BoardError(
        f"board {board_id} reset itself during {during}; "
        f"check its supply and the firmware's stack, then run again"
    )


def wrong_reply(board_id: str, request: type, reply: type) -> ProtocolError:
    """Return the error for a reply that does not belong to its request."""
    return ProtocolError(
        f"board {board_id} answered {wire_name(request)} with {wire_name(reply)}; "
        f"rebuild and flash the firmware (make firmware)"
    )


def too_many_bytes(board_id: str, region: int, got: int, asked: int) -> ProtocolError:
    """Return the error for a piece of a region that nobody asked for."""
    return ProtocolError(
        f"board {board_id} sent bytes up to {got} of {_region_name(region)}, asked were bytes up "
        f"to {asked}; rebuild and flash the firmware (make firmware)"
    )


def miscounted(board_id: str, inferences: int, ticks: int, asked: int) -> ProtocolError:
    """Return the error for a RUN_DONE that is not about the RUN."""
    return ProtocolError(
        f"board {board_id} timed {inferences} inferences and stored {ticks} ticks, asked were "
        f"{asked}; rebuild and flash the firmware (make firmware)"
    )
