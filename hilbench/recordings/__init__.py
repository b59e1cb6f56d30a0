"""Captures that can be read again: in memory, on the disk while they grow, and kept as evidence.

Drivers, boards and runs all use them, so they stand below all of these.
"""

from __future__ import annotations

from hilbench.recordings.evidence import Evidence, load_evidence, write_evidence
from hilbench.recordings.filtered import VendorFiltered, has_vendor_filter
from hilbench.recordings.memory import InMemory, account
from hilbench.recordings.spool import Spool, Spooled

__all__ = [
    "Evidence",
    "InMemory",
    "Spool",
    "Spooled",
    "VendorFiltered",
    "account",
    "has_vendor_filter",
    "load_evidence",
    "write_evidence",
]
