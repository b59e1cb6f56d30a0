"""Who sends what next: windows, losses, retries and exactly-once runs, sans-I/O.

Bytes and a clock value in; bytes, finished jobs and typed errors out. Nothing here waits.
Ref: device_firmware/PROTOCOL.md section 4.

The line is FIFO and the board answers in order, so an answer to a packet proves that everything
transmitted before that packet's *first* transmission and still unanswered is lost, and it is sent
again at once. Only the tail of a burst has to wait for a timeout, which follows RFC 6298.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from hilbench.protocol import sentences
from hilbench.protocol.items import Item, Stream, short_bytes
from hilbench.protocol.jobs import Job, Request, RunJob, WriteJob
from hilbench.protocol.messages import (
    REPLY,
    Data,
    Error,
    ErrorCode,
    Hello,
    HelloReply,
    Log,
    Read,
    ReadData,
    Reset,
    Run,
    RunDone,
    RunStarted,
)
from hilbench.protocol.packets import Decoder, Packet, encoded_bytes
from hilbench.protocol.round_trip import RoundTrip
from hilbench.protocol.schema import Message

MAX_TRIES = 8
SPLIT_TRIES = 2  # then a long packet is cut
MAX_RUN_REPEATS = 3
MAX_REWRITES = 2
RUN_SLACK_S = 0.5  # a needless second RUN spoils the run, so wait longer for RUN_STARTED
_HALF = 0x8000  # of the sequence numbers
_LONGEST_BACKOFF = 6  # doublings
_MAX_LOG_LINES = 200


class Transfer:
    """One session with one board.

    Feed it ``receive(data, now)``, write what ``send(now)`` returns, and call again when bytes
    arrive or at ``wake_s()``.

    Args:
        board_id: for error sentences.
        session: token of this session, 1 to 65535.
        baud: line rate; 10 bits a byte.
        run_patience_s: how long a RUN of unknown length may stay silent before it is asked again.
        first_sequence: the board tells a new HELLO from a repeated one by token and sequence.
        decoder: kept over sessions because the line may be in the middle of a packet.

    Attributes:
        progress_s: when something new was last answered.
        running: a RUN is on its way or executing; nothing else may be sent.
        retransmitted_packets, runs_repeated, late_packets, foreign_packets: counts.
        logs: the last LOG texts as (level, text).
    """

    def __init__(
        self,
        board_id: str,
        session: int,
        *,
        baud: int,
        run_patience_s: float,
        first_sequence: int = 0,
        decoder: Decoder | None = None,
    ) -> None:
        self.board_id = board_id
        self.session = session
        self.decoder = decoder or Decoder()
        self.packet_bytes = 64
        self.window_bytes = 0  # one packet at a time until HELLO says more
        self.retransmitted_packets = 0
        self.runs_repeated = 0
        self.late_packets = 0
        self.foreign_packets = 0
        self.boot_hellos = 0
        self.logs: deque[tuple[int, str]] = deque(maxlen=_MAX_LOG_LINES)
        self.progress_s = float("-inf")
        self._round_trip = RoundTrip(baud / 10)
        self._run_patience_s = run_patience_s
        self._inference_s: float | None = None
        self._quiet_since_s = float("-inf")
        self._sequence = first_sequence
        self._last_run_sequence: int | None = None
        self._index = 0
        self._jobs: deque[Job] = deque()
        self._fresh: Iterator[Item] | None = None
        self._head: Item | None = None
        self._again: deque[Item] = deque()
        self._open: dict[int, Item] = {}  # by sequence, everything unanswered
        self._in_flight: dict[int, Item] = {}  # the same, by last transmission, lost ones left out
        self._in_flight_bytes = 0
        self._run: Item | None = None
        self._reset_asked = False
        self._cold_over = False

    # -- asking ---------------------------------------------------------------------------------

    def submit(self, job: Job) -> None:
        """Queue a job; jobs are sent in order and may overlap."""
        if not job.done:
            self._jobs.append(job)

    def negotiate(self, hello: HelloReply) -> None:
        """Use the board's packet size and receive window."""
        self.packet_bytes = hello.packet_bytes
        self.window_bytes = hello.window_bytes
        self._round_trip.heard()  # HELLO waited for a boot, not for the line

    def forget_model(self) -> None:
        """Forget what is known of the model's runs: another may be loaded."""
        self._inference_s = None
        self._cold_over = False

    def abandon(self) -> None:
        """Drop every job; late answers are counted and ignored."""
        self._jobs.clear()
        self._again.clear()
        self._open.clear()
        self._in_flight.clear()
        self._in_flight_bytes = 0
        self._fresh = self._head = self._run = None

    @property
    def running(self) -> bool:
        """A RUN is on its way or executing."""
        return self._run is not None

    # -- out ------------------------------------------------------------------------------------

    def send(self, now: float) -> bytes:
        """Return the bytes to write now.

        Raises:
            LinkError: a packet was sent MAX_TRIES times without an answer.
        """
        wake_s = self.wake_s()
        if wake_s is not None and now >= wake_s:
            self._time_out()
        out = []
        while (item := self._next()) is not None:
            out.append(self._transmit(item, now))
        return b"".join(out)

    def wake_s(self) -> float | None:
        """Return when ``send`` has something to say even if nothing arrives."""
        if not self._in_flight:
            return None
        return self._quiet_since_s + self._patience_s() * self._round_trip.backoff

    def _patience_s(self) -> float:
        wait_s = self._round_trip.wait_s(
            self._in_flight_bytes + 2 * encoded_bytes(self.packet_bytes)
        )
        if self._run is None:
            return wait_s + max(item.job.work_s for item in self._in_flight.values())
        job = self._run.job
        assert isinstance(job, RunJob)
        wait_s += (job.work_s + RUN_SLACK_S) * 2.0**job.repeats
        if self._run.started_s is None:
            return wait_s
        if self._inference_s is None:
            return self._run_patience_s * 2.0**job.repeats
        return wait_s + 2 * self._inference_s * job.inferences * 2.0**job.repeats

    def _next(self) -> Item | None:
        while self._again and self._again[0].answered:
            self._again.popleft()
        if self._run is not None:
            if self._again and self._again[0] is self._run:
                return self._again.popleft()
            return None
        item = self._again[0] if self._again else self._fresh_item()
        if item is None or not self._may_send(item):
            return None
        if self._again:
            return self._again.popleft()
        self._head = None
        return item

    def _fresh_item(self) -> Item | None:
        while self._head is None:
            if self._fresh is None:
                if not self._jobs:
                    return None
                job = self._jobs.popleft()
                self._fresh = (Item(m, job) for m in job.messages(self.packet_bytes))
            self._head = next(self._fresh, None)
            if self._head is None:
                self._fresh = None
        return self._head

    def _may_send(self, item: Item) -> bool:
        if isinstance(item.message, Run) and not all(
            isinstance(other.message, Data) for other in self._in_flight.values()
        ):
            return False  # outputs of the run before are still on their way
        if not item.wire:
            self._pack(item)
        return not self._in_flight or (self._in_flight_bytes + len(item.wire) <= self.window_bytes)

    def _pack(self, item: Item) -> None:
        if isinstance(item.message, Run):
            last = self._last_run_sequence
            if last is not None and not 0 < (self._sequence + 1 - last) & 0xFFFF < _HALF:
                self._sequence = last  # the next one is newer in RFC 1982 arithmetic
        self._sequence = (self._sequence + 1) & 0xFFFF
        while self._sequence in self._open:
            self._sequence = (self._sequence + 1) & 0xFFFF
        item.sequence = self._sequence
        item.wire = Packet.of(item.message, self.session, item.sequence).encode()
        if isinstance(item.message, Run):
            self._last_run_sequence = item.sequence
        if isinstance(item.message, Read):
            m = item.message
            item.streams = [Stream(m.region, m.offset, m.offset + m.length, item.tries + 1)]
        self._open[item.sequence] = item

    def _transmit(self, item: Item, now: float) -> bytes:
        if item.tries >= MAX_TRIES and not isinstance(item.message, Hello):
            raise sentences.lost_packet(
                self.board_id,
                type(item.message),
                len(item.wire),
                item.job.what,
                tries=item.tries,
                damaged=self.decoder.bad_packets,
            )
        if not self._in_flight and item.tries == 0:
            self.progress_s = max(self.progress_s, now)
        item.tries += 1
        self.retransmitted_packets += item.tries > 1
        item.sent_s = self._quiet_since_s = now
        item.last_index = self._index
        if item.first_index < 0:
            item.first_index = self._index
        self._index += 1
        if self._in_flight.pop(item.sequence, None) is None:
            self._in_flight_bytes += len(item.wire)
        self._in_flight[item.sequence] = item
        if isinstance(item.message, Run):
            self._run = item
        self._reset_asked |= isinstance(item.message, Reset)
        return item.wire

    # -- losses ---------------------------------------------------------------------------------

    def _time_out(self) -> None:
        self._round_trip.silent()
        if self._run is not None:
            if self._run not in self._again:
                self._again.appendleft(self._run)
            return
        for item in list(self._in_flight.values()):
            self._lose(item)

    def _close(self, item: Item) -> None:
        item.answered = True
        self._open.pop(item.sequence, None)
        self._leave_flight(item)

    def _leave_flight(self, item: Item) -> None:
        if self._in_flight.pop(item.sequence, None) is not None:
            self._in_flight_bytes -= len(item.wire)

    def _lose(self, item: Item) -> None:
        if not item.streams:
            if isinstance(item.message, Data) and item.tries >= SPLIT_TRIES:
                self._split(item, item.message)
                return
            self._leave_flight(item)
            self._again.append(item)
            return
        self._close(item)
        for stream in item.streams:
            if stream.at < stream.end:
                tries = 0 if stream.moved else stream.tries
                self._read_again(item.job, stream.region, stream.at, stream.end, tries)

    def _split(self, item: Item, data: Data) -> None:
        """Cut a packet that gets lost again and again: short ones pass where long ones do not."""
        size = short_bytes(len(data.data))
        if size >= len(data.data):
            self._leave_flight(item)
            self._again.append(item)
            return
        self._close(item)
        self.retransmitted_packets += 1
        for at in range(0, len(data.data), size):
            part = Data(data.region, data.offset + at, data.data[at : at + size])
            self._again.append(Item(part, item.job))

    def _read_again(self, job: Job, region: int, start: int, end: int, tries: int) -> None:
        """Ask for a gap; a range keeps its count of tries over new sequence numbers."""
        size = end - start
        if tries >= SPLIT_TRIES and (short := short_bytes(min(size, self.packet_bytes))) < size:
            size, tries = short, 0
        for at in range(start, end, size):
            self._again.append(Item(Read(region, at, min(size, end - at)), job, tries))

    def _lose_before(self, index: int) -> None:
        lost = []
        for item in self._in_flight.values():
            if item.last_index >= index:
                break
            if item is not self._run:
                lost.append(item)
        for item in lost:
            self._lose(item)

    # -- in -------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> None:
        """Take received bytes.

        Raises:
            DeviceError, ModelTooLargeError: the board refused a request.
            BoardError: the board reset itself, or another session took over.
            LinkError: a run was disturbed too often.
            ProtocolError: an intact packet that breaks the protocol.
        """
        for packet in self.decoder.feed(data):
            self._packet(packet, now)

    def _packet(self, packet: Packet, now: float) -> None:
        if packet.type == Log.TYPE:
            log = packet.message()
            assert isinstance(log, Log)
            self.logs.append((log.level, log.text.decode(errors="replace")))
            return
        if packet.session != self.session:
            self._foreign(packet)
            return
        self._quiet_since_s = now
        item = self._open.get(packet.sequence)
        if item is None:
            self.late_packets += 1
            return
        self._answer(item, packet.message(), now)

    def _foreign(self, packet: Packet) -> None:
        self.foreign_packets += 1
        if packet.type == Error.TYPE:
            error = packet.message()
            if isinstance(error, Error) and (error.code, error.detail0) == (
                ErrorCode.WRONG_SESSION,
                self.session,
            ):
                raise sentences.refusal(self.board_id, error)
        if packet.type == HelloReply.TYPE and packet.session == 0:
            self.boot_hellos += 1
            oldest = next(iter(self._open.values()), None)
            if self._reset_asked:
                if oldest is not None and isinstance(oldest.message, Reset):
                    oldest.job.done = True
                    self._close(oldest)
            elif oldest is None or not isinstance(oldest.message, Hello):
                raise sentences.reset_itself(
                    self.board_id, oldest.job.what if oldest else "a pause"
                )

    def _answer(self, item: Item, message: Message, now: float) -> None:
        reply = type(message).TYPE
        is_run = isinstance(item.message, Run)
        if reply == Error.TYPE:
            assert isinstance(message, Error)
            self._refused(item, message, now)
        elif isinstance(message, ReadData) and (is_run or isinstance(item.message, Read)):
            self._piece(item, message, now)
        elif is_run and isinstance(message, RunStarted):
            self._started(item, now)
        elif is_run and isinstance(message, RunDone):
            self._ran(item, message, now)
        elif reply == item.message.TYPE | REPLY and not item.streams:
            self._single(item, message, now)
        else:
            raise sentences.wrong_reply(self.board_id, type(item.message), type(message))

    def _single(self, item: Item, message: Message, now: float) -> None:
        self._measure(item, now)
        self._close(item)
        self._lose_before(item.first_index)
        self.progress_s = now
        job = item.job
        if isinstance(job, Request):
            job.reply, job.done = message, True
        elif isinstance(job, WriteJob) and isinstance(item.message, Data):
            job.missing_bytes -= len(item.message.data)
            job.done = not job.missing_bytes

    def _measure(self, item: Item, now: float) -> None:
        if item.tries != 1:  # which transmission was answered? (Karn)
            return
        self._round_trip.heard()
        if not item.job.work_s and not isinstance(item.message, Hello):  # a boot may be in between
            self._round_trip.measure(max(0.0, now - item.sent_s))

    def _piece(self, item: Item, piece: ReadData, now: float) -> None:
        if item is self._run:  # pushed, so RUN_DONE was lost: ask for it again
            if not item.asked_again:
                item.asked_again = True
                self._again.appendleft(item)
            return
        self._lose_before(item.first_index)
        stream = next((s for s in item.streams if s.region == piece.region), None)
        start, end = piece.offset, piece.offset + len(piece.data)
        if stream is None or start < stream.at:
            self.late_packets += 1
            return
        if end > stream.end:
            raise sentences.too_many_bytes(self.board_id, piece.region, end, stream.end)
        if start > stream.at:
            self._read_again(item.job, stream.region, stream.at, start, stream.tries)
        stream.at, stream.moved = end, True
        item.job.deliver(piece.region, start, piece.data)
        self._round_trip.heard()
        self.progress_s = now
        if all(s.at >= s.end for s in item.streams):
            self._close(item)

    # -- runs -----------------------------------------------------------------------------------

    def _confirm_inputs(self) -> None:
        """RUN was accepted, so its CRC-32 covers every DATA packet before it."""
        for item in list(self._open.values()):
            if isinstance(item.message, Data):
                self._close(item)

    def _started(self, item: Item, now: float) -> None:
        if item is not self._run:
            return
        self._confirm_inputs()
        if item.started_s is None:
            item.started_s = self.progress_s = now
            self._round_trip.heard()

    def _ran(self, item: Item, result: RunDone, now: float) -> None:
        job = item.job
        if item is not self._run or not isinstance(job, RunJob):
            return
        self._confirm_inputs()
        self._run = None
        while item in self._again:
            self._again.remove(item)
        self._leave_flight(item)
        self.progress_s = now
        self._round_trip.heard()
        if job.inferences and item.started_s is not None:
            runs_s = max(0.0, now - item.started_s - job.pauses_s)
            per_inference_s = runs_s / job.inferences
            self._inference_s = max(self._inference_s or 0.0, per_inference_s)
        if result.rx_bytes_during:
            self._repeat(item, job, result)
            return
        self._check(job, result)
        expected = job.finish(result)
        if item.tries == 1 and expected:
            item.streams = [Stream(region, at, at + size) for region, at, size in expected]
            self._quiet_since_s = now
            self._in_flight[item.sequence] = item
            self._in_flight_bytes += len(item.wire)
            return
        self._close(item)  # a repeated RUN_DONE need not push: ask
        for region, at, size in expected:
            self._read_again(job, region, at, at + size, 0)

    def _check(self, job: RunJob, result: RunDone) -> None:
        asked = job.run.slots * job.run.iterations
        cold_alone = not (job.restores or self._cold_over or result.inferences)
        self._cold_over = True
        if (result.inferences != asked and not cold_alone) or result.ticks_stored > asked:
            raise sentences.miscounted(self.board_id, result.inferences, result.ticks_stored, asked)

    def _repeat(self, item: Item, job: RunJob, result: RunDone) -> None:
        self._close(item)
        if job.repeats >= MAX_RUN_REPEATS:
            raise sentences.disturbed(
                self.board_id, job.what, job.repeats + 1, result.rx_bytes_during
            )
        job.repeats += 1
        self.runs_repeated += 1
        job.resend_inputs = not job.restores
        self._jobs.appendleft(job)

    def _refused(self, item: Item, error: Error, now: float) -> None:
        job = item.job
        self._close(item)
        if item is self._run:
            self._run = None
        if isinstance(item.message, Reset) and error.code == ErrorCode.WRONG_SESSION:
            job.done = True  # an earlier RESET got through
            return
        if not isinstance(job, RunJob) or error.code != ErrorCode.INPUT_MISMATCH:
            raise sentences.refusal(self.board_id, error)
        self._quiet_since_s = now
        lost = [other for other in self._open.values() if isinstance(other.message, Data)]
        if lost:
            for other in lost:
                if other not in self._again:
                    self._lose(other)
            self._again.append(Item(job.run, job, item.tries))
            return
        if job.rewrites >= MAX_REWRITES:
            raise sentences.refusal(self.board_id, error)
        job.rewrites += 1
        job.resend_inputs = True
        self._jobs.appendleft(job)
