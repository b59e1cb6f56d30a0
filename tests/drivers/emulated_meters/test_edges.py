"""What the lines of an edges file mean."""

from __future__ import annotations

import os
import socket

import pytest

from hilbench.drivers.emulated_meters._current import Change
from hilbench.drivers.emulated_meters._edges import EdgesFile, SquareWave

EPOCH_NS = 1_000_000_000


def changes(tmp_path, *texts):
    """Write pieces one after the other, reading after each."""
    path = tmp_path / "edges.txt"
    edges = EdgesFile(path, EPOCH_NS)
    assert edges.read(0.0) == []  # not there yet
    found = []
    for text in texts:
        with path.open("a") as file:
            file.write(text)
        found += edges.read(0.0)
    return [(round(c.t_s * 1e9), c.kind, bool(c.value)) for c in found]


def test_edges_are_changes_of_the_marker(tmp_path):
    assert changes(tmp_path, "1000000005 1\n1000000009 0\n", "1000000020 1\n") == [
        (5, "marker", True),
        (9, "marker", False),
        (20, "marker", True),
    ]


def test_a_level_that_stays_is_no_edge(tmp_path):
    text = "900000000 0\n1000000001 1\n1000000002 1\n1000000003 0\n1000000004 0\n"
    assert changes(tmp_path, text) == [(1, "marker", True), (3, "marker", False)]


def test_sleep_is_told_with_the_edge_or_after_it_and_once(tmp_path):
    text = (
        "1000000001 1 idle\n1000000002 0\n"
        "1000000003 1\n1000000004 1 idle\n1000000005 1 idle\n1000000006 0\n1000000007 1\n"
    )
    assert changes(tmp_path, text) == [
        (1, "marker", True),
        (1, "idle", True),
        (2, "marker", False),
        (3, "marker", True),
        (4, "idle", True),
        (6, "marker", False),
        (7, "marker", True),
    ]


def test_lines_may_come_in_pieces(tmp_path):
    assert changes(tmp_path, "10000", "00005", " 1", "\n100000000", "8 0\n") == [
        (5, "marker", True),
        (8, "marker", False),
    ]


def test_a_square_wave_is_known_a_period_ahead():
    wave = SquareWave(0.020, 0.005)
    first = wave.read(0.0)
    assert first == [
        Change(0.0, "marker", 1),
        Change(0.005, "marker", 0),
        Change(0.020, "marker", 1),
        Change(0.025, "marker", 0),
    ]
    assert wave.read(0.010) == []
    assert [c.t_s for c in wave.read(0.020)] == pytest.approx([0.040, 0.045])


@pytest.mark.parametrize("what", ["pipe", "socket"])
def test_what_has_the_descriptor_of_a_file_that_was_is_not_read(what):
    """A board that has ended: /proc/<pid>/fd/<n> leads to whatever was opened since."""
    if what == "pipe":
        reading, writing = os.pipe()
        os.write(writing, b"1000 1\n")
        closing = (reading, writing)
    else:
        closing = tuple(end.detach() for end in socket.socketpair())
    try:
        edges = EdgesFile(f"/proc/self/fd/{closing[0]}", EPOCH_NS)
        assert edges.read(0.0) == []
    finally:
        for fd in closing:
            os.close(fd)
    assert edges.read(0.0) == []
