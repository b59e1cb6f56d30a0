"""The probe client against a scripted stub: damaged, split and unasked packets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilbench.drivers.emulators import qemu
from hilbench.drivers.emulators._deadline import Deadline
from hilbench.drivers.emulators._rsp import RspClient, RspParser, frame
from hilbench.errors import FlashError, LinkError


class Stub:
    """A gdbstub with memory; answers arrive one byte at a time."""

    def __init__(
        self, size: int, *, spoil: Callable[[bytearray], None] = lambda memory: None
    ) -> None:
        self.memory = bytearray(size)
        self.spoil = spoil
        self.commands: list[bytes] = []

    def answer(self, command: bytes) -> bytes:
        self.commands.append(command)
        if command.startswith(b"qSupported"):
            return frame(b"T02thread:01;") + frame(b"PacketSize=100;multiprocess+")
        where, _, data = command[1:].partition(b":")
        address, length = (int(part, 16) for part in where.split(b","))
        if address + length > len(self.memory):
            return frame(b"E14")
        if command.startswith(b"M"):
            self.memory[address : address + length] = bytes.fromhex(data.decode())
            self.spoil(self.memory)
            return frame(b"OK")
        return frame(self.memory[address : address + length].hex().encode())

    def serve(self, sock: socket.socket) -> None:
        parser = RspParser()
        with contextlib.suppress(OSError):
            while data := sock.recv(4096):
                for command in parser.feed(data):
                    for byte in b"+" + self.answer(command):
                        sock.sendall(bytes([byte]))


@contextlib.contextmanager
def probe(stub: Stub) -> Iterator[RspClient]:
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=stub.serve, args=(theirs,), daemon=True)
    thread.start()
    client = RspClient(ours)
    client.connect(Deadline(10))
    try:
        yield client
    finally:
        ours.close()
        thread.join(10)
        theirs.close()


@given(st.lists(st.binary(max_size=40).map(lambda b: b.hex().encode())), st.data())
def test_however_the_bytes_are_cut(payloads, data):
    wire = b"+".join(frame(p) for p in payloads)
    parser, got = RspParser(), []
    while wire:
        cut = data.draw(st.integers(1, len(wire)))
        got += parser.feed(wire[:cut])
        wire = wire[cut:]
    assert got == payloads


def test_known_frame():
    assert frame(b"OK") == b"$OK#9a"  # GDB manual, "Overview"


def test_wrong_checksum():
    with pytest.raises(LinkError, match=r"sent a packet with a wrong checksum: b'OK'"):
        RspParser().feed(b"+$OK#9b")


def test_rejected_command():
    with pytest.raises(LinkError, match="says that a command arrived damaged"):
        RspParser().feed(b"-")


def test_memory_in_pieces_as_small_as_the_stub_wants():
    stub, data = Stub(2000), bytes(i * 7 & 0xFF for i in range(1500))
    with probe(stub) as client:
        client.write(100, data, Deadline(10))
        assert stub.memory[100:1600] == data
        assert client.read(100, 1500, Deadline(10)) == data
    assert max(len(frame(c)) for c in stub.commands) <= 0x100


@pytest.mark.parametrize("what", ["write", "read"])
def test_refused_address(what):
    with probe(Stub(16)) as client:
        access = {"write": lambda: client.write(16, b"abcd", Deadline(10)),
                  "read": lambda: client.read(16, 4, Deadline(10))}[what]  # fmt: skip
        with pytest.raises(LinkError) as caught:
            access()
    assert str(caught.value) == (
        f"QEMU's debug probe (gdbstub) refuses to {what} 4 bytes at 0x00000010 (E14); "
        "is there memory at that address of this machine?"
    )


def test_one_flipped_bit_is_found_and_named():
    def flip(memory: bytearray) -> None:
        memory[0x123] ^= 0x10

    written = bytes(0x200)
    with probe(Stub(0x400, spoil=flip)) as client:
        client._chunk_bytes = 0x200
        client.write(0x80, written, Deadline(10))
        with pytest.raises(FlashError) as caught:
            qemu._compare("m4", 0x80, written, client, Deadline(10))
    assert str(caught.value) == (
        "board m4: flash reads back 0x10 at 0x00000123, 0x00 was written; "
        "is the image linked for this board's memory?"
    )


def test_silence_and_hang_up():
    ours, theirs = socket.socketpair()
    with ours:
        with theirs, pytest.raises(LinkError, match=r"did not answer within 0\.05 s; is the host"):
            RspClient(ours).connect(Deadline(0.05))
        with pytest.raises(LinkError, match=r"gdbstub\) has closed the connection"):
            RspClient(ours).connect(Deadline(10))


@pytest.fixture
def scripted() -> Iterator[tuple[RspClient, socket.socket]]:
    """A client, and the stub's side of the line to put answers on before they are asked for."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield RspClient(ours), theirs


def test_an_acknowledgement_is_not_a_stop(scripted):
    client, stub = scripted
    client.resume(Deadline(10))
    stub.sendall(b"+")
    assert not client.stopped_within(0.0, Deadline(10))
    assert client.running
    stub.sendall(frame(b"T05thread:01;"))
    assert client.stopped_within(10, Deadline(10))
    assert not client.running


def test_registers_are_little_endian_on_the_wire(scripted):
    client, stub = scripted
    stub.sendall(frame(b"78563412") + frame(b"OK"))
    assert client.read_register(15, Deadline(10)) == 0x12345678
    client.write_register(25, 0x61000000, Deadline(10))
    assert b"".join(frame(c) for c in (b"pf", b"P19=00000061")) in stub.recv(4096).replace(
        b"+", b""
    )


def test_refused_registers_and_breakpoints(scripted):
    client, stub = scripted
    stub.sendall(frame(b"E14") + frame(b"") + frame(b"E22"))
    with pytest.raises(LinkError) as caught:
        client.read_register(99, Deadline(10))
    assert str(caught.value) == (
        "QEMU's debug probe (gdbstub) has no 32-bit register 99 (E14); is this a Cortex-M?"
    )
    with pytest.raises(LinkError, match=r"refuses P0=01000000 \(\); is this a Cortex-M\?$"):
        client.write_register(0, 1, Deadline(10))
    with pytest.raises(LinkError, match=r"refuses Z0,20000000,2 \(E22\); is this a Cortex-M\?$"):
        client.set_breakpoint(0x20000000, Deadline(10))
