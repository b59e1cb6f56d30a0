"""A PowerShield behind a PTY, by the words of UM2269; it streams as fast as it is read."""

from __future__ import annotations

import os
import pty
import select
import threading
import tty

from tests.drivers.power.lpm01a import wire

PROMPT = b"PowerShield > "
ID = "540554545-1430736921-1900587"


class Shield:
    """Answers every command; ``refuse`` maps a command to the error detail."""

    def __init__(self, **options):
        self.version = options.pop("version", "1.0.7")
        self.status = options.pop("status", ["ok"])
        self.refuse = options.pop("refuse", {})
        self.mute = set(options.pop("mute", ()))
        self.volts = options.pop("volts", None)  # answers of "volt get"
        self.data = options.pop("data", None)  # block number -> bytes of it, b"" for no more
        self.stale = options.pop("stale", b"")  # streams this when it is opened, until "stop"
        self.endless = options.pop("endless", False)  # goes on after "stop"
        self.next_line = options.pop("next_line", False)  # answers on the line after the ack
        self.summary = options.pop("summary", b"")
        assert not options
        self.commands, self.powered, self.streaming = [], None, bool(self.stale)
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.address = os.ttyname(self._slave)
        self._out, self._in, self._block = bytearray(self.stale), b"", 0
        self._format = "ascii_dec"
        self._wake = os.pipe()
        self._done = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Unplug."""
        self._done = True
        os.write(self._wake[1], b"x")
        self._thread.join(5)
        for fd in (self._master, self._slave, *self._wake):
            if fd >= 0:
                os.close(fd)
        self._master = self._slave = -1
        self._wake = (-1, -1)

    def _run(self):
        while not self._done:
            if self.streaming and len(self._out) < 20_000:
                self._out += self._next()
            writers = [self._master] if self._out else []
            readable, writable, _ = select.select([self._master, self._wake[0]], writers, [])
            if writable:
                del self._out[: os.write(self._master, self._out[:4096])]
            if self._master in readable:
                self._in += os.read(self._master, 4096)
                *lines, self._in = self._in.split(b"\r\n")
                for line in filter(None, lines):
                    self._command(line.decode())

    def _next(self):
        if self.stale:
            return self.stale
        block = self.data(self._block) if self.data else default_block(self._format, self._block)
        self._block += 1
        if not block:
            self.streaming = False
        return block

    def _say(self, *lines):
        for line in lines:
            self._out += b"\r\n" + PROMPT + line.encode() + b"\r\n\r\n"

    def _command(self, command):
        self.commands.append(command)
        if command in self.mute:
            return
        if command in self.refuse:
            self._say(f"error {command}")
            self._out += f"Error detail: {self.refuse[command]}\r\n".encode() + PROMPT
            return
        answers = {
            "version": self.version,
            "powershield": f"present: {ID}" if self.next_line else ID,
            "status": self.status[0] if len(self.status) == 1 else None,
            "volt get": "3292-03",
        }
        if command == "status" and len(self.status) > 1:
            answers["status"] = self.status.pop(0)
        if command == "volt get" and self.volts:
            answer = self.volts.pop(0)
            if answer is None:
                self._say("error volt get")
                self._out += b"Error detail: calibration is running\r\n"
                return
            answers["volt get"] = answer
        if command in answers:
            if self.next_line:
                self._out += b"\r\n" + PROMPT + f"ack {command}\r\n{answers[command]}\r\n".encode()
                self._out += PROMPT
            else:
                self._say(f"ack {command} {answers[command]}")
        elif command == "stop":
            self._stop()
        else:
            self._set(command)

    def _set(self, command):
        word, _, value = command.partition(" ")
        if word == "pwr":
            self.powered = value == "on"
        if word == "format":
            self._format = value
        self._say(f"ack {command}")
        if command == "start":
            self.streaming, self._block = True, 0

    def _stop(self):
        if self.endless:
            return
        if not self.streaming and not self._block and not self.stale:
            self._say("error stop")
            self._out += b"Error detail: no acquisition\r\n"
            return
        if self._format == "bin_hexa" and not self.stale:
            self._out += b"\xf0\xf4\xff\xff"
        self.streaming, self.stale, self._block = False, b"", 0
        self._say("ack stop", "Acquisition completed")
        self._out += self.summary


def default_block(data_format, number, hz=5000):
    """1000 samples of 5 mA; D7 is up in the middle third of every odd block."""
    if data_format == "bin_hexa":
        return wire.binary_stamp(number * 10) + b"\x41\x48" * 1000
    out = bytearray(wire.ascii_stamp(number * 1_000_000 // hz))
    for k in range(1000):
        if number % 2 and k in {333, 666}:
            event = number - 1 + (k == 666)
            out += f"event {event % 100:02d} {'ris' if k == 333 else 'fal'}\r\n".encode()
        out += b"5000-06\r\n"
    return bytes(out)
