"""A recording as the meter's vendor would have shown it: through the vendor's own filter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hilbench.errors import MeterError
from hilbench.power import Chunk, Recording


class VendorFiltered:
    """The same capture with ``vendor_a`` in place of ``current_a``. See ``Recording``."""

    def __init__(self, recording: Recording) -> None:
        self.identity = recording.identity
        self.spec = recording.spec
        self.setup = recording.setup
        self.end = recording.end
        self._recording = recording

    def chunks(self) -> Iterator[Chunk]:
        """Yield all chunks from index 0 on.

        Raises:
            MeterError: the meter's driver knows no filter of its vendor.
        """
        for chunk in self._recording.chunks():
            if chunk.vendor_a is None:
                raise MeterError(
                    f"{self.identity.model}: its driver knows no filter of its vendor, so nothing "
                    "can be compared with it"
                )
            yield replace(chunk, current_a=chunk.vendor_a)


def has_vendor_filter(recording: Recording) -> bool:
    """Return whether the driver gives what its vendor's filter makes of the samples."""
    first = next(iter(recording.chunks()), None)
    return first is not None and first.vendor_a is not None
