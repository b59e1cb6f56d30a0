"""Ways to put an image onto a board: each module exports ``flash(board, image, emulated, timeout_s)``."""
