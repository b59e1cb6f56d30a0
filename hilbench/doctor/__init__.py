"""``hilbench doctor``: is this computer, and is this board, fit to measure?

A check is a function that returns one :class:`~hilbench.doctor.check.Check` per thing looked at: what
it found and what to do about it. Nothing is changed, but that a board is flashed and its memory used.
"""
