"""A calibration is taken only if it is complete and can be true."""

from __future__ import annotations

import numpy as np
import pytest
from ppk2lab.calibration import Calibration as IndependentCalibration
from ppk2lab.protocol.metadata import parse_metadata

from hilbench.drivers.power._ppk2_calibration import parse, table
from hilbench.drivers.power.ppk2 import decode
from hilbench.errors import CalibrationError
from hilbench.power import MeterIdentity, MeterSetup
from tests.drivers.power.ppk2 import unit

AT = "PPK2 at /dev/ttyACM0: calibration "
CORRUPT = (
    "; its memory may be corrupt: check it with the vendor's app, never measure with it as it is"
)
AGAIN = "; unplug it, plug it in and try again"


def refusal(old, new):
    assert old in unit.METADATA
    with pytest.raises(CalibrationError) as caught:
        parse(unit.METADATA.replace(old, new).encode("latin-1"), "/dev/ttyACM0")
    return str(caught.value)


@pytest.mark.parametrize("supply_v", [0.8, 1.8, 3.3, 5.0])
def test_table_equals_an_independent_conversion(supply_v):
    ours = table(parse(unit.METADATA.encode(), "here"), supply_v).reshape(8, -1)
    theirs = IndependentCalibration.from_metadata(parse_metadata(unit.METADATA))
    codes = [0, 1, 17, 4096, 9999, 16383]
    for r in range(5):
        expected = [theirs.convert(code, r, supply_v * 1000) * 1e-6 for code in codes]
        assert ours[r, codes] == pytest.approx(expected, rel=1e-12)
    assert np.isnan(ours[5:]).all()


def test_user_gain_scales():
    gained = unit.METADATA.replace("UG2: 1.00", "UG2: 1.10")
    ours = table(parse(gained.encode(), "here"), 3.3) / unit.table()
    ours = ours.reshape(8, -1)
    assert ours[2] == pytest.approx(1.1)
    assert ours[[0, 1, 3, 4]] == pytest.approx(1.0)


def test_line_ends_of_windows_and_empty_lines_are_fine():
    text = unit.METADATA.replace("\n", "\r\n").replace("HW", "\r\nHW")
    assert parse(text.encode(), "here").ranges == parse(unit.METADATA.encode(), "here").ranges


def test_ranges_for_the_budget():
    specs = parse(unit.METADATA.encode(), "here").specs(3.3)
    assert [s.lsb_a for s in specs] == pytest.approx(
        [44e-9, 0.44e-6, 4.5e-6, 49e-6, 0.80e-3], rel=0.02
    )
    assert [s.top_a for s in specs] == [50e-6, 500e-6, 5e-3, 50e-3, 1.0]
    assert [s.gain_limit for s in specs] == [0.1] * 4 + [0.15]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "R3: 0.9636",
            "R3: -nan",
            "has R3: -nan, but it is between 0.333333 and 14.4 ohm in any PPK2" + CORRUPT,
        ),
        (
            "R0: 1003.3506",
            "R0: 0.0000001",
            "has R0: 0.0000001, but it is between 333.333 and 14400 ohm in any PPK2" + CORRUPT,
        ),
        (
            "GI1: 0.9695",
            "GI1: 19.7",
            "has GI1: 19.7, but it is between 0.5 and 1.5 in any PPK2" + CORRUPT,
        ),
        (
            "GS4: 0.0729",
            "GS4: -0.6",
            "has GS4: -0.6, but it is between -0.5 and 0.5 1/A in any PPK2" + CORRUPT,
        ),
        (
            "O2: 64.6020",
            "O2: inf",
            "has O2: inf, but it is between -2000 and 2000 steps in any PPK2" + CORRUPT,
        ),
        (
            "S0: 0.000000048",
            "S0: 0.1",
            "has S0: 0.1, but it is between -2e-06 and 2e-06 A/V in any PPK2" + CORRUPT,
        ),
        (
            "I4: -0.009388455",
            "I4: 1e21",
            "has I4: 1e21, but it is between -0.2 and 0.2 A in any PPK2" + CORRUPT,
        ),
        (
            "UG0: 1.00",
            "UG0: 0.00",
            "has UG0: 0.00, but it is between 0.5 and 2 in any PPK2" + CORRUPT,
        ),
        ("O0: 112.9420", "O0: 11z.9", "has O0: '11z.9', which is no number" + CORRUPT),
        ("O0: 112.9420\n", "", "has no O0, of 35 constants that it needs" + AGAIN),
        (
            "HW: 9173",
            "HW 9173",
            "line 'HW 9173' is not 'KEY: value'" + CORRUPT,
        ),
        (
            "HW: 9173",
            "R4: 0.0570",
            "has R4 twice, 0.0564 and 0.0570" + CORRUPT,
        ),
        (
            "HW: 9173",
            "R5: 0.001",
            "has R5, but a PPK2 has ranges 0 to 4; is it another instrument? this driver does not "
            "know it",
        ),
        (
            "HW: 9173",
            "HW: \xff",
            f"has byte 0xff at offset {unit.METADATA.index('9173')}, which is no text" + AGAIN,
        ),
    ],
)
def test_refusals(old, new, sentence):
    assert refusal(old, new) == AT + sentence


def test_gain_must_rise_all_over_the_range():
    text = unit.METADATA.replace("GS3: 2.4217", "GS3: -9.9").replace("GI3: 0.9519", "GI3: 0.6")
    with pytest.raises(CalibrationError) as caught:
        parse(text.encode(), "/dev/ttyACM0")
    assert str(caught.value) == (
        AT + "has GS3: -9.9 and GI3: 0.6, a gain of -0.39 at 0.05 A, limit above 0" + CORRUPT
    )


def test_recordings_need_their_calibration():
    identity = MeterIdentity("ppk2", "PPK2", "", "", "file", emulated=False, calibration="")
    with pytest.raises(CalibrationError, match="calibration has no R0, of 35 constants"):
        list(decode(b"\0\0\0\0", identity, MeterSetup(3.3, supplies=True), 0))
