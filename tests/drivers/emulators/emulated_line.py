"""A line to an emulated board, and the images that tests need."""

from __future__ import annotations

import os
import select
import time

import pytest

from hilbench.board.images import find_image
from hilbench.errors import ImageError
from hilbench.protocol.messages import HelloReply, Message
from hilbench.protocol.packets import Decoder, Packet
from hilbench.records import Image

TIMEOUT_S = 20.0


class Line:
    """The host's end of a PTY."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self._decoder = Decoder()
        self._packets: list[Packet] = []

    def receive(self) -> Packet:
        end = time.monotonic() + TIMEOUT_S
        while not self._packets:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no packet within {TIMEOUT_S} s"
            self._packets += self._decoder.feed(os.read(self.fd, 4096))
        return self._packets.pop(0)

    def expect(self, kind: type[Message]) -> Message:
        message = self.receive().message()
        assert isinstance(message, kind), message
        return message

    def ask(self, request: Message, session: int, sequence: int) -> Message:
        os.write(self.fd, Packet.of(request, session, sequence).encode())
        return self.receive().message()

    def hello(self) -> HelloReply:
        message = self.expect(HelloReply)
        assert isinstance(message, HelloReply)
        return message


def image_or_skip(port: str) -> Image:
    try:
        return find_image(port)
    except ImageError as error:
        pytest.skip(str(error))
