"""The LPM01A's numbers, against the examples of its own help text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilbench.drivers.emulated_meters import _lpm01a_format as fmt


@pytest.mark.parametrize(
    ("text", "value"),
    [("2m", 2e-3), ("2-3", 2e-3), ("100k", 1e5), ("500", 500.0), ("3300m", 3.3), ("1+2", 100.0)],
)
def test_numbers(text, value):
    assert fmt.number(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["", "m", "-3", "2 m", "0x10", "1e3", "inf"])
def test_what_is_no_number(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the text is what was given
        fmt.number(text)


def test_the_examples_of_the_help_text():
    assert fmt.ascii_samples(np.array([640.9e-6])) == b"6409-07\r\n"
    assert fmt.binary_samples(np.array([640.9e-6])) == bytes.fromhex("52a0")


def test_edges_of_the_digits():
    values = np.array([0.0, -1e-9, 9.9996e-3, 9.9994e-3, 1e-3, 3.3])
    lines = fmt.ascii_samples(values).decode().split()
    assert lines == ["0000-09", "0000-09", "1000-05", "9999-06", "1000-06", "3300-03"]


@given(st.floats(1e-9, 0.2))
def test_ascii_keeps_four_digits(value):
    line = fmt.ascii_samples(np.array([value])).decode().strip()
    assert float(line.replace("-", "e-")) == pytest.approx(value, rel=0.5e-3 * 1.001)


@given(st.floats(1e-9, 0.2))
def test_binary_keeps_its_mantissa(value):
    word = int.from_bytes(fmt.binary_samples(np.array([value])))
    assert word >> 12 < 15
    assert (word & 0xFFF) * 16.0 ** -(word >> 12) == pytest.approx(value, rel=0.5 / 256 * 1.001)


def test_stamps():
    assert fmt.ascii_stamp(3004, 1) == b"TimeStamp: 003s 004ms, buff 01%\r\n"
    assert fmt.binary_stamp(0x01020304, 5) == bytes.fromhex("f0f3 01020304 05 ffff")
