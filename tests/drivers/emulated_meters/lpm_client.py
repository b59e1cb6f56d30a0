"""A client of the LPM01A made from ST's protocol text alone; the product's driver is another."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from tests.drivers.emulated_meters.conftest import RawClient


@dataclass
class Acquisition:
    """What one acquisition said. ``events``: (index of the next sample, number, word)."""

    values: list = field(default_factory=list)
    stamps: list = field(default_factory=list)  # (index of the next sample, ms, load)
    events: list = field(default_factory=list)
    words: str = ""  # what came after the samples


class LpmClient(RawClient):
    def command(self, text):
        """Return what stands behind the ack, or "error: detail"."""
        self.tell(text)
        answer = b""
        while True:
            answer += self.bytes()
            said = answer.decode()
            if found := re.search(rf"PowerShield > ack {re.escape(text)} ?(.*)\r\n\r\n", said):
                self.rest = answer[found.end() :]
                return found[1]
            if found := re.search(r"PowerShield > error .*\s+Error detail: (.*)\r\n", said):
                self.rest = b""
                return f"error: {found[1]}"

    def tell(self, text):
        os.write(self.fd, f"{text}\r\n".encode())

    def commands(self, *texts):
        for text in texts:
            assert self.command(text) == "", text

    def acquire(self, samples, binary=False):
        """Start, and stop when at least so many samples have come; None: until it ends itself."""
        assert self.command("start") == ""
        data = self.rest
        stopped = False
        while b"summary end" not in data:
            data += self.bytes()
            got = self.parsed(data, binary).values
            if samples is not None and not stopped and len(got) >= samples:
                self.tell("stop")
                stopped = True
        return self.parsed(data, binary)

    def parsed(self, data, binary):
        return _binary(data) if binary else _ascii(data)


def _ascii(data):
    made = Acquisition()
    text = data.decode()
    complete = text[: text.rfind("\n") + 1]
    for line in complete.split("\r\n"):
        if made.words:
            made.words += f"{line}\n"
        elif re.fullmatch(r"\d{4}[+-]\d\d", line):
            made.values.append(int(line[:4]) * 10.0 ** int(line[4:]))
        elif stamp := re.fullmatch(r"TimeStamp: (\d{3})s (\d{3})ms, buff (\d\d)%", line):
            ms = int(stamp[1]) * 1000 + int(stamp[2])
            made.stamps.append((len(made.values), ms, int(stamp[3])))
        elif event := re.fullmatch(r"event (\d\d) (\w+)", line):
            made.events.append((len(made.values), int(event[1]), event[2]))
        elif line:
            made.words = f"{line}\n"
    return made


def _binary(data):
    made, at = Acquisition(), 0
    while at + 1 < len(data):
        word = int.from_bytes(data[at : at + 2], "big")
        if word >> 12 != 0xF:
            made.values.append((word & 0xFFF) / 16 ** (word >> 12))
            at += 2
        elif word == 0xF0F3:
            if at + 9 > len(data):
                break
            ms, load = int.from_bytes(data[at + 2 : at + 6], "big"), data[at + 6]
            assert data[at + 7 : at + 9] == b"\xff\xff"
            made.stamps.append((len(made.values), ms, load))
            at += 9
        else:
            made.words = data[at:].decode("latin1")
            break
    return made
