"""Every message of the link, in one place. PROTOCOL.md says what each means to the byte.

Requests go from host to board; the reply has the same sequence number and type | 0x80.
``device_firmware/include/hb_protocol.h`` is generated from this module (``make protocol``).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

from hilbench.protocol.schema import U8, U16, U32, U64, Blob20, Blob32, Message, Tail, Text

PROTOCOL_VERSION = 2
REPLY = 0x80

GUARD_US = 20_000
"""Asleep that long on both sides of a guarded window; also a chip of the pulse pattern."""
PATTERN = "11100010010"
"""Pulse pattern, first chip first: 1 busy, 0 asleep. Barker's code of 11: unlike itself if shifted."""


class Region(enum.IntEnum):
    """What DATA and READ address, in bytes from its start."""

    POOL = 0  # the whole model memory; writing it unloads the model
    INPUT = 1  # input vectors, slot after slot
    OUTPUT = 2  # outputs, slot after slot (read only)
    TICKS = 3  # u32 per timed inference of the last RUN (read only)
    PROFILE = 4  # u64 per operator, summed over the last profiled RUN (read only)
    HISTOGRAM = 5  # u32 x 64 half-octave counts of the last RUN's ticks (read only)


class RunFlag(enum.IntFlag):
    """What a RUN does besides timing."""

    MARKER_WINDOW = 1  # marker pin high from before the first to after the last timed inference
    MARKER_EACH = 2  # marker pin high around every timed inference
    PROFILE = 4  # per-operator ticks; the whole-inference ticks then include the profiling
    PUSH_OUTPUTS = 8  # send OUTPUT of the run's slots after RUN_DONE without being asked
    PUSH_TICKS = 16  # send TICKS after RUN_DONE without being asked
    MARKER_OPERATORS = 32  # marker pin high around every operator of every timed inference
    GUARD = 64  # asleep for GUARD_US right before and right after the marked window
    PATTERN = 128  # the pulse pattern before the first guard


ANY_MARKER = RunFlag.MARKER_WINDOW | RunFlag.MARKER_EACH | RunFlag.MARKER_OPERATORS
"""At most one of them in a RUN."""


def pauses_s(flags: int) -> float:
    """Return how long guards and pulse pattern of a RUN with these flags last."""
    chips = 2 * bool(flags & RunFlag.GUARD) + len(PATTERN) * bool(flags & RunFlag.PATTERN)
    return chips * GUARD_US * 1e-6


class ClockSource(enum.IntEnum):
    """How the port knows the rate of its counter."""

    REGISTER = 0  # computed from clock-tree registers
    MEASURED = 1  # measured on the device against another clock
    DECLARED = 2  # a constant in the port


class ErrorCode(enum.IntEnum):
    """Why the firmware refused; the two details are explained beside each."""

    BAD_REQUEST = 1  # unknown type or malformed payload: type, length
    WRONG_SESSION = 2  # token of another session: got, expected
    BAD_REGION = 3  # region does not exist or cannot be written: region, -
    OUT_OF_RANGE = 4  # offset + length beyond the region: end wanted, region bytes
    NO_MODEL = 5  # RUN or READ before LOAD
    HASH_MISMATCH = 6  # model memory is not what LOAD says: first 4 bytes got, expected
    BAD_MODEL = 7  # the runtime refuses the model: runtime's reason, position
    TOO_LARGE = 8  # model + arena + one vector: bytes needed, available
    INPUT_MISMATCH = 9  # CRC-32 of the input slots is not RUN's: got, expected
    NO_RESTORE = 10  # no room for a pristine input copy, so one inference per RUN: asked, 1
    INVOKE_FAILED = 11  # the runtime failed during an inference: runtime's reason, iteration
    TICKS_OVERFLOW = 12  # a count left its range: iteration, counter bits
    PROFILE_TOO_LONG = 13  # operators of the model, capacity
    STALE_RUN = 14  # RUN with an old sequence number: got, last


@dataclass(frozen=True)
class Hello(Message):
    """Start a session: the header's session token holds from here on."""

    TYPE: ClassVar[int] = 0x01


@dataclass(frozen=True)
class HelloReply(Message):
    """Who the board is; also sent once, with session 0, after every reset."""

    TYPE: ClassVar[int] = 0x81
    protocol_version: U8
    clock_source: U8  # ClockSource
    port_untested: U8  # 1 until someone ran this port on a real board
    counter_bits: U8
    counter_hz: U32
    counter_overhead_ticks: U32  # of reading the counter; already subtracted from every tick count
    packet_bytes: U16  # largest payload of one packet
    window_bytes: U32  # encoded bytes that may be on their way to the board unacknowledged
    pool_bytes: U32  # memory for model + arena + vectors
    pool_address: U64  # for a debug probe
    ticks_capacity: U32
    profile_capacity: U16
    stack_bytes: U32
    model_loaded: U8
    model_sha256: Blob32
    build_id: Blob20
    port: Text
    chip: Text
    unique_id: Text
    runtime: Text
    kernels: Text


@dataclass(frozen=True)
class Load(Message):
    """Verify the first bytes of POOL against a hash, then load them as a model."""

    TYPE: ClassVar[int] = 0x02
    length: U32
    sha256: Blob32


@dataclass(frozen=True)
class Loaded(Message):
    """The model is loaded; what it needs and how many vectors fit beside it."""

    TYPE: ClassVar[int] = 0x82
    input_bytes: U32
    output_bytes: U32
    arena_bytes: U32
    operators: U16
    slots: U16  # 0: no room for a pristine input copy; the host restores the input


@dataclass(frozen=True)
class Data(Message):
    """Write bytes to a region; idempotent, in any order."""

    TYPE: ClassVar[int] = 0x03
    region: U8
    offset: U32
    data: Tail


@dataclass(frozen=True)
class DataAck(Message):
    """The DATA packet with this sequence number is in memory."""

    TYPE: ClassVar[int] = 0x83


@dataclass(frozen=True)
class Run(Message):
    """Run inferences; the line stays silent from RUN_STARTED to RUN_DONE."""

    TYPE: ClassVar[int] = 0x04
    first_slot: U16
    slots: U16
    warm_up: U32  # untimed inferences on the first slot
    iterations: U32  # timed inferences on every slot
    flags: U8  # RunFlag
    input_crc32: U32  # of the slots' input bytes: RUN may follow DATA without waiting for ACKs


@dataclass(frozen=True)
class RunStarted(Message):
    """RUN is accepted; nothing more may be sent until RUN_DONE."""

    TYPE: ClassVar[int] = 0x84


@dataclass(frozen=True)
class RunDone(Message):
    """What the timed loop saw. Ticks are of the port's counter, reading cost subtracted."""

    TYPE: ClassVar[int] = 0x85
    inferences: U32  # timed ones
    ticks_stored: U32  # entries of TICKS; fewer than inferences when the buffer was full
    ticks_sum: U64
    ticks_min: U32
    ticks_max: U32
    cold_valid: U8  # 1 in the first RUN after LOAD
    cold_ticks: U32  # first inference after LOAD, not part of the others
    restore_ticks_sum: U64  # spent on restoring inputs before the timed inferences
    outputs_equal: U8  # 1: every iteration of a slot gave the same output
    rx_bytes_during: U32  # bytes that arrived while the line had to be silent
    operators: U16
    window_ticks: U64  # the marker pin was high that long; 0 without a marker flag


@dataclass(frozen=True)
class Read(Message):
    """Ask for bytes of a region; they come as READ_DATA packets of at most packet_bytes."""

    TYPE: ClassVar[int] = 0x06
    region: U8
    offset: U32
    length: U32


@dataclass(frozen=True)
class ReadData(Message):
    """A piece of a region; also pushed after RUN_DONE with RUN's sequence number."""

    TYPE: ClassVar[int] = 0x86
    region: U8
    offset: U32
    data: Tail


@dataclass(frozen=True)
class Memory(Message):
    """Ask for memory figures."""

    TYPE: ClassVar[int] = 0x07


@dataclass(frozen=True)
class MemoryReply(Message):
    """Stack by painting (a lower bound), the rest as laid out."""

    TYPE: ClassVar[int] = 0x87
    stack_bytes: U32
    stack_used_bytes: U32
    model_bytes: U32
    arena_bytes: U32
    vector_bytes: U32  # slots: pristine inputs and kept outputs


@dataclass(frozen=True)
class Idle(Message):
    """Sleep, for a baseline of current."""

    TYPE: ClassVar[int] = 0x08
    duration_us: U32
    marker: U8


@dataclass(frozen=True)
class IdleDone(Message):
    """The sleep is over; how long it was by the device's own counter."""

    TYPE: ClassVar[int] = 0x88
    ticks: U64


@dataclass(frozen=True)
class Echo(Message):
    """Send bytes back."""

    TYPE: ClassVar[int] = 0x09
    data: Tail


@dataclass(frozen=True)
class EchoReply(Message):
    """The bytes of ECHO."""

    TYPE: ClassVar[int] = 0x89
    data: Tail


@dataclass(frozen=True)
class Reset(Message):
    """Reset the board; an unasked HELLO_REPLY with session 0 follows the boot."""

    TYPE: ClassVar[int] = 0x0A


@dataclass(frozen=True)
class ResetAck(Message):
    """The board is about to reset."""

    TYPE: ClassVar[int] = 0x8A


@dataclass(frozen=True)
class LinkStats(Message):
    """Ask what the board's receiver saw since reset."""

    TYPE: ClassVar[int] = 0x0B


@dataclass(frozen=True)
class LinkStatsReply(Message):
    """Counters since reset."""

    TYPE: ClassVar[int] = 0x8B
    good_packets: U32
    bad_packets: U32  # COBS, length or CRC wrong
    overruns: U32  # bytes lost in the UART or the ring


@dataclass(frozen=True)
class Log(Message):
    """Text from the firmware, for people."""

    TYPE: ClassVar[int] = 0xC0
    level: U8  # 0 debug, 1 info, 2 warning, 3 error
    text: Tail


@dataclass(frozen=True)
class Error(Message):
    """The request with this sequence number was refused."""

    TYPE: ClassVar[int] = 0xC1
    request: U8
    code: U8  # ErrorCode
    detail0: U32
    detail1: U32


MESSAGES: tuple[type[Message], ...] = (
    Hello, HelloReply, Load, Loaded, Data, DataAck, Run, RunStarted, RunDone, Read, ReadData,
    Memory, MemoryReply, Idle, IdleDone, Echo, EchoReply, Reset, ResetAck, LinkStats,
    LinkStatsReply, Log, Error,
)  # fmt: skip
BY_TYPE: dict[int, type[Message]] = {m.TYPE: m for m in MESSAGES}
