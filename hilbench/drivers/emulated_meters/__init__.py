"""Emulated meters: each module exports ``start(board, edges_path, timeout_s) -> EmulatedMeter``."""
