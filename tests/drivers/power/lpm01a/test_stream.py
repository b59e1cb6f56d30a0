"""Both data formats: any split is exact; any damage is a hole of the right length or an error."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench.drivers.power import lpm01a
from hilbench.drivers.power._lpm01a_blocks import BLOCK, Blocks, chunk
from hilbench.drivers.power._lpm01a_settings import settings as lpm_settings
from hilbench.errors import MeterError
from hilbench.power import MeterIdentity, MeterSetup
from tests.drivers.power.lpm01a import wire

ASCII = MeterSetup(supply_v=3.3, supplies=True, sample_hz=5000)
BINARY = MeterSetup(supply_v=3.3, supplies=True, sample_hz=100_000)
ENERGY = MeterSetup(supply_v=3.0, supplies=True, sample_hz=1000, args=(("output", "energy"),))
IDENTITY = MeterIdentity("lpm01a", "X-NUCLEO-LPM01A", "1-2-3", "1.0.7", "/dev/pts/9", True, "")
RNG = random.Random(4)
CODES = [wire.ascii_code(RNG) for _ in range(5 * BLOCK)]
WORDS = [wire.word(RNG) for _ in range(5 * BLOCK)]
ASCII_TRUTH = np.array([wire.ascii_value(c) for c in CODES])
BINARY_TRUTH = np.array([wire.word_value(w) for w in WORDS])
EDGES = ((7, "ris"), (1999, "fal"), (2000, "ris"), (2345, "fal"), (2350, "ris"), (4321, "fal"))
ASCII_WIRE = wire.ascii_stream(CODES, 5000, EDGES, numbers=97)
BINARY_WIRE = wire.binary_stream(WORDS, 100_000)
ASCII_HEAD, BINARY_HEAD = b"\r\n\r\n", b"\r\n\r\n"


def level(edges, n):
    """D7 sample by sample."""
    at = {k: text == "ris" for k, text in edges}
    state, out = False, []
    for k in range(n):
        state = at.get(k, state)
        out.append(state)
    return np.array(out, np.uint8)


LOGIC = level(EDGES, len(CODES))


def decode(setup, parts, *, finish=False):
    """All that comes out of a stream, as arrays over its time line, and the decoder."""
    asked = lpm_settings(setup)
    blocks = Blocks(asked, "/dev/pts/9")
    pieces = []
    for part in parts:
        pieces += blocks.feed(part)
    if finish:
        pieces += blocks.finish()
    assert pieces or blocks.position == 0
    for before, after in pairwise(pieces):
        assert after.start == before.start + before.samples
    return (chunk(pieces, asked, "/dev/pts/9") if pieces else None), blocks


def split(data, cuts):
    places = sorted({c % (len(data) + 1) for c in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


CUTS = st.lists(st.integers(0, 100_000), max_size=12)


@settings(max_examples=30)
@given(CUTS)
def test_ascii_is_exact_however_it_is_split(cuts):
    got, blocks = decode(ASCII, split(ASCII_HEAD + ASCII_WIRE, cuts))
    assert got.start == 0
    assert got.valid.all()
    assert np.array_equal(got.current_a, ASCII_TRUTH)  # bit by bit the nearest double
    assert np.array_equal(got.logic, LOGIC)
    assert got.voltage_v == 3.3
    assert blocks.gaps == []


@settings(max_examples=30)
@given(CUTS)
def test_binary_is_exact_however_it_is_split(cuts):
    got, blocks = decode(BINARY, split(BINARY_HEAD + BINARY_WIRE, cuts))
    assert got.valid.all()
    assert np.array_equal(got.current_a, BINARY_TRUTH)
    assert blocks.gaps == []


def test_one_byte_at_a_time():
    got, _ = decode(BINARY, [bytes([b]) for b in BINARY_WIRE[: 2 * 2009 + 9]])
    assert np.array_equal(got.current_a, BINARY_TRUTH[: 2 * BLOCK])


def lsb(setup, got):
    return lpm_settings(setup).spec().ranges[int(got.range[0])].lsb_a


def test_documented_examples():
    """6409-07 and 52A0 of the manual, and the quantised 12 and 5 mA."""
    codes = ["6409-07"] * BLOCK
    got, _ = decode(ASCII, [wire.ascii_stream(codes, 5000)])
    assert got.current_a[0] == 640.9e-6
    assert lsb(ASCII, got) == pytest.approx(1e-7)
    words = [0x52A0] * BLOCK + [0x4312] * BLOCK + [0x4148] * BLOCK
    got, _ = decode(BINARY, [wire.binary_stream(words, 100_000)])
    assert got.current_a[[0, 1000, 2000]] * 1e3 == pytest.approx(
        [0.6409, 11.9934, 5.0049], rel=1e-4
    )
    assert lsb(BINARY, got) == 16.0**-5


def check_never_wrong(got, truth, logic, original):
    """Whatever counts is what was sent, in its place; the rest is marked lost."""
    n = len(got)
    assert n <= len(truth)
    assert np.isnan(got.current_a[~got.valid]).all()
    assert np.array_equal(got.current_a[got.valid], truth[:n][got.valid]), original
    whole = n if got.valid.all() else int(np.argmin(got.valid))  # after a hole D7 may be late
    if logic is not None:
        assert np.array_equal(got.logic[:whole], logic[:whole]), original


# Lost bytes anywhere, or one insertion. (What takes away and puts in as many bytes within one block
# cannot be seen; lines lose bytes, but invent none.)
PLACE, SIZE = st.integers(0, 10**6), st.integers(1, 3000)
DAMAGES = st.lists(st.tuples(st.just("cut"), PLACE, SIZE), min_size=1, max_size=4) | st.lists(
    st.tuples(st.sampled_from(["insert", "double"]), PLACE, SIZE), min_size=1, max_size=1
)


def damaged(data, damage):
    kind, at, size = damage
    at %= len(data)
    if kind == "cut":
        return data[:at] + data[at + size :]
    if kind == "insert":
        junk = random.Random(at).randbytes(size % 40 + 1)
        return data[:at] + junk + data[at:]
    return data[: at + size] + data[at:]


@settings(max_examples=150)
@given(DAMAGES)
def test_damaged_binary_is_exact_or_an_error(damages):
    data = BINARY_WIRE
    for damage in damages:
        data = damaged(data, damage)
    try:
        got, blocks = decode(BINARY, [data])
    except MeterError:
        return
    if got is not None:
        check_never_wrong(got, BINARY_TRUTH, None, damages)
        assert sum(g.samples for g in blocks.gaps) == int((~got.valid).sum())


@settings(max_examples=150)
@given(DAMAGES)
def test_damaged_ascii_is_exact_or_an_error(damages):
    data = ASCII_WIRE
    for damage in damages:
        data = damaged(data, damage)
    try:
        got, _ = decode(ASCII, [data])
    except MeterError:
        return
    if got is not None:
        check_never_wrong(got, ASCII_TRUTH, LOGIC, damages)


@pytest.mark.parametrize("gap", [1, 2, 63, 64, 65, 128, 200, 999])
def test_samples_that_the_meter_dropped(gap):
    """The stamps run on: the block is left out whole, and the next one is in its place."""
    words = WORDS[:1500] + WORDS[1500 + gap :]
    data = bytearray()
    sent = iter(WORDS)
    for k, code in enumerate(sent):
        if k % BLOCK == 0:
            data += wire.binary_stamp(k // 100)
        if not 1500 <= k < 1500 + gap:
            data += code.to_bytes(2, "big")
    data += wire.binary_stamp(len(WORDS) // 100)
    assert len(words) == len(WORDS) - gap
    got, blocks = decode(BINARY, [bytes(data)])
    assert len(got) == len(WORDS)
    check_never_wrong(got, BINARY_TRUTH, None, gap)
    lost = 1000 if gap <= 500 else 2000
    assert int((~got.valid).sum()) == lost
    assert [(g.start, g.samples, g.by) for g in blocks.gaps] == [(1000, lost, "counter")]
    assert blocks.notes == [
        f"samples 1000 to {1000 + lost} are left out: "
        + (
            f"{1000 - gap} samples in 10 ms"
            if gap <= 500
            else f"500 samples in 10 ms; {1500 - gap} samples in 10 ms"
        )
        + "; which of them are missing cannot be told"
    ]


@pytest.mark.parametrize(
    ("setup", "data"), [(ASCII, ASCII_WIRE), (BINARY, BINARY_WIRE)], ids=["ascii", "binary"]
)
def test_one_lost_byte_costs_its_block(setup, data):
    middle = len(data) * 3 // 10
    got, blocks = decode(setup, [data[:middle], data[middle + 1 :]])
    truth = ASCII_TRUTH if setup is ASCII else BINARY_TRUTH
    check_never_wrong(got, truth, None, middle)
    assert [(g.start, g.samples) for g in blocks.gaps] == [(1000, 1000)]
    assert "which of them are missing cannot be told" in blocks.notes[0]


def test_evidence_gives_the_same_chunk_again():
    for setup, data in ((ASCII, ASCII_WIRE), (BINARY, BINARY_WIRE)):
        cut = data[: len(data) // 2] + data[len(data) // 2 + 3 :]
        got, _ = decode(setup, [cut])
        assert not got.valid.all()
        again = list(lpm01a.decode(got.raw, IDENTITY, setup, 0))
        assert [c.start for c in again] == list(np.cumsum([0, *(len(c) for c in again[:-1])]))
        for name in ("current_a", "logic", "valid", "range"):
            joined = np.concatenate([getattr(c, name) for c in again])
            assert np.array_equal(joined, getattr(got, name), equal_nan=name == "current_a"), name
        assert b"".join(c.raw for c in again) == got.raw
        # Any run of consecutive chunks is enough: nothing of those before is needed.
        late = list(lpm01a.decode(again[3].raw, IDENTITY, setup, again[3].start))
        assert np.array_equal(late[0].logic, again[3].logic)
        with pytest.raises(MeterError) as caught:
            list(lpm01a.decode(got.raw[:-5], IDENTITY, setup, 0))
        assert str(caught.value).startswith("the evidence of the LPM01A is not whole at sample ")
        assert str(caught.value).endswith(
            ": it was cut or changed; take it from the run directory again"
        )


def test_energy_samples_become_a_current_by_the_set_voltage():
    codes = ["1533-08"] * BLOCK  # 15.33 uJ per ms at 3 V
    got, _ = decode(ENERGY, [wire.ascii_stream(codes, 1000)])
    assert got.current_a[0] * 3.0 * 1e-3 == pytest.approx(15.33e-6, rel=1e-12)
    spec = lpm_settings(ENERGY).spec()
    assert lsb(ENERGY, got) == pytest.approx(1e-8 * 1000 / 3.0)
    assert "energies per period, made a current by the declared 3 V" in spec.source


def test_ranges_are_the_exponents_that_matter():
    tops = [r.top_a for r in lpm_settings(ASCII).spec().ranges]
    assert tops == pytest.approx([0.05] * 3 + [9999e-6, 9999e-7, 9999e-8, 9999e-9] + [
        9999e-10, 9999e-11, 9999e-12
    ])  # fmt: skip
    assert len(lpm_settings(BINARY).spec().ranges) == 8
    zero, _ = decode(ASCII, [wire.ascii_stream(["0000+00"] * BLOCK, 5000)])
    assert (zero.range == 0).all()
    assert not zero.current_a.any()


def test_tail_without_a_stamp_is_told():
    data = wire.ascii_stream(CODES[:1300], 5000)
    got, blocks = decode(ASCII, [data], finish=True)
    assert len(got) == 1300
    assert np.array_equal(got.current_a, ASCII_TRUTH[:1300])
    assert blocks.notes == [
        "300 samples came after the last time stamp: nothing confirms their number"
    ]
    got, blocks = decode(ASCII, [data[:-30], data[-28:]], finish=True)
    assert len(got) == 1000


def test_end_of_the_stream():
    end = b"\xf0\xf4\xff\xff\r\nPowerShield > ack stop\r\n\r\nsummary beg\r\nsamples: 5000\r\n"
    got, blocks = decode(BINARY, [BINARY_WIRE + end + b"summary end\r\nAcquisition completed\r\n"])
    assert len(got) == 5000
    assert blocks.ended
    got, blocks = decode(
        ASCII, [ASCII_WIRE + b"\r\nPowerShield > ack stop\r\n\r\nPowerShield > Acquisition completed"
                b"\r\nsummary beg\r\n1234-05\r\n"]
    )  # fmt: skip
    assert len(got) == 5000
    assert blocks.ended


def test_information_between_samples():
    middle = 9 + 2 * 300
    said = b"\xf0\xf2target power on\xff\xff\xf0\xf7\x0c\xdc\xff\xff"
    got, blocks = decode(BINARY, [BINARY_WIRE[:middle] + said + BINARY_WIRE[middle:]])
    assert np.array_equal(got.current_a, BINARY_TRUTH)
    assert blocks.notes == ["the meter says: target power on", "the meter says: 3292 mV"]


def raises(setup, data):
    with pytest.raises(MeterError) as caught:
        decode(setup, [data])
    return str(caught.value)


def test_errors_of_the_meter():
    middle = 9 + 2 * 300
    head, rest = BINARY_WIRE[:middle], BINARY_WIRE[middle:]
    assert raises(BINARY, head + b"\xf0\xf1buffer overflow\xff\xff" + rest) == (
        "the LPM01A at /dev/pts/9 stops the capture at 0.003 s: 'buffer overflow'"
    )
    overcurrent = (
        "the LPM01A at /dev/pts/9 has cut the supply at {}: overcurrent (it trips at 59 mA; it "
        "measures up to 50 mA); use a meter with a higher range, or look for a short circuit"
    )
    assert raises(BINARY, head + b"\xf0\xf5\xff\xff" + rest) == overcurrent.format("0.003 s")
    assert raises(BINARY, head + b"\xf0\xf6\xff\xff" + rest) == (
        "the LPM01A at /dev/pts/9 stops the capture at 0.003 s: 'supply off'"
    )
    lines = ASCII_WIRE.splitlines(keepends=True)
    before, after = b"".join(lines[:502]), b"".join(lines[502:])
    assert raises(ASCII, before + b"Overcurrent detected\r\n" + after) == overcurrent.format(
        "0.100 s"
    )
    assert raises(ASCII, before + b"PowerShield > error: acquisition data flow\r\n" + after) == (
        "the LPM01A at /dev/pts/9 stops the capture at 0.100 s: 'error: acquisition data flow'"
    )


def test_above_the_range():
    words = [*WORDS[:1500], 0x4FFF, *WORDS[1501:]]  # 62.5 mA
    assert raises(BINARY, wire.binary_stream(words, 100_000)) == (
        "the LPM01A at /dev/pts/9 measures 62.5 mA at 0.015 s, above the 50 mA up to which it is "
        "right; use a meter with a higher range"
    )


def test_wrong_rate_makes_no_sense():
    data = wire.binary_stream(WORDS * 5, 50_000)
    assert raises(BINARY, data) == (
        "the LPM01A at /dev/pts/9 sends what makes no sense: 20 blocks in a row, the last with 1000 "
        "samples in 20 ms at 100000 Hz; is the computer overloaded, or its USB hub?"
    )


def test_time_goes_forward():
    assert raises(BINARY, BINARY_WIRE + b"\x00\x00" + BINARY_WIRE) == (
        "the LPM01A at /dev/pts/9 goes back in time, from 0.050 s to 0.000 s: it has restarted; "
        "capture again"
    )
    late = BINARY_WIRE
    for ms in (20, 30, 40, 50):
        late = late.replace(wire.binary_stamp(ms), wire.binary_stamp(ms + 70_000))
    assert raises(BINARY, late) == (
        "the LPM01A at /dev/pts/9 leaves out 70 s, more than 60 s: its stream cannot be followed; "
        "capture again"
    )


def test_one_kind_of_edge_only():
    events = ((100, "ris"), (600, "ris"))
    assert raises(ASCII, wire.ascii_stream(CODES, 5000, events)) == (
        "the LPM01A at /dev/pts/9 tells two ris events of D7 in a row at 0.120 s: its firmware tells "
        "one kind of edge only, so that the pin's level is unknown; set events = 'none' and find "
        "windows by their pulse pattern"
    )


def test_lost_event():
    data = ASCII_WIRE.replace(b"event 98 fal\r\n", b"")
    assert raises(ASCII, data) == (
        "the LPM01A at /dev/pts/9 tells event 99 of D7 at 0.400 s where 98 is next: an edge was "
        "lost; capture again"
    )


def test_level_after_a_hole():
    """Edges in a lost block move to its end; the next event is believed again."""
    cut = ASCII_WIRE.index(b"event 99")
    got, _ = decode(ASCII, [ASCII_WIRE[: cut + 40] + ASCII_WIRE[cut + 43 :]])
    assert not got.valid[2000:3000].any()
    assert got.valid[3000:].all()
    assert np.array_equal(got.logic[3000:], LOGIC[3000:])
    assert (got.logic[2000:3000] == 0).all()  # of lost samples: the last


def test_stamp_that_is_off_by_one():
    """A stamp that is not taken from the sample clock: counting is finer."""
    data = BINARY_WIRE.replace(wire.binary_stamp(20), wire.binary_stamp(21))
    got, blocks = decode(BINARY, [data])
    assert np.array_equal(got.current_a, BINARY_TRUTH)
    assert blocks.gaps == []


def test_stamp_that_is_off_by_one_after_a_hole():
    """There it tells the place: the block is left out, too."""
    data = BINARY_WIRE.replace(wire.binary_stamp(20), wire.binary_stamp(21))
    got, blocks = decode(BINARY, [data[:3742], data[3744:]])
    check_never_wrong(got, BINARY_TRUTH, None, None)
    assert [(g.start, g.samples) for g in blocks.gaps] == [(1000, 2000)]


def test_transmit_load_and_overflow_bit():
    data = BINARY_WIRE.replace(wire.binary_stamp(30), wire.binary_stamp(30 | 1 << 31, 97))
    got, blocks = decode(BINARY, [data])
    assert np.array_equal(got.current_a, BINARY_TRUTH)
    assert blocks.load_percent == 97


def test_lost_byte_in_a_constant_current():
    """No word looks wrong until the next time stamp, whose first byte was taken for half a word."""
    words = [0x4148] * (4 * BLOCK)
    data = wire.binary_stream(words, 100_000)
    cut = 9 + 2 * BLOCK + 9 + 601
    got, blocks = decode(BINARY, [data[:cut], data[cut + 1 :]])
    assert [(g.start, g.samples) for g in blocks.gaps] == [(1000, 1000)]
    assert len(got) == len(words)
    check_never_wrong(got, np.full(len(words), wire.word_value(0x4148)), None, cut)
