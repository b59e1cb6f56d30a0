"""Packets against their specification and against damage; golden bytes are in test_golden.py."""

import random
import struct
import zlib

import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench.errors import ProtocolError
from hilbench.protocol.packets import (
    MAX_PAYLOAD_BYTES,
    OVERHEAD_BYTES,
    Decoder,
    Packet,
    encoded_bytes,
)

packets = st.builds(
    Packet,
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.binary(max_size=1200),
)


def uncobs(run):
    """COBS decoding written from the paper, independent of the library."""
    out, at = bytearray(), 0
    while at < len(run):
        code = run[at]
        out += run[at + 1 : at + code]
        at += code
        if code < 0xFF and at < len(run):
            out.append(0)
    return bytes(out)


@given(packets)
def test_bytes_on_the_wire_are_those_of_the_specification(packet):
    wire = packet.encode()
    assert wire[0] == wire[-1] == 0
    assert 0 not in wire[1:-1]
    body = uncobs(wire[1:-1])
    version, kind, session, sequence, length = struct.unpack_from("<BBHHH", body)
    assert (version, kind, session) == (2, packet.type, packet.session)
    assert (sequence, length) == (packet.sequence, len(packet.payload))
    assert body[8:-4] == packet.payload
    assert struct.unpack("<I", body[-4:])[0] == zlib.crc32(body[:-4])
    assert len(wire) <= encoded_bytes(len(packet.payload))


@given(st.lists(packets, max_size=6), st.randoms(use_true_random=False))
def test_packets_survive_any_cut_of_the_stream(sent, cut):
    stream = b"".join(p.encode() for p in sent)
    decoder, got, at = Decoder(), [], 0
    while at < len(stream):
        size = cut.randint(1, 200)
        got += decoder.feed(stream[at : at + size])
        at += size
    assert got == sent
    assert (decoder.bad_packets, decoder.noise_bytes) == (0, 0)


@settings(max_examples=300)
@given(packets, st.data())
def test_a_damaged_packet_is_never_another_packet(packet, data):
    wire = bytearray(packet.encode())
    at = data.draw(st.integers(1, len(wire) - 2))
    wire[at] ^= 1 << data.draw(st.integers(0, 7))
    decoder = Decoder()
    after = Packet(1, 2, 3, b"next")
    assert list(decoder.feed(bytes(wire) + after.encode())) == [after]
    assert decoder.bad_packets >= 1


@given(st.binary(max_size=400), packets)
def test_noise_before_a_packet_is_passed_over_and_counted(noise, packet):
    decoder = Decoder()
    assert list(decoder.feed(noise + packet.encode())) == [packet]
    assert decoder.noise_bytes == len(noise) - noise.count(0)


def test_an_endless_run_without_delimiter_is_bounded():
    decoder = Decoder()
    chunk = random.Random(1).randbytes(5000).replace(b"\0", b"\1")
    for _ in range(40):
        assert list(decoder.feed(chunk)) == []
    assert len(decoder._pending) <= encoded_bytes(MAX_PAYLOAD_BYTES)
    assert decoder.bad_packets >= 1
    assert OVERHEAD_BYTES == 12


def test_another_protocol_version_is_named():
    body = struct.pack("<BBHHH", 9, 1, 2, 3, 0)
    wire = b"\0" + cobs.encode(body + struct.pack("<I", zlib.crc32(body))) + b"\0"
    with pytest.raises(ProtocolError) as caught:
        list(Decoder().feed(wire))
    assert str(caught.value) == (
        "the firmware speaks link protocol 9, this host speaks 2; "
        "rebuild and flash the firmware (make firmware)"
    )


def test_an_unknown_type_is_named():
    with pytest.raises(ProtocolError) as caught:
        Packet(0x77, 1, 1).message()
    assert str(caught.value) == (
        "packet type 0x77 is unknown; is the firmware newer than this host?"
    )
