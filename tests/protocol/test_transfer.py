"""Who sends what next, without a clock that runs or a line that carries."""

import zlib
from dataclasses import replace
from itertools import pairwise

import pytest

from hilbench.errors import BoardError, DeviceError, LinkError, ModelTooLargeError, ProtocolError
from hilbench.protocol.jobs import ReadJob, Request, RunJob, WriteJob
from hilbench.protocol.messages import (
    Data,
    DataAck,
    Echo,
    EchoReply,
    Error,
    ErrorCode,
    Hello,
    HelloReply,
    Log,
    Memory,
    MemoryReply,
    Read,
    ReadData,
    Region,
    Reset,
    Run,
    RunDone,
    RunFlag,
    RunStarted,
)
from hilbench.protocol.packets import Decoder, Packet
from hilbench.protocol.sentences import refusal
from hilbench.protocol.transfer import MAX_RUN_REPEATS, MAX_TRIES, Transfer

SESSION = 0x1234
HELLO = HelloReply(
    1, 0, 0, 32, 1000, 0, 128, 512, 4096, 0, 64, 16, 1024, 0, bytes(32), bytes(20),
    "sim", "sim", "", "sim", "none",
)  # fmt: skip
DONE = RunDone(2, 0, 30, 10, 20, 0, 0, 5, 1, 0, 3, 40)


class Line:
    """A transfer, its clock, and everything it sent, as packets."""

    def __init__(self, first_sequence=0):
        self.now = 100.0
        self.transfer = Transfer(
            "m4",
            SESSION,
            baud=115200,
            run_patience_s=2.0,
            first_sequence=first_sequence,
        )
        self.transfer.negotiate(HELLO)
        self._decoder = Decoder()

    def sent(self):
        return list(self._decoder.feed(self.transfer.send(self.now)))

    def submit(self, job):
        self.transfer.submit(job)
        return job

    def answer(self, packet, message):
        self.raw(Packet.of(message, SESSION, packet.sequence))

    def raw(self, packet):
        self.transfer.receive(packet.encode(), self.now)

    def time_out(self):
        wake_s = self.transfer.wake_s()
        assert wake_s is not None
        assert wake_s > self.now
        self.now = wake_s
        return self.sent()


@pytest.fixture
def line():
    return Line()


def started_run(line, flags=0):
    job = line.submit(RunJob(Run(0, 2, 0, 1, flags, 0), bytes(range(32)), 4))
    data, run = line.sent()
    line.answer(data, DataAck())
    line.answer(run, RunStarted())
    return job, run


# -- window and losses --------------------------------------------------------------------------


def test_bytes_in_flight_stay_within_the_window(line):
    job = line.submit(WriteJob(Region.POOL, 0, bytes(5000)))
    seen = bytearray(5000)
    while not job.done:
        raw = line.transfer.send(line.now)
        assert 0 < len(raw) <= HELLO.window_bytes
        for packet in Decoder().feed(raw):
            message = packet.message()
            seen[message.offset : message.offset + len(message.data)] = b"x" * len(message.data)
            assert len(packet.payload) <= HELLO.packet_bytes
            line.answer(packet, DataAck())
    assert seen == b"x" * 5000
    assert line.transfer.retransmitted_packets == 0


def test_a_later_ack_proves_an_earlier_packet_lost_and_only_that_is_sent_again(line):
    line.submit(WriteJob(Region.POOL, 0, bytes(360)))
    first, lost, third = line.sent()
    line.answer(first, DataAck())
    assert line.sent() == []
    line.answer(third, DataAck())
    assert line.sent() == [lost]
    assert line.sent() == []
    line.answer(lost, DataAck())
    assert line.transfer.wake_s() is None
    assert line.transfer.retransmitted_packets == 1


def test_an_ack_of_a_retransmission_proves_nothing_about_packets_between(line):
    line.submit(WriteJob(Region.POOL, 0, bytes(240)))
    first, second = line.sent()
    again = line.time_out()
    assert again == [first, second]
    line.answer(second, DataAck())  # perhaps of its first transmission: first is lost once at most
    assert line.sent() == []


def test_a_silent_line_repeats_everything_with_growing_patience(line):
    line.submit(Request(Memory()))
    (packet,) = line.sent()
    waits = []
    for _ in range(4):
        before = line.now
        assert line.time_out() == [packet]
        waits.append(line.now - before)
    assert [round(b / a) for a, b in pairwise(waits)] == [2, 2, 2]


def test_a_packet_sent_eight_times_is_a_link_error(line):
    line.submit(Request(Memory()))
    line.sent()
    for _ in range(MAX_TRIES - 1):
        line.time_out()
    with pytest.raises(LinkError) as caught:
        line.time_out()
    assert str(caught.value) == (
        "board m4: a MEMORY packet of 15 bytes (for MEMORY) was sent 8 times without an answer, "
        "0 damaged packets were heard; check cable, ground and baud rate"
    )


def test_a_long_packet_lost_twice_is_cut(line):
    data = bytes(range(100))
    job = line.submit(WriteJob(Region.POOL, 8, data))
    line.sent()
    line.time_out()
    parts = line.time_out()
    assert len(parts) == 2
    rebuilt = bytearray(100)
    for part in parts:
        message = part.message()
        rebuilt[message.offset - 8 : message.offset - 8 + len(message.data)] = message.data
        line.answer(part, DataAck())
    assert rebuilt == data
    assert job.done


def test_a_gap_in_a_read_is_asked_again_at_once(line):
    content = bytes(range(200)) + bytes(160)
    job = line.submit(ReadJob(Region.POOL, 1000, 360))
    (read,) = line.sent()
    line.answer(read, ReadData(Region.POOL, 1000, content[:120]))
    line.answer(read, ReadData(Region.POOL, 1240, content[240:]))
    (gap,) = line.sent()
    assert gap.message() == Read(Region.POOL, 1120, 120)
    line.answer(gap, ReadData(Region.POOL, 1120, content[120:240]))
    assert job.done
    assert job.buffer == content


def test_a_repeated_piece_is_counted_not_stored_twice(line):
    job = line.submit(ReadJob(Region.POOL, 0, 240))
    (read,) = line.sent()
    for _ in range(2):
        line.answer(read, ReadData(Region.POOL, 0, bytes(120)))
    assert not job.done
    assert line.transfer.late_packets == 1
    line.answer(read, ReadData(Region.POOL, 120, bytes(120)))
    assert job.done


def test_more_bytes_than_asked_break_the_protocol(line):
    line.submit(ReadJob(Region.POOL, 0, 10))
    (read,) = line.sent()
    with pytest.raises(ProtocolError) as caught:
        line.answer(read, ReadData(Region.POOL, 0, bytes(11)))
    assert str(caught.value) == (
        "board m4 sent bytes up to 11 of POOL, asked were bytes up to 10; "
        "rebuild and flash the firmware (make firmware)"
    )


def test_a_reply_of_another_type_breaks_the_protocol(line):
    line.submit(Request(Memory()))
    (packet,) = line.sent()
    with pytest.raises(ProtocolError) as caught:
        line.answer(packet, DataAck())
    assert str(caught.value) == (
        "board m4 answered MEMORY with DATA_ACK; rebuild and flash the firmware (make firmware)"
    )


def test_late_answers_and_other_sessions_are_counted_and_ignored(line):
    job = line.submit(Request(Echo(b"a")))
    (packet,) = line.sent()
    line.raw(Packet.of(EchoReply(b"b"), SESSION + 1, packet.sequence))
    line.raw(Packet.of(EchoReply(b"c"), SESSION, packet.sequence + 9))
    assert not job.done
    line.answer(packet, EchoReply(b"a"))
    line.answer(packet, EchoReply(b"d"))
    assert job.reply == EchoReply(b"a")
    assert (line.transfer.foreign_packets, line.transfer.late_packets) == (1, 2)


def test_logs_are_kept_whatever_their_session(line):
    line.raw(Packet.of(Log(2, b"hot \xff"), 0, 0))
    assert list(line.transfer.logs) == [(2, "hot \ufffd")]


# -- runs ---------------------------------------------------------------------------------------


def test_run_follows_its_inputs_without_waiting_and_carries_their_crc(line):
    inputs = bytes(range(200))
    line.submit(RunJob(Run(0, 2, 1, 1, 0, 0), inputs, 4))
    *data, run = line.sent()
    assert b"".join(p.message().data for p in data) == inputs
    assert run.message() == Run(0, 2, 1, 1, 0, zlib.crc32(inputs))


def test_the_line_is_silent_during_a_run_even_when_a_packet_is_known_lost(line):
    line.submit(RunJob(Run(0, 2, 0, 1, 0, 0), bytes(240), 4))
    line.submit(Request(Memory()))
    lost, second, run = line.sent()
    line.answer(second, DataAck())
    assert line.sent() == []
    line.answer(run, RunStarted())  # its CRC-32 was right: only the ACK was lost
    assert line.sent() == []
    line.answer(run, DONE)
    (memory,) = line.sent()
    assert memory.message() == Memory()
    assert lost.sequence != memory.sequence


def test_wrong_inputs_send_what_is_unacknowledged_and_a_new_run(line):
    job = line.submit(RunJob(Run(0, 2, 0, 1, 0, 0), bytes(240), 4))
    lost, second, run = line.sent()
    line.answer(second, DataAck())
    line.answer(run, Error(Run.TYPE, ErrorCode.INPUT_MISMATCH, 1, 2))
    data, again = line.sent()
    assert data == lost
    assert again.message() == run.message()
    assert again.sequence == (run.sequence + 1) & 0xFFFF
    line.answer(data, DataAck())
    line.answer(again, RunStarted())
    line.answer(again, DONE)
    assert job.result == DONE


def test_wrong_inputs_although_all_is_acknowledged_are_sent_twice_more(line):
    line.submit(RunJob(Run(0, 2, 0, 1, 0, 0), bytes(32), 4))
    mismatch = Error(Run.TYPE, ErrorCode.INPUT_MISMATCH, 0xAB, 0xCD)
    for _ in range(2):
        data, run = line.sent()
        line.answer(data, DataAck())
        line.answer(run, mismatch)
    data, run = line.sent()
    line.answer(data, DataAck())
    with pytest.raises(DeviceError) as caught:
        line.answer(run, mismatch)
    assert caught.value.code == "INPUT_MISMATCH"


def test_a_run_without_run_started_is_sent_again_with_the_same_sequence(line):
    line.submit(RunJob(Run(0, 2, 0, 1, 0, 0), bytes(32), 4))
    _, run = line.sent()
    assert line.time_out() == [run]


def test_a_lost_run_done_is_asked_for_with_the_same_sequence(line):
    job, run = started_run(line)
    assert line.time_out() == [run]
    line.answer(run, RunStarted())
    line.answer(run, DONE)
    assert job.done


def test_pushed_pieces_without_run_done_ask_for_it_at_once(line):
    job, run = started_run(line, RunFlag.PUSH_OUTPUTS)
    line.answer(run, ReadData(Region.OUTPUT, 0, b"12345678"))
    assert line.sent() == [run]
    line.answer(run, RunStarted())
    line.answer(run, DONE)
    (read,) = line.sent()
    assert read.message() == Read(Region.OUTPUT, 0, 8)
    line.answer(read, ReadData(Region.OUTPUT, 0, b"12345678"))
    assert job.outputs == b"12345678"


def test_missing_pushed_pieces_are_read_before_the_next_run(line):
    job, run = started_run(line, RunFlag.PUSH_OUTPUTS | RunFlag.PUSH_TICKS)
    line.submit(RunJob(Run(0, 1, 0, 1, 0, 0), bytes(16), 4))
    line.answer(run, replace(DONE, ticks_stored=2))
    assert job.ran
    (data,) = line.sent()  # the next inputs, not the next run
    assert isinstance(data.message(), Data)
    line.answer(run, ReadData(Region.TICKS, 0, bytes(range(8))))
    line.answer(data, DataAck())  # the board is past its pushes, the outputs are lost
    (read,) = line.sent()
    assert read.message() == Read(Region.OUTPUT, 0, 8)
    line.answer(read, ReadData(Region.OUTPUT, 0, b"abcdefgh"))
    assert (job.outputs, job.ticks) == (b"abcdefgh", bytes(range(8)))
    (next_run,) = line.sent()
    assert isinstance(next_run.message(), Run)


def test_a_disturbed_run_is_repeated_with_a_new_sequence_three_times(line):
    job, run = started_run(line)
    disturbed = replace(DONE, rx_bytes_during=7)
    sequences = {run.sequence}
    for _ in range(MAX_RUN_REPEATS):
        line.answer(run, disturbed)
        (run,) = line.sent()
        assert isinstance(run.message(), Run)
        assert run.sequence not in sequences
        sequences.add(run.sequence)
        line.answer(run, RunStarted())
    assert line.transfer.runs_repeated == 3
    with pytest.raises(LinkError) as caught:
        line.answer(run, disturbed)
    assert str(caught.value) == (
        "board m4: RUN (2 vectors x 1 iterations) was disturbed 4 times, last by 7 bytes while the "
        "line had to be silent; find what else writes to the line"
    )
    assert not job.done


@pytest.mark.parametrize("packets", [1, 300, 0x7FFE, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF])
def test_a_run_is_newer_than_the_last_one_however_many_packets_lie_between(packets):
    line = Line(first_sequence=0xFFF0)
    _, first = started_run(line)
    line.answer(first, DONE)
    line.transfer._sequence = (line.transfer._sequence + packets) & 0xFFFF
    line.submit(RunJob(Run(0, 2, 0, 1, 0, 0), bytes(32), 4))
    second = line.sent()[-1]
    assert 0 < (second.sequence - first.sequence) & 0xFFFF < 0x8000


@pytest.mark.parametrize(
    ("done", "counts"),
    [
        (replace(DONE, inferences=1), "1 inferences and stored 0"),
        (replace(DONE, ticks_stored=3), "2 inferences and stored 3"),
    ],
)
def test_a_run_done_that_counts_something_else_breaks_the_protocol(line, done, counts):
    _, run = started_run(line)
    with pytest.raises(ProtocolError) as caught:
        line.answer(run, done)
    assert str(caught.value) == (
        f"board m4 timed {counts} ticks, asked were 2; "
        f"rebuild and flash the firmware (make firmware)"
    )


# -- resets and refusals ------------------------------------------------------------------------


def test_a_boot_hello_in_mid_session_says_the_board_reset_itself(line):
    started_run(line)
    with pytest.raises(BoardError) as caught:
        line.raw(Packet.of(HELLO, 0, 0))
    assert str(caught.value) == (
        "board m4 reset itself during RUN (2 vectors x 1 iterations); "
        "check its supply and the firmware's stack, then run again"
    )


def test_a_boot_hello_answers_hello_and_reset_without_an_error(line):
    hello = line.submit(Request(Hello()))
    line.sent()
    line.raw(Packet.of(HELLO, 0, 0))
    assert not hello.done
    line.transfer.abandon()
    reset = line.submit(Request(Reset()))
    line.sent()
    line.raw(Packet.of(HELLO, 0, 0))
    assert reset.done


def test_reset_that_was_already_done_is_done(line):
    job = line.submit(Request(Reset()))
    (packet,) = line.sent()
    line.answer(packet, Error(Reset.TYPE, ErrorCode.WRONG_SESSION, SESSION, 0))
    assert job.done


def test_error_packets_end_their_request_alone(line):
    line.submit(Request(Memory()))
    other = line.submit(Request(Echo(b"e")))
    memory, echo = line.sent()
    with pytest.raises(DeviceError):
        line.answer(memory, Error(Memory.TYPE, ErrorCode.BAD_REQUEST, 7, 0))
    line.answer(echo, EchoReply(b"e"))
    assert other.done


SENTENCES = {
    ErrorCode.BAD_REQUEST: "packet type 0x07 with 9 payload bytes is not a request it knows; "
    "rebuild and flash the firmware (make firmware)",
    ErrorCode.BAD_REGION: "region 7 does not exist or cannot be written; "
    "rebuild and flash the firmware (make firmware)",
    ErrorCode.OUT_OF_RANGE: "the range ends at byte 7 of a region of 9 bytes; "
    "reset the board and load the model again",
    ErrorCode.NO_MODEL: "no model is loaded; load one first",
    ErrorCode.HASH_MISMATCH: "model memory has hash 00000007…, LOAD says 00000009…; "
    "reset the board and load the model again",
    ErrorCode.BAD_MODEL: "the runtime refuses the model (reason 7 at byte 9); "
    "plan it again with the hilbench that built the firmware",
    ErrorCode.INPUT_MISMATCH: "input memory has CRC-32 00000007, RUN says 00000009, although every "
    "packet was acknowledged; reset the board",
    ErrorCode.NO_RESTORE: "7 inferences asked in one RUN, but there is no room for a pristine "
    "input, so at most 9; use a smaller model or one inference per RUN",
    ErrorCode.INVOKE_FAILED: "the runtime failed (reason 7) in inference 9; "
    "plan the model again or report it",
    ErrorCode.TICKS_OVERFLOW: "inference 7 took longer than its counter of 9 bits can count; "
    "give the port a slower counter",
    ErrorCode.PROFILE_TOO_LONG: "the model has 7 operators, its profile holds 9; "
    "run without --profile",
    ErrorCode.STALE_RUN: "RUN has sequence 7, which is older than the last one, 9; reset the board",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_every_refusal_is_a_sentence(code):
    error = refusal("m4", Error(Run.TYPE, code, 7, 9))
    assert str(error) == f"board m4 refused RUN: {SENTENCES[code]}"
    assert isinstance(error, DeviceError)
    assert (error.code, error.detail) == (code.name, (7, 9))


def test_refusals_with_types_of_their_own():
    assert set(SENTENCES) | {ErrorCode.TOO_LARGE, ErrorCode.WRONG_SESSION} == set(ErrorCode)
    large = refusal("uno", Error(2, ErrorCode.TOO_LARGE, 70000, 2048))
    assert isinstance(large, ModelTooLargeError)
    assert str(large) == (
        "board uno: the model with its arena and one vector needs at least 70000 bytes, 2048 bytes are "
        "available; choose a smaller variant or another board"
    )
    session = refusal("m4", Error(4, ErrorCode.WRONG_SESSION, 0x12, 0x34))
    assert type(session) is BoardError
    assert str(session) == (
        "board m4 no longer knows this session (got 0x0012, holds 0x0034): it reset itself or "
        "another program talks to it; close the other program and run again"
    )
    unknown = refusal("m4", Error(0x77, 99, 1, 2))
    assert str(unknown) == (
        "board m4 refused packet type 0x77 with error code 99, which this host does not know "
        "(details 1, 2); is the firmware newer?"
    )
    named = refusal("m4", Error(3, ErrorCode.BAD_REGION, Region.TICKS, 0))
    assert "region TICKS does not exist" in str(named)


def test_memory_reply_is_kept(line):
    job = line.submit(Request(Memory()))
    (packet,) = line.sent()
    line.answer(packet, MemoryReply(1, 2, 3, 4, 5))
    assert job.reply == MemoryReply(1, 2, 3, 4, 5)
