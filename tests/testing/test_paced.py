"""The paced pipe in virtual time: when bytes may be seen is arithmetic, not scheduling."""

import pytest

from hilbench.testing.paced import PacedLink, PacedPipe


def test_bytes_come_at_the_line_rate_after_the_latency():
    pipe = PacedPipe(bytes_per_s=1000.0, latency_s=0.016)
    pipe.put(bytes(range(100)), 5.0)
    assert pipe.take(5.016) == b""
    assert pipe.take(5.0165) == b""
    assert pipe.take(5.017) == b"\0"
    assert pipe.take(5.066) == bytes(range(1, 50))
    assert pipe.pending_bytes == 50
    assert pipe.take(6.0) == bytes(range(50, 100))
    assert pipe.due_s(6.0) is None


def test_a_busy_line_queues_and_an_idle_one_does_not_save_up():
    pipe = PacedPipe(1000.0, 0.0)
    pipe.put(bytes(10), 0.0)
    pipe.put(bytes(10), 0.001)  # waits for the ten before it
    assert len(pipe.take(0.015)) == 15
    assert len(pipe.take(0.020)) == 5
    pipe.put(bytes(10), 1.0)
    assert pipe.take(1.0) == b""
    assert len(pipe.take(1.005)) == 5


@pytest.mark.parametrize("baud", [115_200, 2_000_000])
def test_long_streams_do_not_drift(baud):
    pipe = PacedPipe(baud / 10, 0.001)
    total, now, got = 300_000, 0.0, 0
    for _ in range(total // 1000):
        pipe.put(bytes(1000), 0.0)
    while got < total:
        now += 0.00037
        got += len(pipe.take(now))
        assert abs(got - min(total, max(0.0, (now - 0.001) * baud / 10))) <= 1.001


class Wire:
    """The far end in virtual time: notes what arrives when, and answers at once."""

    def __init__(self):
        self.now = 0.0
        self.arrived = []
        self.replies = []

    def write(self, data, timeout_s):
        self.arrived += [(self.now, b) for b in data]
        self.replies.append(bytes(data))

    def read(self, timeout_s):
        if self.replies:
            return self.replies.pop(0)
        self.now += max(timeout_s, 1e-6)
        return b""

    def close(self):
        self.now = -1.0


def test_both_directions_are_paced_and_nothing_changes():
    wire = Wire()
    link = PacedLink(wire, 10_000, 0.005, clock=lambda: wire.now)
    data = bytes(range(200))
    link.write(data, 1.0)
    got, first_s = b"", None
    while len(got) < 200:
        piece = link.read(0.5)
        assert piece
        first_s = wire.now if first_s is None else first_s
        got += piece
    assert got == data
    assert bytes(b for _, b in wire.arrived) == data
    # 1000 bytes/s: byte k reaches the far end at (k + 1) ms + 5 ms, give or take a step.
    for k, (at_s, _) in enumerate(wire.arrived):
        assert -1e-9 <= at_s - ((k + 1) * 1e-3 + 0.005) <= 1.1e-3
    assert first_s == pytest.approx(2 * (0.001 + 0.005), abs=1.1e-3)
    assert wire.now == pytest.approx(0.2 + 0.001 + 2 * 0.005, abs=2.2e-3)
    assert (link.bytes_to_board, link.bytes_to_host) == (200, 200)


def test_reading_an_idle_line_returns_at_the_timeout():
    wire = Wire()
    link = PacedLink(wire, 115200, 0.001, clock=lambda: wire.now)
    assert link.read(0.25) == b""
    assert wire.now == pytest.approx(0.25, abs=1e-3)
    link.close()
    assert wire.now == -1.0
