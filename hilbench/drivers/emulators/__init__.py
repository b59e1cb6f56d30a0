"""Emulated boards: each module exports ``start(board, timeout_s) -> EmulatedBoard``."""
