"""Packets: header, payload, CRC-32, COBS encoding, a zero byte on each side.

Ref: device_firmware/PROTOCOL.md section 2. COBS: Cheshire & Baker, IEEE/ACM Trans. Networking 7(2),
1999. CRC-32: the one of zlib and IEEE 802.3.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from cobs import cobs

from hilbench.errors import ProtocolError
from hilbench.protocol.messages import BY_TYPE, PROTOCOL_VERSION
from hilbench.protocol.schema import Message

_HEADER = struct.Struct("<BBHHH")
_CRC = struct.Struct("<I")
OVERHEAD_BYTES = _HEADER.size + _CRC.size
MAX_PAYLOAD_BYTES = 0xFFFF


@dataclass(frozen=True)
class Packet:
    """One unit on the wire. ``sequence`` and ``session`` wrap at 2**16."""

    type: int
    session: int
    sequence: int
    payload: bytes = b""

    @classmethod
    def of(cls, message: Message, session: int, sequence: int) -> Packet:
        """Pack a message."""
        return cls(message.TYPE, session, sequence, message.encode())

    def message(self) -> Message:
        """Unpack the message.

        Raises:
            ProtocolError: unknown type or malformed payload.
        """
        kind = BY_TYPE.get(self.type)
        if kind is None:
            raise ProtocolError(
                f"packet type 0x{self.type:02x} is unknown; is the firmware newer than this host?"
            )
        return kind.decode(self.payload)

    def encode(self) -> bytes:
        """Return the bytes for the wire, with the delimiter on both sides."""
        header = _HEADER.pack(
            PROTOCOL_VERSION, self.type, self.session, self.sequence, len(self.payload)
        )
        body = header + self.payload
        encoded: bytes = cobs.encode(body + _CRC.pack(zlib.crc32(body)))
        return b"\0" + encoded + b"\0"


def encoded_bytes(payload_bytes: int) -> int:
    """Return the most bytes that a packet with this payload takes on the wire."""
    body = payload_bytes + OVERHEAD_BYTES
    return body + body // 254 + 1 + 2


class Decoder:
    """Bytes in, packets out; what is not a packet is counted, never guessed at.

    Attributes:
        bad_packets: delimited runs with a wrong COBS encoding, length or CRC.
        noise_bytes: bytes in those runs (boot chatter of another program, line noise).
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self.bad_packets = 0
        self.noise_bytes = 0

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield every complete packet.

        Raises:
            ProtocolError: an intact packet of another protocol version.
        """
        self._pending += data
        if 0 not in data:
            self._limit()
            return
        *runs, rest = bytes(self._pending).split(b"\0")
        self._pending = bytearray(rest)
        self._limit()
        for run in runs:
            if run and (packet := self._parse(run)) is not None:
                yield packet

    def _limit(self) -> None:
        longest = encoded_bytes(MAX_PAYLOAD_BYTES)
        if len(self._pending) > longest:
            self.bad_packets += 1
            self.noise_bytes += len(self._pending)
            self._pending.clear()

    def _parse(self, run: bytes) -> Packet | None:
        try:
            body = cobs.decode(run)
        except cobs.DecodeError:
            body = b""
        payload_bytes = len(body) - OVERHEAD_BYTES
        if payload_bytes < 0 or _CRC.unpack_from(body, len(body) - 4)[0] != zlib.crc32(body[:-4]):
            self.bad_packets += 1
            self.noise_bytes += len(run)
            return None
        version, kind, session, sequence, length = _HEADER.unpack_from(body)
        if version != PROTOCOL_VERSION:
            raise ProtocolError(
                f"the firmware speaks link protocol {version}, this host speaks "
                f"{PROTOCOL_VERSION}; rebuild and flash the firmware (make firmware)"
            )
        if length != payload_bytes:
            self.bad_packets += 1
            self.noise_bytes += len(run)
            return None
        return Packet(kind, session, sequence, body[_HEADER.size : -4])
