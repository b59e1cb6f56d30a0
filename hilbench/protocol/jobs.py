"""What a host may ask of a board: jobs that ``transfer.Transfer`` carries out.

A job says which messages it needs and takes in the answers; it knows no wire and no clock.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace

from hilbench.protocol.messages import Data, Read, Region, Run, RunDone, RunFlag, pauses_s
from hilbench.protocol.schema import Message
from hilbench.protocol.sentences import wire_name

# A slow 8-bit core still hashes and checks this much; only patience is derived from it.
SLOWEST_HASH_BYTES_PER_S = 30_000
SLOWEST_CRC_BYTES_PER_S = 100_000
DATA_HEADER_BYTES = 5


class Job:
    """Something asked of the board. ``done`` becomes true when every answer is in.

    Attributes:
        what: how an error sentence names it.
        work_s: time the board may need before it answers, on top of the wire's.
    """

    def __init__(self, what: str, work_s: float = 0.0) -> None:
        self.what = what
        self.work_s = work_s
        self.done = False

    def messages(self, packet_bytes: int) -> Iterator[Message]:
        """Yield the messages to send, in order, made when there is room for them."""
        raise NotImplementedError

    def deliver(self, region: int, offset: int, data: bytes) -> None:
        """Take a piece of a region; the transfer never delivers a byte twice."""
        raise NotImplementedError


class Request(Job):
    """One message, one reply."""

    def __init__(self, message: Message, *, work_s: float = 0.0) -> None:
        super().__init__(wire_name(type(message)), work_s)
        self.message = message
        self.reply: Message | None = None

    def messages(self, packet_bytes: int) -> Iterator[Message]:  # noqa: ARG002
        """Yield the request."""
        yield self.message


def _data(region: Region, offset: int, data: bytes, packet_bytes: int) -> Iterator[Message]:
    room = packet_bytes - DATA_HEADER_BYTES
    for at in range(0, len(data), room):
        yield Data(region, offset + at, data[at : at + room])


class WriteJob(Job):
    """Bytes into a region, as DATA packets."""

    def __init__(self, region: Region, offset: int, data: bytes) -> None:
        super().__init__(f"DATA to {region.name} ({len(data)} bytes)")
        self.region, self.offset, self.data = region, offset, data
        self.missing_bytes = len(data)
        self.done = not data

    def messages(self, packet_bytes: int) -> Iterator[Message]:
        """Yield DATA packets in ascending order."""
        return _data(self.region, self.offset, self.data, packet_bytes)


class ReadJob(Job):
    """Bytes out of a region, into ``buffer``."""

    def __init__(self, region: Region, offset: int, length: int) -> None:
        super().__init__(f"READ of {region.name} ({length} bytes)")
        self.region, self.offset, self.length = region, offset, length
        self.buffer = bytearray(length)
        self.missing_bytes = length
        self.done = not length

    def messages(self, packet_bytes: int) -> Iterator[Message]:  # noqa: ARG002
        """Yield one READ; the transfer asks again for gaps."""
        if self.length:
            yield Read(self.region, self.offset, self.length)

    def deliver(self, region: int, offset: int, data: bytes) -> None:  # noqa: ARG002
        """Put a piece where it belongs."""
        at = offset - self.offset
        self.buffer[at : at + len(data)] = data
        self.missing_bytes -= len(data)
        self.done = not self.missing_bytes


class RunJob(Job):
    """Input vectors, RUN right behind them, and whatever RUN is told to push.

    Attributes:
        ran: RUN_DONE of an undisturbed run is in; pushed pieces may still be missing.
        result: that RUN_DONE.
        outputs: bytearray of ``slots * output_bytes`` with PUSH_OUTPUTS, else empty.
        ticks: bytearray of 4 bytes for each stored tick count with PUSH_TICKS, else empty.
        pauses_s: that the board makes besides inferences.
        restores: the board keeps pristine inputs, so a repeated RUN need not send them again.
        repeats: how often the run was disturbed by bytes on the line and done again.
    """

    def __init__(
        self, run: Run, inputs: bytes, output_bytes: int, *, restores: bool = True
    ) -> None:
        super().__init__(f"RUN ({run.slots} vectors x {run.iterations} iterations)")
        self.pauses_s = pauses_s(run.flags)
        self.work_s = len(inputs) / SLOWEST_CRC_BYTES_PER_S + self.pauses_s
        self.run = replace(run, input_crc32=zlib.crc32(inputs))
        self.inputs = inputs
        self.resend_inputs = True
        self.restores = restores
        self.output_bytes = output_bytes
        self.inferences = run.warm_up + run.slots * run.iterations
        self.outputs = bytearray()
        self.ticks = bytearray()
        self.result: RunDone | None = None
        self.ran = False
        self.repeats = 0
        self.rewrites = 0
        self.missing_bytes = 0

    def messages(self, packet_bytes: int) -> Iterator[Message]:
        """Yield the inputs, then RUN."""
        if self.resend_inputs:
            yield from _data(Region.INPUT, 0, self.inputs, packet_bytes)
        yield self.run

    @property
    def inferences_done(self) -> int:
        """Timed inferences of the finished run; 0 when the cold one used up the input."""
        return self.result.inferences if self.result else 0

    def finish(self, result: RunDone) -> list[tuple[Region, int, int]]:
        """Take RUN_DONE; return what is to come as (region, offset, bytes)."""
        self.result, self.ran = result, True
        expected = []
        if self.run.flags & RunFlag.PUSH_OUTPUTS and self.output_bytes:
            self.outputs = bytearray(self.run.slots * self.output_bytes)
            expected.append((Region.OUTPUT, 0, len(self.outputs)))
        if self.run.flags & RunFlag.PUSH_TICKS and result.ticks_stored:
            self.ticks = bytearray(4 * result.ticks_stored)
            expected.append((Region.TICKS, 0, len(self.ticks)))
        self.missing_bytes = len(self.outputs) + len(self.ticks)
        self.done = not self.missing_bytes
        return expected

    def deliver(self, region: int, offset: int, data: bytes) -> None:
        """Put a pushed piece where it belongs."""
        buffer = self.outputs if region == Region.OUTPUT else self.ticks
        buffer[offset : offset + len(data)] = data
        self.missing_bytes -= len(data)
        self.done = not self.missing_bytes
