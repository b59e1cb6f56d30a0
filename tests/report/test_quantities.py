"""Numbers with units: four digits, the prefix of the rounded value, no unknown as a number."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilbench.report.quantities import kernel_kind, si, span

PREFIXES = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6,
            "G": 1e9}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (6.75149e-3, "6.751 mA"),
        (0.99996, "1.000 A"),  # rounding changes the prefix
        (0.99994, "999.9 mA"),
        (-44e-9, "-44.00 nA"),
        (12.345, "12.35 A"),
        (123456.0, "123.5 kA"),
        (0.0, "0 A"),
        (3e-20, "0.00003000 fA"),
        (math.nan, "-"),
        (None, "-"),
        (math.inf, "inf A"),
    ],
)
def test_si(value, text):
    assert si(value, "A") == text


@given(st.floats(min_value=1e-14, max_value=1e11))
def test_si_reads_back_within_its_digits(value):
    number, unit = si(value, "J").split()
    assert float(number) * PREFIXES[unit.removesuffix("J")] == pytest.approx(value, rel=6e-4)
    assert len(number.replace(".", "")) == 4


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.0, "12 s"), (90.0, "1.5 min"), (7200.0, "2 h"), (86400.0 * 300, "300 days"),
     (365.25 * 86400 * 4.2, "4.2 years"), (math.inf, "for ever"), (59.9, "59.9 s")],
)  # fmt: skip
def test_span(seconds, text):
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("conv_s8", "conv"),
        ("conv_s8_dsp", "conv"),
        ("depthwise3x3_s8_dsp", "depthwise3x3"),
        ("quantize_f32_s8", "quantize"),
        ("softmax_f32", "softmax"),
        ("copy", "copy"),
    ],
)
def test_a_kernel_is_called_by_what_it_does(kernel, kind):
    assert kernel_kind(kernel) == kind
