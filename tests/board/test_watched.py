"""A quiet line is looked into: whoever waits hears why it is quiet."""

from __future__ import annotations

import threading

import pytest

from hilbench.board.access import Access
from hilbench.board.watched import WatchedLink
from hilbench.errors import BoardError
from hilbench.records import BoardConfig, Image


class Line:
    """Silent for a while, then one byte."""

    def __init__(self, quiet_reads):
        self.quiet_reads = quiet_reads

    def read(self, timeout_s):
        self.quiet_reads -= 1
        return b"" if self.quiet_reads >= 0 else b"x"


def test_what_arrives_goes_before_what_is_wrong():
    def check():
        raise BoardError("dead")

    assert WatchedLink(Line(0), check).read(5.0) == b"x"
    with pytest.raises(BoardError, match=r"^dead$"):
        WatchedLink(Line(1), check).read(5.0)


def test_a_wait_of_minutes_ends_when_a_person_interrupts(tmp_path):
    image = Image("p", tmp_path / "p.elf", "", "", "", "", ())
    access = Access(BoardConfig("lab", "p", serial="/dev/x"), image, lambda _: None)
    waits = threading.Event()

    class Silent:
        def read(self, timeout_s):
            waits.set()
            return b""

    said = []

    def wait():
        with pytest.raises(BoardError) as caught:
            WatchedLink(Silent(), access._check).read(600.0)
        said.append(str(caught.value))

    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(10)
    access.interrupt()
    thread.join(10)
    assert said == ["board lab: interrupted; run it again"]
