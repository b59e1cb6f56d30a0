"""hilbench: hardware-in-the-loop benchmarking of compressed TinyML models."""

from __future__ import annotations

__version__ = "0.1.0"
