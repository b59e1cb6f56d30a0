"""The TensorFlow Lite Micro runtime on the host, linked with a library of the user's.

The library is no part of this project: where HILBENCH_TFLM_LIB does not name one, these tests are left
out. docs/runtimes.md says how to make it.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
from pathlib import Path

import numpy as np
import pytest

import hilbench
from builders import operator_models
from builders.tflite_builder import ModelBuilder
from hilbench import plugins
from hilbench.board.client import BoardClient
from hilbench.board.images import find_image
from hilbench.board.sources import FIRMWARE
from hilbench.cli.commands.build import build, library
from hilbench.errors import DeviceError, ModelTooLargeError
from hilbench.models.payload import tflite_payload
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.records import BoardConfig, Timeouts

LIBRARY, INCLUDE = "HILBENCH_TFLM_LIB", "HILBENCH_TFLM_INCLUDE"
ZOO = Path(hilbench.__path__[0]) / "zoo" / "digits"
MLPERF = Path(hilbench.__path__[0]).parents[1] / "shared" / "data" / "mlperf_tiny" / "models"
VARIANTS = ("cnn_int8", "cnn_qat_int8", "cnn_pruned80_int8", "student_int8", "mlp_int8")
MODELS = [ZOO / f"{name}.tflite" for name in VARIANTS] + [
    MLPERF / f"{name}.tflite"
    for name in ("kws_ref_model", "pretrainedResnet_quant", "vww_96_int8", "ad01_int8")
]
VECTORS = 4
DAMAGED = 300
START_S = 10.0


@pytest.fixture(scope="module")
def image():
    if not os.environ.get(LIBRARY) or not os.environ.get(INCLUDE):
        pytest.skip(
            f"{LIBRARY} and {INCLUDE} name no TensorFlow Lite Micro library for this computer; "
            "docs/runtimes.md says how to make one"
        )
    where = library("tflm", Path(os.environ[LIBRARY]), Path(os.environ[INCLUDE]))
    build("posix", "tflm", where, FIRMWARE)
    return find_image("posix-tflm")


@pytest.fixture
def start(image):
    """Start the image with a pool of so many bytes; returns a client that has said hello."""
    boards = []

    def start(pool_bytes=1 << 20):
        config = BoardConfig(
            "host",
            "posix-tflm",
            emulator="native",
            emulator_args=(("pool_bytes", str(pool_bytes)),),
        )
        board = plugins.load("emulators", "native").start(config, START_S)
        boards.append(board)
        board.flash(image)
        link = plugins.load("links", "serial").open_link(board.link_address, 115200)
        client = BoardClient(link, "host", Timeouts(), baud=115200)
        client.hello()
        return client

    yield start
    for board in boards:
        board.stop()


def payload(path: Path):
    model = read_model(path)
    return tflite_payload(model, plan_model(model))


def outputs_of(client, plan, x):
    run = client.run(np.ascontiguousarray(x).view(np.uint8).reshape(len(x), -1), want_outputs=True)
    return np.asarray(run.outputs).view(np.int8).reshape(len(x), *plan.output.shape[1:])


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_outputs_are_those_of_the_wheel(start, tflm, path):
    if not path.exists():
        pytest.skip(f"{path} is not here")
    client, plan = start(), payload(path)
    assert client.identity.runtime.startswith("tflm ")
    loaded = client.load(plan.data, bytes.fromhex(plan.sha256))
    shape = plan.input.shape[1:]
    x = np.random.default_rng(1).integers(-128, 128, (VECTORS, *shape), dtype=np.int8)
    np.testing.assert_array_equal(outputs_of(client, plan, x), tflm.run(plan.data, x))
    assert loaded.operators == len(plan.operators) == len(client.profile(2))
    assert client.memory().arena_bytes == loaded.arena_bytes
    macs = sum(operator.macs for operator in plan.operators)
    assert macs == sum(operator.macs for operator in plan_model(read_model(path)).operators)


def test_one_model_after_the_other(start, tflm):
    client = start()
    rng = np.random.default_rng(2)
    for name in ("cnn_int8", "mlp_int8", "student_int8", "cnn_int8"):
        plan = payload(ZOO / f"{name}.tflite")
        client.load(plan.data, bytes.fromhex(plan.sha256))
        x = rng.integers(-128, 128, (2, *plan.input.shape[1:]), dtype=np.int8)
        np.testing.assert_array_equal(outputs_of(client, plan, x), tflm.run(plan.data, x))


def test_a_pool_that_is_too_small_is_told_and_what_it_asks_for_is_never_too_much(start, tflm):
    plan = payload(ZOO / "student_int8.tflite")
    loaded = start().load(plan.data, bytes.fromhex(plan.sha256))
    enough = -(-len(plan.data) // 16) * 16 + -(-loaded.arena_bytes // 16) * 16
    asked = [len(plan.data) + 256]
    while True:
        client = start(asked[-1])
        try:
            small = client.load(plan.data, bytes.fromhex(plan.sha256))
            break
        except ModelTooLargeError as error:
            told = str(error)
        assert f"needs at least {told_bytes(told)} bytes, {asked[-1]} bytes are available" in told
        assert told_bytes(told) > asked[-1]
        asked.append(told_bytes(told))
    # What the library plans with for a moment may be more than what it keeps.
    assert asked[-1] <= enough + 4096
    assert small.arena_bytes == loaded.arena_bytes
    x = np.random.default_rng(3).integers(-128, 128, (1, *plan.input.shape[1:]), dtype=np.int8)
    np.testing.assert_array_equal(outputs_of(client, plan, x), tflm.run(plan.data, x))


def told_bytes(sentence: str) -> int:
    return int(sentence.split("needs at least ")[1].split(" bytes", maxsplit=1)[0])


def softmax_of_another_scale() -> bytes:
    model = ModelBuilder()
    x = model.tensor((1, 8), "int8", scale=0.1)
    y = model.tensor((1, 8), "int8", scale=1 / 128, zero_point=-128)
    model.operator("SOFTMAX", [x], [y], "SoftmaxOptions", Beta=1.0)
    return model.build([x], [y])


def short_weights() -> bytes:
    """A tensor whose constants are fewer than its shape says."""
    model = ModelBuilder()
    x = model.tensor((1, 8), "int8", scale=0.1)
    w = model.tensor((4, 8), "int8", scale=[0.1], data=np.zeros(31, np.int8))
    y = model.tensor((1, 4), "int8", scale=0.1)
    model.operator("FULLY_CONNECTED", [x, w], [y], "FullyConnectedOptions")
    return model.build([x], [y])


def fully_connected(in_c: int, out_c: int) -> bytes:
    """Weights of 8 x 4."""
    model = ModelBuilder()
    x = model.tensor((1, in_c), "int8", scale=0.1)
    w = model.tensor((4, 8), "int8", scale=[0.1], data=np.zeros((4, 8), np.int8))
    y = model.tensor((1, out_c), "int8", scale=0.1)
    model.operator("FULLY_CONNECTED", [x, w], [y], "FullyConnectedOptions")
    return model.build([x], [y])


def convolution(out: tuple[int, ...], stride: int = 1) -> bytes:
    """A window of 3 x 3 over 4 x 4 pixels, SAME."""
    model = ModelBuilder()
    x = model.tensor((1, 4, 4, 2), "int8", scale=0.1)
    data = np.zeros((3, 3, 3, 2), np.int8)
    w = model.tensor(data.shape, "int8", scale=[0.1] * 3, data=data)
    y = model.tensor(out, "int8", scale=0.1)
    options = {"Padding": "SAME", "StrideW": stride, "StrideH": stride}
    model.operator("CONV_2D", [x, w], [y], "Conv2DOptions", **options)
    return model.build([x], [y])


def two_outputs() -> bytes:
    model = ModelBuilder()
    x = model.tensor((1, 8), "int8", scale=0.1)
    y = model.tensor((1, 8), "int8", scale=1 / 256, zero_point=-128)
    model.operator("SOFTMAX", [x], [y], "SoftmaxOptions", Beta=1.0)
    return model.build([x], [y, y])


def a_tensor_that_does_not_exist() -> bytes:
    model = ModelBuilder()
    x = model.tensor((1, 8), "int8", scale=0.1)
    y = model.tensor((1, 8), "int8", scale=1 / 256, zero_point=-128)
    model.operator("SOFTMAX", [x + 70], [y], "SoftmaxOptions", Beta=1.0)
    return model.build([x], [y])


def softmax_of(tensor: int, boundary: tuple[int, int] = (0, 1)) -> bytes:
    """SOFTMAX of tensor 0, which is the input; 1 its output; 2 constant; 3 nobody writes."""
    model = ModelBuilder()
    model.tensor((1, 8), "int8", scale=0.1)
    model.tensor((1, 8), "int8", scale=1 / 256, zero_point=-128)
    model.tensor((1, 8), "int8", scale=0.1, data=np.zeros((1, 8), np.int8))
    model.tensor((1, 8), "int8", scale=0.1)
    model.operator("SOFTMAX", [tensor], [1], "SoftmaxOptions", Beta=1.0)
    return model.build([boundary[0]], [boundary[1]])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"no model at all, " * 9, "these bytes are no sound .tflite file; export the model again"),
        (operator_models.softmax()[:200], "these bytes are no sound .tflite file"),
        (two_outputs(), "the model has 1 inputs and 2 outputs, this runtime takes 1 of each"),
        (short_weights(), "shape, type, data or use of tensor 1 contradict each other"),
        (
            a_tensor_that_does_not_exist(),
            "operator 0 names tensors or an operator code that it",
        ),
        (softmax_of(3), "operator 0 names tensors or an operator code that it"),
        (softmax_of(1), "operator 0 names tensors or an operator code that it"),
        (softmax_of(0, boundary=(2, 1)), "shape, type, data or use of tensor 2 contradict"),
        (softmax_of(0, boundary=(0, 3)), "shape, type, data or use of tensor 3 contradict"),
        (operator_models.mean(axes=(4,), shape=(1, 2, 3, 4)), "the kernel refuses the parameters"),
        (fully_connected(9, 4), "the kernel refuses the parameters of operator 0"),
        (fully_connected(8, 3), "the kernel refuses the parameters of operator 0"),
        (convolution((1, 3, 4, 3)), "the kernel refuses the parameters of operator 0"),
        (convolution((1, 4, 4, 2)), "the kernel refuses the parameters of operator 0"),
        (convolution((1, 4, 4, 3), stride=0), "the kernel refuses the parameters of operator 0"),
        (operator_models.unary("TANH"), "no kernel is registered for TANH; add it to"),
        (operator_models.softmax("float32"), "operator 0 does not compute in int8"),
        (softmax_of_another_scale(), "the kernel refuses the parameters of operator 0"),
    ],
)
def test_a_model_that_it_cannot_run_is_refused_in_words(start, data, sentence):
    client = start()
    with pytest.raises(DeviceError, match=re.escape(sentence)) as raised:
        client.load(data, hashlib.sha256(data).digest())
    assert raised.value.code == "BAD_MODEL"
    good = payload(ZOO / "mlp_int8.tflite")  # and the board goes on
    assert client.load(good.data, bytes.fromhex(good.sha256)).operators == len(good.operators)


def test_bytes_that_were_damaged_end_in_an_error_or_in_an_inference(start):
    """The library trusts a model; the board must outlive every one that it is given."""
    client, good = start(), (ZOO / "student_int8.tflite").read_bytes()
    chance = random.Random(7)
    refused = 0
    for _ in range(DAMAGED):
        bad = bytearray(good)
        for _ in range(chance.choice([1, 1, 2, 4])):
            bad[chance.randrange(len(bad))] = chance.choice([0, 1, 128, 255])
        try:
            loaded = client.load(bytes(bad), hashlib.sha256(bad).digest())
            client.run(np.zeros((1, loaded.input_bytes), np.uint8))
        except (DeviceError, ModelTooLargeError):  # a board that died is another error
            refused += 1
    assert 0 < refused < DAMAGED
    assert client.load(good, hashlib.sha256(good).digest()).operators


@pytest.mark.parametrize("data", [fully_connected(8, 4), convolution((1, 4, 4, 3))])
def test_what_agrees_is_loaded(start, data):
    assert start().load(data, hashlib.sha256(data).digest()).operators == 1
