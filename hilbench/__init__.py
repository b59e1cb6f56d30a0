"""hilbench: hardware-in-the-loop benchmarking of compressed TinyML models.

>>> import hilbench
>>> row = hilbench.measure("model.tflite", "m4", "vectors.npz")
>>> frame = hilbench.load("results/20260101-120000-digits")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load", "measure"]

if TYPE_CHECKING:
    from hilbench.bench import measure
    from hilbench.runs import load


def __getattr__(name: str) -> Any:
    """Import pandas only when a frame is asked for, so that the command line starts at once."""
    if name == "load":
        from hilbench.runs import load  # noqa: PLC0415

        return load
    if name == "measure":
        from hilbench.bench import measure  # noqa: PLC0415

        return measure
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
