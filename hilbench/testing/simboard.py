"""A board in a few lines of Python, in virtual time, to test the host without waiting.

The real firmware (posix port) is the better peer wherever real time is affordable; this one exists
for what firmware does not do on purpose: reset in the middle, stay silent, run slowly.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from hilbench.errors import ProtocolError
from hilbench.protocol.messages import (
    PROTOCOL_VERSION,
    Data,
    DataAck,
    Echo,
    EchoReply,
    Error,
    ErrorCode,
    Hello,
    HelloReply,
    Idle,
    IdleDone,
    LinkStats,
    LinkStatsReply,
    Load,
    Loaded,
    Memory,
    MemoryReply,
    Read,
    ReadData,
    Region,
    Reset,
    ResetAck,
    Run,
    RunDone,
    RunFlag,
    RunStarted,
    pauses_s,
)
from hilbench.protocol.packets import Decoder, Packet
from hilbench.protocol.schema import Message

INPUT_BYTES = 16
OUTPUT_BYTES = 4
OPERATORS = 3
_POOL_BYTES = 8192


def model_output(vector: bytes) -> bytes:
    """Return what the simulated model computes: CRC-32 of its input."""
    return struct.pack("<I", zlib.crc32(vector))


def _window_ticks(run: Run, ticks: list[int]) -> int:
    if run.flags & RunFlag.MARKER_WINDOW:
        return sum(ticks) + 7 * len(ticks)  # with restoring the inputs
    return sum(ticks) if run.flags & (RunFlag.MARKER_EACH | RunFlag.MARKER_OPERATORS) else 0


@dataclass
class VirtualClock:
    """Seconds that pass only when somebody waits."""

    now_s: float = 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now_s


@dataclass
class SimBoard:
    """Bytes in, bytes out. Any model loads; ``slots`` = 0 is a board without room for vectors."""

    slots: int = 4
    packet_bytes: int = 128
    window_bytes: int = 512
    ticks_capacity: int = 64
    inference_s: float = 0.001
    runs_executed: int = 0
    marked_ticks: int = 0  # that the marker was high, over all runs
    on_run: Callable[[SimBoard], None] | None = None
    mute: bool = False
    overrun: int = 0  # most bytes ever given at once, to check the window
    _decoder: Decoder = field(default_factory=Decoder)
    _session: int = 0
    _pool: bytearray = field(default_factory=lambda: bytearray(_POOL_BYTES))
    _inputs: bytearray = field(default_factory=bytearray)
    _outputs: bytearray = field(default_factory=bytearray)
    _ticks: list[int] = field(default_factory=list)
    _sha256: bytes | None = None
    _cold: bool = False
    _last_run: tuple[int, RunDone] | None = None
    _good: int = 0
    pending_rx_bytes: int = 0  # what the link knows to arrive during the current run
    busy_s: float = 0.0

    def boot(self) -> bytes:
        """Reset; return the unsolicited HELLO."""
        self._session, self._last_run, self._sha256 = 0, None, None
        return Packet.of(self._hello(), 0, 0).encode()

    def _hello(self) -> HelloReply:
        return HelloReply(
            PROTOCOL_VERSION, 1, 0, 32, 1_000_000, 2, self.packet_bytes, self.window_bytes, _POOL_BYTES, 0x20000000,
            self.ticks_capacity, 16, 4096, int(self._sha256 is not None), self._sha256 or bytes(32),
            bytes(20), "sim", "simulated", "1", "sim", "none",
        )  # fmt: skip

    def feed(self, data: bytes) -> bytes:
        """Take bytes, return all answers; ``busy_s`` is how long the board computed for them."""
        out = b""
        for packet in self._decoder.feed(data):
            self._good += 1
            try:
                out += b"".join(self._packet(packet))
            except ProtocolError:
                out += self._error(packet, ErrorCode.BAD_REQUEST, packet.type, len(packet.payload))
        return b"" if self.mute else out

    def _error(self, packet: Packet, code: ErrorCode, detail0: int = 0, detail1: int = 0) -> bytes:
        error = Error(packet.type, code, detail0, detail1)
        return Packet.of(error, self._session, packet.sequence).encode()

    def _packet(self, packet: Packet) -> list[bytes]:
        if packet.type == Hello.TYPE:
            self._session, self._last_run = packet.session, None
        if packet.session != self._session:
            return [self._error(packet, ErrorCode.WRONG_SESSION, packet.session, self._session)]
        message = packet.message()
        if isinstance(message, Run):
            return self._run(packet, message)
        if isinstance(message, Read):
            return self._read(packet, message.region, message.offset, message.length)
        if isinstance(message, Reset):
            return [self._wire(packet, ResetAck()), self.boot()]
        reply = self._reply(message)
        if isinstance(reply, tuple):
            return [self._error(packet, *reply)]
        return [self._wire(packet, reply)]

    def _wire(self, packet: Packet, message: Message) -> bytes:
        return Packet.of(message, self._session, packet.sequence).encode()

    def _reply(self, message: Message) -> Message | tuple[ErrorCode, int, int]:  # noqa: PLR0911
        if isinstance(message, Load):
            return self._load(message)
        if isinstance(message, Data):
            region = {Region.POOL: self._pool, Region.INPUT: self._inputs}.get(
                cast("Region", message.region)
            )
            if region is None:
                return ErrorCode.BAD_REGION, message.region, 0
            end = message.offset + len(message.data)
            if end > len(region):
                return ErrorCode.OUT_OF_RANGE, end, len(region)
            region[message.offset : end] = message.data
            if message.region == Region.POOL:
                self._sha256 = None
            return DataAck()
        if isinstance(message, Echo):
            return EchoReply(message.data)
        if isinstance(message, Idle):
            self.busy_s += message.duration_us * 1e-6
            return IdleDone(message.duration_us)
        if isinstance(message, LinkStats):
            return LinkStatsReply(self._good, self._decoder.bad_packets, 0)
        if isinstance(message, Memory):
            return MemoryReply(4096, 512, 100, 200, 300)
        return self._hello()

    def _load(self, message: Load) -> Message | tuple[ErrorCode, int, int]:
        digest = hashlib.sha256(self._pool[: message.length]).digest()
        if digest != message.sha256:
            words = [struct.unpack("<I", h[:4])[0] for h in (digest, message.sha256)]
            return ErrorCode.HASH_MISMATCH, words[0], words[1]
        self._cold = self._cold or self._sha256 != digest
        self._sha256 = digest
        room = max(1, self.slots)
        self._inputs = bytearray(room * INPUT_BYTES)
        self._outputs = bytearray(room * OUTPUT_BYTES)
        return Loaded(INPUT_BYTES, OUTPUT_BYTES, 200, OPERATORS, self.slots)

    def _read(self, packet: Packet, region: int, offset: int, length: int) -> list[bytes]:
        memory = {
            Region.POOL: bytes(self._pool),
            Region.OUTPUT: bytes(self._outputs),
            Region.TICKS: b"".join(struct.pack("<I", t) for t in self._ticks),
            Region.PROFILE: struct.pack("<3Q", 10, 20, 30),
            Region.HISTOGRAM: bytes(256),
        }.get(cast("Region", region), b"")
        if offset + length > len(memory):
            return [self._error(packet, ErrorCode.OUT_OF_RANGE, offset + length, len(memory))]
        room, end = self.packet_bytes - 5, offset + length
        return [
            self._wire(packet, ReadData(region, at, memory[at : min(end, at + room)]))
            for at in range(offset, end, room)
        ]

    def _run(self, packet: Packet, run: Run) -> list[bytes]:
        if self._last_run is not None:
            ahead = (packet.sequence - self._last_run[0]) & 0xFFFF
            if ahead == 0:
                return [self._wire(packet, RunStarted()), self._wire(packet, self._last_run[1])]
            if ahead >= 0x8000:  # noqa: PLR2004 - half of 2^16
                return [
                    self._error(packet, ErrorCode.STALE_RUN, packet.sequence, self._last_run[0])
                ]
        if self._sha256 is None:
            return [self._error(packet, ErrorCode.NO_MODEL)]
        inputs = bytes(self._inputs[: run.slots * INPUT_BYTES])
        if zlib.crc32(inputs) != run.input_crc32:
            return [
                self._error(packet, ErrorCode.INPUT_MISMATCH, zlib.crc32(inputs), run.input_crc32)
            ]
        if self.slots == 0 and (run.warm_up or run.iterations > 1):
            return [self._error(packet, ErrorCode.NO_RESTORE, run.warm_up + run.iterations, 1)]
        done = self._execute(run, inputs)
        self._last_run = packet.sequence, done
        if self.on_run is not None:
            self.on_run(self)
        out = [self._wire(packet, RunStarted()), self._wire(packet, done)]
        if run.flags & RunFlag.PUSH_OUTPUTS:
            out += self._read(packet, Region.OUTPUT, 0, run.slots * OUTPUT_BYTES)
        if run.flags & RunFlag.PUSH_TICKS:
            out += self._read(packet, Region.TICKS, 0, 4 * len(self._ticks))
        return out

    def _execute(self, run: Run, inputs: bytes) -> RunDone:
        self.runs_executed += 1
        cold, self._cold = self._cold, False
        slots = 0 if cold and self.slots == 0 else run.slots
        inferences = slots * run.iterations
        ticks = [1000 + i for i in range(inferences)]
        self._ticks = ticks[: self.ticks_capacity]
        self.busy_s += (inferences + run.warm_up + cold) * self.inference_s + pauses_s(run.flags)
        for i in range(slots):
            vector = inputs[i * INPUT_BYTES : (i + 1) * INPUT_BYTES]
            self._outputs[i * OUTPUT_BYTES : (i + 1) * OUTPUT_BYTES] = model_output(vector)
        if self.slots == 0:
            self._inputs[:] = bytes(INPUT_BYTES)  # the inference destroyed it
        disturbed, self.pending_rx_bytes = self.pending_rx_bytes, 0
        window_ticks = _window_ticks(run, ticks)
        self.marked_ticks += window_ticks
        return RunDone(
            inferences, len(self._ticks), sum(ticks), min(ticks, default=0), max(ticks, default=0),
            int(cold), 5000 if cold else 0, 7 * inferences, 1, disturbed, OPERATORS,
            window_ticks,
        )  # fmt: skip


class SimLink:
    """A link to a SimBoard in virtual time: waiting moves the clock.

    Args:
        board: the peer.
        clock: moved by ``read``.
        latency_s: each way.
    """

    def __init__(self, board: SimBoard, clock: VirtualClock, latency_s: float = 0.0005) -> None:
        self.board, self.clock, self.latency_s = board, clock, latency_s
        self._arriving: list[tuple[float, bytes]] = []
        self._busy_until_s = 0.0
        self.closed = False

    def push(self, data: bytes) -> None:
        """Let bytes arrive at the host, e.g. boot noise."""
        self._arriving.append((self.clock.now_s, data))

    def write(self, data: bytes, timeout_s: float) -> None:  # noqa: ARG002
        """Give bytes to the board; those of a run that is still on disturb it."""
        board = self.board
        begin_s = max(self.clock.now_s + self.latency_s, self._busy_until_s)
        board.busy_s = 0.0
        reply = board.feed(data)
        self._busy_until_s = begin_s + board.busy_s
        if reply:
            self._arriving.append((self._busy_until_s + self.latency_s, reply))

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived; move the clock if nothing has."""
        until_s = self.clock.now_s + max(0.0, timeout_s)
        if not self._arriving or self._arriving[0][0] > until_s:
            self.clock.now_s = max(until_s, self.clock.now_s + 1e-6)
            return b""
        at_s, data = self._arriving.pop(0)
        self.clock.now_s = max(self.clock.now_s, at_s)
        return data

    def close(self) -> None:
        """Close."""
        self.closed = True
