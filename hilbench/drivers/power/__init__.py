"""Power meters: each module exports ``open_meter`` (samples) or ``estimate`` (none)."""
