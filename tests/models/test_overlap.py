"""Outputs over inputs: a byte-by-byte simulation says what a distance must be."""

from __future__ import annotations

import random

import pytest

from hilbench.models.planner.memory import Buffer, Problem, arena_bytes, best_fit, lower_bound
from hilbench.models.planner.overlap import element_distance, row_distance, window_distance


def steps_of(rows: int, columns: int, step: int, within_row: bool) -> list[list[tuple[int, int]]]:
    pixels = [(y, x) for y in range(rows) for x in range(columns)]
    if not within_row:
        return [pixels[i : i + step] for i in range(0, len(pixels), step)]
    return [
        pixels[y * columns : (y + 1) * columns][i : i + step]
        for y in range(rows)
        for i in range(0, columns, step)
    ]


def taps(w: dict[str, int], y: int, x: int) -> set[int]:
    """First bytes of the input pixels that one window reads."""
    found = set()
    for ky in range(w["kernel_h"]):
        for kx in range(w["kernel_w"]):
            row = y * w["stride_h"] - w["pad_top"] + ky * w["dilation_h"]
            column = x * w["stride_w"] - w["pad_left"] + kx * w["dilation_w"]
            if 0 <= row < w["in_h"] and 0 <= column < w["in_w"]:
                found.add((row * w["in_w"] + column) * w["in_c"])
    return found


def survives(w: dict[str, int], distance: int, step: int, within_row: bool, buffered: bool) -> bool:
    """Whether a kernel reads every input byte before it is overwritten; the input begins at 0."""
    written: set[int] = set()
    for pixels in steps_of(w["out_h"], w["out_w"], step, within_row):
        reads = {byte + c for y, x in pixels for byte in taps(w, y, x) for c in range(w["in_c"])}
        writes = {
            (y * w["out_w"] + x) * w["out_c"] + c - distance
            for y, x in pixels
            for c in range(w["out_c"])
        }
        seen = written if buffered else written | writes
        if reads & seen:
            return False
        written |= writes
    return True


def window_from(rng: random.Random) -> dict[str, int]:
    size = rng.randint(3, 9), rng.randint(3, 9)
    kernel, stride = (rng.randint(1, 3), rng.randint(1, 3)), (rng.randint(1, 2), rng.randint(1, 2))
    same = rng.random() < 0.5
    out = [
        -(-s // st) if same else (s - k) // st + 1
        for s, k, st in zip(size, kernel, stride, strict=True)
    ]
    pad = [
        max((o - 1) * st + k - s, 0) // 2 if same else 0
        for o, s, k, st in zip(out, size, kernel, stride, strict=True)
    ]
    return {
        "in_h": size[0], "in_w": size[1], "in_c": rng.randint(1, 4),
        "out_h": out[0], "out_w": out[1], "out_c": rng.randint(1, 4),
        "kernel_h": kernel[0], "kernel_w": kernel[1],
        "stride_h": stride[0], "stride_w": stride[1],
        "dilation_h": 1, "dilation_w": 1, "pad_top": pad[0], "pad_left": pad[1],
    }  # fmt: skip


@pytest.mark.parametrize("buffered", [False, True])
@pytest.mark.parametrize(("step", "within_row"), [(1, False), (2, False), (2, True), (99, True)])
def test_no_byte_is_lost_at_the_distance_and_some_are_one_byte_nearer(step, within_row, buffered):
    rng = random.Random(step * 4 + within_row * 2 + buffered)
    tight = 0
    for _ in range(60):
        w = window_from(rng)
        distance = window_distance(w, step=step, within_row=within_row, buffered=buffered)
        assert survives(w, distance, step, within_row, buffered), w
        assert survives(w, distance + 1, step, within_row, buffered), w
        tight += not survives(w, distance - 1, step, within_row, buffered)
    # Where the stride leaves pixels out, the bound is a little above what is needed.
    assert tight > 30


def test_float_elements_are_four_times_as_far():
    w = window_from(random.Random(5))
    assert window_distance(w, 4) == 4 * window_distance(w)


def test_rows_and_elements():
    assert row_distance(1, 640, 128) == 128  # one row: the output lies before the input
    assert row_distance(3, 10, 10) == 10
    assert row_distance(3, 10, 4) == 4
    assert row_distance(3, 4, 10) == 22
    assert element_distance(100, 4, 1) == 0
    assert element_distance(100, 1, 1) == 0
    assert element_distance(100, 1, 4) == 300


def chain(sizes: list[int], distance: int) -> Problem:
    buffers = [Buffer(size, step - 1, step) for step, size in enumerate(sizes)]
    return Problem(buffers, {(i, i + 1): distance for i in range(len(sizes) - 1)})


def test_a_chain_in_place_takes_one_buffer():
    problem = chain([1600] * 6, 0)
    assert arena_bytes(problem, best_fit(problem)) == lower_bound(problem) == 1600


def test_an_output_may_lie_its_distance_before_the_input():
    problem = chain([1600, 1600], 64)
    offsets = best_fit(problem)
    assert arena_bytes(problem, offsets) == lower_bound(problem) == 1664
    assert offsets[0] - offsets[1] == 64


def test_a_distance_is_rounded_up_to_the_alignment():
    problem = chain([1600, 1600], 65)
    assert arena_bytes(problem, best_fit(problem)) == lower_bound(problem) == 1680


def test_an_output_that_goes_through_its_input_more_than_once_lies_on_it_or_apart():
    buffers = [Buffer(1600, -1, 0), Buffer(1600, 0, 1), Buffer(800, 1, 2)]
    problem = Problem(buffers, {(0, 1): 0, (1, 2): 0}, {(0, 1), (1, 2)})
    first, second, third = best_fit(problem)
    assert first == second == third == 0
    for at in (16, 1584):
        assert any(low < at < high for low, high in problem.forbidden(1, 0, 0))
        assert any(low < at < high for low, high in problem.forbidden(0, 1, 0))


def test_a_growing_output_begins_before_its_input():
    problem = chain([800, 1600], 816)
    offsets = best_fit(problem)
    assert arena_bytes(problem, offsets) == lower_bound(problem) == 1616
    assert offsets == [816, 0]


def test_who_is_read_later_is_not_overwritten():
    buffers = [Buffer(160, -1, 1), Buffer(160, 0, 1), Buffer(160, 1, 2)]
    problem = Problem(buffers, {(0, 2): 0, (1, 2): 0})
    offsets = best_fit(problem)
    assert arena_bytes(problem, offsets) == lower_bound(problem) == 320
    assert offsets[0] != offsets[1]


@pytest.mark.parametrize("seed", range(30))
def test_random_problems_keep_their_distances(seed):
    rng = random.Random(seed)
    buffers = [
        Buffer(rng.randint(1, 500), step - 1, step + rng.choice((0, 0, 1, 3)))
        for step in range(rng.randint(2, 12))
    ]
    distances = {
        (i, i + 1): rng.randint(-40, 300)
        for i in range(len(buffers) - 1)
        if buffers[i].last == buffers[i + 1].first
    }
    problem = Problem(buffers, distances)
    offsets = best_fit(problem)
    for i, a in enumerate(buffers):
        for j, b in enumerate(buffers):
            if i == j or not a.overlaps(b):
                continue
            apart = offsets[i] + a.size <= offsets[j] or offsets[j] + b.size <= offsets[i]
            near = (i, j) in distances and offsets[i] - offsets[j] >= distances[i, j]
            near_other = (j, i) in distances and offsets[j] - offsets[i] >= distances[j, i]
            assert apart or near or near_other
    assert arena_bytes(problem, offsets) >= lower_bound(problem)
