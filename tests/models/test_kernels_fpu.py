"""float32 kernels of the set "fpu" against TensorFlow Lite, within 1e-5 of the largest output.

Grids run on the host, in C under the undefined-behaviour sanitizer; operators and whole models on
the processors, where the inner loops are assembly.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from builders.host_runtime import HostRuntime, RuntimeFaultError
from hilbench.board.images import find_image
from hilbench.board.life import open_board
from hilbench.config import load_boards
from hilbench.errors import ImageError
from hilbench.models.planner import layout, plan_model
from hilbench.models.planner.sets import records
from hilbench.models.tflite_file import parse_model, read_model
from hilbench.records import Plan

pytestmark = pytest.mark.firmware

ROOT = Path(__file__).resolve().parents[2]
MLPERF = ROOT.parent / "shared" / "data" / "mlperf_tiny" / "models"
KERNELS = "portable fpu"
TOLERANCE = 1e-5
WINDOWS = [
    dict(zip(("kernel", "stride", "dilation", "padding"), values, strict=True))
    for values in itertools.product(
        ((1, 1), (3, 3), (2, 5)),
        ((1, 1), (2, 2), (1, 3)),
        ((1, 1), (2, 1), (2, 2)),
        ("SAME", "VALID"),
    )
    if not (values[0] == (1, 1) and values[2] != (1, 1))
]


@pytest.fixture(scope="module")
def fpu(runtimes) -> HostRuntime:
    runtime = runtimes["fpu"]
    assert runtime.kernels == KERNELS
    return runtime


def planned(data: bytes) -> Plan:
    return plan_model(parse_model(data, Path("generated.tflite")), KERNELS)


def vectors(shape: tuple[int, ...], count: int = 3) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (count, *shape)).astype(np.float32)


def assert_within(y: np.ndarray, expected: np.ndarray) -> None:
    expected = expected.reshape(y.shape)
    assert np.abs(y - expected).max() <= TOLERANCE * np.abs(expected).max()


def assert_close(data: bytes, fpu: HostRuntime, reference, kernel: str) -> None:
    plan = planned(data)
    assert plan.operators[0].kernel == kernel
    x = vectors(plan.input.shape)
    assert_within(fpu.run(plan, x), reference.run(data, x))


def name(value: object) -> str | None:
    if isinstance(value, dict):
        return "-".join(str(v).replace(" ", "") for v in value.values())
    return None


@pytest.mark.parametrize("window", WINDOWS, ids=name)
def test_conv(window, fpu, reference):
    for in_c in (3, 4):
        data = models.convolution(1, "float32", size=(11, 12), in_c=in_c, **window)
        assert_close(data, fpu, reference, "conv_f32_fpu")


@pytest.mark.parametrize("window", WINDOWS, ids=name)
def test_depthwise(window, fpu, reference):
    for channels in (3, 16):
        data = models.convolution(
            4,
            "float32",
            depthwise=True,
            size=(11, 12),
            in_c=channels,
            out_c=channels,
            **window,
        )
        assert_close(data, fpu, reference, "depthwise_f32_fpu")


@pytest.mark.parametrize("out_c", [1, 2, 4, 7, 8])
def test_conv_of_any_channels(out_c, fpu, reference):
    for in_c, kernel in itertools.product((1, 2, 5, 8), ((1, 1), (3, 3))):
        data = models.convolution(2, "float32", in_c=in_c, out_c=out_c, kernel=kernel)
        assert_close(data, fpu, reference, "conv_f32_fpu")


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 2), (1, 5), (2, 3), (3, 5), (4, 8), (9, 1)])
def test_any_number_of_pixels(size, fpu, reference):
    for kernel in ((1, 1), (3, 4), (5, 7)):
        data = models.convolution(3, "float32", size=size, in_c=4, kernel=kernel)
        assert_close(data, fpu, reference, "conv_f32_fpu")
        data = models.convolution(
            3, "float32", depthwise=True, size=size, in_c=9, out_c=9, kernel=kernel
        )
        assert_close(data, fpu, reference, "depthwise_f32_fpu")


@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
def test_activations(activation, fpu, reference):
    for depthwise in (False, True):
        data = models.convolution(
            5, "float32", depthwise=depthwise, in_c=8, out_c=8, activation=activation
        )
        kernel = "depthwise_f32_fpu" if depthwise else "conv_f32_fpu"
        assert_close(data, fpu, reference, kernel)


@pytest.mark.parametrize("activation", ["NONE", "RELU"])
def test_infinity_and_nan_are_kept(activation, fpu):
    plan = planned(
        models.convolution(
            5, "float32", size=(1, 4), in_c=1, out_c=1, kernel=(1, 1), activation=activation
        )
    )
    x = np.array([np.nan, -np.nan, np.inf, -np.inf], np.float32).reshape(1, *plan.input.shape)
    y = fpu.run(plan, x).ravel()
    assert np.isnan(y[:2]).all()
    assert sorted(y[2:]) == ([-np.inf, np.inf] if activation == "NONE" else [0.0, np.inf])


@pytest.mark.parametrize("units", [1, 4, 5, 12])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (1, 37), (1, 640), (3, 17), (5, 18), (8, 4)])
def test_fully_connected(units, shape, fpu, reference):
    data = models.fully_connected(9, "float32", in_shape=shape, units=units)
    assert_close(data, fpu, reference, "conv_f32_fpu")


def test_a_depth_multiplier_is_portable(fpu, reference):
    data = models.convolution(6, "float32", depthwise=True, in_c=4, out_c=8)
    assert_close(data, fpu, reference, "depthwise_f32")


def test_int8_is_portable():
    assert planned(models.convolution(6)).operators[0].kernel == "conv_s8"
    assert planned(models.fully_connected(6)).operators[0].kernel == "fc_s8"


CONV = planned(models.convolution(1, "float32", in_c=5, out_c=5))
DENSE = planned(models.fully_connected(1, "float32", units=7))
DEPTHWISE = planned(models.convolution(1, "float32", depthwise=True, in_c=12, out_c=12))


@pytest.mark.parametrize(
    ("plan", "values", "expected"),
    [
        (CONV, {"scratch": 0x7FFFFFF0}, "tensor"),
        (CONV, {"scratch": 8}, "tensor"),
        (CONV, {"filters": 0x7FFFFFF0}, "constant"),
        (CONV, {"out_c": 0xFFFF}, "tensor"),
        (CONV, {"kernel_h": 0}, "shape"),
        (CONV, {"kernel_h": 0x7FFF, "kernel_w": 0x7FFF, "in_c": 0xFFFF}, "tensor"),
        (DENSE, {"out_w": 0}, "shape"),
        (DENSE, {"in_c": 0xFFFF}, "tensor"),
        (DENSE, {"filters": 8}, "constant"),
        (DEPTHWISE, {"filters": 0x7FFFFFF0}, "constant"),
        (DEPTHWISE, {"in_c": 6}, "shape"),
        (DEPTHWISE, {"pad_left": 9}, "shape"),
    ],
)
def test_hostile_records(plan, values, expected, fpu):
    record = records()[plan.operators[0].kernel]
    at = layout.packer(layout.HEADER.fields).size
    known = layout.unpack(record.flat, plan.data, at)
    assert set(values) <= set(known)
    changed = layout.pack(record.flat, known | values)
    data = plan.data[:at] + changed + plan.data[at + len(changed) :]
    with pytest.raises(RuntimeFaultError) as caught:
        fpu.load(data, plan.arena_bytes)
    assert caught.value.reason == layout.FAULTS[expected][0]


DIGITS = ROOT / "hilbench" / "zoo" / "digits" / "cnn_fp32.tflite"
WHOLE = [
    DIGITS,
    *(MLPERF / f"{m}.tflite" for m in ("pretrainedResnet", "vww_96_float", "ad01_fp32")),
]


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_whole_models(path, fpu, reference):
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside the checkout (looked in {MLPERF})")
    plan = plan_model(read_model(path), KERNELS)
    assert not {"conv_f32", "fc_f32"} & {op.kernel for op in plan.operators}
    x = vectors(plan.input.shape, 1)
    assert_within(fpu.run(plan, x), reference.run(path, x))


SMALL = {
    "conv": models.convolution(1, "float32", size=(5, 6), in_c=5, out_c=7, activation="RELU"),
    "stride": models.convolution(1, "float32", size=(5, 9), in_c=4, out_c=8, stride=(2, 2)),
    "even": models.convolution(1, "float32", size=(3, 8), in_c=4, out_c=4, padding="VALID"),
    "pointwise": models.convolution(1, "float32", size=(1, 9), in_c=6, out_c=6, kernel=(1, 1)),
    "odd": models.convolution(1, "float32", size=(1, 13), in_c=7, out_c=5, kernel=(1, 1)),
    "depthwise": models.convolution(1, "float32", depthwise=True, in_c=20, out_c=20),
    "dilated": models.convolution(
        1, "float32", depthwise=True, size=(9, 8), in_c=8, out_c=8, dilation=(2, 2)
    ),
    "fc": models.fully_connected(1, "float32", in_shape=(1, 37), units=6, activation="RELU6"),
    "rows": models.fully_connected(1, "float32", in_shape=(5, 18), units=4),
}


@pytest.mark.qemu
@pytest.mark.parametrize("board_id", ["m4", "m7", "m33", "m55"])
def test_on_the_processor(board_id, reference):
    config = load_boards(ROOT / "boards.toml")[board_id]
    try:
        image = find_image(config.firmware)
    except ImageError as error:
        pytest.skip(str(error))
    found = {model: parse_model(data, Path(model)) for model, data in SMALL.items()}
    found["digits"] = read_model(DIGITS)
    with open_board(config, image, lambda _: None, lambda _: None) as board:
        assert board.hello.kernels.endswith(" fpu")
        for model, parsed in found.items():
            plan = plan_model(parsed, board.hello.kernels)
            assert plan.operators[0].kernel.endswith("_f32_fpu")
            board.client.load(plan.data, bytes.fromhex(plan.sha256), board.emulated)
            x = vectors(plan.input.shape)
            result = board.client.run(x.reshape(len(x), -1).view(np.uint8))
            assert result.outputs is not None
            y = result.outputs.view(np.float32).reshape(len(x), *plan.output.shape)
            assert_within(y, reference.run(SMALL.get(model, DIGITS), x))
