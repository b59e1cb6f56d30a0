"""Golden packets, the generated C header and PROTOCOL.md."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

import pytest

from hilbench.protocol import generate_c
from hilbench.protocol.messages import BY_TYPE, MESSAGES
from hilbench.protocol.packets import Decoder, Packet

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "packets.json").read_text(encoding="utf-8")
)


def value_of(field):
    if isinstance(field, dict):
        return bytes.fromhex(next(iter(field.values())))
    return field


def unstuff(run: bytes) -> bytes:
    """COBS by the paper, independent of the library that the product uses."""
    out, at = bytearray(), 0
    while at < len(run):
        code = run[at]
        out += run[at + 1 : at + code]
        at += code
        if code < 255 and at < len(run):
            out.append(0)
    return bytes(out)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda g: g["name"])
def test_python_makes_and_understands_golden_packets(golden):
    message = BY_TYPE[golden["type"]](**{k: value_of(v) for k, v in golden["fields"].items()})
    wire = bytes.fromhex(golden["hex"])
    assert Packet.of(message, golden["session"], golden["sequence"]).encode() == wire
    (packet,) = Decoder().feed(wire)
    assert (packet.session, packet.sequence) == (golden["session"], golden["sequence"])
    assert packet.message() == message


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda g: g["name"])
def test_golden_bytes_are_what_the_specification_says(golden):
    wire = bytes.fromhex(golden["hex"])
    assert wire[0] == wire[-1] == 0
    assert 0 not in wire[1:-1]
    body = unstuff(wire[1:-1])
    payload = bytes.fromhex(golden["payload"])
    header = bytes([2, golden["type"]])
    header += b"".join(golden[k].to_bytes(2, "little") for k in ("session", "sequence")) + len(
        payload
    ).to_bytes(2, "little")
    assert body == header + payload + zlib.crc32(header + payload).to_bytes(4, "little")


def test_every_message_has_a_golden_packet():
    assert {g["type"] for g in GOLDEN} == {m.TYPE for m in MESSAGES}


def test_worked_example_of_the_specification_is_a_golden_packet():
    text = generate_c.SPECIFICATION.read_text(encoding="utf-8")
    example = re.search(r"<!-- example: (\w+) -->.*?On the wire.*?```\n(.*?)```", text, re.DOTALL)
    assert example is not None
    golden = next(g for g in GOLDEN if g["name"] == example[1])
    assert bytes.fromhex(example[2]).hex() == golden["hex"]


def test_header_and_specification_are_current():
    assert generate_c.main(["--check"]) == 0


def test_check_says_which_file_is_stale(tmp_path, monkeypatch, capsys):
    header = tmp_path / "include" / "hb_protocol.h"
    header.parent.mkdir()
    header.write_text("/* old */")
    monkeypatch.setattr(generate_c, "FIRMWARE", tmp_path)
    monkeypatch.setattr(generate_c, "HEADER", header)
    assert generate_c.main(["--check"]) == 1
    assert capsys.readouterr().err == (
        f"{tmp_path.name}/include/hb_protocol.h is not what messages.py says; "
        "run: python -m hilbench.protocol.generate_c\n"
    )
    assert header.read_text() == "/* old */"
    assert generate_c.main([]) == 0
    assert generate_c.main(["--check"]) == 0
