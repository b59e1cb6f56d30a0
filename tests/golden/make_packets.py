"""Write packets.json: packets that the C and the Python side must both make and understand.

Run ``python tests/golden/make_packets.py`` only when the protocol's version changes; a difference
without a new version is a broken promise to every flashed board.
"""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

from hilbench.protocol import messages as m
from hilbench.protocol.packets import Packet
from hilbench.protocol.schema import Message, wire_types

GOLDEN = Path(__file__).with_name("packets.json")
SHA = bytes(range(32))
BUILD_ID = bytes(range(0xE0, 0xF4))
NOISE = random.Random(1).randbytes(200)

HELLO_REPLY = m.HelloReply(
    protocol_version=2, clock_source=m.ClockSource.DECLARED, port_untested=1, counter_bits=24,
    counter_hz=16_000_000, counter_overhead_ticks=7, packet_bytes=256, window_bytes=511,
    pool_bytes=0x1_0000, pool_address=0x1234_5678_9ABC_DEF0, ticks_capacity=1024,
    profile_capacity=64, stack_bytes=2048, model_loaded=1, model_sha256=SHA, build_id=BUILD_ID,
    port="mps2-an386", chip="cortex-m4", unique_id="", runtime="plan 1", kernels="dsp·16",
)  # fmt: skip
RUN_DONE = m.RunDone(
    inferences=1000, ticks_stored=512, ticks_sum=0x0102_0304_0506_0708, ticks_min=90,
    ticks_max=0xFFFF_FFFF, cold_valid=1, cold_ticks=300, restore_ticks_sum=1 << 40,
    outputs_equal=1, rx_bytes_during=0, operators=12, window_ticks=0x0807_0605_0403_0201,
)  # fmt: skip

CASES: list[tuple[str, int, int, Message]] = [
    ("hello", 0xBEEF, 1, m.Hello()),
    ("hello_reply", 0xBEEF, 1, HELLO_REPLY),
    ("load", 0xBEEF, 2, m.Load(0x2_0000, SHA)),
    ("loaded", 0xBEEF, 2, m.Loaded(64, 10, 4096, 12, 65535)),
    ("data", 0xBEEF, 3, m.Data(m.Region.INPUT, 0x1_0000, b"\0\1\0\0\2")),
    ("data_empty", 0xBEEF, 4, m.Data(m.Region.POOL, 0, b"")),
    ("data_zeros", 0xBEEF, 5, m.Data(m.Region.POOL, 16, bytes(200))),
    ("data_noise", 0xBEEF, 6, m.Data(m.Region.POOL, 0xFFFF_FFFF, NOISE)),
    ("data_ack", 0xBEEF, 6, m.DataAck()),
    ("run", 0xBEEF, 0xFFFF, m.Run(0, 20, 3, 50, m.RunFlag(63), 0xCBF4_3926)),
    ("run_guarded", 0xBEEF, 0, m.Run(0, 1, 0, 9, m.RunFlag(193), 0xCBF4_3926)),
    ("run_started", 0xBEEF, 0xFFFF, m.RunStarted()),
    ("run_done", 0xBEEF, 0xFFFF, RUN_DONE),
    ("read", 0xBEEF, 0, m.Read(m.Region.TICKS, 4, 400)),
    ("read_data", 0xBEEF, 0, m.ReadData(m.Region.TICKS, 4, b"\x10\x27\0\0")),
    ("memory", 1, 0x0100, m.Memory()),
    ("memory_reply", 1, 0x0100, m.MemoryReply(8192, 1128, 50_000, 4096, 1480)),
    ("idle", 1, 9, m.Idle(1_000_000, 1)),
    ("idle_done", 1, 9, m.IdleDone(25_000_123)),
    ("reset", 1, 10, m.Reset()),
    ("reset_ack", 1, 10, m.ResetAck()),
    ("link_stats", 1, 11, m.LinkStats()),
    ("link_stats_reply", 1, 11, m.LinkStatsReply(100, 2, 1)),
    ("log", 0, 0, m.Log(2, b"clock is 2 % off")),
    ("error", 1, 12, m.Error(0x04, m.ErrorCode.OUT_OF_RANGE, 0xFFFF_FFFF, 640)),
    ("echo", 1, 13, m.Echo(b"")),
    # COBS blocks end after 254 bytes without a zero: runs around that length, and a zero after.
    *((f"echo_{n}", 0x0101, 0x0101, m.Echo(bytes([7]) * n)) for n in range(236, 249)),
    *((f"echo_reply_{n}", 257, 257, m.EchoReply(bytes([7]) * n + b"\0")) for n in range(236, 249)),
]


def plain(message: Message) -> dict[str, Any]:
    """Return the fields as JSON has them; bytes in hex under the kind of their field."""
    out: dict[str, Any] = {}
    for name, kind in wire_types(type(message)).items():
        value = dataclasses.asdict(message)[name]  # type: ignore[call-overload]
        if isinstance(value, bytes):
            value = {"tail" if kind == "tail" else "blob": value.hex()}
        out[name] = int(value) if isinstance(value, int) else value
    return out


def document() -> str:
    """Return the text of packets.json."""
    rows = [
        {
            "name": name,
            "message": type(message).__name__,
            "type": message.TYPE,
            "session": session,
            "sequence": sequence,
            "fields": plain(message),
            "payload": message.encode().hex(),
            "hex": Packet.of(message, session, sequence).encode().hex(),
        }
        for name, session, sequence, message in CASES
    ]
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"


if __name__ == "__main__":
    GOLDEN.write_text(document(), encoding="utf-8")
