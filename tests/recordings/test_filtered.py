"""A capture through its vendor's filter beside the same capture as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilbench.errors import MeterError
from hilbench.power import Chunk, MeterIdentity, MeterSetup, MeterSpec, RangeSpec
from hilbench.recordings import InMemory, VendorFiltered, has_vendor_filter

IDENTITY = MeterIdentity("ppk2", "PPK2", "1", "", "COM1", False, "")
SPEC = MeterSpec(1e5, 5e-5, (RangeSpec(1e-7, 0.1, 1e-6, 1.0),), (), "declared", 0.03, "test")
CHUNK = Chunk(
    0, np.array([1.0, 2.0]), 3.3, np.zeros(2, np.uint8), np.ones(2, bool), np.zeros(2, np.uint8)
)


def recording(chunk):
    return InMemory(IDENTITY, SPEC, MeterSetup(3.3, supplies=False), [chunk])


def test_the_vendors_current_takes_the_place_of_the_drivers():
    both = recording(replace(CHUNK, vendor_a=np.array([1.5, 1.5])))
    assert has_vendor_filter(both)
    filtered = VendorFiltered(both)
    assert [c.current_a.tolist() for c in filtered.chunks()] == [[1.5, 1.5]]
    assert [c.current_a.tolist() for c in both.chunks()] == [[1.0, 2.0]]
    assert filtered.end == both.end


def test_a_driver_without_such_a_filter():
    plain = recording(CHUNK)
    assert not has_vendor_filter(plain)
    with pytest.raises(MeterError) as caught:
        list(VendorFiltered(plain).chunks())
    assert str(caught.value) == (
        "PPK2: its driver knows no filter of its vendor, so nothing can be compared with it"
    )
