"""Helium kernels against TensorFlow Lite Micro, bit by bit.

On the host C stands in for their assembly: the grids of the portable kernels, and shapes that
exercise what these specialise in. The assembly runs on the emulated Cortex-M55.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from builders.host_runtime import HostRuntime
from hilbench.board.images import find_image
from hilbench.board.life import open_board
from hilbench.config import load_boards
from hilbench.errors import ImageError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model

# The same tests, with this module's runtime.
from tests.models.test_kernels_s8 import (  # noqa: F401
    ACTIVATIONS,
    GEOMETRIES,
    ZERO_POINTS,
    assert_bit_exact,
    name,
    test_add,
    test_conv,
    test_depthwise,
    test_dilated_kernels_that_step_over_the_input,
    test_every_channel_remainder,
    test_every_output_channel_remainder,
    test_fully_connected,
    test_fully_connected_ranges,
    test_fused_activation,
    test_kernel_larger_than_the_input,
    test_pool,
    test_saturating_outputs,
    test_scales_over_20_octaves,
    test_zero_points_at_the_extremes,
    vectors,
)

pytestmark = pytest.mark.firmware


@pytest.fixture(scope="module")
def runtime(runtimes) -> HostRuntime:
    return runtimes["mve"]


def kernels(data: bytes) -> list[str]:
    plan = plan_model(parse_model(data, Path("generated.tflite")), kernels="portable mve")
    return [operator.kernel for operator in plan.operators]


def assert_exact_with(kernel: str, data: bytes, runtime, tflm, seed: int = 0) -> None:
    assert kernels(data)[-1] == kernel
    assert_bit_exact(data, runtime, tflm, seed)


def test_the_runtime_names_its_sets(runtime):
    assert runtime.kernels == "portable mve"


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (1, 6), (6, 1), (25, 5), (8, 7), (4, 9)])
@pytest.mark.parametrize(("channels", "activation"), [(4, "NONE"), (8, "RELU6"), (20, "RELU")])
def test_depthwise_3x3(size, channels, activation, runtime, tflm):
    for padding in ("SAME", "VALID") if min(size) >= 3 else ("SAME",):
        data = models.convolution(
            11,
            depthwise=True,
            size=size,
            in_c=channels,
            out_c=channels,
            padding=padding,
            zero_points=(-128, 5),
            activation=activation,
        )
        assert_exact_with("depthwise_3x3_s8_mve", data, runtime, tflm)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (1, 6), (6, 1), (25, 5), (8, 7), (4, 9)])
@pytest.mark.parametrize(
    "chosen",
    [
        {"channels": 4, "stride": (2, 2), "activation": "NONE"},
        {"channels": 8, "stride": (1, 2), "activation": "RELU6"},
        {"channels": 20, "stride": (2, 2), "activation": "RELU"},
    ],
    ids=name,
)
def test_depthwise_3x3_strided(size, chosen, runtime, tflm):
    for padding in ("SAME", "VALID") if min(size) >= 3 else ("SAME",):
        data = models.convolution(
            11,
            depthwise=True,
            size=size,
            in_c=chosen["channels"],
            out_c=chosen["channels"],
            stride=chosen["stride"],
            padding=padding,
            zero_points=(127, 5),
            activation=chosen["activation"],
        )
        assert_exact_with("depthwise_3x3_s2_s8_mve", data, runtime, tflm)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=name)
def test_depthwise_of_many_channels(geometry, runtime, tflm):
    data = models.convolution(
        12, depthwise=True, size=(11, 12), in_c=24, out_c=24, zero_points=(-128, 5), **geometry
    )
    assert_bit_exact(data, runtime, tflm)
    if geometry["kernel"] != (3, 3) or geometry["dilation"] != (1, 1):
        assert kernels(data) == ["depthwise_s8_mve"]


@pytest.mark.parametrize("geometry", GEOMETRIES[::3], ids=name)
@pytest.mark.parametrize(("in_c", "out_c"), [(16, 16), (5, 7), (24, 1), (40, 18)])
def test_conv_of_many_channels(geometry, in_c, out_c, runtime, tflm):
    data = models.convolution(13, size=(11, 12), in_c=in_c, out_c=out_c, **geometry)
    columns_apart = geometry["kernel"] != (1, 1) and geometry["dilation"][1] > 1
    assert_exact_with("conv_s8" if columns_apart else "conv_s8_mve", data, runtime, tflm)


@pytest.mark.parametrize("depth", [1, 15, 16, 17, 31, 32, 33, 48, 64, 80, 129])
def test_conv_of_every_number_of_steps(depth, runtime, tflm):
    data = models.convolution(14, in_c=depth, out_c=6, kernel=(1, 1), size=(3, 5))
    assert_exact_with("conv_s8_mve", data, runtime, tflm)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("zero_points", ZERO_POINTS)
def test_average_pool_of_many_channels(activation, zero_points, runtime, tflm):
    for kernel, padding in itertools.product(((2, 2), (7, 6), (3, 1)), ("SAME", "VALID")):
        data = models.pool(
            channels=12,
            kernel=kernel,
            padding=padding,
            activation=activation,
            zero_point=zero_points[0],
        )
        assert_exact_with("average_pool_s8_mve", data, runtime, tflm)


def test_what_is_left_to_the_portable_kernels():
    """Shifts to the left; of 0 where a negative half may survive; columns apart; odd channels."""
    assert kernels(models.convolution(5, dilation=(1, 2))) == ["conv_s8"]
    assert kernels(models.convolution(5, in_c=4, out_scale=1e-4)) == ["conv_s8"]
    ones = {"scales": [1.0] * 4, "out_scale": 0.0500001}
    assert kernels(models.convolution(5, **ones)) == ["conv_s8"]
    at_the_end = ones | {"zero_points": (3, -128)}
    assert kernels(models.convolution(5, **at_the_end)) == ["conv_s8_mve"]
    assert kernels(models.convolution(5, "float32")) == ["conv_f32"]
    assert kernels(models.convolution(5, depthwise=True, in_c=3, out_c=6)) == ["depthwise_s8"]
    assert kernels(models.pool(channels=5)) == ["average_pool_s8"]


def test_a_shift_of_0_where_only_positive_halves_survive(runtime, tflm):
    data = models.convolution(
        5, scales=[1.0, 0.9, 0.7, 0.6], out_scale=0.0500001, zero_points=(3, -128)
    )
    assert_exact_with("conv_s8_mve", data, runtime, tflm)


def test_outputs_lie_over_inputs(runtime, tflm):
    """Each kernel's distance is used: arenas smaller than input and output together."""
    for data in (
        models.convolution(1, size=(9, 9), in_c=16, out_c=16),
        models.convolution(1, size=(9, 9), in_c=16, out_c=24, kernel=(1, 1)),
        models.convolution(1, size=(9, 9), in_c=16, out_c=16, depthwise=True),
        models.convolution(1, size=(9, 9), in_c=16, out_c=16, depthwise=True, stride=(2, 2)),
    ):
        plan = plan_model(parse_model(data, Path("generated.tflite")), kernels="portable mve")
        scratch = sum(p.bytes for p in plan.placements if p.name.startswith("scratch"))
        assert plan.arena_bytes < plan.input.bytes + plan.output.bytes + scratch
        assert_bit_exact(data, runtime, tflm)


@pytest.mark.parametrize("depth", [640, 128, 8])
def test_rounding_of_negative_halves(depth, runtime, tflm):
    """Every int8 value as input."""
    data = models.fully_connected(1, in_shape=(1, depth), units=13)
    plan = plan_model(parse_model(data, Path("generated.tflite")), kernels="portable mve")
    x = np.repeat(np.arange(-128, 128, dtype=np.int8)[:, None], depth, axis=1)
    y = runtime.run(plan, x.reshape(256, *plan.input.shape))
    np.testing.assert_array_equal(y, tflm.run(data, x).reshape(y.shape))


ROOT = Path(__file__).resolve().parents[2]
ON_THE_PROCESSOR = {
    "conv": models.convolution(1, in_c=5, out_c=6, size=(5, 7)),
    "conv_dilated": models.convolution(2, in_c=20, out_c=8, dilation=(2, 1), size=(6, 5)),
    "conv_pointwise": models.convolution(3, in_c=33, out_c=7, kernel=(1, 1), size=(3, 5)),
    "conv_strided": models.convolution(4, in_c=16, out_c=16, stride=(2, 2), size=(9, 8)),
    "conv_clamped": models.convolution(5, in_c=3, activation="RELU6", out_scale=0.1),
    "depthwise_3x3": models.convolution(6, depthwise=True, in_c=8, out_c=8, size=(7, 5)),
    "depthwise_3x3_clamped": models.convolution(
        7, depthwise=True, in_c=20, out_c=20, size=(6, 6), activation="RELU6", out_scale=0.1
    ),
    "depthwise_3x3_strided": models.convolution(
        8, depthwise=True, in_c=20, out_c=20, size=(6, 5), stride=(2, 2)
    ),
    "depthwise": models.convolution(8, depthwise=True, in_c=24, out_c=24, dilation=(2, 1)),
    "depthwise_5x5": models.convolution(9, depthwise=True, in_c=8, out_c=8, kernel=(5, 5)),
    "fc": models.fully_connected(10, in_shape=(1, 37), units=9),
    "fc_rows": models.fully_connected(11, in_shape=(4, 16), units=8),
    "fc_per_unit": models.fully_connected(12, in_shape=(3, 40), units=10, per_channel=True),
    "add": models.add_twice(),
    "add_swapped": models.add_twice(scales=(0.02, 0.05, 0.06), activation="RELU"),
    "average": models.pool(channels=8, kernel=(3, 2)),
}


@pytest.mark.qemu
def test_operators_equal_tflm_on_the_processor(tflm):
    config = load_boards(ROOT / "boards.toml")["m55"]
    try:
        image = find_image(config.firmware)
    except ImageError as error:
        pytest.skip(str(error))
    wrong = []
    with open_board(config, image, lambda _: None, lambda _: None) as board:
        assert board.hello.kernels.startswith("portable mve")
        for operator, data in ON_THE_PROCESSOR.items():
            plan = plan_model(parse_model(data, Path(operator)), kernels="portable mve")
            assert plan.operators[-1].kernel.endswith("_mve")
            board.client.load(plan.data, bytes.fromhex(plan.sha256), board.emulated)
            x = vectors(plan.input.shape, seed=3)
            result = board.client.run(x.reshape(len(x), -1).view(np.uint8))
            assert result.outputs is not None
            y = result.outputs.view(np.int8).reshape(len(x), *plan.output.shape)
            if not np.array_equal(y, tflm.run(data, x).reshape(y.shape)):
                wrong.append(operator)
    assert not wrong
