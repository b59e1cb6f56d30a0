import hashlib

import numpy as np
import pytest

from hilbench.board.client import BoardClient
from hilbench.errors import (
    BoardError,
    DeviceError,
    LinkError,
    ModelTooLargeError,
    UsageError,
    VectorError,
)
from hilbench.protocol import transfer
from hilbench.protocol.messages import EchoReply, Region, RunFlag
from hilbench.records import Timeouts
from hilbench.testing.simboard import SimBoard, SimLink, VirtualClock, model_output

MODEL = bytes(range(200))
SHA = hashlib.sha256(MODEL).digest()


def vectors(n, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (n, 16), dtype=np.uint8)


def client(board=None, **kwargs):
    clock = VirtualClock()
    link = SimLink(board or SimBoard(), clock)
    timeouts = Timeouts(hello_s=2.0, reply_s=2.0, run_s=10.0)
    return BoardClient(link, "m4", timeouts, baud=115200, clock=clock, **kwargs), link


def expected(rows):
    return np.array([list(model_output(r.tobytes())) for r in rows], np.uint8)


@pytest.mark.parametrize("slots", [0, 1, 4, 100])
def test_run_gives_every_vector_its_output(slots):
    board, _ = client(SimBoard(slots=slots))
    board.hello()
    loaded = board.load(MODEL, SHA)
    assert loaded.slots == slots
    rows, seen = vectors(11), []
    result = board.run(rows, warm_up=1, iterations=3, on_progress=seen.append)
    assert np.array_equal(result.outputs, expected(rows))
    assert result.inferences == 33
    assert result.ticks.shape == (33,)
    assert result.ticks_sum == int(result.ticks.sum())
    assert result.cold_ticks == 5000
    assert result.outputs_equal
    assert seen[-1] == 11
    assert board.profile(2) == ([20, 40, 60] if slots == 0 else [10, 20, 30])
    assert board.run(rows).cold_ticks is None


def test_echo_memory_idle_read_write_reset():
    board, _ = client()
    board.hello()
    board.echo(b"\0abc")
    assert board.memory().stack_used_bytes == 512
    assert board.idle(1500, marker=True) == 1500
    data = bytes(np.random.default_rng(3).integers(0, 256, 5000, dtype=np.uint8))
    board.write(Region.POOL, 7, data)
    assert board.read(Region.POOL, 7, 5000) == data
    board.reset()
    assert board.link_figures().bad_packets_board == 0


# -- sessions and errors ------------------------------------------------------------------------


def loaded_client(board=None):
    c, link = client(board)
    c.hello()
    c.load(MODEL, SHA)
    return c, link


def test_boot_noise_and_the_unasked_hello_are_passed_over():
    board = SimBoard()
    c, link = client(board)
    link.push(b"U-Boot\r\n\x00garbage\x00" + board.boot())
    hello = c.hello()
    assert hello.port == "sim"
    assert c.identity is hello
    assert c.link_figures().bad_packets_host == 2


def test_a_silent_board_is_named_with_what_was_heard():
    c, link = client(SimBoard(mute=True))
    link.push(b"\x00login: \x00")
    with pytest.raises(BoardError) as caught:
        c.hello()
    assert str(caught.value) == (
        "board m4: no HELLO within 2 s; heard 9 bytes, of them 7 in damaged packets, and 0 packets "
        "of other sessions; check port, baud rate and that hilbench firmware is flashed, then reset "
        "the board"
    )
    assert link.clock.now_s == pytest.approx(2.0, abs=0.1)


def test_a_board_that_falls_silent():
    board = SimBoard()
    c, link = loaded_client(board)
    board.mute = True
    begun_s = link.clock.now_s
    with pytest.raises(BoardError) as caught:
        c.memory()
    assert str(caught.value) == (
        "board m4: no reply to MEMORY within 2 s; is it still plugged in and powered? "
        "reset or power-cycle it and see `hilbench boards`"
    )
    assert link.clock.now_s - begun_s == pytest.approx(2.0, abs=0.1)


def test_a_board_that_hangs_in_a_run():
    board = SimBoard()
    c, link = loaded_client(board)
    board.on_run = lambda b: setattr(b, "mute", True)
    begun_s = link.clock.now_s
    with pytest.raises(BoardError) as caught:
        c.run(vectors(2))
    assert str(caught.value) == (
        "board m4: no reply to RUN (2 vectors x 1 iterations) within 10 s; is the firmware hung? "
        "reset or power-cycle it (`hilbench boards`), or raise run_s in boards.toml"
    )
    assert link.clock.now_s - begun_s == pytest.approx(10.0, abs=0.5)


def test_a_board_that_resets_in_a_run():
    board = SimBoard()
    c, link = loaded_client(board)
    board.on_run = lambda b: (setattr(b, "mute", True), link.push(b.boot()))
    with pytest.raises(BoardError, match="board m4 reset itself during RUN"):
        c.run(vectors(2))


def test_another_program_on_the_same_board():
    board = SimBoard()
    c, _ = loaded_client(board)
    board._session = 0x0BAD
    with pytest.raises(BoardError, match=r"no longer knows this session .*another program"):
        c.memory()


def test_a_slow_run_is_not_disturbed_by_questions():
    board = SimBoard(inference_s=1.9)
    c, _ = loaded_client(board)
    c.run(vectors(1))
    assert board.runs_executed == 1
    c.run(vectors(4))  # 7.6 s: its length is known by now
    assert board.runs_executed == 2


def test_guards_and_pattern_are_no_silence(monkeypatch):
    monkeypatch.setattr(transfer, "RUN_SLACK_S", 0.0)
    flags = RunFlag.MARKER_WINDOW | RunFlag.GUARD | RunFlag.PATTERN
    pauses_s = 11 * 0.02 + 2 * 0.02
    board = SimBoard()
    c, link = loaded_client(board)
    c.run(vectors(1))
    for executed in (2, 3):
        start_s = link.clock.now_s
        c.run(vectors(1), flags=flags)
        assert board.runs_executed == executed
        assert link.clock.now_s - start_s > pauses_s
    assert c.link_figures().retransmitted_packets == 0


def test_a_disturbed_run_is_repeated_and_counted():
    board = SimBoard(pending_rx_bytes=5)
    c, _ = loaded_client(board)
    result = c.run(vectors(3))
    assert np.array_equal(result.outputs, expected(vectors(3)))
    assert board.runs_executed == 2
    assert c.link_figures().runs_repeated == 1
    assert result.cold_ticks is None  # it was in the disturbed run


def test_ticks_that_do_not_fit_leave_the_sums():
    c, _ = loaded_client(SimBoard(ticks_capacity=3, slots=4))
    result = c.run(vectors(4), iterations=5)
    assert result.ticks.shape == (0,)
    assert result.inferences == 20
    assert result.ticks_sum == sum(range(1000, 1020))
    fitting = c.run(vectors(4), iterations=2)  # batches of one vector
    assert fitting.ticks.tolist() == [1000, 1001] * 4


@pytest.mark.parametrize(
    ("flag", "of_an_inference"),
    [(RunFlag.MARKER_WINDOW, 7), (RunFlag.MARKER_EACH, 0), (RunFlag.MARKER_OPERATORS, 0)],
)
@pytest.mark.parametrize("slots", [0, 2])
def test_the_marker_is_high_for_what_is_timed_in_all_batches(flag, of_an_inference, slots):
    c, link = loaded_client(SimBoard(slots=slots))
    result = c.run(vectors(5), warm_up=3, iterations=2, flags=flag)
    assert result.window_ticks == result.ticks_sum + of_an_inference * 10
    assert link.board.marked_ticks == result.window_ticks
    c.profile()
    assert c.run(vectors(1)).window_ticks == 0
    assert link.board.marked_ticks == result.window_ticks


def test_without_outputs_and_ticks_nothing_is_fetched():
    c, _ = loaded_client(SimBoard())
    result = c.run(vectors(4), want_ticks=False, want_outputs=False)
    assert result.outputs is None
    assert result.ticks.shape == (0,)
    assert result.ticks_sum == 1000 + 1001 + 1002 + 1003


def test_a_loaded_model_is_not_sent_again_but_hashed():
    board = SimBoard()
    c, _ = loaded_client(board)
    c.hello()
    before = c._conversation.bytes_sent
    c.load(MODEL, SHA)
    assert c._conversation.bytes_sent - before < len(MODEL)
    board._pool[3] ^= 1
    with pytest.raises(DeviceError) as caught:
        c.load(MODEL, SHA)
    assert caught.value.code == "HASH_MISMATCH"


def test_a_probe_writes_the_model_instead_of_the_link():
    board = SimBoard()
    c, _ = client(board)

    class Probe:
        def write_memory(self, address, data):
            assert address == 0x20000000
            board._pool[: len(data)] = data

    c.hello()
    before = c._conversation.bytes_sent
    c.load(MODEL, SHA, Probe())
    assert c._conversation.bytes_sent - before < len(MODEL)
    assert c.run(vectors(1)).inferences == 1


def test_a_model_larger_than_the_pool():
    c, _ = client()
    c.hello()
    with pytest.raises(ModelTooLargeError) as caught:
        c.load(bytes(9000), bytes(32))
    assert str(caught.value) == (
        "board m4: the model alone needs 9000 bytes, 8192 bytes are available; "
        "choose a smaller variant or another board"
    )


def test_wrong_use_is_an_error_with_the_next_step():
    c, _ = client()
    for call in (c.memory, lambda: c.identity, lambda: c.load(MODEL, SHA), c.reset):
        with pytest.raises(UsageError) as caught:
            call()
        assert str(caught.value) == "board m4: no session; call hello() first"
    c.hello()
    with pytest.raises(UsageError) as caught:
        c.run(vectors(1))
    assert str(caught.value) == "board m4: no model is loaded; call load() first"
    c.load(MODEL, SHA)
    with pytest.raises(UsageError) as caught:
        c.profile()
    assert str(caught.value) == "board m4: profile needs an input; call run() first"
    with pytest.raises(UsageError) as caught:
        c.run(vectors(1), iterations=0)
    assert str(caught.value) == (
        "board m4: warm_up = 0 and iterations = 0; a run needs warm_up >= 0 and iterations >= 1"
    )
    for bad, count, dtype in ((b"x" * 17, 17, "uint8"), (np.zeros((2, 16)), 32, "float64")):
        with pytest.raises(VectorError) as caught:
            c.run(bad)
        assert str(caught.value) == (
            f"board m4: got {count} {dtype} values as vectors, the loaded model takes 16 uint8 "
            f"bytes each; quantise them for this model"
        )


def test_an_echo_of_other_bytes():
    board = SimBoard()
    c, _ = loaded_client(board)
    board._reply = lambda message: EchoReply(b"other")
    with pytest.raises(LinkError) as caught:
        c.echo(b"mine")
    assert str(caught.value) == (
        "board m4: ECHO of 4 bytes came back as other bytes with a good CRC-32; "
        "rebuild and flash the firmware (make firmware)"
    )


def test_after_a_refusal_the_session_goes_on():
    c, _ = loaded_client()
    with pytest.raises(DeviceError) as caught:
        c.read(Region.POOL, 8000, 500)
    assert caught.value.code == "OUT_OF_RANGE"
    assert c.run(vectors(2)).inferences == 2
