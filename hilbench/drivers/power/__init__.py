"""Power meters: each module exports ``open_meter(board) -> PowerMeter``."""
