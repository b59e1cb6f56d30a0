"""Pure functions from raw data to figures: no I/O, no board, no pandas."""
