"""The GDB remote serial protocol, as much as a debug probe needs: stop, go, memory, registers.

Ref: GDB manual, appendix E "GDB Remote Serial Protocol".
"""

from __future__ import annotations

import re
import select
import socket
import struct
import time
from collections import deque

from hilbench.drivers.emulators._deadline import Deadline
from hilbench.errors import LinkError

_WHO = "QEMU's debug probe (gdbstub)"
_SMALLEST_PACKET_BYTES = 400  # when the stub does not say
_HEADER_BYTES = 32  # of an M packet: command, address, length
_INTERRUPT = b"\x03"


def frame(payload: bytes) -> bytes:
    """Return ``$payload#checksum``."""
    return b"$" + payload + b"#%02x" % (sum(payload) & 0xFF)


class RspParser:
    """Bytes in, payloads out, however the bytes are cut."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that are complete; acknowledgements are taken silently.

        Raises:
            LinkError: wrong checksum, or the stub rejects what was sent.
        """
        self._pending += data
        payloads = []
        while self._pending:
            if self._pending[:1] != b"$":
                if self._pending[:1] == b"-":
                    raise LinkError(f"{_WHO} says that a command arrived damaged")
                self._pending = self._pending[1:]
                continue
            end = self._pending.find(b"#")
            if end < 0 or len(self._pending) < end + 3:
                break
            payload, checksum = self._pending[1:end], self._pending[end + 1 : end + 3]
            self._pending = self._pending[end + 3 :]
            if frame(payload)[-2:] != checksum.lower():
                raise LinkError(f"{_WHO} sent a packet with a wrong checksum: {payload[:40]!r}")
            payloads.append(payload)
        return payloads


class RspClient:
    """A probe session over a connected socket. The core is stopped when it begins.

    Attributes:
        running: the core runs; memory is accessible only while it does not.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parser = RspParser()
        self._replies: deque[bytes] = deque()
        self._chunk_bytes = (_SMALLEST_PACKET_BYTES - _HEADER_BYTES) // 2
        self.running = False

    def connect(self, deadline: Deadline) -> None:
        """Ask how large a packet may be.

        Raises:
            LinkError: closed, silent, or damaged.
        """
        features = self._request(b"qSupported", deadline)
        if size := re.search(rb"PacketSize=([0-9a-fA-F]+)", features):
            self._chunk_bytes = (int(size[1], 16) - _HEADER_BYTES) // 2

    def halt(self, deadline: Deadline) -> None:
        """Stop the core; virtual time stands still."""
        if self.running:
            deadline.send(self._sock, _INTERRUPT, _WHO)
            while self._reply(deadline)[:1] not in {b"T", b"S"}:
                pass
            self.running = False

    def resume(self, deadline: Deadline) -> None:
        """Let the core run. The reply comes when it stops, so there is none to wait for."""
        if not self.running:
            deadline.send(self._sock, frame(b"c"), _WHO)
            self.running = True

    def detach(self, deadline: Deadline) -> None:
        """End the session of a stopped core; it runs when this returns.

        Raises:
            LinkError: refused, closed, silent or damaged.
        """
        self._command(b"D;1", deadline)  # QEMU stays multi-process once a gdb has asked for it

    def use_registers(self, deadline: Deadline) -> None:
        """Take the target description, without which QEMU refuses to speak of single registers."""
        self._request(b"qXfer:features:read:target.xml:0,100", deadline)

    def stopped_within(self, wait_s: float, deadline: Deadline) -> bool:
        """Return whether a running core has stopped by itself, waiting a little for it."""
        end_s = time.monotonic() + wait_s
        while not self._replies:
            left_s = max(0.0, end_s - time.monotonic())
            if not select.select([self._sock], [], [], left_s)[0]:
                return False
            self._receive(deadline)  # perhaps no more than an acknowledgement
        self.running = self._replies.popleft()[:1] not in {b"T", b"S"}
        return not self.running

    def set_breakpoint(self, address: int, deadline: Deadline) -> None:
        """Stop the core before it executes the Thumb instruction at an address."""
        self._command(b"Z0,%x,2" % address, deadline)

    def clear_breakpoint(self, address: int, deadline: Deadline) -> None:
        """Take a breakpoint away."""
        self._command(b"z0,%x,2" % address, deadline)

    def read_register(self, number: int, deadline: Deadline) -> int:
        """Return a 32-bit register by its number in the stub's target description.

        Raises:
            LinkError: there is no such register; closed, silent or damaged.
        """
        answer = self._request(b"p%x" % number, deadline)
        try:
            (value,) = struct.unpack("<I", bytes.fromhex(answer.decode()))
        except (ValueError, struct.error):
            raise LinkError(
                f"{_WHO} has no 32-bit register {number} ({answer[:20].decode(errors='replace')}); "
                "is this a Cortex-M?"
            ) from None
        return int(value)

    def write_register(self, number: int, value: int, deadline: Deadline) -> None:
        """Write a 32-bit register by its number in the stub's target description.

        Raises:
            LinkError: there is no such register; closed, silent or damaged.
        """
        self._command(b"P%x=%s" % (number, struct.pack("<I", value).hex().encode()), deadline)

    def write(self, address: int, data: bytes, deadline: Deadline) -> None:
        """Write memory.

        Raises:
            LinkError: refused, which names the address; closed, silent or damaged.
        """
        for offset in range(0, len(data), self._chunk_bytes):
            chunk = data[offset : offset + self._chunk_bytes]
            at = address + offset
            answer = self._request(b"M%x,%x:%s" % (at, len(chunk), chunk.hex().encode()), deadline)
            if answer != b"OK":
                raise LinkError(
                    f"{_WHO} refuses to write {len(chunk)} bytes at 0x{at:08x} ({answer.decode()}); "
                    "is there memory at that address of this machine?"
                )

    def read(self, address: int, length: int, deadline: Deadline) -> bytes:
        """Return ``length`` bytes of memory.

        Raises:
            LinkError: refused, which names the address; closed, silent or damaged.
        """
        data = bytearray()
        while len(data) < length:
            at, wanted = address + len(data), min(self._chunk_bytes, length - len(data))
            answer = self._request(b"m%x,%x" % (at, wanted), deadline)
            try:
                chunk = bytes.fromhex(answer.decode())
            except ValueError:
                chunk = b""
            if len(chunk) != wanted:
                raise LinkError(
                    f"{_WHO} refuses to read {wanted} bytes at 0x{at:08x} "
                    f"({answer[:20].decode(errors='replace')}); "
                    "is there memory at that address of this machine?"
                )
            data += chunk
        return bytes(data)

    def _command(self, payload: bytes, deadline: Deadline) -> None:
        if (answer := self._request(payload, deadline)) != b"OK":
            raise LinkError(
                f"{_WHO} refuses {payload.decode()} ({answer.decode()}); is this a Cortex-M?"
            )

    def _request(self, payload: bytes, deadline: Deadline) -> bytes:
        deadline.send(self._sock, frame(payload), _WHO)
        # A stop reply may arrive unasked, e.g. on attach; no command used here answers with one.
        while (answer := self._reply(deadline))[:1] in {b"T", b"S"}:
            pass
        return answer

    def _reply(self, deadline: Deadline) -> bytes:
        while not self._replies:
            self._receive(deadline)
        return self._replies.popleft()

    def _receive(self, deadline: Deadline) -> None:
        payloads = self._parser.feed(deadline.receive(self._sock, _WHO))
        if payloads:
            deadline.send(self._sock, b"+" * len(payloads), _WHO)
            self._replies += payloads
